import numpy as np
import pytest

from cascade.scoring.ttc_heads import HierarchicalSoftmax
from cascade.taxonomy import Taxonomy
from cascade.training.level_loss import TorchForms, level_loss, outputs
from cascade.training.linear_heads import HeadsRecipe, fit_heads

TREE = Taxonomy.from_paths(["A > a > x", "A > a > y", "A > b", "B > c > z", "B > c > w", "B > d"])
FORMS = ["flat", "published", "additive", "conditional", "leaf"]


def labelled():
    return np.array([TREE.find(p) for p in ("A > a > x", "A > a > y", "A > b", "B > c > z")])


@pytest.mark.parametrize("form", FORMS)
def test_what_is_learnt_through_is_what_is_read(form):
    import torch

    nodes = outputs(labelled().astype(np.int32), TREE, form)
    logits = np.random.default_rng(0).normal(size=(len(nodes), 5)).astype(np.float32) * 3
    read = HierarchicalSoftmax(TREE, form).log_probs(logits, nodes)
    learnt = TorchForms(TREE, form, nodes)
    found = learnt.log_probabilities(torch.tensor(logits.T))
    for level, values in enumerate(found):
        kept = learnt._levels[level][0]
        assert np.allclose(read[kept].T, values.numpy(), atol=1e-4)


def test_the_published_form_lets_an_impossible_child_win_and_the_others_do_not():
    nodes = np.arange(len(TREE), dtype=np.int32)
    z = np.full((len(TREE), 1), -5.0, dtype=np.float32)
    z[TREE.find("A")] = 20  # B is impossible
    won = {}
    for form in ("published", "additive", "conditional"):
        read = HierarchicalSoftmax(TREE, form).log_probs(z, nodes)[:, 0]
        second = TREE.level_nodes(2)
        won[form] = TREE.path(int(second[read[second].argmax()]))
    assert won["published"].startswith("B")
    assert won["additive"].startswith("A")
    assert won["conditional"].startswith("A")


@pytest.mark.parametrize("form", ["conditional", "leaf"])
def test_siblings_and_their_parent_agree(form):
    nodes = outputs(labelled().astype(np.int32), TREE, form)
    logits = np.random.default_rng(1).normal(size=(len(nodes), 3)).astype(np.float32)
    shares = np.exp(HierarchicalSoftmax(TREE, form).log_probs(logits, nodes))
    a = TREE.find("A > a")
    assert np.allclose(shares[TREE.children(a)].sum(axis=0), shares[a], atol=1e-5)


def test_a_label_that_ends_early_has_no_loss_below_its_end():
    import torch

    nodes = np.array([TREE.find("A > b")], dtype=np.int32)
    forms = TorchForms(TREE, "flat", np.arange(len(TREE), dtype=np.int32))
    targets = forms.targets(nodes, TREE)
    assert targets[0, 2] == -1
    logits = torch.zeros(1, len(TREE))
    loss = level_loss(forms.log_probabilities(logits), targets, [1.0])
    sizes = [len(TREE.level_nodes(level)) for level in (1, 2)]
    assert float(loss) == pytest.approx(sum(np.log(sizes)), abs=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_levels_that_no_label_reaches_are_no_part_of_the_loss(form):
    labels = np.array([TREE.find(p) for p in ("A > b", "B > d")] * 8, dtype=np.int32)
    rows = np.eye(2, dtype=np.float32)[np.arange(16) % 2]
    recipe = HeadsRecipe(form=form, epochs=30, batch_size=16, learning_rate=0.1)
    heads = fit_heads(rows, labels, TREE, recipe)
    read = HierarchicalSoftmax(TREE, form).log_probs(heads.logits(rows), heads.nodes)
    second = TREE.level_nodes(2)
    assert (second[read[second].argmax(axis=0)] == labels).all()


@pytest.mark.parametrize(
    ("form", "sparse"), [*((form, False) for form in FORMS), ("conditional", True)]
)
def test_heads_learn_what_can_be_told_apart(form, sparse):
    import scipy.sparse

    nodes = np.repeat(labelled().astype(np.int32), 20)
    rows = np.eye(4, dtype=np.float32).repeat(20, axis=0)
    given = scipy.sparse.csr_matrix(rows) if sparse else rows
    recipe = HeadsRecipe(form=form, epochs=30, batch_size=16, learning_rate=0.1)
    heads = fit_heads(given, nodes, TREE, recipe)
    read = HierarchicalSoftmax(TREE, form).log_probs(heads.logits(given), heads.nodes)
    ends = np.unique(nodes)
    level3 = [n for n in ends if TREE.level[n] == 3]
    found = np.array(level3)[read[level3].argmax(axis=0)]
    deep = TREE.level[nodes] == 3
    assert (found[deep] == nodes[deep]).mean() > 0.99


@pytest.mark.parametrize("form", FORMS)
def test_an_item_alone_has_the_probabilities_that_it_has_among_others(form):
    paths = [f"{a} > {a}{b} > {a}{b}{c}" for a in "ABCDE" for b in range(9) for c in range(9)]
    tree = Taxonomy.from_paths(paths)
    nodes = outputs(tree.leaves, tree, form)
    logits = np.random.default_rng(2).normal(size=(len(nodes), 40)).astype(np.float32)
    softmax = HierarchicalSoftmax(tree, form)
    together = softmax.log_probs(logits, nodes)
    for at in range(3):
        alone = softmax.log_probs(np.ascontiguousarray(logits[:, at : at + 1]), nodes)
        assert (alone[:, 0] == together[:, at]).all()
