"""What holds for every page: texts of others never run, and nothing comes from outside."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

from cascade.evaluation.comparison import compare
from cascade.evaluation.metrics.bootstrap import Interval
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.report.comparison_report import comparison_report
from cascade.evaluation.report.html import FOLDER, SCRIPTS
from cascade.evaluation.report.run_report import run_report
from cascade.taxonomy import Taxonomy

from .pages import Page, errors_of, manifest_of, metrics_of, run_of

HOSTILE = (
    "</script></style><script>alert(1)</script>\" onclick='x' {{ 7 * 7 }}\u2028 שלום 麵包 &amp;"
)


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


def test_every_file_of_the_pages_is_inside_the_package():
    assert {p.name for p in Path(FOLDER).iterdir() if p.suffix in {".html", ".css", ".js"}} == {
        *("base.html", "run.html", "codes.html", "comparison.html", "parts.html", "style.css"),
        *SCRIPTS,
    }
