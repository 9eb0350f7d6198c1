"""Labelled rows to the predictions of a run: the columns that are used, each with its answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from cascade.config import CascadeConfig, Columns
from cascade.evaluation.given import ANSWER, GivenAnswers, Source
from cascade.io import Output, Row, Table, open_output, open_table, require_columns
from cascade.pipeline.classifier import BATCH, Classifier
from cascade.pipeline.run import AnswerForm, Counts, classify_table, fingerprint, guess_text_columns
from cascade.taxonomy import Taxonomy

LINE = "cascade_line"
"""Column of the line on which a row of the data begins."""

Progress = Callable[[Row], None]


@dataclass(frozen=True)
class Task:
    """What is answered and measured.

    Parameters
    ----------
    source
        The labelled rows.
    taxonomy, config
        What is filed under, and how; the columns of the config are those of `source`.
    top
        Next best answers to keep; with some, ranking is measured.
    """

    source: Source
    taxonomy: Taxonomy
    config: CascadeConfig
    top: int = 0
    explain: bool = False

    @property
    def columns(self) -> Columns:
        """Which columns of the data are what."""
        return self.config.columns

    @property
    def form(self) -> AnswerForm:
        """What stands beside each row."""
        return AnswerForm(self.top, self.explain)

    @cached_property
    def data_hash(self) -> str | None:
        """SHA-256 of the file, None for standard input."""
        if self.source.file == "-":
            return None
        with Path(self.source.file).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def fingerprint(self) -> dict[str, object]:
        """All that the predictions depend on."""
        return {
            "data": self.data_hash,
            **fingerprint(self.taxonomy, self.config, self.columns, self.form, self.source.limit),
        }


def settle_columns(task: Task) -> Task:
    """The task with text columns guessed where none is named, and all columns there.

    Raises
    ------
    InputError
        A column is not there, or no text column can be guessed.
    """
    with task.source.open() as table:
        columns = task.columns
        if not columns.text:
            columns = columns.model_copy(update={"text": guess_text_columns(table)})
        require_columns(table, used_columns(columns))
    return replace(task, config=task.config.model_copy(update={"columns": columns}))


def used_columns(columns: Columns) -> list[str]:
    """Every column that a config names, once, in a steady order."""
    named = [columns.id, *columns.text, getattr(columns, "image", None), columns.label]
    return list(dict.fromkeys(name for name in [*named, *columns.also] if name))


def answer(
    task: Task,
    target: Path,
    classifier: Callable[[], Classifier],
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Counts | None:
    """Classify the rows of a task into a file; None where an earlier run had finished it.

    Parameters
    ----------
    classifier
        Loads what answers; only called where rows are left.

    Raises
    ------
    InputError, OutputError
        As for `classify_table`.
    """
    with task.source.open() as whole:
        table = _project(whole, used_columns(task.columns))
        extra = task.form.columns
        print_ = task.fingerprint()
        with _sink(task, target, table, extra, print_, resume, overwrite) as sink:
            if sink.complete:
                return None
            return classify_table(
                classifier(),
                table,
                sink,
                task.columns,
                task.form,
                limit=task.source.limit,
                progress=progress,
            )


def copy_answers(
    task: Task,
    target: Path,
    given: GivenAnswers,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Counts:
    """Put given answers beside the rows of a task, as `answer` does with a classifier's."""
    counts = Counts()
    with task.source.open() as whole:
        table = _project(whole, used_columns(task.columns))
        print_ = {"given": given.name}
        with _sink(task, target, table, given.columns, print_, False, overwrite) as sink:
            for index, rows in enumerate(task.source.limited(table).chunks(BATCH)):
                answers = [given.answer(row) for row in rows]
                sink.write(index, rows, answers, {})
                counts.rows += len(rows)
                if progress is not None:
                    progress(rows[-1])
            sink.finish()
    return counts


def _sink(
    task: Task,
    target: Path,
    table: Table,
    extra: dict[str, type],
    print_: dict[str, object],
    resume: bool,
    overwrite: bool,
) -> Output:
    return open_output(
        target,
        table,
        extra,
        source=task.source.file,
        fingerprint=print_,
        resume=resume,
        overwrite=overwrite,
    )


def _project(table: Table, names: list[str]) -> Table:
    """The named columns of a table as text, and the line of each row."""

    def rows() -> Iterator[Row]:
        for row in table.rows:
            cells = (*(table.text(row, name) for name in names), row.line)
            yield Row(row.number, row.line, cells, row.problem)

    return Table(table.name, "csv", (*names, LINE), rows(), table.close)


__all__ = [
    "ANSWER",
    "LINE",
    "Task",
    "answer",
    "copy_answers",
    "open_table",
    "settle_columns",
    "used_columns",
]
