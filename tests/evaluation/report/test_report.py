"""The pages as a browser reads them: parsed, with what is where, and nothing from outside."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cascade.evaluation.error_analysis import analyse_errors
from cascade.evaluation.metrics.bootstrap import Interval, bootstrap, paired_difference
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.report import FOLDER, SCRIPTS
from cascade.evaluation.report.comparison_report import (
    DIFFERING,
    AgainstFirst,
    Answered,
    ComparedRun,
    ComparisonView,
    DifferingRow,
    Split,
    render_comparison,
)
from cascade.evaluation.report.run_report import CLASSES, RunView, render
from cascade.taxonomy import Taxonomy

INLINE = {"b", "bdi", "code", "i", "q"}
VOID = {"meta", "link", "input", "br", "line", "rect", "circle", "polyline"}
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


def view_of(taxonomy, predicted, gold, confidence=None, text="a thing", **changes):
    figures = bootstrap(GoldAndPredicted.of(taxonomy, predicted, gold), resamples=20)
    view = RunView(
        title="items.csv, retrieval",
        facts={"Data": "items.csv", "Method": "retrieval"},
        counts={"rows": 1234, "measured": len(gold)},
        figures=figures | {"mistake_severity": Interval(1.5, 1.25, 1.75)},
        ranking={"mrr": Interval(0.6543, 0.6, 0.7)},
        meanings={"hf1_micro": "how good it is", "mrr": "how soon it comes"},
        reliability=[
            SimpleNamespace(low=0.0, high=0.5, confidence=0.3, right=0.25, rows=4),
            SimpleNamespace(low=0.5, high=1.0, confidence=0.9, right=0.875, rows=8),
        ],
        risk_coverage=[
            SimpleNamespace(coverage=i / 300, risk=i / 900, threshold=1 - i / 300)
            for i in range(1, 301)
        ],
        breakdown=analyse_errors(
            taxonomy, predicted, gold, confidence, lambda row: text, line_of=lambda row: row + 2
        ),
        seconds=12.5,
        stages={"search": 2.5, "encode": 7.5},
        rows_per_second=98.76,
    )
    return replace(view, **changes)


@pytest.fixture(scope="module")
def view(shop):
    apple, pear, oil, kites = (
        shop.index(code)
        for code in ("Food > Fruit > Apple", "Food > Fruit > Pear", "Food > Oil", "Toys > Kites")
    )
    gold = [apple, apple, apple, pear, oil, kites, kites]
    predicted = [apple, pear, pear, oil, oil, shop.index("Toys"), -1]
    return view_of(shop, predicted, gold, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, np.nan])


@pytest.fixture(scope="module")
def page(view):
    return Page(render(view))


def test_headline_figures_stand_with_their_intervals_and_meanings(view, page):
    for name in ("hf1_micro", "exact_match", "mistake_severity"):
        figure = view.figures[name]
        assert f"{name} {figure.value:.3f} 0 {figure.low:.3f}–{figure.high:.3f}" in page.text
    assert "how good it is" in page.text
    assert "mrr 0.654 0.600–0.700 how soon it comes" in page.text


def test_levels_have_their_figures_rows_and_classes(view, page):
    accuracy, f1 = (view.figures[f"{name}_l3"] for name in ("accuracy", "f1_weighted"))
    row = page.text[page.text.index("level classes rows accuracy f1_weighted") :]
    assert (
        f"3 2 4 {accuracy.value:.3f} {accuracy.low:.3f}–{accuracy.high:.3f}"
        f" {f1.value:.3f} {f1.low:.3f}–{f1.high:.3f}" in row
    )


def test_bins_have_their_rows_and_intervals(page):
    assert "0.500–1.000 0.900 0.875 0.529–0.978 8" in page.text
    (tip,) = [a["data-tip"] for a in page.all("g") if "mean 0.900" in a.get("data-tip", "")]
    assert tip.endswith("8 rows")


def test_a_curve_of_many_points_is_thinned_to_a_hundred(page):
    assert len(page.with_class("g", "hover")) == 100
    assert "1.000 0.333 0.000" in page.text


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
    assert "12.5 s to answer, 98.8 rows per second" in page.text
    assert "encode 7.5 s 60.0% 2 search 2.5 s 20.0% 3 everything else 2.5 s 20.0%" in page.text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reliability": [], "risk_coverage": []}, "There are no confidences in these predictions"),
        ({"ranking": {}}, "No leaves of the whole taxonomy were ranked in this run"),
        ({"seconds": None, "stages": {}, "rows_per_second": None}, "were made elsewhere"),
    ],
)
def test_what_is_not_there_is_said(view, changes, sentence):
    page = Page(render(replace(view, **changes)))
    assert sentence in page.text
    assert page.text.count("Figures") == 2


def test_a_run_without_errors_has_no_confusions(shop):
    page = Page(render(view_of(shop, [2, 3], [2, 3])))
    assert "No row was filed under a wrong node." in page.text


def test_a_figure_that_is_undefined_has_a_dash_and_no_bar(view):
    nan = float("nan")
    figures = {"hf1_micro": Interval(nan, nan, nan), "accuracy_l1": Interval(nan, nan, nan)}
    before, after = Page(render(view)), Page(render(replace(view, figures=figures)))
    assert "hf1_micro – 0 1 how good it is" in after.text
    assert len(after.with_class("rect", "span")) < len(before.with_class("rect", "span"))
    assert "nan" not in " ".join(str(attrs) for tag, attrs in after.tags if tag != "meta")


@pytest.fixture(scope="module")
def hostile():
    taxonomy = Taxonomy.from_records([("<b>&", HOSTILE, None), ("2", "x" * 5000, "<b>&")])
    name = HOSTILE + "\udc80"
    run = view_of(
        taxonomy,
        [0, 1],
        [1, 1],
        [0.5, 0.5],
        text=HOSTILE * 40,
        title=name,
        facts={name: name},
        counts={name: 1},
        figures={name: Interval(0.5, 0.4, 0.6)},
        meanings={name: name},
        stages={name: 1.0},
    )
    differing = DifferingRow(2, name, 1, [Answered(-1, None, False), Answered(0, 0.5, False)])
    runs = [ComparedRun(name, {name: str(i)}, run.figures) for i in range(2)]
    against = [AgainstFirst({name: Interval(0.1, -0.1, 0.2)}, {})]
    return [
        render(run),
        render_comparison(
            ComparisonView(name, 2, taxonomy, runs, against, [differing], 1, run.meanings)
        ),
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
    text = render(view_of(taxonomy, np.roll(gold, 1), gold, text="long " * 1000))
    page = Page(text)
    assert "the 307 with the fewest rows are left out" in page.text
    assert "200 of 5,300" in page.text
    assert "one of the 3,307 nodes with the fewest rows, which are left out" in page.text
    assert len([attrs for attrs in page.all("tr") if "data-level" in attrs]) == CLASSES + 200
    assert len(text) < 6_000_000


@pytest.fixture(scope="module")
def comparison(shop):
    gold = np.arange(40) % len(shop)
    first = np.where(np.arange(40) % 2, gold, 0)
    second = np.where(np.arange(40) % 8, gold, 0)
    more = {"ece": Interval(0.3, 0.2, 0.4), "brier": Interval(0.5, 0.4, 0.6)}
    one, two = (GoldAndPredicted.of(shop, nodes, gold) for nodes in (first, second))
    figures = [bootstrap(each, resamples=50) | more for each in (one, two)]
    difference = {
        name: found
        for name, found in paired_difference(two, one, resamples=50).items()
        if name in ("hf1_micro", "exact_match")
    }
    rows = [
        DifferingRow(
            row + 2,
            f"thing {row}",
            int(gold[row]),
            [Answered(int(n[row]), 0.5, bool(n[row] == gold[row])) for n in (first, second)],
        )
        for row in np.flatnonzero(first != second)
    ]
    return ComparisonView(
        "one and two",
        40,
        shop,
        [
            ComparedRun("one", {"Data": "items.csv", "Method": "retrieval"}, figures[0]),
            ComparedRun("two", {"Data": "items.csv", "Method": "cascade"}, figures[1]),
        ],
        [
            AgainstFirst(
                difference | {"ece": Interval(0.1, 0.05, 0.15), "brier": Interval(0.01, -0.1, 0.1)},
                {"exact_match": Split(20, 1, 15, 4, 0.0005)},
            )
        ],
        rows,
        len(rows),
        {"hf1_micro": "how good it is"},
    )


def test_a_difference_is_told_with_its_interval_and_what_it_says(comparison):
    page = Page(render_comparison(comparison))
    figure = comparison.against[0].difference["exact_match"]
    ends = f"+{figure.low:.3f} to +{figure.high:.3f}"
    assert f"+{figure.value:.3f} {ends} better" in page.text
    assert "ece +0.100 −1 +0.050 to +0.150 +1 worse" in page.text


def test_a_metric_without_clear_difference_is_called_so(comparison):
    page = Page(render_comparison(comparison))
    assert "brier 0.500 0.400–0.600" in page.text
    assert "+0.010 −0.100 to +0.100 no clear difference" in page.text


def test_the_split_of_right_rows_stands_with_its_chance(comparison):
    page = Page(render_comparison(comparison))
    assert "both only one only two neither p exact_match 20 1 15 4 < 0.001" in page.text


def test_differing_rows_tell_who_is_right(comparison):
    page = Page(render_comparison(comparison))
    row = comparison.rows[0]
    path = comparison.taxonomy.path(row.gold)
    assert f"known {path} one Food wrong 0.500 two {path} right 0.500" in page.text
    assert {attrs["data-right"] for attrs in page.all("tr") if "data-right" in attrs} == {"01"}
    assert [attrs["value"] for attrs in page.all("option")] == ["", "01"]


def test_facts_that_differ_come_first(comparison):
    page = Page(render_comparison(comparison))
    assert "Method (differs) retrieval cascade Data items.csv items.csv" in page.text


def test_a_comparison_shows_the_first_of_many_rows_and_counts_the_rest(comparison):
    rows = comparison.rows * (DIFFERING // len(comparison.rows) + 2)
    page = Page(render_comparison(replace(comparison, rows=rows, differing=12_345)))
    assert len([a for a in page.all("tr") if "data-right" in a]) == DIFFERING
    assert f"{DIFFERING} of 12,345" in page.text


def test_three_runs_are_each_held_against_the_first(comparison):
    third = replace(comparison.runs[1], name="three")
    wrong = [
        replace(row, answers=[*row.answers, Answered(-1, None, False)]) for row in comparison.rows
    ]
    page = Page(
        render_comparison(
            replace(
                comparison,
                runs=[*comparison.runs, third],
                against=[*comparison.against, comparison.against[0]],
                rows=wrong,
            )
        )
    )
    assert "two against one" in page.text
    assert "three against one" in page.text
    assert "three no answer wrong" in page.text


def test_runs_that_agree_on_every_row_say_so(comparison):
    page = Page(render_comparison(replace(comparison, rows=[], differing=0)))
    assert "All runs filed every row under the same node." in page.text


def test_a_report_is_the_same_every_time(view):
    assert render(view) == render(view)


def test_every_file_of_the_pages_is_inside_the_package():
    assert {p.name for p in Path(FOLDER).iterdir() if p.suffix in {".html", ".css", ".js"}} == {
        *("base.html", "run.html", "comparison.html", "parts.html", "style.css"),
        *SCRIPTS,
    }
