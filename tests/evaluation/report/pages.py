"""Pages as a browser reads them, and runs to make pages of."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa

from cascade.config import Columns
from cascade.evaluation.comparison import Run
from cascade.evaluation.error_analysis import Example, analyse_errors
from cascade.evaluation.evaluation_task import LINE
from cascade.evaluation.metrics.bootstrap import Interval, bootstrap
from cascade.evaluation.metrics.calibration import Bin
from cascade.evaluation.metrics.risk_coverage import RiskCoverage
from cascade.evaluation.run_metrics import RunMetrics
from cascade.evaluation.run_predictions import RunPredictions

INLINE = {"b", "bdi", "code", "i", "q"}
VOID = {"meta", "link", "input", "br", "line", "rect"}


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
        np.zeros(0, dtype=np.int64),
        {},
        {},
        Columns(text=["name"]),
        table,
    )
    return Run(name, predictions, manifest_of(**manifest), {})
