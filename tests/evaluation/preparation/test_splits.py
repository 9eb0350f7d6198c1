"""Splits: parts that are disjoint and complete, in proportion, and the same for the same seed."""

import hashlib
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import UsageError
from cascade.evaluation.preparation.options import PreparationOptions
from cascade.evaluation.preparation.splits import (
    PARTS,
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    Shares,
    draw,
    out_of_sample,
    stratified,
)
from cascade.io.tables.opening import TableFile

tenths = st.integers(0, 9)
shares = (
    st.tuples(tenths, tenths)
    .filter(lambda pair: sum(pair) < 10)
    .map(lambda pair: Shares(pair[0] / 10, pair[1] / 10))
)
sizes = st.lists(st.integers(1, 40), min_size=1, max_size=25)


def rows_of(sizes, seed=0):
    """Classes of the given sizes, in a mixed order, with a key for each row."""
    classes = np.repeat(np.arange(len(sizes)), sizes)
    mixed = np.random.default_rng(7).permutation(classes)
    keys = np.array([draw(f"text {row}", seed) for row in range(len(mixed))], dtype=np.uint64)
    return mixed, keys


def class_keys(count, seed=0):
    return np.array([draw(f"class {cls}", seed) for cls in range(count)], dtype=np.uint64)


@given(sizes, shares)
def test_a_class_is_in_every_part_to_within_one_row_of_its_share(sizes, shares):
    classes, keys = rows_of(sizes)
    parts = stratified(classes, keys, shares)
    counts = Counter(zip(classes.tolist(), parts.tolist(), strict=True))
    for cls, size in enumerate(sizes):
        for part, share in enumerate(shares.exact):
            assert abs(counts[cls, part] - size * share) < 1
        assert sum(counts[cls, part] for part in range(3)) == size


@given(sizes, shares)
def test_no_class_is_missing_in_train_when_split_by_class(sizes, shares):
    classes, keys = rows_of(sizes)
    parts = stratified(classes, keys, shares)
    assert set(classes[parts == TRAIN].tolist()) == set(range(len(sizes)))


@pytest.mark.parametrize("size", [2, 3, 4, 7])
def test_many_small_classes_together_have_the_shares_of_the_whole(size):
    classes, keys = rows_of([size] * 1000)
    counts = np.bincount(stratified(classes, keys, Shares(0.1, 0.1)), minlength=3)
    assert np.abs(counts - size * 1000 * np.array([0.8, 0.1, 0.1])).max() <= 2


@given(sizes, shares, st.sampled_from(sorted(SPLITS)), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(sizes, shares, how, random):
    classes, keys = rows_of(sizes)
    order = list(range(len(classes)))
    random.shuffle(order)
    if how == "stratified":
        first = stratified(classes, keys, shares)
        second = stratified(classes[order], keys[order], shares)
    else:
        of_class = class_keys(len(sizes))
        first = out_of_sample(classes, of_class, shares)
        second = out_of_sample(classes[order], of_class, shares)
    np.testing.assert_array_equal(first[order], second)


@given(sizes, shares)
def test_classes_held_out_are_whole_and_never_more_than_the_share(sizes, shares):
    classes, _ = rows_of(sizes)
    parts = out_of_sample(classes, class_keys(len(sizes)), shares)
    found = [set(classes[parts == part].tolist()) for part in range(3)]
    assert sum(map(len, found)) == len(sizes) == len(set.union(*found))
    for part in (VALIDATION, TEST):
        assert (parts == part).sum() <= len(classes) * shares.exact[part]


@given(sizes, shares)
def test_no_class_of_train_would_still_have_fitted_into_a_share(sizes, shares):
    classes, _ = rows_of(sizes)
    parts = out_of_sample(classes, class_keys(len(sizes)), shares)
    smallest = min(sizes[cls] for cls in classes[parts == TRAIN].tolist())
    for part in (VALIDATION, TEST):
        assert (parts == part).sum() + smallest > len(classes) * shares.exact[part]


def test_the_seed_decides_which_rows_and_which_classes():
    sizes = [20] * 30
    by_seed = [stratified(*rows_of(sizes, seed), Shares()) for seed in (0, 0, 1)]
    assert (by_seed[0] == by_seed[1]).all()
    assert (by_seed[0] != by_seed[2]).any()
    classes, _ = rows_of(sizes)
    by_seed = [out_of_sample(classes, class_keys(30, seed), Shares()) for seed in (0, 0, 1)]
    assert (by_seed[0] == by_seed[1]).all()
    assert (by_seed[0] != by_seed[2]).any()


def test_draws_are_those_of_keyed_blake2b_so_that_a_split_can_be_made_again_elsewhere():
    digest = hashlib.blake2b("Käse".encode(), digest_size=8, key=b"12").digest()
    assert draw("Käse", 12) == int.from_bytes(digest, "little")


@given(shares)
def test_shares_are_the_decimals_that_were_written(shares):
    assert sum(shares.exact) == 1
    assert shares.exact[TEST] == Fraction(round(shares.test * 10), 10)
    total = sum(shares.weights)
    assert [Fraction(weight, total) for weight in shares.weights] == list(shares.exact)


@pytest.mark.parametrize(
    ("validation", "test", "words"),
    [
        (0.5, 0.5, "leave no rows for train"),
        (0.9, 0.2, "leave no rows for train"),
        (-0.1, 0.1, "--validation -0.1: expected a share"),
        (0.1, 10, "--test 10: expected a share"),
        (0.1, float("nan"), "--test nan: expected a share"),
    ],
)
def test_shares_that_do_not_add_up_are_refused(validation, test, words):
    with pytest.raises(UsageError, match=words):
        Shares(validation, test)


def test_an_unknown_split_names_the_likely_one():
    with pytest.raises(UsageError, match="did you mean 'stratified'"):
        PreparationOptions(TableFile("rows.csv"), "label", split="stratifed")


def test_parts_are_named_in_the_order_of_their_indices():
    assert (PARTS[TRAIN], PARTS[VALIDATION], PARTS[TEST]) == ("train", "validation", "test")
