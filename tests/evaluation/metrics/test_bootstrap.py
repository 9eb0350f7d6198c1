import time

import numpy as np
import pytest
from hypothesis import given, settings

from cascade.errors import UsageError
from cascade.evaluation.metrics.bootstrap import bootstrap, paired_difference, weights_of
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.metrics_table import all_metrics
from cascade.taxonomy import Taxonomy

from ..reference_metrics import answers

quick = settings(deadline=None, max_examples=40)

LEANING = ("f1_weighted", "f1_macro")
"""MetricsTable whose resamples lean to one side."""


@pytest.fixture(scope="module")
def sample():
    """Gold nodes of 3,000 rows under 400 leaves, and answers that are right in 60% and in 50%."""
    taxonomy = Taxonomy.from_paths(
        f"{a} > {b} > {c}" for a in range(10) for b in range(8) for c in range(5)
    )
    rng = np.random.default_rng(7)
    gold = rng.choice(taxonomy.leaves, 3_000)
    better, worse = (
        np.where(rng.random(3_000) < share, gold, rng.integers(-1, len(taxonomy), 3_000))
        for share in (0.6, 0.5)
    )
    sure = rng.random(3_000)
    return [
        GoldAndPredicted.of(taxonomy, nodes, gold, confidence=sure) for nodes in (better, worse)
    ]


def same(left, right):
    """Whether two sets of intervals are the same, undefined figures too."""
    return repr(left) == repr(right)


@quick
@given(answers())
def test_every_figure_has_an_ordered_interval_around_what_it_can_be(case):
    found = bootstrap(GoldAndPredicted.of(*case), resamples=50)
    assert str({name: each.value for name, each in found.items()}) == str(
        all_metrics(GoldAndPredicted.of(*case))
    )
    for each in found.values():
        assert np.isnan(each.value) or 0 <= each.low <= each.high


@quick
@given(answers())
def test_the_interval_of_a_share_of_rows_contains_it(case):
    interval = bootstrap(GoldAndPredicted.of(*case), resamples=400)["exact_match"]
    assert interval.low <= interval.value <= interval.high


def test_on_a_sample_of_usual_size_intervals_contain_the_estimate(sample):
    for name, interval in bootstrap(sample[0], resamples=300).items():
        if not name.startswith(LEANING):
            assert interval.low <= interval.value <= interval.high, name


def test_the_interval_of_a_share_is_as_wide_as_the_normal_approximation_says(sample):
    interval = bootstrap(sample[0])["exact_match"]
    share = interval.value
    width = 2 * 1.96 * np.sqrt(share * (1 - share) / 3_000)
    assert interval.high - interval.low == pytest.approx(width, rel=0.1)


@quick
@given(answers(arrays=3))
def test_the_same_seed_gives_the_same_intervals(case):
    taxonomy, predicted, other, gold = case
    ours, theirs = (GoldAndPredicted.of(taxonomy, nodes, gold) for nodes in (predicted, other))
    assert same(*(bootstrap(ours, resamples=20, seed=3) for _ in range(2)))
    assert same(*(paired_difference(ours, theirs, resamples=20, seed=3) for _ in range(2)))


def test_another_seed_gives_another_interval(sample):
    first, second = (bootstrap(sample[0], resamples=50, seed=seed) for seed in (1, 2))
    assert first["hf1_micro"].low != second["hf1_micro"].low


def test_all_resamples_count_when_they_do_not_fit_in_memory_at_once(sample, monkeypatch):
    monkeypatch.setattr("cascade.evaluation.metrics.bootstrap.CELLS", 7 * 3_000)
    chunks = list(weights_of(3_000, 50, seed=0))
    assert [chunk.shape[1] for chunk in chunks] == [7] * 7 + [1]
    assert all((chunk.sum(axis=0) == 3_000).all() for chunk in chunks)
    assert len({tuple(column) for chunk in chunks for column in chunk.T}) == 50


def test_intervals_do_not_depend_on_how_many_resamples_fit_in_memory(sample, monkeypatch):
    whole = bootstrap(sample[0], resamples=30)
    monkeypatch.setattr("cascade.evaluation.metrics.bootstrap.CELLS", 7 * 3_000)
    for name, each in bootstrap(sample[0], resamples=30).items():
        assert (each.low, each.high) == pytest.approx((whole[name].low, whole[name].high))


@quick
@given(answers())
def test_identical_answers_differ_by_exactly_nothing(case):
    ours = GoldAndPredicted.of(*case)
    for found in paired_difference(ours, ours, resamples=20).values():
        values = (found.value, found.low, found.high)
        assert values == (0, 0, 0) or np.isnan(found.value)


@quick
@given(answers(arrays=3))
def test_swapping_the_two_sides_turns_the_difference_round(case):
    taxonomy, predicted, other, gold = case
    ours, theirs = (GoldAndPredicted.of(taxonomy, nodes, gold) for nodes in (predicted, other))
    there = paired_difference(ours, theirs, resamples=20)
    back = paired_difference(theirs, ours, resamples=20)
    for name, found in there.items():
        turned = (-back[name].value, -back[name].high, -back[name].low)
        assert (found.value, found.low, found.high) == pytest.approx(turned, nan_ok=True)


def test_pairing_makes_the_difference_surer_than_the_two_figures(sample):
    better = sample[0]
    nodes = better.predicted_node.copy()
    nodes[:60] = -1
    worse = GoldAndPredicted.of(better.taxonomy, nodes, better.gold_node)
    difference = paired_difference(better, worse)["hf1_micro"]
    alone = bootstrap(better)["hf1_micro"]
    figures = [all_metrics(each)["hf1_micro"] for each in (better, worse)]
    assert difference.value == pytest.approx(figures[0] - figures[1])
    assert 0 < difference.low < difference.high
    assert difference.high - difference.low < (alone.high - alone.low) / 2


def test_only_metrics_that_both_have_are_compared(sample):
    better, worse = sample
    bare = GoldAndPredicted.of(better.taxonomy, better.predicted_node, better.gold_node)
    assert "aurc" in paired_difference(better, worse, resamples=5)
    assert "aurc" not in paired_difference(bare, worse, resamples=5)


def test_a_thousand_resamples_of_three_thousand_rows_take_seconds(sample):
    started = time.process_time()
    bootstrap(sample[0])
    paired_difference(*sample)
    assert time.process_time() - started < 20


def test_unusable_arguments_are_told(sample):
    better = sample[0]
    with pytest.raises(UsageError, match="0 resamples"):
        bootstrap(better, resamples=0)
    other = GoldAndPredicted.of(better.taxonomy, [0], [0])
    with pytest.raises(UsageError, match=r"answers of 3,000 and of 1 rows .*same"):
        paired_difference(better, other)
