"""What waits, and whose turn it is: requests take turns, however large each of them is."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cascade.items import Item
from cascade.predictions import Prediction

Work = Sequence[Item | Prediction] | Callable[[], Any]


@dataclass(eq=False, slots=True)
class Job:
    """What one request waits for.

    Parameters
    ----------
    work
        Items, or a function that is called alone; where that returns a generator each of its steps
        is a part.
    size
        Items that it counts as in the queue.
    costs
        What each item costs, in units; one number for a function.
    top
        Alternatives that are asked for: only jobs that ask for as many are answered together.
    deadline
        On the clock of `time.monotonic`.

    Attributes
    ----------
    begun
        Items whose turn has come.
    left
        Units of the others.
    found
        Answers so far.
    """

    work: Work
    size: int
    costs: Sequence[float]
    top: int
    deadline: float
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    since: float = field(default_factory=time.monotonic)
    dropped: bool = False
    begun: int = 0
    left: float = 0.0
    found: list[Any] = field(default_factory=list)
    steps: Generator[Any, None, Any] | None = None

    def __post_init__(self) -> None:
        self.left = sum(self.costs)

    @property
    def is_alone(self) -> bool:
        """Whether it is a function."""
        return callable(self.work)


@dataclass(frozen=True)
class Part:
    """Some items of a job, which are answered together with parts of others."""

    job: Job
    start: int
    stop: int

    @property
    def units(self) -> float:
        """What it costs."""
        if self.job.is_alone:
            return self.job.costs[0]
        return sum(self.job.costs[self.start : self.stop])


class Turns:
    """Jobs in the order of their turns. Who uses it holds a lock."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self.items = 0  # that wait

    def __iter__(self) -> Iterator[Job]:
        return (job for job in self._jobs if not job.dropped)

    def add(self, job: Job) -> None:
        """Let a job wait; perhaps again, for its next step."""
        job.begun, job.left = 0, sum(job.costs)
        self._jobs.append(job)
        self.items += job.size

    def drop(self, job: Job) -> None:
        """Forget what is left of a job."""
        if not job.dropped:
            job.dropped = True
            self.items -= job.size - job.begun

    def late(self, now: float) -> list[Job]:
        """Drop the jobs whose time is over, and return them."""
        found = [job for job in self if job.deadline <= now]
        for job in found:
            self.drop(job)
        return found

    def take(self, most: int, units: float) -> list[Part]:
        """Parts for a batch, of jobs that can be answered together.

        Each gets an equal share, and what others do not need; then it waits behind the others. One
        item is taken in any case.
        """
        self._jobs = deque(self)
        if not self._jobs:
            return []
        if (first := self._jobs[0]).is_alone:
            self._jobs.popleft()
            return [self._part(first, first.size)]
        able = [job for job in self._jobs if not job.is_alone and job.top == first.top]
        parts = [
            self._part(job, stop)
            for job, stop in zip(able, _shares(able, most, units), strict=True)
            if stop > job.begun
        ]
        served = {part.job for part in parts}
        behind = [part.job for part in parts if part.stop < part.job.size]
        self._jobs = deque([*(job for job in self._jobs if job not in served), *behind])
        return parts

    def _part(self, job: Job, stop: int) -> Part:
        part = Part(job, job.begun, stop)
        self.items -= stop - job.begun
        job.left = max(0.0, job.left - part.units)
        job.begun = stop
        return part


def _shares(jobs: Sequence[Job], most: int, units: float) -> list[int]:
    """Where the part of each job ends."""
    stops = [job.begun for job in jobs]
    used = [0.0] * len(jobs)
    items, spent = 0, 0.0
    even = max(1, most // len(jobs)), units / len(jobs)
    for share, part in (even, (most, units)):
        for at, job in enumerate(jobs):
            while stops[at] < job.size and items < most:
                cost = job.costs[stops[at]]
                if items and spent + cost > units:
                    break
                given = stops[at] - job.begun
                if given and (given >= share or used[at] + cost > part):
                    break
                stops[at] += 1
                items += 1
                used[at] += cost
                spent += cost
    return stops
