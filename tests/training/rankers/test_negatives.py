import numpy as np
import pytest

from cascade import Taxonomy
from cascade.training.rankers.negatives import Negatives, NegativesRecipe

TREE = Taxonomy.from_paths(
    [
        "Food > Fruit > Apple",
        "Food > Fruit > Pear",
        "Food > Fruit > Plum",
        "Food > Bread",
        "Tools > Saw",
    ]
)


def node(path):
    found = TREE.find(path)
    assert found is not None
    return found


APPLE, PEAR, BREAD, SAW = map(
    node, ["Food > Fruit > Apple", "Food > Fruit > Pear", "Food > Bread", "Tools > Saw"]
)
LEAVES = np.asarray(TREE.leaves, dtype=np.int32)


def nearness(of, to, nodes=LEAVES, facets=None):
    found = Negatives(TREE, nodes, facets).nearness(of)
    return found[np.unique(nodes).tolist().index(to)]


def test_nearness_counts_steps_over_the_lowest_common_ancestor():
    assert nearness(APPLE, PEAR) == 1 / (1 + 2)
    assert nearness(APPLE, BREAD) == 1 / (1 + 3)
    assert nearness(APPLE, SAW) == 1 / (1 + 5)
    assert nearness(BREAD, APPLE) == 1 / (1 + 3)


def test_shared_facets_count():
    facets = [frozenset[str]()] * len(TREE)
    facets[APPLE] = frozenset({"fresh", "whole", "red"})
    facets[BREAD] = frozenset({"fresh", "whole"})
    assert nearness(APPLE, BREAD, facets=facets) == (1 + 2) / (1 + 3)
    assert nearness(APPLE, PEAR, facets=facets) == 1 / 3


@pytest.mark.parametrize("of", ["Food > Fruit", "Food"])
def test_what_is_above_or_below_the_right_node_is_not_wrong(of):
    nodes = np.union1d(LEAVES, [node(of)])
    assert nearness(node(of), APPLE, nodes) == 0
    assert nearness(APPLE, node(of), nodes) == 0
    assert nearness(node(of), node(of), nodes) == 0
    assert nearness(node(of), SAW, nodes) > 0


def test_each_kind_gives_its_own_and_nothing_stands_twice():
    similarity = np.zeros((len(LEAVES), 40), np.float32)
    similarity[np.flatnonzero(LEAVES == SAW)] = 1
    similarity[np.flatnonzero(LEAVES == APPLE)] = 2  # right, so never drawn
    recipe = NegativesRecipe(siblings=1, near=0, similar=1, pool=1)
    right = np.full(40, APPLE, dtype=np.int32)
    drawn = Negatives(TREE, LEAVES).draw(right, similarity, recipe, np.random.default_rng(0))
    fruit = {PEAR, node("Food > Fruit > Plum")}
    assert set(drawn[:, 0].tolist()) == fruit
    assert set(drawn[:, 1].tolist()) == {SAW}

    recipe = NegativesRecipe(siblings=1, near=1, similar=2)
    drawn = Negatives(TREE, LEAVES).draw(right, similarity, recipe, np.random.default_rng(0))
    assert all(len({*row, APPLE}) == 5 for row in drawn.tolist())


def test_near_nodes_are_drawn_as_often_as_nearness_says():
    recipe = NegativesRecipe(siblings=0, near=1, similar=0)
    right = np.full(4000, BREAD, dtype=np.int32)
    drawn = Negatives(TREE, LEAVES).draw(right, None, recipe, np.random.default_rng(0))
    weights = Negatives(TREE, LEAVES).nearness(BREAD)
    share = np.array([(drawn[:, 0] == leaf).mean() for leaf in np.unique(LEAVES)])
    np.testing.assert_allclose(share, weights / weights.sum(), atol=0.03)


def test_random_nodes_are_drawn_alike_from_all_wrong_ones():
    recipe = NegativesRecipe(siblings=0, near=0, similar=0, random=1)
    right = np.full(4000, APPLE, dtype=np.int32)
    drawn = Negatives(TREE, LEAVES).draw(right, None, recipe, np.random.default_rng(0))
    share = np.array([(drawn[:, 0] == leaf).mean() for leaf in LEAVES])
    np.testing.assert_allclose(share, np.where(LEAVES == APPLE, 0, 0.25), atol=0.03)


def test_kinds_that_lack_nodes_are_made_up_for_by_nearness():
    recipe = NegativesRecipe(siblings=3, near=0, similar=0)
    right = np.array([SAW], dtype=np.int32)
    drawn = Negatives(TREE, LEAVES).draw(right, None, recipe, np.random.default_rng(0))
    assert drawn.shape == (1, 3)
    assert (drawn >= 0).all()
    assert SAW not in drawn


def test_few_nodes_give_few_wrong_ones():
    two = Taxonomy.from_paths(["A", "B"])
    nodes = np.arange(2, dtype=np.int32)
    drawn = Negatives(two, nodes).draw(
        np.array([0, 1], np.int32), None, NegativesRecipe(), np.random.default_rng(0)
    )
    assert drawn.tolist() == [[1], [0]]
