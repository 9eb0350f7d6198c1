"""The page of a run, parsed as a browser reads it."""

from dataclasses import replace

import numpy as np
import pytest

from cascade.evaluation.metrics.bootstrap import Interval
from cascade.evaluation.metrics.calibration import Bin
from cascade.evaluation.metrics.given import RowsGiven, SetsOfSize
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.risk_coverage import InformationAtRisk
from cascade.evaluation.report.run_report import CLASSES, run_report
from cascade.taxonomy import Taxonomy

from .pages import Page, errors_of, manifest_of, metrics_of


@pytest.fixture(scope="module")
def report(answers, metrics):
    return lambda **changes: Page(
        run_report(manifest_of(), replace(metrics, **changes), errors_of(answers))
    )


@pytest.fixture(scope="module")
def page(report):
    return report()


def test_headline_figures_stand_with_their_intervals_and_meanings(metrics, page):
    for name in ("hf1_micro", "exact_match", "mistake_severity"):
        figure = metrics.figures[name]
        assert f"{name} {figure.value:.3f} 0 {figure.low:.3f}–{figure.high:.3f}" in page.text
    assert "Hierarchical F1, pooled over rows" in page.text
    assert "mrr_at_10 0.654 0.600–0.700 One divided by the rank" in page.text


def test_levels_have_their_figures_rows_and_classes(metrics, page):
    accuracy, f1 = (metrics.figures[f"{name}_l3"] for name in ("accuracy", "f1_weighted"))
    row = page.text[page.text.index("level classes rows accuracy f1_weighted") :]
    assert (
        f"3 2 4 {accuracy.value:.3f} {accuracy.low:.3f}–{accuracy.high:.3f}"
        f" {f1.value:.3f} {f1.low:.3f}–{f1.high:.3f}" in row
    )


def test_bins_have_their_rows_and_intervals(page):
    assert "0.500–1.000 0.900 0.875 0.529–0.978 8" in page.text
    (tip,) = [a["data-tip"] for a in page.all("rect") if "mean 0.900" in a.get("data-tip", "")]
    assert tip.endswith("8 rows")


def test_doubt_is_drawn_by_level_by_risk_and_by_what_was_given(answers):
    bins = (Bin(0.0, 0.1, 0.05, 0.25, 4), Bin(0.9, 1.0, 0.95, 0.875, 8))
    points = [InformationAtRisk(climbs, 0.1, 0.5, 0.75) for climbs in (True, False)]
    given = (RowsGiven("ok", 6, 5), RowsGiven("level 1", 2, 2), RowsGiven("review", 1, 0))
    sets = (SetsOfSize(1, 1, 8, 7), SetsOfSize(3, 4, 1, 1))
    metrics = metrics_of(
        answers, level_reliability=(bins, bins), information=tuple(points), given=given, sets=sets
    )
    found = Page(run_report(manifest_of(), metrics, errors_of(answers)))
    assert "2 0.900–1.000 0.950 0.875 8" in found.text
    assert "cut 0.100 0.500 0.750 whole 0.100 0.500 0.750" in found.text
    assert "level 1 2 2 review 1 0" in found.text
    assert "1 node 8 7 3 to 4 nodes 1 1" in found.text
    assert "whole answer" in found.text  # labels of bars
    assert "67% of rows\n83% right" in found.text or "66.7% of rows" in found.text
    tips = [attrs.get("data-tip", "") for attrs in found.all("rect")]
    assert any("level 2: 0.875 right at 0.950, 8 rows" in tip for tip in tips)


def test_every_bin_and_every_point_of_a_curve_has_a_tooltip_and_a_row(page):
    assert len(page.with_class("rect", "hit")) == 2 + 150
    assert "1.000 0.333 0.000" in page.text


def test_charts_have_the_colours_of_the_page_and_ids_of_their_own(page):
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)
    paths = [attrs["style"] for attrs in page.all("path") if "style" in attrs]
    assert any("var(--accent)" in style for style in paths)
    assert not [style for style in paths if "#" in style.replace("url(#", "")]


def test_cells_of_the_icicle_tell_their_path_and_numbers(page):
    labels = [cell["aria-label"] for cell in page.with_class("button", "cell")]
    assert "Food > Fruit\n4 rows\n75.0% right down to this level\n25.0% exactly right" in labels
    assert len(labels) == 7


def test_confusions_tell_where_paths_part_with_the_surest_example_first(page):
    assert "2 3 known Food > Fruit > Apple predicted Food > Fruit > Pear line 3 0.800" in page.text
    assert "predicted Toys ends here" in page.text
    assert "another branch from level 3 2 28.6%" in page.text
    assert "nothing 1 14.3%" in page.text


def test_classes_have_their_counts_figures_and_worst_confusion(page):
    assert "3 Food > Fruit > Apple 3 1 1 1.000 0.333 0.500 Pear 2" in page.text
    assert "2 Toys > Kites 2 0 0 – 0.000 0.000 ends above 2" in page.text


def test_time_is_told_by_what_it_went_into(page):
    assert "12.5 s to answer, 98.7 rows per second" in page.text
    assert "encode 7.5 s 60.0% 2 search 2.5 s 20.0% 3 everything else 2.5 s 20.0%" in page.text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reliability": (), "risk_coverage": ()}, "There are no confidences in these predictions"),
        ({"ranking": {}}, "No leaves of the whole taxonomy were ranked in this run"),
        ({"seconds": None, "stages": {}}, "were made by another program"),
    ],
)
def test_what_is_not_there_is_said(report, changes, sentence):
    page = report(**changes)
    assert sentence in page.text
    assert page.text.count("Metrics") == 2


def test_a_run_without_errors_has_no_confusions(shop):
    answers = GoldAndPredicted.of(shop, [2, 3], [2, 3])
    page = Page(run_report(manifest_of(), metrics_of(answers), errors_of(answers)))
    assert "No row was filed under a wrong node." in page.text


def test_a_figure_that_is_undefined_has_a_dash_and_no_bar(report, page):
    nan = float("nan")
    figures = {"hf1_micro": Interval(nan, nan, nan), "accuracy_l1": Interval(nan, nan, nan)}
    after = report(figures=figures)
    assert "hf1_micro – 0 1 Hierarchical F1" in after.text
    assert len(after.with_class("rect", "span")) < len(page.with_class("rect", "span"))
    assert "nan" not in " ".join(str(attrs) for tag, attrs in after.tags if tag != "meta")


def test_what_is_too_much_for_a_page_is_counted():
    taxonomy = Taxonomy.from_paths(f"{i % 7} > {i}" for i in range(CLASSES + 300))
    gold = taxonomy.leaves
    answers = GoldAndPredicted.of(taxonomy, np.roll(gold, 1), gold)
    text = run_report(manifest_of(), metrics_of(answers), errors_of(answers, "long " * 1000))
    page = Page(text)
    assert "the 307 with the fewest rows are left out" in page.text
    assert "200 of 5,300" in page.text
    assert "one of the 3,307 nodes with the fewest rows, which are left out" in page.text
    assert len([attrs for attrs in page.all("tr") if "data-level" in attrs]) == CLASSES + 200
    assert len(text) < 6_000_000


def test_a_report_is_the_same_every_time(answers, metrics):
    reports = {run_report(manifest_of(), metrics, errors_of(answers)) for _ in range(2)}
    assert len(reports) == 1
