"""The folder of a comparison: figures, a page, and every row on which the runs differ."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cascade.errors import OutputError
from cascade.evaluation.comparing import Comparison
from cascade.evaluation.report import render_comparison
from cascade.evaluation.view import comparison_view
from cascade.io.whole import write_json, write_text


class ComparisonFolder:
    """`comparison.json`, `comparison.html` and `differences.csv`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def figures(self) -> Path:
        """Figures of each run, paired differences and tests."""
        return self.path / "comparison.json"

    @property
    def report(self) -> Path:
        """The same for people."""
        return self.path / "comparison.html"

    @property
    def differences(self) -> Path:
        """A row for each row of the data on which the runs differ."""
        return self.path / "differences.csv"

    def check(self, *, overwrite: bool) -> None:
        """Raise OutputError where something lies here that may not be replaced."""
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path} is a file; name a folder with --out")
        if self.path.is_dir() and any(self.path.iterdir()):
            ours = {path.name for path in (self.figures, self.report, self.differences)}
            if not all(path.name in ours for path in self.path.iterdir()):
                raise OutputError(f"{self.path} holds something else; name another --out")
            if not overwrite:
                raise OutputError(
                    f"{self.path} exists; replace it with --overwrite, or name another --out"
                )

    def write(self, comparison: Comparison) -> None:
        """Write everything.

        Raises
        ------
        OutputError
            The folder cannot be written.
        """
        page = render_comparison(comparison_view(comparison))
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with self.differences.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(_differences(comparison))
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror}") from None
        write_text(self.report, page)
        write_json(self.figures, comparison.to_dict())

    def read(self) -> dict[str, Any]:
        """The contents of `comparison.json`."""
        values: dict[str, Any] = json.loads(self.figures.read_text("utf-8"))
        return values


def _differences(comparison: Comparison) -> Iterator[list[Any]]:
    runs = comparison.runs
    heading = ["line", "text", "gold"]
    for run in runs:
        heading += [f"{run.name}: {what}" for what in ("code", "path", "confidence", "right")]
    yield heading
    first = runs[0].predictions
    tree = first.taxonomy
    for shared in comparison.differing.tolist():
        row = int(comparison.rows[0, shared])
        cells = [first.line(row), first.text(row), tree.path(int(first.gold[row]))]
        for run, rows in zip(runs, comparison.rows, strict=True):
            at, predictions = int(rows[shared]), run.predictions
            node = int(predictions.predicted[at])
            confidence = float(predictions.confidence[at])
            cells += [tree.codes[node], tree.path(node)] if node >= 0 else ["", ""]
            cells += [
                "" if confidence != confidence else round(confidence, 4),
                "yes" if node == int(predictions.gold[at]) else "no",
            ]
        yield cells
