"""Processes on this machine that answer beside this one.

Where each computes with one thread they are forked: they begin with the models of this process, at
once and in the same memory (`cascade.forks` says what makes that safe). Else they are spawned, and
load models for themselves: threads of libraries do not outlive a fork. Answers come in the order in
which they were asked for, so that a run in several processes writes what a run in one does.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Self

from cascade import errors
from cascade.errors import CascadeError, EngineError
from cascade.pipeline.classifier import Classifier
from cascade.processes import die_with

DEATHS = 3  # times that work is given out again when a process dies over it
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass
class _Asked:
    """What was asked for, and what will come of it."""

    given: tuple[Any, ...]
    answer: Future[tuple[Any, Any]]


class Pool:
    """Answers in several processes, in the order in which it was asked.

    Parameters
    ----------
    classifier
        What answers; each process has it, or a copy whose models it loads for itself.
    work
        A function of a module: `work(classifier, *given)` is what a process does. Values and
        results are pickled.
    size
        How many processes.

    Attributes
    ----------
    room
        Askings that may wait at once for all processes to have work.
    """

    def __init__(self, classifier: Classifier, work: Callable[..., Any], size: int) -> None:
        self.room = 2 * size + 1
        self._size = size
        self._classifier, self._work = classifier, work
        self._waiting: deque[_Asked] = deque()
        self._processes = self._started()

    def _started(self) -> ProcessPoolExecutor:
        return started(self._classifier, self._work, self._size)

    def ask(self, *given: Any) -> None:
        """Give work out."""
        self._waiting.append(_Asked(given, self._submitted(given)))

    def _submitted(self, given: tuple[Any, ...]) -> Future[tuple[Any, Any]]:
        try:
            return submitted(self._processes, self._size, given)
        except BrokenProcessPool as error:  # told when its turn comes
            failed: Future[tuple[Any, Any]] = Future()
            failed.set_exception(error)
            return failed

    def next(self) -> Any:
        """What comes of the first work that waits.

        Raises
        ------
        CascadeError
            As in this process.
        EngineError
            Processes died over the same work again and again.
        """
        asked, deaths = self._waiting[0], 0
        while True:
            try:
                result, error = asked.answer.result()
                break
            except BrokenProcessPool:
                deaths += 1
                if deaths > DEATHS:
                    raise EngineError(
                        f"a worker died {deaths} times over the same rows; where memory was short "
                        "give fewer --workers; finished rows are kept, go on with --resume"
                    ) from None
                self._begin_again()
        self._waiting.popleft()
        if error is not None:
            raise error_of(*error)
        return result

    def _begin_again(self) -> None:
        """New processes, with all work of which nothing came."""
        self._processes.shutdown(cancel_futures=True)
        self._processes = self._started()
        for asked in self._waiting:
            if asked.answer.cancelled() or asked.answer.exception() is not None:
                asked.answer = self._submitted(asked.given)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._processes.shutdown(cancel_futures=True)


def started(
    classifier: Classifier, work: Callable[..., Any], size: int, of: int | None = None
) -> ProcessPoolExecutor:
    """Processes for `submitted`.

    Parameters
    ----------
    of
        How many processes share the cores, if there are others beside these.
    """
    parent = os.getpid()
    if may_fork(of or size):
        given = parent, classifier, work
        return ProcessPoolExecutor(size, get_context("fork"), _begin_forked, given)
    # Made by the first work: an error there has words, one while a process starts has none.
    parts = parent, classifier.__reduce__(), work
    return ProcessPoolExecutor(size, get_context("spawn"), _begin, parts)


def submitted(
    processes: ProcessPoolExecutor, of: int, given: tuple[Any, ...]
) -> Future[tuple[Any, Any]]:
    """What will come of some work, and the error, of which one is None; see `error_of`.

    Raises
    ------
    BrokenProcessPool
        A process died; start others.
    """
    with _shared_threads(of):  # processes start when there is work
        return processes.submit(_answer, given)


def may_fork(size: int) -> bool:
    """Whether so many processes may take the models of this one with its memory.

    They compute with one thread then, which must be their share anyway. GPUs, and engines with
    processes of their own, outlive no fork; beside Linux the libraries of the system do not.
    """
    if sys.platform != "linux" or "vllm" in sys.modules:
        return False
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return False
    return _threads_of(size) == 1


def _threads_of(size: int) -> int:
    """Threads of each of so many processes: as somebody has said, or their part of the cores."""
    said = next((os.environ[name] for name in THREADS if name in os.environ), "")
    first = said.partition(",")[0].strip()
    return int(first) if first.isdecimal() else max(1, (os.cpu_count() or 1) // size)


@contextmanager
def _shared_threads(size: int) -> Iterator[None]:
    """Let processes that start have their part of the cores, where nobody has said how many."""
    if any(name in os.environ for name in THREADS):
        yield
        return
    share = str(_threads_of(size))
    os.environ.update(dict.fromkeys(THREADS, share))
    try:
        yield
    finally:
        for name in THREADS:
            os.environ.pop(name, None)


class _Worker:
    """What a process of a pool has; one for each process."""

    made_of: tuple[Any, ...]
    work: Callable[..., Any]
    classifier: Classifier | None = None


def _begin(parent: int, made_of: tuple[Any, ...], work: Callable[..., Any]) -> None:
    die_with(parent)
    _Worker.made_of, _Worker.work = made_of, staticmethod(work)


def _begin_forked(parent: int, classifier: Classifier, work: Callable[..., Any]) -> None:
    """Begin in a fork, whose streams and handlers are those of its parent."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    die_with(parent)
    # A thread of the parent that was writing holds the locks of its streams for ever.
    sys.stdout, sys.stderr = (open(at, "w", closefd=False) for at in (1, 2))  # noqa: SIM115
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.stream = sys.stderr
    gc.freeze()  # what is not looked at stays in the memory of the parent
    _Worker.work, _Worker.classifier = staticmethod(work), classifier


def _answer(given: tuple[Any, ...]) -> tuple[Any, Any]:
    """What comes of some work, or the error, as values that other processes can read."""
    try:
        if _Worker.classifier is None:
            make, values, state = _Worker.made_of
            made = make(*values)
            made.__setstate__(state)
            _Worker.classifier = made
        return _Worker.work(_Worker.classifier, *given), None
    except CascadeError as error:
        return None, (type(error).__name__, error.args, error.exit_status)


def error_of(name: str, said: tuple[Any, ...], exit_status: int) -> CascadeError:
    """The error of a worker, of its name and arguments."""
    kind = getattr(errors, name, CascadeError)
    error: CascadeError = kind.__new__(kind)
    error.args, error.exit_status = said, exit_status
    return error
