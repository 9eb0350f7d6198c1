"""Forked children: they take the memory of their parent, but none of its threads or connections.

What holds threads, connections or locks names here how it is made anew in a child. A fork waits
for the batches that are classified at that moment, so that no lock of theirs is left closed in the
child, and a child computes with one thread: OpenMP waits for ever for those of its parent.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

T = TypeVar("T")

_PARALLEL = "TOKENIZERS_PARALLELISM"  # read by the tokenizers, which would warn of each fork

_renewed: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()
_turns: WeakSet[Turn] = WeakSet()
_held: list[Turn] = []
_state = {"child": False, "narrowed": False, "silenced": False}


class Turn:
    """Lets one thread at a time in, and forks wait until it has left; as a context manager."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        _turns.add(self)

    def __enter__(self) -> None:
        self.lock.acquire()
        if _state["child"] and not _state["narrowed"]:
            _compute_alone()

    def __exit__(self, *error: object) -> None:
        self.lock.release()


def renew_in_child(owner: T, renew: Callable[[T], None]) -> None:
    """Call `renew(owner)` in each forked child while the owner is there."""
    _renewed[owner] = renew


def _compute_alone() -> None:
    from threadpoolctl import threadpool_limits

    _state["narrowed"] = True
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    threadpool_limits(1)


def _before() -> None:
    _held[:] = list(_turns)
    for turn in _held:
        turn.lock.acquire()
    if _held and _PARALLEL not in os.environ:
        os.environ[_PARALLEL], _state["silenced"] = "false", True


def _in_parent() -> None:
    if _state["silenced"]:
        del os.environ[_PARALLEL]
        _state["silenced"] = False
    while _held:
        _held.pop().lock.release()


def _in_child() -> None:
    _held.clear()
    _state["silenced"] = False  # it stays so
    if not _turns and not _renewed:
        return
    _state.update(child=True, narrowed=False)
    for turn in _turns:
        turn.lock = threading.RLock()
    for owner, renew in list(_renewed.items()):
        renew(owner)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
