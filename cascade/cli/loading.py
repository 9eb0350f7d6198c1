"""A run as the command line makes it: checks first, then weights, then rows with progress."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cached_property

from cascade.cli.console import err, out
from cascade.cli.progress import classifying, load_classifier, working
from cascade.cli.screen import ScreenOutput
from cascade.config import CascadeConfig, Columns
from cascade.io import Output, Table, open_output, open_table, require_columns
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.run import (
    AnswerForm,
    Counts,
    classify_table,
    fingerprint,
    guessed_columns,
    require_read,
)
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
                if sink.complete:
                    err.print(
                        f"{target} is there already, there is nothing to resume; "
                        "make it anew with --overwrite"
                    )
                    return None
                if sink.resumed_rows:
                    err.print(f"going on after {sink.resumed_rows:,} finished rows")
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
        if target == "-" and not self.as_json and (self.as_table or sys.stdout.isatty()):
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
