"""The page of a comparison, parsed."""

from dataclasses import replace

import numpy as np
import pytest

from cascade.evaluation.comparison import compare
from cascade.evaluation.metrics.bootstrap import Interval
from cascade.evaluation.report.comparison_report import DIFFERING, comparison_report

from .pages import Page, run_of


@pytest.fixture(scope="module")
def runs(shop):
    gold = np.arange(40) % len(shop)
    first = np.where(np.arange(40) % 2, gold, 0)
    second = np.where(np.arange(40) % 8, gold, 0)
    return [
        run_of("one", shop, first, gold),
        run_of("two", shop, second, gold, method="cascade"),
    ]


@pytest.fixture(scope="module")
def comparison(runs):
    found = compare(runs, resamples=50)
    return replace(
        found,
        against=[
            replace(
                found.against[0],
                difference={
                    "exact_match": found.against[0].difference["exact_match"],
                    "ece": Interval(0.1, 0.05, 0.15),
                    "brier": Interval(0.01, -0.1, 0.1),
                },
            )
        ],
    )


@pytest.fixture(scope="module")
def compared(comparison):
    return Page(comparison_report(comparison))


def test_a_difference_is_told_with_its_interval_and_what_it_says(comparison, compared):
    figure = comparison.against[0].difference["exact_match"]
    ends = f"+{figure.low:.3f} to +{figure.high:.3f}"
    assert f"+{figure.value:.3f} {ends} better" in compared.text
    assert "ece +0.100 −1 +0.050 to +0.150 +1 worse" in compared.text


def test_a_metric_without_clear_difference_is_called_so(comparison, compared):
    brier = comparison.figures[0]["brier"]
    assert f"brier {brier.value:.3f} {brier.low:.3f}–{brier.high:.3f}" in compared.text
    assert "+0.010 −0.100 to +0.100 no clear difference" in compared.text


def test_the_split_of_right_rows_stands_with_its_chance(comparison, compared):
    test = comparison.against[0].mcnemar["exact_match"]
    split = f"{test.both} {test.only_theirs} {test.only_ours} {test.neither} < 0.001"
    assert test.only_theirs == 0 and test.only_ours > 10
    assert f"both only one only two neither p exact_match {split}" in compared.text


def test_differing_rows_tell_who_is_right(runs, comparison, compared):
    row = int(comparison.differing[0])
    path = runs[0].predictions.taxonomy.path(int(runs[0].predictions.gold[row]))
    assert f"known {path} one Food wrong 0.500 two {path} right 0.500" in compared.text
    assert {attrs["data-right"] for attrs in compared.all("tr") if "data-right" in attrs} == {"01"}
    assert [attrs["value"] for attrs in compared.all("option")] == ["", "01"]


def test_facts_that_differ_come_first(compared):
    assert "Method (differs) retrieval cascade Data items.csv items.csv" in compared.text


def test_a_comparison_shows_the_first_of_many_rows_and_counts_the_rest(shop):
    gold = np.ones(DIFFERING + 9, dtype=int)
    runs = [run_of("one", shop, gold, gold), run_of("two", shop, gold * 0, gold)]
    page = Page(comparison_report(compare(runs, resamples=5)))
    assert len([a for a in page.all("tr") if "data-right" in a]) == DIFFERING
    assert f"{DIFFERING} of {DIFFERING + 9}" in page.text


def test_three_runs_are_each_held_against_the_first(shop, runs):
    gold = runs[0].predictions.gold
    third = run_of("three", shop, np.full(len(gold), -1), gold)
    page = Page(comparison_report(compare([*runs, third], resamples=5)))
    assert "two against one" in page.text
    assert "three against one" in page.text
    assert "three no answer wrong" in page.text


def test_runs_that_agree_on_every_row_say_so(runs):
    page = Page(comparison_report(compare([runs[0], replace(runs[0], name="too")], resamples=5)))
    assert "All runs filed every row under the same node." in page.text
