import time

import numpy as np
import pytest
from hypothesis import given, settings

from cascade.errors import UsageError
from cascade.evaluation import bootstrap, headline, intervals, paired_difference
from cascade.taxonomy import Taxonomy

from .plain import answers

quick = settings(deadline=None, max_examples=40)


@pytest.fixture(scope="module")
def sample():
    """A taxonomy of 400 leaves in three levels, 3,000 rows with 60% and 50% right answers."""
    taxonomy = Taxonomy.from_paths(
        f"{a} > {b} > {c}" for a in range(10) for b in range(8) for c in range(5)
    )
    rng = np.random.default_rng(7)
    gold = rng.choice(taxonomy.leaves, 3_000)
    better, worse = (
        np.where(rng.random(3_000) < share, gold, rng.integers(-1, len(taxonomy), 3_000))
        for share in (0.6, 0.5)
    )
    return taxonomy, better, worse, gold


@quick
@given(answers())
def test_every_headline_figure_has_an_ordered_interval_between_nought_and_one(case):
    found = bootstrap(*case, resamples=50)
    assert {name: interval.value for name, interval in found.items()} == headline(*case)
    for interval in found.values():
        assert 0 <= interval.low <= interval.high <= 1 + 1e-12


@quick
@given(answers())
def test_the_interval_of_a_share_of_rows_contains_it(case):
    interval = bootstrap(*case, resamples=400)["exact_match"]
    assert interval.low <= interval.value <= interval.high


def test_on_a_sample_of_usual_size_intervals_contain_the_estimate(sample):
    taxonomy, better, _, gold = sample
    for interval in bootstrap(taxonomy, better, gold, resamples=300).values():
        assert interval.low < interval.value < interval.high


def test_the_interval_of_a_share_is_as_wide_as_the_normal_approximation_says(sample):
    taxonomy, better, _, gold = sample
    interval = bootstrap(taxonomy, better, gold)["exact_match"]
    share = interval.value
    width = 2 * 1.96 * np.sqrt(share * (1 - share) / len(gold))
    assert interval.high - interval.low == pytest.approx(width, rel=0.1)


@quick
@given(answers(arrays=3))
def test_the_same_seed_gives_the_same_intervals(case):
    taxonomy, predicted, other, gold = case
    first, second = (bootstrap(taxonomy, predicted, gold, resamples=20, seed=3) for _ in range(2))
    assert first == second
    first, second = (
        paired_difference(taxonomy, predicted, other, gold, resamples=20, seed=3) for _ in range(2)
    )
    assert first == second


def test_another_seed_gives_another_interval(sample):
    taxonomy, better, _, gold = sample
    first, second = (bootstrap(taxonomy, better, gold, resamples=50, seed=s) for s in (1, 2))
    assert first["hf1_micro"].low != second["hf1_micro"].low


def test_all_resamples_count_when_they_do_not_fit_in_memory_at_once(sample, monkeypatch):
    monkeypatch.setattr(intervals, "CELLS", 7 * 3_000)
    chunks = list(intervals._weights(3_000, 50, seed=0))
    assert [chunk.shape[1] for chunk in chunks] == [7] * 7 + [1]
    assert all((chunk.sum(axis=0) == 3_000).all() for chunk in chunks)
    assert len({tuple(column) for chunk in chunks for column in chunk.T}) == 50


@quick
@given(answers())
def test_identical_predictions_differ_by_exactly_nothing(case):
    taxonomy, predicted, gold = case
    for metric in headline(*case):
        found = paired_difference(taxonomy, predicted, predicted, gold, metric, resamples=20)
        assert (found.value, found.low, found.high) == (0, 0, 0)


@quick
@given(answers(arrays=3))
def test_swapping_the_two_sides_turns_the_difference_round(case):
    taxonomy, predicted, other, gold = case
    there = paired_difference(taxonomy, predicted, other, gold, resamples=20)
    back = paired_difference(taxonomy, other, predicted, gold, resamples=20)
    assert (there.value, there.low, there.high) == pytest.approx(
        (-back.value, -back.high, -back.low)
    )


def test_pairing_makes_the_difference_surer_than_the_two_figures(sample):
    taxonomy, better, _, gold = sample
    worse = better.copy()
    worse[:60] = -1
    difference = paired_difference(taxonomy, better, worse, gold)
    alone = bootstrap(taxonomy, better, gold)["hf1_micro"]
    figures = [headline(taxonomy, nodes, gold)["hf1_micro"] for nodes in (better, worse)]
    assert difference.value == pytest.approx(figures[0] - figures[1])
    assert 0 < difference.low < difference.high
    assert difference.high - difference.low < (alone.high - alone.low) / 2


def test_a_thousand_resamples_of_three_thousand_rows_take_seconds(sample):
    taxonomy, better, worse, gold = sample
    started = time.process_time()
    bootstrap(taxonomy, better, gold)
    paired_difference(taxonomy, better, worse, gold, "f1_weighted_l3")
    assert time.process_time() - started < 10


def test_unusable_arguments_are_told(sample):
    taxonomy, better, worse, gold = sample
    with pytest.raises(UsageError, match="no rows"):
        bootstrap(taxonomy, [], [])
    with pytest.raises(UsageError, match="no rows"):
        paired_difference(taxonomy, [], [], [])
    with pytest.raises(UsageError, match="0 resamples"):
        bootstrap(taxonomy, better, gold, resamples=0)
    with pytest.raises(UsageError, match=r"no metric 'f1'.*hf1_micro"):
        paired_difference(taxonomy, better, worse, gold, "f1")
