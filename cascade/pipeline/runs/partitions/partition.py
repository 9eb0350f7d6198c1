"""One file's way, from its rows to its output, wherever it is worked on."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cascade.config import CascadeConfig, Columns
from cascade.errors import CascadeError, InputError, OutputError, UsageError, unwritable
from cascade.io import Output, Row, Table, open_output, open_table, require_columns
from cascade.io.resumable.finished import check_finished
from cascade.io.resumable.output import ResumableOutput, begun_by
from cascade.io.tables.opening import TableFile
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.pipeline.runs.columns import guessed_columns, require_read
from cascade.pipeline.runs.fingerprint import fingerprint
from cascade.pipeline.runs.table import Counts, classify_table
from cascade.taxonomy import Taxonomy

FULL = (errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC))

OnRows = Callable[[Sequence[Row]], None]


@dataclass(frozen=True)
class Partition:
    """A file of a run: where it is read, and where its rows go."""

    source: str
    target: str


@dataclass(frozen=True)
class FileSettings:
    """What is asked of each file of a run.

    Parameters
    ----------
    named
        The columns that the user named, by their part (`text`, `image`, ...). They must be there;
        a label that a pack remembers need not, nor its picture where there is text.
    limit
        Rows to read, from the start.
    encoding, sheet
        As for `open_table`.
    resume, overwrite, lasting, run
        As for `open_output`.
    also
        What else the answers depend on, by name.
    """

    taxonomy: Taxonomy
    config: CascadeConfig
    named: frozenset[str]
    form: AnswerForm
    limit: int | None = None
    encoding: str | None = None
    sheet: str | None = None
    resume: bool = False
    overwrite: bool = False
    lasting: bool = False
    run: str = ""
    also: Mapping[str, Any] = field(default_factory=dict)

    def file(self, source: str) -> TableFile:
        """A file that is read more than once."""
        return TableFile(source, self.limit, self.encoding, self.sheet)

    def open(self, source: str) -> Table:
        """All rows of a file."""
        return open_table(source, encoding=self.encoding, sheet=self.sheet)

    def columns(self, table: Table) -> Columns:
        """The columns to use, all of them there; text columns are guessed if nothing is named."""
        wanted, reads = self.config.columns, self.config.reads
        columns = guessed_columns(table, wanted, reads, needs_image="image" in self.named)
        if "label" not in self.named and columns.label not in table.columns:
            columns = columns.model_copy(update={"label": None})
        if columns.text:
            require_read(table, columns.text, reads)
        named = (columns.image, columns.id, columns.label)
        require_columns(table, [*columns.text, *filter(None, named)])
        return columns

    def output(
        self,
        table: Table,
        columns: Columns,
        source: str,
        target: str,
        *,
        as_json: bool = False,
        again: bool = False,
    ) -> Output:
        """The output of a file.

        Parameters
        ----------
        as_json
            Whether rows on standard output are JSON lines.
        again
            Whether to go on with what this very run has begun.
        """
        known = self.common | {"columns": columns.model_dump(), **self.also}
        return open_output(
            target,
            table,
            self.form.columns,
            kind="jsonl" if as_json else None,
            source=source,
            fingerprint=known,
            resume=self.resume or again,
            overwrite=self.overwrite and not again,
            lasting=self.lasting,
            run=self.run,
        )

    @cached_property
    def common(self) -> dict[str, Any]:
        """What the answers of all files depend on."""
        return fingerprint(self.taxonomy, self.config, Columns(), self.form, self.limit)


@dataclass
class Done:
    """What came of a file.

    Parameters
    ----------
    counts
        Of its rows; None where an earlier run had finished it, and what it counted is not known.
    earlier
        Whether an earlier run had finished it.
    guessed
        Its text columns, where the user named none.
    warning
        What its answers have in common, in words.
    failed
        Why there is no output: the error's name, its arguments and its exit status.
    ends_all
        Whether other files would fail in the same way.
    """

    counts: Counts | None = None
    earlier: bool = False
    guessed: tuple[str, ...] = ()
    warning: str = ""
    failed: tuple[str, tuple[Any, ...], int] | None = None
    ends_all: bool = False

    @property
    def error(self) -> CascadeError:
        """Why there is no output."""
        from cascade.pipeline.pool import error_of

        return error_of(*(self.failed or ("CascadeError", (), 2)))


def answer_partition(
    partition: Partition,
    settings: FileSettings,
    classifier: Callable[[], Classifier],
    *,
    workers: int = 1,
    progress: OnRows | None = None,
) -> Done:
    """Read a file, answer its rows, and write its output.

    What this run has begun of it already, in a process that died, is gone on with. An error of the
    file is returned, for the others can be answered.

    Parameters
    ----------
    classifier
        Called once there is something to answer.
    workers
        As for `classify_table`.
    """
    done = Done()
    stage = "opening"
    try:
        with settings.open(partition.source) as table:
            columns = settings.columns(table)
            done.guessed = () if settings.config.columns.text else tuple(columns.text)
            make_folder(partition.target)
            again = bool(settings.run) and begun_by(settings.run, partition.target)
            given = partition.source, partition.target
            with settings.output(table, columns, *given, again=again) as output:
                if output.complete:
                    done.earlier = True
                    done.counts = finished_counts(output, table, settings, partition.target)
                    return done
                stage = "loading"
                answering = classifier()
                stage = "answering"
                answering.check_pictures_are_read(columns)
                done.warning = answering.warning
                learns = settings.config.retrieval.adapt or settings.config.retrieval.first_pass
                done.counts = classify_table(
                    *(answering, table, output, columns, settings.form),
                    limit=settings.limit,
                    again=settings.file(partition.source) if learns else None,
                    workers=workers,
                    progress=progress,
                )
    except CascadeError as error:
        done.failed = type(error).__name__, error.args, error.exit_status
        if _is_full(error) and isinstance(error.__cause__, OSError):
            done.failed = _unwritten(partition, error.__cause__)
        of_file = stage == "answering" and isinstance(error, InputError | UsageError | OutputError)
        done.ends_all = _is_full(error) or not (of_file or stage == "opening")
    except OSError as error:
        done.failed = _unwritten(partition, error)
        done.ends_all = error.errno in FULL
    return done


def make_folder(target: str) -> None:
    """Make the folder of an output, of which it is checked that it may be made.

    Raises
    ------
    OutputError
        It cannot be made.
    """
    if target == "-":
        return
    folder = Path(target).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def finished_counts(
    output: Output, table: Table, settings: FileSettings, target: str
) -> Counts | None:
    """The counts of an output that is finished, where a journal tells them.

    Raises
    ------
    OutputError
        It is not the output of the rows that the file has now.
    """
    if not isinstance(output, ResumableOutput) or output.finished is None:
        check_finished(target, table, settings.form.columns, settings.limit)
        return None
    if settings.limit is not None:
        table.limit(settings.limit)
    output.check_input(table.chunks(settings.config.batch))
    total = Counts()
    for summary in output.finished_summaries:
        total.add({**asdict(Counts()), **summary})
    return total


def _unwritten(partition: Partition, error: OSError) -> tuple[str, tuple[Any, ...], int]:
    found = unwritable(partition.target, error, "go on with --resume")
    return "OutputError", found.args, found.exit_status


def _is_full(error: BaseException) -> bool:
    """Whether nothing can be written any more, to whatever file."""
    cause = error.__cause__
    return isinstance(error, OutputError) and isinstance(cause, OSError) and cause.errno in FULL
