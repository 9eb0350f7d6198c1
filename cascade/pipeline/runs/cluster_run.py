"""The run itself: chunks out to the workers, answers in as they come, outputs finished in turn."""

from __future__ import annotations

import inspect
import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from typing import Any

from cascade.config import CascadeConfig
from cascade.errors import CascadeError, EngineError, InputError
from cascade.io import Answer, Output, Row, Table
from cascade.io.resumable.output import COMMIT_SECONDS
from cascade.io.resumable.row_hashes import digest
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.pipeline.runs.cluster import Cluster, Shares, connected, import_ray
from cascade.pipeline.runs.cluster_worker import (
    FileRun,
    Worker,
    error_of,
    read_chunks,
    run_fingerprint,
)
from cascade.pipeline.runs.columns import RowReader
from cascade.pipeline.runs.table import Counts
from cascade.taxonomy import Taxonomy

DEATHS = 3  # times that a chunk is given to another worker when one dies over it

OnRows = Callable[[Sequence[Row]], None]


def finished_chunks(table: Table, output: Output, size: int) -> frozenset[int]:
    """Positions of the chunks of a table that an output has from an interrupted run.

    Raises
    ------
    OutputError
        The input is not what it was.
    """
    chunks = enumerate(table.chunks(size))
    return frozenset(index for index, rows in chunks if output.has(index, rows))


def classify_files(
    files: Sequence[FileRun],
    taxonomy: Taxonomy,
    config: CascadeConfig,
    form: AnswerForm,
    cluster: Cluster,
    opened: Callable[[int], tuple[Table, Output]],
    *,
    progress: OnRows | None = None,
) -> Counts:
    """Classify the rows of files on a cluster, and finish each output as soon as it is whole.

    Memory is bounded: Ray Data reads on only as workers take chunks. What was written outlives a
    kill; a chunk whose worker dies goes to another one.

    Parameters
    ----------
    opened
        Opens the rows of a file, by its position, and its output.
    progress
        Called with the rows of each chunk that is finished.

    Raises
    ------
    MissingExtraError, UsageError
        Ray is not installed, or the cluster is not to be had.
    CascadeError
        What `classify_table` raises, and what loading a classifier does.
    EngineError
        Workers died over the same rows again and again.
    """
    for file in files:
        RowReader.of(file.columns, config)  # refuses columns that a pack cannot read
    total = Counts()
    with ExitStack() as stack:
        outputs: dict[int, _FileOutput] = {}

        def output_of(at: int) -> _FileOutput:
            if at not in outputs:
                outputs[at] = stack.enter_context(
                    _FileOutput(files[at], *opened(at), progress, config.batch)
                )
            return outputs[at]

        def finish(at: int) -> None:
            total.add(asdict(outputs[at].finish()))

        output_of(0)  # an output that cannot be written fails before models are loaded
        unread: CascadeError | None = None
        with connected(cluster) as shares, _settings(any(file.ordered for file in files)):
            rows = stack.enter_context(closing(_answered(files, taxonomy, config, form, shares)))
            for row in rows:
                at, index = row["file"], row["chunk"]
                if row["error"] is not None:
                    if index >= 0:
                        raise error_of(row["error"])
                    unread = error_of(row["error"])  # what was read before it is still answered
                    continue
                answers, counts = json.loads(row["rows"])
                output_of(at).take(index, row["input"], answers, counts)
                if output_of(at).whole:
                    finish(at)
        for at in range(len(files)):
            if output_of(at).finished:
                continue
            output_of(at).read_on()  # where the input is damaged, this is the place to say so
            if unread is not None:
                raise unread
            finish(at)
    return total


def _answered(
    files: Sequence[FileRun],
    taxonomy: Taxonomy,
    config: CascadeConfig,
    form: AnswerForm,
    shares: Shares,
) -> Generator[Mapping[str, Any], None, None]:
    """The answers of all chunks that are not done, as they come."""
    ray = import_ray()
    folder = os.getcwd()
    chunks = ray.data.from_items([{"start": 0}], override_num_blocks=1).map_batches(
        read_chunks,
        fn_kwargs={"files": files, "config": config.model_dump(), "folder": folder},
        batch_format="pyarrow",
        batch_size=None,
        num_cpus=0,
        resources={shares.here: 0.001},
    )
    # Without a limit, rows that kill their worker would be tried for ever.
    kinds = inspect.signature(chunks.map_batches).parameters.values()
    known = any(p.kind is p.VAR_KEYWORD or p.name == "max_task_retries" for p in kinds)
    answers = chunks.map_batches(
        Worker,
        fn_constructor_kwargs={
            "taxonomy": taxonomy,
            "config": config.model_dump(),
            "form": form,
            "files": files,
            "expected": run_fingerprint(taxonomy, config),
            "folder": folder,
            "threads": threads_of(shares.cpus),
        },
        batch_format="pyarrow",
        batch_size=None,
        num_cpus=shares.cpus,
        num_gpus=shares.gpus,
        concurrency=shares.workers,
        **({"max_task_retries": DEATHS} if known else {}),
    )
    try:
        yield from answers.iter_rows()
    except ray.exceptions.RayActorError as error:
        reason = str(error).strip().partition("\n")[0]
        raise EngineError(
            f"workers died {DEATHS + 1} times over the same rows ({reason}); where memory was "
            "short give fewer --workers; finished rows are kept, go on with --resume"
        ) from error


