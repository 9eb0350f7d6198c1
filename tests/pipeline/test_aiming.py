"""Answers where the probability of every node is known, held against trying every node."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from taxonomy.trees import trees

from cascade.items import Batch, Item
from cascade.pipeline.descent import Descent, make_descent
from cascade.retrieval.all_children import AllChildren
from cascade.retrieval.subtrees import DenseNodeProbabilities, Subtrees
from cascade.scoring.scorer import NodeProbabilityScorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.staying import staying

quick = settings(deadline=None, max_examples=40)


class Given(NodeProbabilityScorer):
    """Has probabilities of leaves, as weights [n_items, n_leaves]."""

    name = "given"

    def __init__(self, taxonomy, weights):
        self._taxonomy, self._weights = taxonomy, weights

    def _probabilities(self, batch):
        logits = np.full((len(self._taxonomy), len(batch)), -np.inf, np.float32)
        logits[self._taxonomy.leaves] = np.log(self._weights).T
        found = Subtrees(self._taxonomy).log_softmax(logits)
        return DenseNodeProbabilities(self._taxonomy, found)


@st.composite
def weighted(draw, n_items=3):
    taxonomy = draw(trees(rich=False))
    n = n_items * len(taxonomy.leaves)
    order = np.array(draw(st.permutations(range(n))))
    return taxonomy, np.exp(order * 0.61 % 3.3 + order * 1e-3).reshape(n_items, -1)


def answers(taxonomy, weights, **how):
    walker = Descent(taxonomy, AllChildren(taxonomy), **how)
    items = Batch([Item({"text": f"item {i}"}, str(i)) for i in range(len(weights))])
    return walker.walk(items, Given(taxonomy, weights))


def masses(taxonomy, weights):
    """Probability of each node of one item, and that of each leaf by node."""
    leaf = dict(zip(taxonomy.leaves.tolist(), weights / weights.sum(), strict=True))
    return [
        sum(p for n, p in leaf.items() if i <= n < taxonomy.end[i]) for i in range(len(taxonomy))
    ], leaf


@quick
@given(weighted(), st.integers(1, 4))
def test_the_answer_is_the_likeliest_leaf_and_confidences_are_sums(tree, beam):
    taxonomy, weights = tree
    for own, found in zip(
        weights, answers(taxonomy, weights, objective="leaf", beam=beam), strict=True
    ):
        mass, leaf = masses(taxonomy, own)
        best = sorted(leaf, key=lambda node: -leaf[node])[:beam]
        assert taxonomy.index(found.code) == best[0]
        assert [taxonomy.index(a.code) for a in found.alternatives] == best[1:]
        assert found.confidence == pytest.approx(leaf[best[0]], rel=1e-4)
        assert [a.confidence for a in found.alternatives] == pytest.approx(
            [leaf[n] for n in best[1:]], rel=1e-4
        )
        assert found.status == "ok"
        sure = [level.confidence for level in found.levels]
        assert sure == pytest.approx(
            [mass[taxonomy.index(level.code)] for level in found.levels], rel=1e-4
        )
        assert sure == sorted(sure, reverse=True)


@quick
@given(weighted())
def test_hf1_takes_the_best_of_the_likeliest_node_of_each_level(tree):
    taxonomy, weights = tree
    for own, found in zip(weights, answers(taxonomy, weights, objective="hf1"), strict=True):
        mass, leaf = masses(taxonomy, own)

        def expected(node, leaf=leaf):
            path = set(taxonomy.path_nodes(node).tolist())
            total = 0.0
            for right, p in leaf.items():
                gold = set(taxonomy.path_nodes(right).tolist())
                total += p * 2 * len(path & gold) / (len(path) + len(gold))
            return total

        likeliest = [
            max(taxonomy.level_nodes(level).tolist(), key=lambda n: mass[n])
            for level in range(1, taxonomy.depth + 1)
        ]
        answer = taxonomy.index(found.code)
        assert expected(answer) == pytest.approx(max(map(expected, likeliest)), rel=1e-4)
        level = taxonomy.level[answer]
        assert found.status == ("ok" if taxonomy.is_leaf(answer) else "partial")
        for other in found.alternatives:  # none of the same depth is surer
            node = taxonomy.index(other.code)
            assert taxonomy.level[node] != level or other.confidence <= found.confidence + 1e-6


TREE = Taxonomy.from_paths(
    [f"A > B > {c}" for c in "pqrstu"] + [f"C > D > {c}" for c in "vw"], name="tree"
)
SPREAD = np.array([[1.5, 1.1, 1.2, 1.3, 1.0, 1.0, 2.0, 0.9]])  # v leads, but most lies below A > B


def test_an_inner_node_answers_where_its_leaves_share_the_most():
    (leaf,) = answers(TREE, SPREAD, objective="leaf")
    (f1,) = answers(TREE, SPREAD, objective="hf1")
    assert leaf.path == "C > D > v"
    assert f1.path == "A > B"
    assert f1.confidence == pytest.approx(0.71)
    assert f1.status == "partial"
    assert "the best is 'p' with 21%" in f1.message
    assert [c.name for c in f1.levels[-1].below][:2] == ["p", "s"]
    assert [a.path for a in f1.alternatives] == ["C > D > v", "A > B > p"]


def test_ends_and_depth_end_answers_and_share_what_is_below_them():
    node = TREE.find("A > B")
    (found,) = answers(TREE, SPREAD, objective="leaf", ends=[node])
    assert (found.path, found.status) == ("A > B", "ok")
    assert found.confidence == pytest.approx(0.71)
    assert [a.path for a in found.alternatives] == ["C > D > v", "C > D > w"]
    (top,) = answers(TREE, SPREAD, objective="hf1", depth=1)
    assert (top.path, top.status) == ("A", "ok")


def test_an_answer_is_cut_where_the_next_node_is_too_unlikely():
    (found,) = answers(TREE, SPREAD, objective="leaf", stop=0.75)
    assert (found.path, found.status) == ("C > D", "partial")
    (found,) = answers(TREE, SPREAD, objective="leaf", stop=0.65)
    assert found.path == "C > D > v"


def test_staying_at_a_node_is_answered_as_that_node():
    tree = staying(TREE, [TREE.codes[TREE.find("C")]])
    weights = np.ones((1, len(tree.leaves)))
    weights[0, -1] = 9
    for objective in ("leaf", "hf1"):
        (found,) = answers(tree, weights, objective=objective)
        assert found.path == "C"
        assert [level.name for level in found.levels] == ["C"]


def test_the_answer_is_among_the_candidates_that_the_trace_shows():
    class Few(AllChildren):
        def narrow(self, batch, rows, parents, k):
            found = super().narrow(batch, rows, parents, k)
            first = found.nodes[found.offsets[:-1]]
            return type(found)(rows, parents, np.arange(len(rows) + 1), first)

    walker = Descent(TREE, Few(TREE), objective="leaf")
    (found,) = walker.walk(Batch([Item.of("x")]), Given(TREE, SPREAD))
    assert [[c.name for c in level.candidates] for level in found.levels] == [["C"], ["D"], ["v"]]
    assert found.levels[0].confidence == pytest.approx(0.29)


@pytest.mark.parametrize(
    ("descent", "expected"),
    [
        ({}, ("leaf", "walk", 0.0)),
        ({"objective": "hf1"}, ("hf1", "walk", 0.0)),
        ({"stop": 0.4}, ("leaf", "walk", 0.4)),
        ({"answer": "walk"}, (None, "walk", 0.3)),
        ({"answer": "likeliest", "stop": 0.0}, (None, "likeliest", 0.0)),
    ],
)
def test_an_answer_that_is_named_holds_before_the_objective(descent, expected):
    from cascade.config import CascadeConfig
    from cascade.scoring.components import Components

    components = Components(TREE, CascadeConfig.parse({"descent": descent}))
    scorer = Given(TREE, SPREAD)
    scorer.wants_narrowing = False
    found = make_descent(components, scorer)
    assert (found.objective, found.answer, found.stop) == expected
