import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade import Taxonomy
from cascade.confidence.sets import PredictionSets, SetFamily, SetTable
from cascade.errors import UsageError
from cascade.items import Spread
from cascade.predictions import Prediction

TREE = Taxonomy.from_paths(
    ["Food > Fruit > Apple", "Food > Fruit > Pear", "Food > Fruit > Plum", "Food > Bread"]
    + [f"Tools > Saws > Saw {i}" for i in range(8)]
    + ["Toys"],
    name="shop",
)
LEAF = np.isin(np.arange(len(TREE)), TREE.leaves)


def spread_of(leaves, tree=TREE):
    """The whole spread of items of which these are the probabilities of leaves [n_items, n]."""
    n_items = len(leaves)
    inside = np.zeros((n_items, len(tree)))
    for node in range(len(tree)):
        own = (tree.leaves >= node) & (tree.leaves < tree.end[node])
        inside[:, node] = leaves[:, own].sum(axis=1)
    rows, nodes, parents, levels, place = [], [], [], [0], {}
    for level in range(1, tree.depth + 1):
        for row in range(n_items):
            for node in tree.level_nodes(level).tolist():
                place[row, node] = len(rows)
                parents.append(place[row, tree.parent[node]] if level > 1 else -1)
                rows.append(row)
                nodes.append(node)
        levels.append(len(rows))
    rows, nodes = np.array(rows, np.int32), np.array(nodes, np.int32)
    return Spread(rows, nodes, np.array(parents, np.int64), inside[rows, nodes], levels)


def drawn(seed, n_items=1, tree=TREE, sharp=2.0):
    rng = np.random.default_rng(seed)
    logits = sharp * rng.normal(size=(n_items, len(tree.leaves)))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return p, spread_of(p, tree)


def names(spread, chosen):
    return {TREE.names[node] for node in spread.nodes[chosen].tolist()}


def a_set(shares, threshold):
    """The names of the set of an item with these leaves."""
    p = np.array([[shares.get(TREE.names[leaf], 0.0) for leaf in TREE.leaves]])
    spread = spread_of(p)
    return names(spread, SetFamily(TREE, LEAF).chosen(spread, np.array([threshold])))


def test_a_set_holds_the_likely_leaves_and_grows_as_the_threshold_falls():
    shares = {"Apple": 0.7, "Bread": 0.2, "Toys": 0.1}
    assert a_set(shares, 0.5) == {"Apple"}
    assert a_set(shares, 0.15) == {"Apple", "Bread"}
    assert a_set(shares, 0.05) == {"Apple", "Bread", "Toys"}
    assert a_set(shares, 0.9) == set()


def test_leaves_that_are_as_likely_as_each_other_are_one_subtree():
    assert a_set({"Apple": 0.33, "Pear": 0.33, "Plum": 0.33}, 0.2) == {"Fruit"}
    assert a_set({f"Saw {i}": 0.12 for i in range(8)}, 0.15) == {"Saws"}


def leaves_below(node):
    return int(((TREE.leaves >= node) & (TREE.leaves < TREE.end[node])).sum())


def brute_force(p, threshold):
    """The worth of the best set, by choosing a node or its parts, from the top down."""
    inside = {
        n: p[(TREE.leaves >= n) & (TREE.leaves < TREE.end[n])].sum() for n in range(len(TREE))
    }

    def best(node):
        children = TREE.children(node).tolist()
        parts = sum(best(child) for child in children)
        return max(inside[node] - threshold * (1 + np.log2(leaves_below(node))), parts, 0.0)

    return sum(best(node) for node in TREE.level_nodes(1).tolist())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.001, 1))
def test_a_set_is_worth_the_most_of_all(seed, threshold):
    p, spread = drawn(seed)
    family = SetFamily(TREE, LEAF)
    chosen = family.chosen(spread, np.array([threshold]))
    n_leaves = np.array([leaves_below(node) for node in range(len(TREE))])
    worth = spread.probability - threshold * (1 + np.log2(n_leaves[spread.nodes]))
    assert worth[chosen].sum() == pytest.approx(brute_force(p[0], threshold), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.001, 1), st.floats(0.001, 1))