def threads_of(cpus: int) -> int:
    """Threads of a worker: `OMP_NUM_THREADS` of the process that starts the run, or one for a CPU.

    Sums of floating-point numbers depend on it, so it must be as in a local run for the same bytes.
    """
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(given) if given.isdecimal() and int(given) else cpus


@contextmanager
def _settings(ordered: bool) -> Iterator[None]:
    """Ray Data without messages of its own, and with a chunk to each block."""
    context = import_ray().data.DataContext.get_current()
    logger = logging.getLogger("ray.data")
    wanted: list[tuple[Any, str, Any]] = [
        (context, "enable_progress_bars", False),
        (context, "print_on_execution_start", False),
        (context, "target_max_block_size", 1),
        (context.execution_options, "preserve_order", ordered),
        (logger, "level", logging.CRITICAL),
    ]
    before = []
    for of, name, value in wanted:
        if hasattr(of, name):
            before.append((of, name, getattr(of, name)))
            setattr(of, name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for of, name, value in before:
            setattr(of, name, value)


class _FileOutput:
    """The output of one file, whose answers come in any order.

    The rows are read again as answers come, and those that still wait for theirs are held: no more
    than are on their way through the cluster. Answers are written together once a second, so that
    those that follow each other become one part.
    """

    def __init__(
        self, file: FileRun, table: Table, output: Output, progress: OnRows | None, size: int
    ) -> None:
        self.finished = False
        self._file = file
        self._progress = progress
        self._table, self._output = table, output
        self._chunks = enumerate(self._table.chunks(size))
        self._total = Counts()
        self._waiting: dict[int, Sequence[Row]] = {}
        self._answers: dict[int, tuple[list[Answer], dict[str, Any]]] = {}
        self._written = self._came = time.monotonic()
        self._first = True
        self._read = -1
        self._next: tuple[int, Sequence[Row]] | None = None
        self._advance()

    @property
    def whole(self) -> bool:
        """Whether all rows have been read and answered."""
        return self._next is None and self._waiting.keys() == self._answers.keys()

    def take(self, index: int, read: str, answers: list[Answer], counts: Mapping[str, Any]) -> None:
        """Take the answers of a chunk.

        Raises
        ------
        InputError
            They are of other rows than the file has.
        """
        while self._next is not None and self._read < index:
            self._advance()
        rows = self._waiting.get(index)
        if rows is None or digest(rows) != read:
            raise InputError(
                "changed while it was read; begin again when it is complete",
                file=self._file.source.file,
            )
        now = time.monotonic()
        seconds = counts["seconds"] if self._first else now - self._came
        self._came, self._first = now, False
        self._answers[index] = answers, {**counts, "seconds": round(seconds, 3)}
        if self._file.ordered or now - self._written >= COMMIT_SECONDS:
            self._write()

    def read_on(self) -> None:
        """Read the rest of the file, of which everything is answered already, if anything is."""
        while self._next is not None:
            self._advance()

    def finish(self) -> Counts:
        """Complete the output; the counts of all its rows."""
        self._write()
        if self._waiting:
            raise InputError(
                "changed while it was read; begin again when it is complete",
                file=self._file.source.file,
            )
        self._output.finish(asdict(self._total))
        self.finished = True
        self._close()
        return self._total

    def _advance(self) -> None:
        """Take the chunk ahead among those that wait, and read one more."""
        if self._next is not None:
            index, rows = self._next
            self._read = index
            if index in self._file.done and self._output.has(index, rows):
                self._total.add(self._output.summary(index))
                self._report(rows)
            else:
                self._waiting[index] = rows
        self._next = next(self._chunks, None)

    def _write(self) -> None:
        for index in sorted(self._answers):
            answers, counts = self._answers.pop(index)
            rows = self._waiting.pop(index)
            self._output.write(index, rows, answers, counts)
            self._total.add(counts)
            self._report(rows)
        self._written = time.monotonic()

    def _report(self, rows: Sequence[Row]) -> None:
        if self._progress is not None:
            self._progress(rows)

    def _close(self) -> None:
        self._table.close()
        self._output.close()

    def __enter__(self) -> _FileOutput:
        return self

    def __exit__(self, *error: object) -> None:
        if self.finished:
            return
        try:
            self._write()
        finally:
            self._close()
