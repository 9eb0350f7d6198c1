"""Gathers what clients ask into batches, and answers them in a thread of its own.

While a batch is answered the next one gathers. Where requests of several clients came together
lately a batch also waits, some milliseconds at most, for those that are on their way; who asks
alone never waits. A batch takes about a second at most: larger requests are answered in parts,
between which others have their turn.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from types import GeneratorType
from typing import Any

from cascade.pipeline.classifier import Classifier
from cascade.serving.http.batches.pace import Pace, costs_of
from cascade.serving.http.batches.turns import Job, Part, Turns, Work
from cascade.serving.http.metrics import Metrics
from cascade.serving.http.problems import ENDED, Problem

SLICE = 0.001  # seconds: when nobody came in one of them, the batch waits no longer
KEPT = 0.8  # of what was known before of company, when a batch ends
LONGEST_RETRY = 60  # seconds
LAST = 3.0  # seconds for the batch at work, when the time to end is over
ALONE = -1  # the kind of functions, among numbers of alternatives
MORE: Any = object()  # a function that has a further step
LATE = "the time of the request is over; ask for less, or allow more time"

logger = logging.getLogger(__name__)


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
        self._turns = Turns()
        self._working: Sequence[Part] = ()
        self._began = 0.0
        self._idle = False
        self._company = 1.0  # requests that came together lately
        self._paces: dict[int, Pace] = {}
        self._closing = self._ending = False
        self._thread: threading.Thread | None = None
        metrics.follow_queue(lambda: self._turns.items)

    @property
    def is_open(self) -> bool:
        """Whether it takes jobs."""
        return not self._closing

    @property
    def is_working(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def open(self) -> None:
        """Take jobs, perhaps again after `close`."""
        with self._changed:
            if self._closing:
                self._closing = self._ending = False
                self._thread = None

    async def answer(
        self,
        work: Work,
        *,
        deadline: float,
        size: int | None = None,
        top: int = 0,
    ) -> Any:
        """Predictions for items, or what a function returns, when their turn has come.

        Who waits no longer, since its task was cancelled, gives its place away.

        Parameters
        ----------
        size
            Of a function: items that it takes as long as.

        Raises
        ------
        Problem
            503 where too much waits, or the service ends; 504 where its time is over.
        """
        loop = asyncio.get_running_loop()
        costs = [2.0 * (size or 1)] if callable(work) else costs_of(work)
        count = (size or 1) if callable(work) else len(work)
        if not count:
            return []
        job = Job(work, count, costs, top, deadline, loop.create_future(), loop)
        self._enter(job)
        try:
            return await job.future
        except asyncio.CancelledError:
            with self._changed:
                self._turns.drop(job)
            raise

    def close(self, seconds: float) -> bool:
        """Answer what waits and end the thread; whether that was done in time.

        What is not answered then is told so, and the batch at work has three seconds more.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = self._thread
        if thread is None:
            return True
        thread.join(seconds)
        if not thread.is_alive():
            return True
        with self._changed:
            self._ending = True
            waits = [*self._turns]
            for job in waits:
                self._turns.drop(job)
            self._changed.notify()
        told = Problem(503, ENDED, {"Retry-After": "5"})
        for _ in waits:
            self._metrics.refused("stopped")
        self._tell(waits, [told] * len(waits))
        thread.join(min(seconds, LAST))
        return not thread.is_alive() and not waits

    def _enter(self, job: Job) -> None:
        with self._changed:
            if self._closing:
                raise Problem(503, "the service ends; ask again", {"Retry-After": "5"})
            self._check(job)
            self._turns.add(job)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="cascade-batches", daemon=True
                )
                self._thread.start()
            elif self._idle or self._turns.items >= self._batch:
                self._changed.notify()

    def _check(self, job: Job) -> None:
        """Raise Problem where too much waits before a job."""
        others = [*self._turns]
        # What is larger than the queue is still answered where nothing waits, and fills no queue.
        waits = sum(other.size - other.begun for other in others if other.size <= self._most)
        full = waits + job.size > self._most if job.size <= self._most else bool(others)
        if full and others:
            self._refuse(others, "the queue is full")
        own = self._seconds(job)
        # Others that are larger take turns with it, so that no more of them is answered before it.
        before = self._running() + sum(min(self._seconds(other), own) for other in others)
        if (others or self._working) and before + own > job.deadline - job.since:
            self._refuse(others, "more waits than can be answered in the time of the request")

    def _refuse(self, others: Sequence[Job], why: str) -> None:
        left = self._running() + sum(map(self._seconds, others))
        wait = min(LONGEST_RETRY, max(1, round(left)))
        answering = sum(part.stop - part.start for part in self._working)
        self._metrics.refused("full")
        raise Problem(
            503,
            f"{why} ({self._turns.items:,} items wait, where serve.queue is {self._most:,}, and "
            f"{answering:,} are being answered); ask again in {wait} s",
            {"Retry-After": str(wait)},
        )

    def _seconds(self, job: Job) -> float:
        """What is left of a job."""
        return self._pace(job).seconds(job.left)

    def _running(self) -> float:
        """Seconds that the batch at work still takes: what is late already is later yet."""
        if not self._working:
            return 0.0
        pace = self._pace(self._working[0].job)
        return abs(pace.seconds(_units(self._working)) - (time.monotonic() - self._began))

    def _pace(self, job: Job) -> Pace:
        return self._paces.setdefault(ALONE if job.is_alone else job.top, Pace())

    def _run(self) -> None:
        while parts := self._next():
            self._answer(parts)
            self._learn(parts, time.monotonic() - self._began)

    def _next(self) -> list[Part]:
        """The parts of the next batch, when there are any; none where all is done."""
        with self._changed:
            self._working = ()
            while not self._ending:
                while not self._turns.items and not self._closing:
                    self._idle = True
                    self._changed.wait()
                    self._idle = False
                self._gather()
                if late := self._turns.late(time.monotonic()):
                    self._tell(late, [Problem(504, LATE)] * len(late))
                first = next(iter(self._turns), None)
                if first is not None:
                    self._working = self._turns.take(self._batch, self._pace(first).most)
                    self._began = time.monotonic()
                    return list(self._working)
                if self._closing:
                    return []
            return []

    def _gather(self) -> None:
        """Wait for those who are on their way, where several came together lately."""
        if self._company < 1.5 or self._wait <= 0:
            return
        until, seen = time.monotonic() + self._wait, -1
        while self._turns.items < self._batch and not self._closing:
            left = until - time.monotonic()
            if left <= 0 or self._turns.items == seen:
                return
            seen = self._turns.items
            self._changed.wait(min(SLICE, left))

    def _answer(self, parts: Sequence[Part]) -> None:
        """Answer parts of jobs; where a batch fails, each of them is tried on its own."""
        try:
            answers = self._answered(parts)
        except Exception as error:  # whatever it is, who asked is told
            if len(parts) > 1:
                for part in parts:
                    self._answer([part])
                return
            with self._changed:
                self._turns.drop(parts[0].job)
            self._tell([parts[0].job], [error])
            return
        whole = [job for part in parts if len((job := part.job).found) == job.size]
        if parts[0].job.is_alone:
            if answers is not MORE:
                self._tell([parts[0].job], [answers])
            return
        self._tell(whole, [job.found for job in whole])

    def _answered(self, parts: Sequence[Part]) -> Any:
        """Answer parts; what a function returns."""
        first = parts[0].job
        if first.is_alone:
            return self._stepped(first)
        items = [
            item
            for part in parts
            for item in part.job.work[part.start : part.stop]  # type: ignore[index]
        ]
        rest = iter(self._variant(first.top).classify_read(items))
        for part in parts:
            part.job.found += [next(rest) for _ in range(part.stop - part.start)]
        return None

    def _stepped(self, job: Job) -> Any:
        """What a function returns; MORE where a step of its generator was made."""
        if job.steps is None:
            found = job.work()  # type: ignore[operator]
            if not isinstance(found, GeneratorType):
                return found
            job.steps = found
        try:
            next(job.steps)
        except StopIteration as end:
            return end.value
        with self._changed:
            if not job.dropped:
                self._turns.add(job)
        return MORE

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

    def _learn(self, parts: Sequence[Part], seconds: float) -> None:
        """Remember how quick answers are, and how many requests came together."""
        with self._changed:
            self._pace(parts[0].job).learn(_units(parts), seconds)
        self._company = KEPT * self._company + (1 - KEPT) * len(parts)
        self._metrics.answered(len(parts), sum(part.stop - part.start for part in parts), seconds)


def _units(parts: Sequence[Part]) -> float:
    return sum(part.units for part in parts)


def _deliver(told: Sequence[tuple[Job, Any]]) -> None:
    for job, answer in told:
        if job.future.done():
            continue
        if isinstance(answer, Exception):
            job.future.set_exception(answer)
        else:
            job.future.set_result(answer)