def test_sets_are_nested(seed, one, other):
    _, spread = drawn(seed)
    family = SetFamily(TREE, LEAF)

    def leaves(threshold):
        nodes = spread.nodes[family.chosen(spread, np.array([threshold]))]
        return {leaf for n in nodes for leaf in TREE.leaves.tolist() if n <= leaf < TREE.end[n]}

    assert leaves(max(one, other)) <= leaves(min(one, other))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_node_comes_in_at_the_threshold_that_is_told(seed):
    _, spread = drawn(seed, n_items=3)
    right = TREE.leaves[np.random.default_rng(seed).integers(0, len(TREE.leaves), 3)]
    family = SetFamily(TREE, LEAF)
    at = family.comes_in(spread, right, 3)
    for shift, held in ((1 - 1e-6, True), (1 + 1e-6, False)):
        chosen = family.chosen(spread, np.maximum(at, 1e-9) * shift)
        for row in np.flatnonzero(at > 0).tolist():
            nodes = spread.nodes[chosen & (spread.rows == row)]
            assert any(n <= right[row] < TREE.end[n] for n in nodes) is held


def test_what_was_not_opened_stays_whole():
    tree, least = TREE, 0.3
    _, whole = drawn(3)
    kept, opened = [], {-1}
    for at, node in enumerate(whole.nodes.tolist()):
        if int(tree.parent[node]) in opened:
            kept.append(at)
            if whole.probability[at] >= least:
                opened.add(node)
    new = {old: i for i, old in enumerate(kept)}
    part = Spread(
        whole.rows[kept],
        whole.nodes[kept],
        np.array([new.get(int(whole.parents[at]), -1) for at in kept]),
        whole.probability[kept],
        [0, *np.searchsorted(kept, whole.levels[1:]).tolist()],
    )
    family = SetFamily(tree, LEAF)
    for threshold in (0.3, 0.5, 0.9):
        at = np.array([threshold])
        assert names(part, family.chosen(part, at)) == names(whole, family.chosen(whole, at))


def test_sets_hold_the_right_node_as_often_as_was_asked():
    p, spread = drawn(0, n_items=4000, sharp=3.0)
    rng = np.random.default_rng(1)
    right = TREE.leaves[(p.cumsum(axis=1) > rng.random((len(p), 1))).argmax(axis=1)]
    at = SetFamily(TREE, LEAF).comes_in(spread, right, len(p))
    branch = np.array([TREE.codes[n] for n in TREE.paths_of(right)[0]])
    table = SetTable.fit(at[:2000], branch[:2000])
    own, other = table.thresholds(0.9)
    assert own.keys() == {"Food", "Tools", "Toys"} or len(own) == 3
    for code, threshold in own.items():
        new = branch[2000:] == code
        assert np.mean(at[2000:][new] >= threshold) == pytest.approx(0.9, abs=0.04)
    assert 0 < other < 1


def test_too_few_rows_are_told():
    table = SetTable.fit(np.full(9, 0.5), np.array(["Food"] * 9))
    with pytest.raises(UsageError, match=r"9 held-out rows.*0\.99, at most 0\.9"):
        table.thresholds(0.99)


def test_small_branches_share_a_threshold():
    at = np.concatenate([np.linspace(0.5, 1, 200), np.linspace(0.01, 0.2, 30)])
    table = SetTable.fit(at, np.array(["Food"] * 200 + ["Toys"] * 30))
    own, other = table.thresholds(0.9)
    assert own.keys() == {"Food"}
    assert own["Food"] > 0.5 > other  # 30 rows are too few: they get that of all rows


def test_an_empty_set_has_the_answer():
    _, spread = drawn(1, sharp=0.0)  # each leaf as likely as any other
    table = SetTable.fit(np.linspace(0.9, 1, 100), np.array(["Food"] * 100))
    sets = PredictionSets(table, 0.5, TREE, LEAF)
    answer = Prediction(TREE.codes[0], TREE.path(0), 0.5, "ttc")
    (found,) = sets.apply([answer], [spread])
    assert [place.code for place in found.set] == [answer.code]
    (failed,) = sets.apply([Prediction.failed("no text")], [])
    assert failed.set == ()
