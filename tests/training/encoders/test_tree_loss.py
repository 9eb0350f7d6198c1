import numpy as np
import torch

from cascade import Taxonomy
from cascade.training.encoders.batches import relations
from cascade.training.encoders.forms import NodeForms
from cascade.training.encoders.tree_loss import tree_loss

TREE = Taxonomy.from_paths(["Food > Fruit > Apple", "Food > Fruit > Pear", "Tools > Saw"])


class Set:
    taxonomy = TREE


def index(path):
    found = TREE.find(path)
    assert found is not None
    return found


NODES = np.array(
    sorted(map(index, ["Food > Fruit > Apple", "Food > Fruit > Pear", "Tools > Saw"])), np.int32
)
WORDS = [TREE.names[n] for n in NODES]


def loss(similar, *, upper=0.0, back=0.0, golds=("Food > Fruit > Apple",)):
    gold = np.array([index(g) for g in golds], np.int32)
    wrong, shared = relations(Set, gold, NODES, WORDS)
    return float(
        tree_loss(
            torch.tensor(similar, dtype=torch.float32),
            np.searchsorted(NODES, gold),
            wrong,
            shared,
            scale=2.0,
            upper=upper,
            back=back,
        )
    )


def test_without_levels_above_it_is_cross_entropy_over_the_candidates():
    values = [[0.3, 0.9, -0.2]]
    p = np.exp(2 * np.array(values[0]))
    assert np.isclose(loss(values), -np.log(p[0] / p.sum()))


def test_each_level_above_is_the_likelihood_of_its_subtree():
    values = [[0.3, 0.9, -0.2]]
    p = np.exp(2 * np.array(values[0]))
    p /= p.sum()
    expected = -np.log(p[0]) - 0.5 * (np.log(p[0] + p[1]) + np.log(p[0] + p[1])) / 2
    assert np.isclose(loss(values, upper=0.5), expected)


def test_a_near_miss_costs_less_than_a_far_one():
    near, far = [[0.0, 0.9, 0.1]], [[0.0, 0.1, 0.9]]
    assert np.isclose(loss(near), loss(far))
    assert loss(near, upper=0.5) < loss(far, upper=0.5)


def test_the_way_back_tells_items_of_other_nodes_apart():
    golds = ("Food > Fruit > Apple", "Tools > Saw")
    good, bad = [[0.9, 0.0, 0.1], [0.1, 0.0, 0.9]], [[0.9, 0.0, 0.9], [0.9, 0.0, 0.9]]
    less = loss(good, back=1.0, golds=golds) - loss(good, golds=golds)
    more = loss(bad, back=1.0, golds=golds) - loss(bad, golds=golds)
    assert less < more


def test_ancestors_and_namesakes_of_the_right_node_are_not_wrong():
    tree = Taxonomy.from_paths(["A > Other", "B > Other", "B > C"])

    class Own:
        taxonomy = tree

    nodes = np.arange(len(tree), dtype=np.int32)
    gold = np.array([tree.find("B > Other")], np.int32)
    words = [NodeForms(tree).text(n, "leaf", np.random.default_rng(0)) for n in nodes.tolist()]
    wrong, _ = relations(Own, gold, nodes, words)
    assert {tree.path(n) for n in np.flatnonzero(wrong[0]).tolist()} == {"A", "B > C"}
