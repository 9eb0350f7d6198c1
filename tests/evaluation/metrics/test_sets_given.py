"""Metrics of sets: how often they hold the known answer, and how large they are."""

import numpy as np
import pytest

from cascade import Taxonomy
from cascade.evaluation.metrics.bootstrap import bootstrap
from cascade.evaluation.metrics.given import SetsOfSize, sets_by_size
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.metrics_table import MetricsTable, all_metrics

TREE = Taxonomy.from_paths(["Tools > Saws", "Tools > Drills", "Plants > Trees", "Books"])
TOOLS, SAWS, DRILLS, PLANTS, TREES, BOOKS = range(6)
GOLD = [SAWS, DRILLS, TREES, BOOKS, SAWS]
SETS = [[SAWS], [TOOLS], [BOOKS, SAWS], [PLANTS, SAWS, BOOKS, DRILLS], []]


def answers(sets=SETS):
    return GoldAndPredicted.of(TREE, [SAWS] * 5, GOLD, sets=sets)


def test_a_set_holds_a_node_that_is_in_it_or_below_one_that_is():
    figures = all_metrics(answers())
    assert figures["set_coverage"] == pytest.approx(3 / 4)  # the last row has no set
    assert figures["set_size"] == pytest.approx((1 + 1 + 2 + 4) / 4)
    assert figures["set_size_median"] == 1


def test_the_median_of_resampled_rows_is_that_of_so_many_rows():
    rng = np.random.default_rng(0)
    sets = [rng.permutation(6)[: rng.integers(1, 6)].tolist() for _ in range(40)]
    gold = rng.integers(0, 6, 40)
    some = GoldAndPredicted.of(TREE, gold, gold, sets=sets)
    times = rng.integers(0, 3, (40, 3)).astype(float)
    found = MetricsTable(some)(times)["set_size_median"]
    for column, median in zip(times.T, found, strict=True):
        sizes = np.sort(np.repeat([len(s) for s in sets], column.astype(int)))
        assert median == sizes[(len(sizes) - 1) // 2]
    assert bootstrap(some, resamples=20)["set_coverage"].low <= 1


def test_coverage_is_told_by_size_as_mapie_tells_it():
    metrics = pytest.importorskip("mapie.metrics.classification")
    rng = np.random.default_rng(1)
    flat = Taxonomy.from_paths([f"Class {i}" for i in range(8)])
    chosen = rng.random((300, 8)) < 0.3
    chosen[:, 0] |= ~chosen.any(axis=1)
    gold = rng.integers(0, 8, 300)
    sets = [np.flatnonzero(row).tolist() for row in chosen]
    some = GoldAndPredicted.of(flat, gold, gold, sets=sets)
    theirs = metrics.classification_ssc(gold, chosen)[0]  # by size from 0 to 8
    figures = all_metrics(some)
    assert figures["set_size"] == pytest.approx(
        float(metrics.classification_mean_width_score(chosen))
    )
    found = {each.low: each for each in sets_by_size(some)}
    for size in (1, 2):
        assert found[size].held / found[size].rows == pytest.approx(theirs[size])
    several = found[3]
    assert (several.low, several.high, several.what) == (3, 4, "3 to 4 nodes")
    of = [(chosen.sum(axis=1) == size).sum() for size in (3, 4)]
    assert several.held == pytest.approx(of[0] * theirs[3] + of[1] * theirs[4])
    assert sum(each.rows for each in found.values()) == 300


def test_without_sets_there_are_no_such_figures():
    assert not any(name.startswith("set_") for name in all_metrics(answers(None)))
    assert sets_by_size(answers(None)) == []
    assert sets_by_size(answers())[0] == SetsOfSize(1, 1, 2, 2)
    assert np.isnan(all_metrics(answers([[]] * 5))["set_size_median"])
