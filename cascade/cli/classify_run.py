"""What `cascade classify` runs: checks first, then models, then rows with progress."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from cascade.cli.answer_table import ScreenOutput
from cascade.cli.console import err
from cascade.cli.progress import classifying, lines_of, load_classifier, working
from cascade.confidence.shift import Watch
from cascade.config import CascadeConfig, Columns
from cascade.errors import UsageError
from cascade.io import Output, Table, open_output, open_table, require_columns
from cascade.io.files import sha256_of
from cascade.io.resumable.finished import check_finished
from cascade.io.tables.detection import kind_of
from cascade.io.tables.opening import STDIN, TableFile
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.pipeline.runs.cluster import Cluster
from cascade.pipeline.runs.cluster_run import classify_files, finished_chunks
from cascade.pipeline.runs.cluster_worker import FileRun
from cascade.pipeline.runs.columns import USUAL_TEXT_COLUMNS, guessed_columns, require_read
from cascade.pipeline.runs.fingerprint import fingerprint
from cascade.pipeline.runs.redo import EarlierAnswers
from cascade.pipeline.runs.table import Counts, classify_table
from cascade.pipeline.watching import load_reference
from cascade.scoring.first_pass.deciding import stands_in
from cascade.taxonomy import Taxonomy

LARGE = 100_000  # rows of a file for which a first pass is named


@dataclass(frozen=True)
class Input:
    """How files are read: rows to read from the start, encoding of text, sheet of a workbook."""

    limit: int | None
    encoding: str | None
    sheet: str | None


@dataclass(frozen=True)
class Destination:
    """How answers are written: going on with parts, replacing outputs, as JSON, as a table."""

    resume: bool
    overwrite: bool
    as_json: bool
    as_table: bool

    def on_screen(self, target: str) -> bool:
        """Whether rows are printed as a table to read."""
        return target == "-" and not self.as_json and (self.as_table or sys.stdout.isatty())


@dataclass
class ClassifyRun:
    """The classification of one or more files with the same options.

    Parameters
    ----------
    named
        The columns that the user named, by their part (`text`, `image`, ...). They must be there;
        a label that a pack remembers need not, nor its picture where there is text.
    workers
        Processes of this machine that answer, where no cluster does.

    Attributes
    ----------
    watch
        Counts the rows of all files against the pack's reference; None where nothing does. Rows
        that are answered again are not what a file holds.
    """

    taxonomy: Taxonomy
    config: CascadeConfig
    named: frozenset[str]
    form: AnswerForm
    input: Input
    destination: Destination
    redo: str | None = None
    workers: int = 1
    watch: Watch | None = field(default=None, init=False, repr=False)
    _guess_told: bool = field(default=False, repr=False)
    _large_told: bool = field(default=False, repr=False)

    def run(self, targets: Sequence[tuple[str, str]]) -> tuple[Counts, list[str]]:
        """Classify files into their outputs; all counts, and the outputs that were written.

        Outputs that an earlier run had finished are passed over.
        """
        if len(targets) > 1:
            for source, _ in targets:
                self._file_to_read_twice(source)
                with self._open(source) as table:
                    self._columns(table)
        total, written = Counts(), list[str]()
        for source, target in targets:
            counts = self._run(source, target)
            if counts is not None:
                total.add(asdict(counts))
                written.append(target)
        return total, written

    def run_on(
        self, cluster: Cluster, targets: Sequence[tuple[str, str]]
    ) -> tuple[Counts, list[str]]:
        """As `run`, on a cluster."""
        if (option := self._reading_twice) is not None:
            raise UsageError(f"{option} goes with --engine local; leave out one of the two")
        files: list[FileRun] = []
        written: list[str] = []
        for source, target in targets:
            if (file := self._file_run(source, target)) is not None:
                files.append(file)
                written.append(target)
        if not files:
            return Counts(), []

        def opened(at: int) -> tuple[Table, Output]:
            file = files[at]
            table = file.source.open()
            try:
                return table, self._output(table, file.columns, file.source.file, written[at])
            except BaseException:
                table.close()
                raise

        shown = not any(map(self.destination.on_screen, written))
        lines = [self._lines(file.source.file) if shown else None for file in files]
        with classifying(lines, self.input.limit, shown) as progress:
            counts = classify_files(
                files, self.taxonomy, self.config, self.form, cluster, opened, progress=progress
            )
        reference = load_reference(self.config, self.config.method)
        if reference is not None:
            self.watch = Watch(reference)
            self.watch.add_cells(counts.shift)
        return counts, written

    @cached_property
    def _classifier(self) -> Classifier:
        with working("loading models") as work:
            return load_classifier(self.taxonomy, self.config, work)

    def _run(self, source: str, target: str) -> Counts | None:
        """Classify one file; its counts, or None where an earlier run had finished it."""
        again = self._file_to_read_twice(source)
        with self._open(source) as table:
            columns = self._columns(table)
            with self._output(table, columns, source, target) as output:
                if not self._is_left(output, table, target):
                    return None
                classifier = self._classifier
                classifier.check_pictures_are_read(columns)
                if classifier.warning:
                    err.print(classifier.warning, style="yellow", highlight=False, markup=False)
                if self.watch is None and self.redo is None:
                    self.watch = classifier.sentinel.another_watch()
                # Rows that are printed as they come show progress themselves.
                shown = not self.destination.on_screen(target)
                lines = [lines_of(table, source) if shown else None]
                self._tell_of_first_pass(lines[0])
                with (
                    self._earlier(columns) as earlier,
                    classifying(lines, self.input.limit, shown) as progress,
                ):
                    return classify_table(
                        classifier,
                        table,
                        output,
                        columns,
                        self.form,
                        limit=self.input.limit,
                        earlier=earlier,
                        again=again,
                        watch=self.watch,
                        workers=self.workers,
                        progress=progress,
                    )

    def _tell_of_first_pass(self, lines: int | None) -> None:
        """Say that there is a quicker way, where the encoder reads a large file."""
        rows = lines if self.input.limit is None else self.input.limit
        if rows is None or rows < LARGE or self.config.retrieval.first_pass or self._large_told:
            return
        if self.redo is None and stands_in(self.taxonomy, self.config):
            self._large_told = True
            err.print(
                f"the encoder reads each of about {rows:,} rows; where many are alike "
                "--first-pass is several times as fast (see large-files.md)"
            )

    def _file_to_read_twice(self, source: str) -> TableFile | None:
        """The file of a run that learns from it first; None for one that reads its rows once."""
        option = self._reading_twice
        if option is None:
            return None
        path = Path(source)
        if source == "-" or (path.exists() and not (path.is_file() or path.is_dir())):
            what = STDIN if source == "-" else source
            raise UsageError(
                f"{option} reads rows twice, and {what} can be read only once; save it to a file "
                "and name that"
            )
        return TableFile(source, **asdict(self.input))

    @property
    def _reading_twice(self) -> str | None:
        """The option with which rows are read twice, if there is one."""
        settings = self.config.retrieval
        wanted = {"--adapt": settings.adapt, "--first-pass": settings.first_pass}
        return next((option for option, is_set in wanted.items() if is_set), None)

    @contextmanager
    def _earlier(self, columns: Columns) -> Iterator[EarlierAnswers | None]:
        """The answers that are kept, where the user has named an earlier output."""
        if self.redo is None:
            yield None
            return
        with open_table(self.redo) as table:
            yield EarlierAnswers(table, columns, self.form, self.taxonomy)

    def _file_run(self, source: str, target: str) -> FileRun | None:
        """A file as a run on a cluster takes it; None where its output is there already."""
        done: frozenset[int] = frozenset()
        rows = TableFile(source, **asdict(self.input))
        with rows.open() as table:
            columns = self._columns(table)
            if self.destination.resume:
                with self._output(table, columns, source, target) as output:
                    if not self._is_left(output, table, target):
                        return None
                    if output.resumed_rows:
                        done = finished_chunks(table, output, self.config.batch)

        nested = self.destination.as_json if target == "-" else kind_of(target) == "jsonl"
        return FileRun(rows, columns, done, nested, ordered=target == "-")

    def _is_left(self, output: Output, table: Table, target: str) -> bool:
        """Whether an output is not finished, with a word on what an earlier run has done of it."""
        if output.complete:
            check_finished(target, table, self.form.columns, self.input.limit)
            err.print(
                f"{target} is there already, there is nothing to resume; the settings of a "
                "finished run are not compared: make it anew with --overwrite if they changed"
            )
        elif output.resumed_rows:
            err.print(f"going on after {output.resumed_rows:,} finished rows")
        return not output.complete

    def _lines(self, source: str) -> int | None:
        if self.input.limit is not None:
            return None
        with self._open(source) as table:
            return lines_of(table, source)

    def _open(self, source: str) -> Table:
        return open_table(source, encoding=self.input.encoding, sheet=self.input.sheet)

    def _columns(self, table: Table) -> Columns:
        """The columns to use, all of them there; text columns are guessed if nothing is named."""
        wanted, reads = self.config.columns, self.config.reads
        columns = guessed_columns(table, wanted, reads, needs_image="image" in self.named)
        if columns.text and not wanted.text and not self._guess_told:
            usual = {name.strip().casefold() for name in columns.text} <= {*USUAL_TEXT_COLUMNS}
            lined = table.kind in ("csv", "tsv", "xlsx") and not usual
            header = "; the first line is the header" if lined else ""
            err.print(
                f"text columns: {', '.join(columns.text)} (choose others with --text{header})"
            )
            self._guess_told = True
        if "label" not in self.named and columns.label not in table.columns:
            columns = columns.model_copy(update={"label": None})
        if columns.text:
            require_read(table, columns.text, reads)
        named = (columns.image, columns.id, columns.label)
        require_columns(table, [*columns.text, *filter(None, named)])
        return columns

    def _output(self, table: Table, columns: Columns, source: str, target: str) -> Output:
        if self.destination.on_screen(target):
            return ScreenOutput(table, columns.text or list(filter(None, [columns.image])))
        return open_output(
            target,
            table,
            self.form.columns,
            kind="jsonl" if self.destination.as_json and target == "-" else None,
            source=source,
            fingerprint=fingerprint(
                self.taxonomy, self.config, columns, self.form, self.input.limit
            )
            | ({} if self.redo is None else {"redo": sha256_of(Path(self.redo))}),
            resume=self.destination.resume,
            overwrite=self.destination.overwrite,
        )
