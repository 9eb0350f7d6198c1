import numpy as np
import pytest

from cascade.training.sampling import (
    hold_out_groups,
    hold_out_stratified,
    near_duplicate_groups,
)

LONG = "Handwoven straw Panama hat with a wide brim and a cotton ribbon, made in Ecuador, size {}"


def test_near_duplicates_share_a_group_and_others_do_not():
    texts = [LONG.format(56), "Garden rake with fourteen teeth", LONG.format(57), "Earl Grey tea"]
    groups = near_duplicate_groups(texts)
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 3


def test_empty_and_short_texts_are_not_all_alike():
    assert len(set(near_duplicate_groups(["a", "b", "c"]).tolist())) == 3
    assert len(near_duplicate_groups([])) == 0


def rows():
    texts = [f"item {at} of a kind {at % 7} {at * 7919 % 1013}" for at in range(400)]
    nodes = np.array([at % 7 for at in range(400)], dtype=np.int32)
    return texts, nodes


def test_the_share_of_each_label_is_held_out_whatever_the_order():
    texts, nodes = rows()
    groups = np.arange(len(texts))
    held = hold_out_stratified(texts, nodes, groups, 0.2, 3)
    for node in range(7):
        assert abs(held[nodes == node].mean() - 0.2) < 0.03
    order = np.random.default_rng(0).permutation(len(texts))
    again = hold_out_stratified([texts[at] for at in order], nodes[order], groups, 0.2, 3)
    assert (again == held[order]).all()
    assert (hold_out_stratified(texts, nodes, groups, 0.2, 4) != held).any()


def test_a_group_is_never_divided_and_a_label_keeps_a_row():
    texts, nodes = rows()
    nodes = np.concatenate([nodes, [99]]).astype(np.int32)
    texts = [*texts, "the only one"]
    groups = np.arange(len(texts)) // 3
    held = hold_out_stratified(texts, nodes, groups, 0.5, 0)
    assert all(len(set(held[groups == group].tolist())) == 1 for group in np.unique(groups))
    assert not held[-1]
    assert held.any()


DIFFERENT = [f"item {n}" for n in range(100)]


@pytest.mark.parametrize(("share", "most", "expected"), [(0.1, 50, 10), (0.5, 20, 20), (0, 9, 0)])
def test_a_share_is_held_out_up_to_a_number(share, most, expected):
    assert hold_out_groups(DIFFERENT, share, most, 0).sum() == expected


def test_equal_texts_are_held_out_together():
    texts = [f"item {n}" for n in range(20)]
    out = hold_out_groups([*texts, *(f"  ITEM   {n}" for n in range(20)), *texts], 0.3, 100, 0)
    assert out.sum() == 18
    assert np.array_equal(out[:20], out[20:40])
    assert np.array_equal(out[:20], out[40:])


def test_the_seed_draws_what_is_hold_out_groups():
    first, again, other = (hold_out_groups(DIFFERENT, 0.2, 50, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
