import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import OutputError
from cascade.scoring import adaptation
from cascade.scoring.adaptation import LEAST, MOST, SMOOTHING, Adaptation, drawn
from cascade.taxonomy import Taxonomy

TREE = Taxonomy.from_paths(
    ["Clothing > Hats", "Clothing > Shoes", "Clothing > Coats", "Food > Milk", "Food > Tea", "Toys"]
)
LEAVES = TREE.leaves


def of(*shares, items=200):
    """What is learnt where each item has the same posterior over all leaves."""
    p = np.tile(np.array(shares, np.float32), (items, 1))
    return Adaptation.learnt(TREE, np.tile(LEAVES, (items, 1)), p)


def expected_lift(counts):
    """The log of smoothed shares over flat ones, leaf by leaf, one node after the other."""
    found = {}
    for leaf in LEAVES.tolist():
        log, path = 0.0, TREE.path_nodes(leaf).tolist()
        among, n_items, n_leaves = range(len(TREE)), counts.sum(), len(LEAVES)
        for node in path:
            below = [x for x in LEAVES.tolist() if node in TREE.path_nodes(x)]
            here, flat = sum(counts[x] for x in below), len(below) / n_leaves
            log += np.log((here + SMOOTHING * flat) / (n_items + SMOOTHING) / flat)
            among, n_items, n_leaves = below, here, len(below)
        assert list(among) == [leaf]
        found[leaf] = log
    return found


@given(st.lists(st.integers(0, 500), min_size=len(LEAVES), max_size=len(LEAVES)))
def test_shares_are_smoothed_family_by_family(numbers):
    counts = np.zeros(len(TREE))
    counts[LEAVES] = numbers
    found = adaptation._Shares(TREE).log_lift(counts)
    for leaf, lift in expected_lift(counts).items():
        assert found[leaf] == pytest.approx(lift)
    inner = np.setdiff1d(np.arange(len(TREE)), LEAVES)
    assert (found[inner] == 0).all()


def test_what_is_frequent_gets_more_and_what_is_rare_less():
    learnt = of(0.5, 0.3, 0.05, 0.05, 0.05, 0.05)
    weight = dict(zip(LEAVES.tolist(), learnt.log_weight[LEAVES].tolist(), strict=True))
    hats, shoes, coats, milk, tea, toys = (weight[leaf] for leaf in LEAVES.tolist())
    assert hats > shoes > 0 > toys
    assert coats > milk == pytest.approx(tea)  # coats are in a family of which there is much
    assert learnt.applies and learnt.items == 200


def test_a_flat_posterior_teaches_nothing():
    flat = of(*[1 / 6] * 6)
    assert np.abs(flat.log_weight).max() < 0.02
    assert flat.moved == 0


def test_items_whose_best_leaf_changes_are_counted():
    sure, torn = [0.9, 0.02, 0.02, 0.02, 0.02, 0.02], [0.34, 0.02, 0.02, 0.02, 0.02, 0.58]
    p = np.array([*[sure] * 180, *[torn] * 20], np.float32)
    learnt = Adaptation.learnt(TREE, np.tile(LEAVES, (200, 1)), p)
    assert learnt.moved == 20


def test_leaves_that_are_not_told_share_what_is_left():
    leaves = np.full((100, 2), -1, np.int32)
    leaves[:, 0] = LEAVES[0]
    learnt = Adaptation.learnt(TREE, leaves, np.full((100, 2), 0.6, np.float32))
    others = learnt.log_weight[LEAVES[3:]]
    assert learnt.log_weight[LEAVES[0]] > 0 and np.ptp(others[:2]) == 0


def test_too_few_items_teach_nothing():
    few = of(0.9, 0.1, 0, 0, 0, 0, items=LEAST - 1)
    assert not few.applies and few.items == LEAST - 1 and not few.log_weight.any()


@pytest.mark.parametrize("items", [LEAST - 1, 300])
def test_it_is_kept_as_json_to_the_last_bit(items):
    learnt = of(0.7, 0.1, 0.1, 0.05, 0.03, 0.02, items=items)
    again = Adaptation.from_values(json.loads(json.dumps(learnt.to_values())), TREE)
    assert (again.items, again.moved) == (learnt.items, learnt.moved)
    assert again.log_weight.dtype == np.float32
    np.testing.assert_array_equal(again.log_weight, learnt.log_weight)


@pytest.mark.parametrize(
    "change",
    [
        {"log_weight": "AAAA"},
        {"log_weight": "no base 64!"},
        {"log_weight": None},
        {"items": "many"},
        {"moved": None},
    ],
)
def test_damaged_values_are_refused(change):
    values = of(0.7, 0.1, 0.1, 0.05, 0.03, 0.02).to_values() | change
    with pytest.raises(OutputError, match=r"journal .* is damaged: .* --overwrite"):
        Adaptation.from_values(values, TREE)


def test_items_are_drawn_from_all_and_keep_their_order():
    assert drawn(iter(range(10))) == list(range(10))
    found = drawn(range(10 * MOST))
    assert len(found) == MOST and found == sorted(found)
    assert found == drawn(range(10 * MOST))
    assert 4 * MOST < np.mean(found) < 6 * MOST  # a sorted file is seen to its end
