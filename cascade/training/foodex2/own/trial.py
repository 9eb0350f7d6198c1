"""What a pack is worth that learns from coded descriptions: fitted to some, measured on others.

Beside it stands the catalogue alone, on the same rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cascade.config import Columns
from cascade.errors import InputError, OutputError
from cascade.evaluation.comparison import Run, compare
from cascade.evaluation.evaluate import RunOptions, evaluate
from cascade.evaluation.evaluation_task import EvaluationTask
from cascade.evaluation.preparation.splits import TEST, Shares, draw, out_of_sample
from cascade.evaluation.run_folder import RunFolder
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.io import Table
from cascade.io.files import write_json
from cascade.io.tables.opening import TableFile
from cascade.pipeline.facets.own.rows import CodedRows, read_coded_rows
from cascade.pipeline.load import load
from cascade.training.foodex2.own.pack import OwnCodesFit
from cascade.training.labelled import Progress

By = Literal["base-term", "row"]
FIGURES = {
    "exact_match": "base term",
    "facet_precision_micro": "facets: precision",
    "facet_recall_micro": "facets: recall",
    "facet_f1_micro": "facets: F1",
    "exact_match_with_facets": "whole code",
}
REPORT = "trial.json"


@dataclass(frozen=True)
class PartOfRows(TableFile):
    """Some rows of a file, by the lines on which they begin."""

    lines: frozenset[int] = frozenset()

    def open(self) -> Table:
        """The table with these rows alone."""
        table = super().open()
        table.rows = (row for row in table.rows if row.line in self.lines)
        return table

    @cached_property
    def sha256(self) -> str:
        """Of the whole file, and of which rows of it are meant."""
        whole = TableFile(self.file, self.limit, self.encoding, self.sheet).sha256
        told = ",".join(map(str, sorted(self.lines)))
        return hashlib.sha256(f"{whole} {told}".encode()).hexdigest()


def split_rows(
    rows: CodedRows, by: By, test: float, seed: int = 0
) -> tuple[frozenset[int], frozenset[int]]:
    """The lines to learn from and those to measure on.

    Parameters
    ----------
    by
        `base-term`: rows of a base term are together; `row`: only those of the same text.
    test
        Share of the rows to measure on.

    Raises
    ------
    UsageError
        The share is none.
    InputError
        A part would be empty.
    """
    shares = Shares(0.0, test)
    keys = [
        code.base if by == "base-term" else " ".join(text.casefold().split())
        for text, code in zip(rows.texts, rows.codes, strict=True)
    ]
    groups, classes = np.unique(np.array(keys, dtype=object), return_inverse=True)
    drawn = np.array([draw(str(group), seed) for group in groups], dtype=np.uint64)
    parts = out_of_sample(classes.astype(np.int64), drawn, shares)
    lines = np.array(rows.lines)
    held, rest = lines[parts == TEST], lines[parts != TEST]
    if not len(held) or not len(rest):
        raise InputError(
            f"{len(rows):,} rows of {len(groups):,} groups cannot be split at a share of {test:g}; "
            "give more rows, or another --test"
        )
    return frozenset(rest.tolist()), frozenset(held.tolist())


def try_out(
    source: TableFile,
    columns: Columns,
    catalogue: str | Path,
    folder: Path,
    *,
    by: By = "base-term",
    test: float = 0.3,
    seed: int = 0,
    resamples: int = 1000,
    overwrite: bool = False,
    command: str = "",
    notify: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """Fit `folder/pack` to a part of the rows; measure it and the catalogue alone on the others.

    Parameters
    ----------
    columns
        The text columns, and as the label that of the codes.

    Returns
    -------
    As `trial.json` in the folder: rows of each part, and figures of both with the difference and
    its paired 95% interval. The runs are in `folder/catalogue` and `folder/learnt`.

    Raises
    ------
    CascadeError
        Rows, columns, catalogue or folder cannot be used.
    """
    if folder.exists() and any(folder.iterdir()):
        if not overwrite:
            raise OutputError(f"{folder} is not empty; name another --out, or add --overwrite")
        if not (folder / REPORT).is_file() and not (folder / "pack.fitting").is_dir():
            raise OutputError(f"{folder} holds no trial, so it is not replaced; name another --out")
    taxonomy = FoodEx2Taxonomy.from_catalogue(load_catalogue(catalogue))
    rows = read_coded_rows(source, columns, taxonomy)
    for warning in rows.warnings():
        notify(warning)
    fitted, held = split_rows(rows, by, test, seed)

    def part(lines: frozenset[int]) -> PartOfRows:
        return PartOfRows(source.file, source.limit, source.encoding, source.sheet, lines)

    folder.mkdir(parents=True, exist_ok=True)
    job = OwnCodesFit(
        part(fitted), taxonomy, rows.columns, folder / "pack", seed=seed, command=command
    )
    job.prepare(overwrite=overwrite)
    job.run(progress)
    runs = []
    for name in ("catalogue", "learnt"):
        classifier = load(catalogue) if name == "catalogue" else load(folder / "pack")
        config = classifier.config.model_copy(deep=True)
        config.columns, config.taxonomy = rows.columns, str(catalogue)
        target = RunFolder(folder / name)

        def answered(done: int, of: int, name: str = name) -> None:
            progress(f"measuring ({name})", done, of)

        evaluate(
            EvaluationTask(part(held), classifier.taxonomy, config),
            target,
            lambda classifier=classifier: classifier,  # type: ignore[misc]
            RunOptions(overwrite=overwrite, resamples=resamples, seed=seed, command=command),
            progress=answered,
            ranked=lambda done, of: progress("ranking stages", done, of),
        )
        runs.append(Run.read(target.path))
    compared = compare(runs, resamples=resamples, seed=seed)
    differences = compared.against[0].difference
    figures = {
        shown: {
            "catalogue": compared.figures[0][name].value,
            "learnt": compared.figures[1][name].value,
            "difference": differences[name].value,
            "low": differences[name].low,
            "high": differences[name].high,
        }
        for name, shown in FIGURES.items()
        if name in differences
    }
    found: dict[str, Any] = {
        "by": by,
        "rows": {"fitted": len(fitted), "test": len(held)},
        "figures": figures,
    }
    write_json(folder / REPORT, found)
    return found
