"""What a run answers and measures, and the writing of its `predictions.parquet`.

The file has the columns of the data that are used, and beside each row its answer: that of a
classifier, or an external prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cascade.config import BATCH, CascadeConfig, Columns
from cascade.evaluation.external_predictions import ExternalPredictions
from cascade.io import Row, Table, open_output, require_columns
from cascade.io.pictures import data_uri
from cascade.io.tables.opening import TableFile
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.labels.finding import REVIEW_ACTION
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.pipeline.runs.columns import guessed_columns, require_read
from cascade.pipeline.runs.fingerprint import fingerprint
from cascade.pipeline.runs.table import Counts, classify_table
from cascade.taxonomy import Taxonomy

LINE = "cascade_line"
"""Column of the line on which a row of the data begins."""

OnRows = Callable[[Sequence[Row]], None]


@dataclass(frozen=True)
class EvaluationTask:
    """What is answered and measured.

    Parameters
    ----------
    source
        The labelled rows.
    taxonomy, config
        What is filed under, and how; the columns of the config are those of `source`.
    needs_image
        Whether the column of pictures must be there; the one that a pack remembers need not.
    in_memory
        Whether the taxonomy is one that a caller holds, which no config can name.
    """

    source: TableFile
    taxonomy: Taxonomy
    config: CascadeConfig
    needs_image: bool = False
    in_memory: bool = False

    @property
    def columns(self) -> Columns:
        """Which columns of the data are what."""
        return self.config.columns

    @property
    def form(self) -> AnswerForm:
        """What stands beside each row."""
        sets = self.config.calibration.set_coverage is not None
        return AnswerForm(ranking=self.config.retrieval.ranking > 0, set=sets, whole=True)

    @property
    def used(self) -> list[str]:
        """Every column that is used, once, in a steady order."""
        columns = self.columns
        named = [columns.id, *columns.text, columns.image, columns.label, *columns.also]
        return list(dict.fromkeys(name for name in named if name))

    def fingerprint(self) -> dict[str, Any]:
        """All that the predictions depend on, as plain values."""
        limit = self.source.limit
        known = fingerprint(self.taxonomy, self.config, self.columns, self.form, limit)
        source = {"sheet": self.source.sheet, "encoding": self.source.encoding}
        return {"data": self.source.sha256, **source, **known}


def settle_columns(task: EvaluationTask, *, text: bool = True) -> EvaluationTask:
    """The task with all its columns there.

    Parameters
    ----------
    text
        Whether text columns are needed; they are guessed where none is named.

    Raises
    ------
    InputError
        A column is not there, or no text column can be guessed.
    """
    with task.source.open() as table:
        if text:
            columns = guessed_columns(
                table, task.columns, task.config.reads, needs_image=task.needs_image
            )
            task = replace(task, config=task.config.model_copy(update={"columns": columns}))
        if task.columns.text:
            require_read(table, task.columns.text, task.config.reads)
        require_columns(table, task.used)
    return task


def classify_task(
    task: EvaluationTask,
    target: Path,
    load: Callable[[], Classifier],
    *,
    resume: bool = False,
    progress: OnRows | None = None,
) -> Counts | None:
    """Classify the rows of a task into a file; None where an earlier run had finished it.

    Parameters
    ----------
    load
        Gives the classifier; only called where rows are left.
    resume
        Go on with an interrupted run; otherwise what is there is replaced.

    Raises
    ------
    InputError, OutputError
        As for `classify_table`.
    """
    with task.source.open() as whole:
        table = _project(whole, task)
        with open_output(
            target,
            table,
            task.form.columns,
            source=task.source.file,
            fingerprint=task.fingerprint(),
            resume=resume,
            overwrite=not resume,
        ) as output:
            if output.complete:
                return None
            return classify_table(
                load(),
                table,
                output,
                task.columns,
                task.form,
                again=task.source,
                progress=progress,
            )


def copy_predictions(
    task: EvaluationTask,
    target: Path,
    external: ExternalPredictions,
    *,
    progress: OnRows | None = None,
) -> None:
    """Write external predictions beside the rows of a task, as `classify_task` writes its own."""
    with task.source.open() as whole:
        table = _project(whole, task)
        with open_output(
            target,
            table,
            external.columns,
            source=task.source.file,
            fingerprint={},
            overwrite=True,
        ) as output:
            for index, rows in enumerate(table.chunks(BATCH)):
                answers = [external.of(table, row).columns(task.taxonomy) for row in rows]
                output.write(index, rows, answers, asdict(Counts(rows=len(rows))))
                if progress is not None:
                    progress(rows)
            output.finish()


def _project(table: Table, task: EvaluationTask) -> Table:
    """The named columns of a table as text, and the line of each row; bytes as data URIs.

    What a review says of rows that fit nowhere is kept beside them.
    """
    names = task.used
    if REVIEW_ACTION in table.columns and REVIEW_ACTION not in names:
        names = [*names, REVIEW_ACTION]

    def text(row: Row, name: str) -> str:
        value = table.value(row, name)
        if name == task.columns.image and isinstance(value, dict):
            value = value.get("bytes") or value.get("path") or ""
            if isinstance(value, str):
                return value
        return data_uri(value) if isinstance(value, bytes) else table.text(row, name)

    def rows() -> Iterator[Row]:
        for row in table.rows:
            cells = (*(text(row, name) for name in names), str(row.line))
            yield Row(row.number, row.line, cells, row.problem)

    return Table(table.name, "csv", (*names, LINE), rows(), table.close, base=table.folder)
