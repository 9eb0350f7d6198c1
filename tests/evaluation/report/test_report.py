"""The pages as a browser reads them: parsed, with what is where, and nothing from outside."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cascade.config import Columns
from cascade.evaluation.comparison import Run, compare
from cascade.evaluation.error_analysis import Example, analyse_errors
from cascade.evaluation.evaluation_task import LINE
from cascade.evaluation.metrics.bootstrap import Interval, bootstrap
from cascade.evaluation.metrics.calibration import Bin
from cascade.evaluation.metrics.given import RowsGiven, SetsOfSize
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.risk_coverage import InformationAtRisk, RiskCoverage
from cascade.evaluation.report.comparison_report import DIFFERING, comparison_report
from cascade.evaluation.report.html import FOLDER, SCRIPTS
from cascade.evaluation.report.run_report import CLASSES, run_report
from cascade.evaluation.run_metrics import RunMetrics
from cascade.evaluation.run_predictions import RunPredictions
from cascade.taxonomy import Taxonomy

INLINE = {"b", "bdi", "code", "i", "q"}
VOID = {"meta", "link", "input", "br", "line", "rect"}
HOSTILE = (
    "</script></style><script>alert(1)</script>\" onclick='x' {{ 7 * 7 }}\u2028 שלום 麵包 &amp;"
)


class Page(HTMLParser):
    """What a page holds; fails where its elements are not well nested."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.script, self._open = [], [], "", []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in INLINE:
            self.texts.append(" ")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        if self._open and self._open[-1] == "script":
            self.script += data
        elif self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.texts))

    def all(self, tag, **wanted):
        return [
            attrs
            for name, attrs in self.tags
            if name == tag and all(attrs.get(key) == value for key, value in wanted.items())
        ]

    def with_class(self, tag, name):
        return [attrs for attrs in self.all(tag) if name in (attrs.get("class") or "").split()]


@pytest.fixture(scope="module")
def shop():
    return Taxonomy.from_paths(
        ["Food > Fruit > Apple", "Food > Fruit > Pear", "Food > Oil", "Toys > Kites", "Garden"],
        name="shop",
    )


def manifest_of(**changes):
    data = {
        "file": "items.csv",
        "sha256": "0" * 64,
        "limit": None,
        "columns": {"text": ["name"], "image": None, "label": "label"},
    }
    return {
        "data": data,
        "taxonomy": {"name": "shop", "nodes": 8, "sha256": "1", "made_of_labels": False},
        "method": "retrieval",
        "bootstrap": {"resamples": 20, "seed": 0},
        "finished": "2026-01-01",
        "versions": {"python": "3.11"},
        "machine": {"cores": 2, "system": "Linux"},
        "command": "",
    } | changes


def metrics_of(answers, **changes):
    metrics = RunMetrics(
        rows={
            "all": 1234,
            "measured": len(answers),
            "without_label": 0,
            "label_not_in_taxonomy": 0,
            "status": {"ok": len(answers)},
        },
        figures=bootstrap(answers, resamples=20) | {"mistake_severity": Interval(1.5, 1.25, 1.75)},
        ranking={"mrr_at_10": Interval(0.6543, 0.6, 0.7)},
        reliability=(Bin(0.0, 0.5, 0.3, 0.25, 4), Bin(0.5, 1.0, 0.9, 0.875, 8)),
        risk_coverage=tuple(
            RiskCoverage(coverage=i / 150, risk=i / 450, threshold=1 - i / 150)
            for i in range(1, 151)
        ),
        seconds=12.5,
        stages={"search": 2.5, "encode": 7.5},
        resamples=20,
        seed=0,
    )
    return replace(metrics, **changes)


def errors_of(answers, text="a thing"):
    def example_of(row):
        sure = answers.confidence
        return Example(row + 2, text, None if sure is None else float(sure[row]))

    return analyse_errors(answers, example_of)


@pytest.fixture(scope="module")
def answers(shop):
    apple, pear, oil, kites = (
        shop.index(code)
        for code in ("Food > Fruit > Apple", "Food > Fruit > Pear", "Food > Oil", "Toys > Kites")
    )
    gold = [apple, apple, apple, pear, oil, kites, kites]
    predicted = [apple, pear, pear, oil, oil, shop.index("Toys"), -1]
    sure = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, np.nan]
    return GoldAndPredicted.of(shop, predicted, gold, confidence=sure)


@pytest.fixture(scope="module")
def metrics(answers):
    without = replace(answers, confidence=None)
    return metrics_of(without)


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


def run_of(name, taxonomy, predicted, gold, text="thing", **manifest):
    table = pa.table(
        {
            "name": [f"{text} {row}" for row in range(len(gold))],
            LINE: [str(row + 2) for row in range(len(gold))],
        }
    )
    predictions = RunPredictions(
        taxonomy,
        np.asarray(gold, dtype=np.int32),
        np.asarray(predicted, dtype=np.int32),
        np.where(np.asarray(predicted) < 0, np.nan, 0.5),
        *[None] * 8,
        {},
        {},
        Columns(text=["name"]),
        table,
    )
    return Run(name, predictions, manifest_of(**manifest), {})


@pytest.fixture(scope="module")
def hostile():
    taxonomy = Taxonomy.from_records([("<b>&", HOSTILE, None), ("2", "x" * 5000, "<b>&")])
    name = HOSTILE + "\udc80"
    answers = GoldAndPredicted.of(taxonomy, [0, 1], [1, 1], confidence=[0.5, 0.5])
    metrics = metrics_of(answers, figures={name: Interval(0.5, 0.4, 0.6)}, stages={name: 1.0})
    manifest = manifest_of(method=name, command=name)
    runs = [
        run_of(f"{name}{i}", taxonomy, predicted, [1, 1], HOSTILE, method=name, command=name)
        for i, predicted in enumerate([[0, 1], [-1, 1]])
    ]
    return [
        run_report(manifest, metrics, errors_of(answers, HOSTILE * 40)),
        comparison_report(compare(runs, resamples=20)),
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_names_and_texts_of_others_are_shown_and_never_run(hostile, which):
    page = Page(hostile[which])
    assert page.script == "".join((FOLDER / name).read_text("utf-8") for name in SCRIPTS)
    assert len(page.all("script")) == 1
    assert not [attrs for _, attrs in page.tags if any(key.startswith("on") for key in attrs)]
    assert re.sub(r"\s+", " ", HOSTILE) in page.text
    assert "\N{REPLACEMENT CHARACTER}" in page.text
    assert hostile[which].encode()


@pytest.mark.parametrize("which", [0, 1])
def test_a_page_needs_nothing_else_and_runs_only_its_own_script(hostile, which):
    page = Page(hostile[which])
    links = [attrs[key] for _, attrs in page.tags for key in ("href", "src") if key in attrs]
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert {link for link in links if link.startswith("#")} <= {
        f"#{attrs['id']}" for _, attrs in page.tags if "id" in attrs
    }
    style = (FOLDER / "style.css").read_text("utf-8")
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    digest = base64.b64encode(hashlib.sha256(page.script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy["content"]
    assert "default-src 'none'" in policy["content"]


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


def test_a_report_is_the_same_every_time(answers, metrics):
    reports = {run_report(manifest_of(), metrics, errors_of(answers)) for _ in range(2)}
    assert len(reports) == 1


def test_every_file_of_the_pages_is_inside_the_package():
    assert {p.name for p in Path(FOLDER).iterdir() if p.suffix in {".html", ".css", ".js"}} == {
        *("base.html", "run.html", "codes.html", "comparison.html", "parts.html", "style.css"),
        *SCRIPTS,
    }
