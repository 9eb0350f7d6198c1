"""A run as the command line makes it: checks first, then weights, then rows with progress."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cascade.cli.console import err, out
from cascade.cli.progress import (
    classifying,
    classifying_all,
    lines_of,
    load_classifier,
    working,
)
from cascade.cli.screen import ScreenOutput
from cascade.config import CascadeConfig, Columns
from cascade.io import Output, Table, open_output, open_table, require_columns
from cascade.io.tables.detection import kind_of
from cascade.io.tables.opening import TableFile
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.runs.cluster import Cluster
from cascade.pipeline.runs.cluster_run import FileRun, classify_files, finished_chunks
from cascade.pipeline.runs.columns import guessed_columns, require_read
from cascade.pipeline.runs.table import AnswerForm, Counts, classify_table, fingerprint
from cascade.taxonomy import Taxonomy


@dataclass
class Job:
    """What is the same for every file of one command.

    Parameters
    ----------
    needs_label, needs_image
        Whether the column must be there; the one that a pack remembers need not, the picture's if
        there is text.
    """

    taxonomy: Taxonomy
    config: CascadeConfig
    columns: Columns
    form: AnswerForm
    needs_label: bool = True
    needs_image: bool = True
    limit: int | None = None
    encoding: str | None = None
    sheet: str | None = None
    resume: bool = False
    overwrite: bool = False
    as_json: bool = False
    as_table: bool = False
    _told: bool = field(default=False, repr=False)

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier, loaded at the first use with a sign of life on the terminal."""
        with working("loading models") as bar:
            return load_classifier(self.taxonomy, self.config, bar)

    def check(self, source: str) -> None:
        """Raise what is wrong with a file before any work is done."""
        with self._open(source) as table:
            self._checked(table)

    def run(self, source: str, target: str) -> Counts | None:
        """Classify one file; its counts, or None where an earlier run had finished it."""
        with self._open(source) as table:
            columns = self._checked(table)
            with self._sink(table, columns, source, target) as sink:
                if not self._is_left(sink, target):
                    return None
                classifier = self.classifier
                classifier.require_sight(columns)
                # Rows that are printed as they come show progress themselves.
                shown = not isinstance(sink, ScreenOutput)
                with classifying(table, source, self.limit, shown) as progress:
                    return classify_table(
                        classifier,
                        table,
                        sink,
                        columns,
                        self.form,
                        limit=self.limit,
                        progress=progress,
                    )

    def run_on(
        self, cluster: Cluster, targets: Sequence[tuple[str, str]]
    ) -> tuple[Counts, list[str]]:
        """Classify all files on a cluster; their counts, and the outputs that were written.

        Outputs that an earlier run had finished are passed over, as in `run`.
        """
        files = [(self._file_run(*pair), pair) for pair in targets]
        left = [(file, pair) for file, pair in files if file is not None]
        if not left:
            return Counts(), []
        shown = not any(self._on_screen(target) for _, (_, target) in left)
        lines = [self._lines(source) if shown else None for _, (source, _) in left]
        with classifying_all(lines, self.limit, shown) as progress:
            counts = classify_files(
                [file for file, _ in left],
                self.taxonomy,
                self.config,
                self.form,
                cluster,
                progress=progress,
            )
        return counts, [target for _, (_, target) in left]

    def _file_run(self, source: str, target: str) -> FileRun | None:
        """A file as a run on a cluster takes it; None where its output is there already."""
        done: frozenset[int] = frozenset()
        rows = TableFile(source, self.limit, self.encoding, self.sheet)
        with rows.open() as table:
            columns = self._checked(table)
            if self.resume:
                with self._sink(table, columns, source, target) as sink:
                    if not self._is_left(sink, target):
                        return None
                    done = finished_chunks(table, sink) if sink.resumed_rows else done

        def opened() -> tuple[Table, Output]:
            table = rows.open()
            try:
                return table, self._sink(table, columns, source, target)
            except BaseException:
                table.close()
                raise

        nested = self.as_json if target == "-" else kind_of(target) == "jsonl"
        return FileRun(rows, columns, opened, done, nested, ordered=target == "-")

    def _is_left(self, sink: Output, target: str) -> bool:
        """Whether an output is not finished, with a word on what an earlier run has done of it."""
        if sink.complete:
            err.print(
                f"{target} is there already, there is nothing to resume; "
                "make it anew with --overwrite"
            )
        elif sink.resumed_rows:
            err.print(f"going on after {sink.resumed_rows:,} finished rows")
        return not sink.complete

    def _lines(self, source: str) -> int | None:
        if self.limit is not None or not err.is_terminal:
            return None
        with self._open(source) as table:
            return lines_of(table, source)

    def _on_screen(self, target: str) -> bool:
        """Whether rows are printed as a table to read."""
        return target == "-" and not self.as_json and (self.as_table or sys.stdout.isatty())

    def _open(self, source: str) -> Table:
        return open_table(source, encoding=self.encoding, sheet=self.sheet)

    def _checked(self, table: Table) -> Columns:
        """The columns to use, all of them there; text columns are guessed if nothing is named."""
        columns = guessed_columns(
            table, self.columns, self.config.reads, needs_image=self.needs_image
        )
        if columns.text and not self.columns.text and not self._told:
            err.print(f"text columns: {', '.join(columns.text)} (choose others with --text)")
            self._told = True
        if not self.needs_label and columns.label not in table.columns:
            columns = columns.model_copy(update={"label": None})
        if columns.text:
            require_read(table, columns.text, self.config.reads)
        named = (columns.image, columns.id, columns.label)
        require_columns(table, [*columns.text, *filter(None, named)])
        return columns

    def _sink(self, table: Table, columns: Columns, source: str, target: str) -> Output:
        if self._on_screen(target):
            return ScreenOutput(table, columns.text or list(filter(None, [columns.image])), out)
        return open_output(
            target,
            table,
            self.form.columns,
            kind="jsonl" if self.as_json and target == "-" else None,
            source=source,
            fingerprint=fingerprint(self.taxonomy, self.config, columns, self.form, self.limit),
            resume=self.resume,
            overwrite=self.overwrite,
        )
