"""What `cascade classify` runs: checks first, then models, then rows with progress."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from cascade.cli.console import err
from cascade.cli.progress import classifying, files_told, lines_of, load_classifier, working
from cascade.confidence.shift import Watch
from cascade.config import CascadeConfig, Columns
from cascade.errors import UsageError
from cascade.io import Output, Table, open_table
from cascade.io.files import sha256_of
from cascade.io.resumable.finished import check_finished
from cascade.io.tables.detection import kind_of
from cascade.io.tables.opening import STDIN, TableFile
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.pipeline.runs.columns import USUAL_TEXT_COLUMNS
from cascade.pipeline.runs.partitions.partition import FileSettings, Partition, make_folder
from cascade.pipeline.runs.table import Counts, classify_table
from cascade.pipeline.watching import load_reference
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    from cascade.pipeline.runs.cluster import Cluster, Shares
    from cascade.pipeline.runs.cluster_worker import FileRun
    from cascade.pipeline.runs.partitions.run import Outcome
    from cascade.pipeline.runs.redo import EarlierAnswers

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
        The columns that the user named; see `FileSettings`.
    workers
        Processes of this machine that answer, where no cluster does.
    files
        What the user named. Of several files those that are named themselves must all be readable;
        of those of a folder or a pattern, one that is not keeps no other from being answered.

    Attributes
    ----------
    watch
        Counts the rows of all files against the pack's reference; None where nothing does. Rows
        that are answered again are not what a file holds.
    failed
        Files of several that have no output, and why.
    """

    taxonomy: Taxonomy
    config: CascadeConfig
    named: frozenset[str]
    form: AnswerForm
    input: Input
    destination: Destination
    redo: str | None = None
    workers: int = 1
    files: frozenset[str] = frozenset()
    watch: Watch | None = field(default=None, init=False, repr=False)
    failed: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _guess_told: bool = field(default=False, repr=False)
    _large_told: bool = field(default=False, repr=False)

    def run(self, targets: Sequence[tuple[str, str]]) -> tuple[Counts, list[str]]:
        """Classify files into their outputs; all counts, and the outputs that were written.

        Outputs that an earlier run had finished are passed over.
        """
        if len(targets) > 1:
            return self._run_many([Partition(*target) for target in targets])
        [(source, target)] = targets
        make_folder(target)
        counts = self._run(source, target)
        return (Counts(), []) if counts is None else (counts, [target])

    def _run_many(self, partitions: Sequence[Partition]) -> tuple[Counts, list[str]]:
        """As `run`, for files that are each a worker's, or of which workers share the rows."""
        from cascade.pipeline.runs.partitions.run import (
            answer_here,
            answer_in_processes,
            shares_well,
            sizes_of,
        )

        self._check_named(partitions)
        settings, sizes = self._of_many(), sizes_of(partitions)
        by_files = self.workers > 1 and shares_well(sizes, self.workers)
        answer = answer_in_processes if by_files else answer_here
        with working("loading models") as work:
            loaded = cache(lambda: load_classifier(self.taxonomy, self.config, work))
            outcome = answer(
                partitions,
                settings,
                loaded,
                workers=self.workers,
                progress=files_told(work, len(partitions), sum(sizes)),
            )
        return self._told(outcome)

    def _files_on(
        self, shares: Shares, targets: Sequence[tuple[str, str]], *, alone: bool
    ) -> tuple[Counts, list[str]] | None:
        """As `run_on`, by workers that read and write files; None where they cannot."""
        from cascade.pipeline.runs.partitions.on_ray import answer_on_cluster
        from cascade.pipeline.runs.partitions.run import sizes_of

        partitions = [Partition(*target) for target in targets]
        self._check_named(partitions)
        with working("starting workers") as work:
            told = files_told(work, len(partitions), sum(sizes_of(partitions)))
            settings = self._of_many()
            outcome = answer_on_cluster(partitions, settings, shares, alone=alone, progress=told)
        return None if outcome is None else self._told(outcome)

    def _check_named(self, partitions: Sequence[Partition]) -> None:
        """Refuse files that the user named and that cannot be answered, before any is."""
        for partition in partitions:
            self._file_to_read_twice(partition.source)
            if partition.source in self.files:
                with self._open(partition.source) as table:
                    self._columns(table)

    def _of_many(self) -> FileSettings:
        """The settings of a run of many files, whose journals tell what it has finished."""
        return replace(self._settings, lasting=True, run=uuid4().hex)

    def _told(self, outcome: Outcome) -> tuple[Counts, list[str]]:
        """Say what came of many files; their counts, and the outputs that were written."""
        for names, source in outcome.guessed.items():
            self._tell_guess(names, kind_of(source) in ("csv", "tsv", "xlsx"))
        for warning in outcome.warnings:
            err.print(warning, style="yellow", highlight=False, markup=False)
        if known := len(outcome.earlier):
            some = f"{known:,} of {known + len(outcome.written):,}"
            err.print(f"{some} files were answered before", highlight=False)
        if outcome.compared:
            err.print(
                f"of {outcome.compared:,} finished outputs only rows were compared, not settings; "
                "make them anew with --overwrite if these changed",
                highlight=False,
            )
        if known and not outcome.written:
            err.print("there is nothing to resume")
        self.failed = {source: str(error) for source, error in outcome.failed.items()}
        reference = load_reference(self.config, self.config.method)
        if reference is not None:
            self.watch = Watch(reference)
            self.watch.add_cells(outcome.counts.shift)
        return outcome.counts, outcome.counted

    def run_on(
        self, cluster: Cluster, targets: Sequence[tuple[str, str]]
    ) -> tuple[Counts, list[str]]:
        """As `run`, on a cluster."""
        if (option := self._reading_twice) is not None:
            raise UsageError(f"{option} goes with --engine local; leave out one of the two")
        if len(targets) == 1:
            return self._rows_on(cluster, targets)
        from cascade.pipeline.runs.cluster import connected

        with connected(cluster) as shares:
            found = self._files_on(shares, targets, alone=cluster.address is None)
            return self._rows_on(cluster, targets) if found is None else found

    def _rows_on(
        self, cluster: Cluster, targets: Sequence[tuple[str, str]]
    ) -> tuple[Counts, list[str]]:
        """As `run_on`, by workers that are given rows."""
        from cascade.pipeline.runs.cluster_run import classify_files

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
            make_folder(written[at])
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
        from cascade.scoring.first_pass.deciding import stands_in

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
        from cascade.pipeline.runs.redo import EarlierAnswers

        with open_table(self.redo) as table:
            yield EarlierAnswers(table, columns, self.form, self.taxonomy)

    def _file_run(self, source: str, target: str) -> FileRun | None:
        """A file as a run on a cluster takes it; None where its output is there already."""
        from cascade.pipeline.runs.cluster_run import finished_chunks
        from cascade.pipeline.runs.cluster_worker import FileRun

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
        """The columns to use, with a word on those that are guessed."""
        columns = self._settings.columns(table)
        if columns.text and not self.config.columns.text:
            self._tell_guess(columns.text, table.kind in ("csv", "tsv", "xlsx"))
        return columns

    def _tell_guess(self, names: Sequence[str], has_header: bool) -> None:
        if self._guess_told:
            return
        usual = {name.strip().casefold() for name in names} <= {*USUAL_TEXT_COLUMNS}
        header = "; the first line is the header" if has_header and not usual else ""
        err.print(f"text columns: {', '.join(names)} (choose others with --text{header})")
        self._guess_told = True

    @cached_property
    def _settings(self) -> FileSettings:
        return FileSettings(
            *(self.taxonomy, self.config, self.named, self.form),
            **asdict(self.input),
            resume=self.destination.resume,
            overwrite=self.destination.overwrite,
            also={} if self.redo is None else {"redo": sha256_of(Path(self.redo))},
        )

    def _output(self, table: Table, columns: Columns, source: str, target: str) -> Output:
        if self.destination.on_screen(target):
            from cascade.cli.answer_table import ScreenOutput

            return ScreenOutput(table, columns.text or list(filter(None, [columns.image])))
        as_json = self.destination.as_json and target == "-"
        return self._settings.output(table, columns, source, target, as_json=as_json)
