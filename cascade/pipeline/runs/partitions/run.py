"""A run over many files: who takes which, what comes of all, and what a worker that dies leaves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any

from cascade.errors import CascadeError, InputError, OutputError, UsageError
from cascade.io import Row
from cascade.io.resumable.output import forget, mark_replaced, refuse_others, settings_of
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.pool import DEATHS, error_of, started, submitted
from cascade.pipeline.runs.columns import RowReader
from cascade.pipeline.runs.partitions.partition import (
    Done,
    FileSettings,
    Partition,
    answer_partition,
)
from cascade.pipeline.runs.table import Counts

LOOK = 0.25  # seconds between two looks at what workers have done

OnProgress = Callable[[int, int, int], None]  # bytes of files that are done, files, rows


@dataclass
class Outcome:
    """What came of all files.

    Parameters
    ----------
    counts
        Of all rows of which anything is known.
    written
        Outputs that this run made.
    earlier
        Those that an earlier one had finished.
    seconds
        That files took together, where several were worked on at once.
    failed
        Files that have no output, and why.
    guessed
        Text columns that nobody named, with the first file that they were found in.
    warnings
        What answers have in common, in words.
    counted
        Outputs whose rows are in `counts`.
    compared
        How many were finished earlier by a run that left no journal.
    """

    counts: Counts = field(default_factory=Counts)
    seconds: float | None = None
    written: list[str] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)
    failed: dict[str, CascadeError] = field(default_factory=dict)
    guessed: dict[tuple[str, ...], str] = field(default_factory=dict)
    warnings: dict[str, None] = field(default_factory=dict)
    counted: list[str] = field(default_factory=list)
    compared: int = 0
    _counted: dict[str, Counts] = field(default_factory=dict)

    def take(self, partition: Partition, done: Done) -> None:
        """Take in what came of a file.

        Raises
        ------
        CascadeError
            Others would fail in the same way.
        """
        if done.failed is not None:
            if done.ends_all:
                raise done.error
            self.failed[partition.source] = done.error
            return
        (self.earlier if done.earlier else self.written).append(partition.target)
        if done.counts is not None:
            self._counted[partition.target] = done.counts
        if done.guessed:
            self.guessed.setdefault(done.guessed, partition.source)
        if done.warning:
            self.warnings[done.warning] = None

    def close(self, partitions: Sequence[Partition]) -> None:
        """End a run in which each file has been taken in.

        The journals, by which a run that is interrupted knows what is finished, are removed.

        Raises
        ------
        CascadeError
            No file could be answered: the error of the first.
        """
        order = {partition.target: at for at, partition in enumerate(partitions)}
        self.written.sort(key=order.__getitem__)
        self.earlier.sort(key=order.__getitem__)
        self.failed = {
            p.source: self.failed[p.source] for p in partitions if p.source in self.failed
        }
        self.compared = len([t for t in self.earlier if t not in self._counted])
        self.counted = [p.target for p in partitions if p.target in self._counted]
        for partition in partitions:
            if (counts := self._counted.get(partition.target)) is not None:
                self.counts.add(asdict(counts))
        if self.seconds is not None:
            self.counts.seconds = round(self.seconds, 3)
        for target in (*self.written, *self.earlier):
            forget(target)
        if self.failed and not self.written and not self.earlier:
            raise next(iter(self.failed.values()))


def sizes_of(partitions: Sequence[Partition]) -> list[int]:
    """Bytes of each file; 0 where that is not known."""
    sizes = []
    for partition in partitions:
        try:
            sizes.append(os.stat(partition.source).st_size)
        except OSError:
            sizes.append(0)
    return sizes


def prepare(partitions: Sequence[Partition], settings: FileSettings) -> None:
    """Refuse to go on with other settings, and mark the outputs that are to be replaced.

    So a run that replaces outputs and is killed takes none of the old ones for its own when it is
    resumed.

    Raises
    ------
    OutputError
        Settings have changed since the files that are done were begun: names them.
    """
    if settings.resume:
        for partition in partitions:
            if (before := settings_of(partition.target)) is not None:
                refuse_others(before, settings.common)
                return
    if settings.overwrite:
        for partition in partitions:
            if os.path.exists(partition.target):
                mark_replaced(partition.target, settings.common, settings.run)


def shares_well(sizes: Sequence[int], workers: int) -> bool:
    """Whether workers that take whole files end at about the same time.

    Else rows of each file are shared out: there are fewer files than workers, or one has more bytes
    than a worker's part of all.
    """
    return len(sizes) >= workers and max(sizes) * workers <= 1.2 * sum(sizes)


def answer_here(
    partitions: Sequence[Partition],
    settings: FileSettings,
    classifier: Callable[[], Classifier],
    *,
    workers: int = 1,
    progress: OnProgress,
) -> Outcome:
    """Answer one file after another in this process, whose rows other processes may share."""
    prepare(partitions, settings)
    outcome, rows, size = Outcome(), 0, 0

    def on_rows(chunk: Sequence[Row]) -> None:
        nonlocal rows
        rows += len(chunk)
        progress(size, at, rows)

    for at, (partition, bytes_) in enumerate(zip(partitions, sizes_of(partitions), strict=True)):
        done = answer_partition(partition, settings, classifier, workers=workers, progress=on_rows)
        outcome.take(partition, done)
        size += bytes_
        progress(size, at + 1, rows)
    outcome.close(partitions)
    return outcome


def answer_in_processes(
    partitions: Sequence[Partition],
    settings: FileSettings,
    classifier: Callable[[], Classifier],
    *,
    workers: int,
    progress: OnProgress,
) -> Outcome:
    """Answer files in several processes, the largest first; each file is one process's.

    A process that dies is replaced, and its file gone on with; the others notice nothing. One row
    is answered by this process before, so that models and the index are made once, and forked
    processes share them.

    Raises
    ------
    CascadeError
        What ends all files: a model that is not there, a disk that is full. What was written is
        kept.
    """
    prepare(partitions, settings)
    outcome, began = Outcome(), time.monotonic()
    sizes = dict(zip(partitions, sizes_of(partitions), strict=True))
    left = sorted(partitions, key=lambda p: -sizes[p])
    if not _is_warm(partitions, settings, classifier):
        return answer_here(partitions, settings, classifier, progress=progress)
    workers = min(workers, len(partitions))
    _ = settings.common  # hashes of files, which all processes have then
    slots = [_Slot(workers, settings, classifier()) for _ in range(workers)]
    deaths = dict.fromkeys(partitions, 0)
    at_work: dict[Future[tuple[Any, Any]], tuple[_Slot, Partition]] = {}
    finished = size = 0
    try:
        while left or at_work:
            for slot in slots:
                if left and not slot.busy:
                    partition = left.pop(0)
                    at_work[slot.begin(partition)] = slot, partition
            ready, _ = wait(at_work, LOOK, FIRST_COMPLETED)
            for future in ready:
                slot, partition = at_work.pop(future)
                slot.busy = False
                try:
                    done, error = future.result()
                    if error is not None:
                        raise error_of(*error)
                except BrokenProcessPool:
                    slot.replace()
                    deaths[partition] += 1
                    if deaths[partition] <= DEATHS:
                        left.insert(0, partition)
                        continue
                    done = died(partition, deaths[partition])
                outcome.take(partition, done)
                finished, size = finished + 1, size + sizes[partition]
            progress(size, finished, sum(slot.rows for slot in slots))
    finally:
        for slot in slots:
            slot.stop()
        for slot in slots:
            slot.close()
    outcome.seconds = time.monotonic() - began
    outcome.close(partitions)
    return outcome


def died(partition: Partition, times: int) -> Done:
    """What comes of a file over which workers die."""
    said = (
        f"{partition.source}: a worker died {times} times over this file; where memory was short "
        "give fewer --workers; finished rows are kept, go on with --resume"
    )
    return Done(failed=("EngineError", (said,), 2))


def _is_warm(
    partitions: Sequence[Partition], settings: FileSettings, classifier: Callable[[], Classifier]
) -> bool:
    """Answer the first row that there is; False where no file has any that is not answered."""
    for partition in partitions:
        if settings.resume and Path(partition.target).exists():
            continue
        with (
            suppress(InputError, UsageError, OutputError),
            settings.open(partition.source) as table,
        ):
            columns = settings.columns(table)
            reader = RowReader.of(columns, settings.config)
            if rows := table.peek(1):
                classifier().classify_read(reader.items(table, rows))
                return True
    return False


def _answer(
    settings: FileSettings, shared: Any, classifier: Classifier, partition: Partition
) -> Done:
    """What a process does with a file; `shared` has its rows, and whether it shall stop."""

    def on_rows(rows: Sequence[Row]) -> None:
        shared[0] += len(rows)
        if shared[1]:
            raise _HaltError

    try:
        return answer_partition(partition, settings, lambda: classifier, progress=on_rows)
    except _HaltError:
        return Done()


class _HaltError(Exception):
    """The run has ended otherwise; what was written is kept."""


class _Slot:
    """A process for whole files, and the next one where it dies."""

    def __init__(self, of: int, settings: FileSettings, classifier: Classifier) -> None:
        self.busy = False
        self._of, self._classifier = of, classifier
        # Each value is written by one side alone, so that it needs no lock.
        self._shared = RawArray("q", 2)
        self._work = partial(_answer, settings, self._shared)
        self._processes = self._started()

    def _started(self) -> ProcessPoolExecutor:
        return started(self._classifier, self._work, 1, self._of)

    @property
    def rows(self) -> int:
        """How many it has answered."""
        return int(self._shared[0])

    def begin(self, partition: Partition) -> Future[tuple[Any, Any]]:
        """Give a file to it, which is idle."""
        self.busy = True
        try:
            return submitted(self._processes, self._of, (partition,))
        except BrokenProcessPool:  # it died while it had nothing to do
            self.replace()
            return submitted(self._processes, self._of, (partition,))

    def replace(self) -> None:
        """Another process in the place of one that died."""
        self._processes.shutdown(cancel_futures=True)
        self._processes = self._started()

    def stop(self) -> None:
        """Let it end soon."""
        self._shared[1] = 1

    def close(self) -> None:
        """Wait until it has ended."""
        self._processes.shutdown(cancel_futures=True)
