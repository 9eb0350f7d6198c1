"""Gathers what clients ask into batches, and answers them in a thread of its own.

While a batch is answered the next one gathers. Where requests of several clients came together
lately a batch also waits, some milliseconds at most, for those that are on their way; who asks
alone never waits.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cascade.items import Item
from cascade.pipeline.classifier import Classifier
from cascade.predictions import Prediction
from cascade.serving.http.metrics import Metrics
from cascade.serving.http.problems import Problem

SLICE = 0.001  # seconds: when nobody came in one of them, the batch waits no longer
KEPT = 0.8  # of what was known before of speed and company, when a batch ends
LONGEST_RETRY = 60  # seconds

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Job:
    """What one request waits for.

    Parameters
    ----------
    work
        Items, or a function that is called alone.
    size
        Items that it costs.
    top
        Alternatives that are asked for: only jobs that ask for as many are answered together.
    deadline
        On the clock of `time.monotonic`.
    """

    work: Sequence[Item | Prediction] | Callable[[], Any]
    size: int
    top: int
    deadline: float
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    since: float = field(default_factory=time.monotonic)
    dropped: bool = False


class Batcher:
    """A bounded queue of jobs, and the thread that answers them.

    Parameters
    ----------
    batch, wait, queue
        See `ServeConfig`: items, seconds, items.
    """

    def __init__(
        self, classifier: Classifier, metrics: Metrics, *, batch: int, wait: float, queue: int
    ) -> None:
        self._classifier, self._metrics = classifier, metrics
        self._batch, self._wait, self._most = batch, wait, queue
        self._variants: dict[int, Classifier] = {0: classifier}
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._size = 0  # items in them, without those that were dropped
        self._busy = 0  # items that are being answered
        self._idle = False
        self._company = 1.0  # requests that came together lately
        self._rate = 0.0  # items a second
        self._closing = False
        self._thread: threading.Thread | None = None
        metrics.follow_queue(lambda: self._size)

    @property
    def is_open(self) -> bool:
        """Whether it takes jobs."""
        return not self._closing

    def open(self) -> None:
        """Take jobs, perhaps again after `close`."""
        with self._changed:
            if self._closing:
                self._closing, self._thread = False, None

    async def answer(
        self,
        work: Sequence[Item | Prediction] | Callable[[], Any],
        *,
        size: int,
        deadline: float,
        top: int = 0,
    ) -> Any:
        """Predictions for items, or what a function returns, when their turn has come.

        Who waits no longer, since its task was cancelled, gives its place away.

        Raises
        ------
        Problem
            503 where too much waits, or the service ends.
        """
        loop = asyncio.get_running_loop()
        job = Job(work, size, top, deadline, loop.create_future(), loop)
        self._enter(job)
        try:
            return await job.future
        except asyncio.CancelledError:
            self._drop(job)
            raise

    def close(self, seconds: float) -> bool:
        """Answer what waits and end the thread; whether that was done in time."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = self._thread
        if thread is None:
            return True
        thread.join(seconds)
        return not thread.is_alive()

    def _enter(self, job: Job) -> None:
        with self._changed:
            if self._closing:
                raise Problem(503, "the service ends; ask again", {"Retry-After": "5"})
            ahead = self._size + self._busy
            needs = (ahead + job.size) / self._rate if self._rate else 0.0
            # What is larger than the queue is still answered where nothing is before it.
            if self._size and self._size + job.size > self._most:
                raise self._full(ahead, "the queue is full")
            if ahead and needs > job.deadline - job.since:
                raise self._full(
                    ahead, "more waits than can be answered in the time of the request"
                )
            self._jobs.append(job)
            self._size += job.size
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="cascade-batches", daemon=True
                )
                self._thread.start()
            elif self._idle or self._size >= self._batch:
                self._changed.notify()

    def _full(self, ahead: int, why: str) -> Problem:
        wait = min(LONGEST_RETRY, max(1, round(ahead / self._rate))) if self._rate else 1
        self._metrics.refused("full")
        return Problem(
            503,
            f"{why} ({ahead:,} items are before it); ask again in {wait} s",
            {"Retry-After": str(wait)},
        )

    def _drop(self, job: Job) -> None:
        with self._changed:
            if not job.dropped and job in self._jobs:
                self._size -= job.size
            job.dropped = True

    def _run(self) -> None:
        while jobs := self._next():
            started = time.monotonic()
            self._answer(jobs)
            self._learn(jobs, time.monotonic() - started)

    def _next(self) -> list[Job]:
        """The jobs of the next batch, when there are any; none where all is done."""
        with self._changed:
            self._busy = 0
            while not self._size and not self._closing:
                self._jobs.clear()
                self._idle = True
                self._changed.wait()
                self._idle = False
            self._gather()
            return self._take()

    def _gather(self) -> None:
        """Wait for those who are on their way, where several came together lately."""
        if self._company < 1.5 or self._wait <= 0:
            return
        until, seen = time.monotonic() + self._wait, -1
        while self._size < self._batch and self._size != seen and not self._closing:
            if (left := until - time.monotonic()) <= 0:
                return
            seen = self._size
            self._changed.wait(min(SLICE, left))

    def _take(self) -> list[Job]:
        """Jobs from the head of the queue, as many as make a batch, all of one kind."""
        taken: list[Job] = []
        passed: list[Job] = []
        size = 0
        while self._jobs:
            job = self._jobs[0]
            if job.dropped:
                self._jobs.popleft()
                continue
            alone = callable(job.work)
            if taken and (size + job.size > self._batch or alone):
                break
            self._jobs.popleft()
            if taken and job.top != taken[0].top:
                passed.append(job)
                continue
            taken.append(job)
            size += job.size
            if alone:
                break
        self._jobs.extendleft(reversed(passed))
        self._size -= size
        self._busy = size
        return taken

    def _answer(self, jobs: Sequence[Job]) -> None:
        """Give each job its answer; where a batch fails, each job is tried on its own."""
        try:
            answers = self._answered(jobs)
        except Exception as error:  # whatever it is, who asked is told
            if len(jobs) == 1:
                self._tell(jobs, [error])
                return
            for job in jobs:
                self._answer([job])
            return
        self._tell(jobs, answers)

    def _answered(self, jobs: Sequence[Job]) -> list[Any]:
        """The answer of each job."""
        if callable(jobs[0].work):
            return [jobs[0].work()]
        items = [item for job in jobs for item in job.work]  # type: ignore[union-attr]
        found: list[Prediction] = []
        asked = self._variant(jobs[0].top)
        for start in range(0, len(items), self._batch):
            found += asked.classify_read(items[start : start + self._batch])
        rest = iter(found)
        return [[next(rest) for _ in range(job.size)] for job in jobs]

    def _variant(self, top: int) -> Classifier:
        if top not in self._variants:
            self._variants[top] = self._classifier.variant(beam=top + 1)
        return self._variants[top]

    def _tell(self, jobs: Sequence[Job], answers: Sequence[Any]) -> None:
        """Give the answers to the event loops that wait for them, each woken once."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Job, Any]]] = {}
        for job, answer in zip(jobs, answers, strict=True):
            by_loop.setdefault(job.loop, []).append((job, answer))
        for loop, told in by_loop.items():
            try:
                loop.call_soon_threadsafe(_deliver, told)
            except RuntimeError:  # the loop is closed: nobody waits any more
                logger.warning("%d answers came after their server had ended", len(told))

    def _learn(self, jobs: Sequence[Job], seconds: float) -> None:
        """Remember how quick answers are, and how many requests came together."""
        size = sum(job.size for job in jobs)
        rate = size / max(seconds, 1e-6)
        self._rate = rate if not self._rate else KEPT * self._rate + (1 - KEPT) * rate
        self._company = KEPT * self._company + (1 - KEPT) * len(jobs)
        self._metrics.answered(len(jobs), size, seconds)


def _deliver(told: Sequence[tuple[Job, Any]]) -> None:
    for job, answer in told:
        if job.future.done():
            continue
        if isinstance(answer, Exception):
            job.future.set_exception(answer)
        else:
            job.future.set_result(answer)
