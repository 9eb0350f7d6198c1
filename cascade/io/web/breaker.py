"""A circuit breaker: who has failed again and again is left alone, and tried after a while."""

from __future__ import annotations

import threading
import time


class Breaker:
    """Tells whether a server is worth a request (Nygard, *Release It!*, 2007); for many threads.

    It opens after some failures in a row. While it is open nothing is asked; after a rest a single
    request may try whether the server is back. The rest doubles each time that it is not.

    Parameters
    ----------
    most
        Weight of failures in a row after which it opens; see `failed`.
    rest, longest
        Seconds until the first trial, and the most that they double to.

    Attributes
    ----------
    problem
        How the last request failed.
    """

    def __init__(self, most: int, rest: float, longest: float) -> None:
        self.problem = ""
        self._most, self._first, self._longest = most, rest, longest
        self._lock = threading.Lock()
        self._failures = 0
        self._rest = rest
        self._until = 0.0
        self._open = self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether the server is left alone, but for trials."""
        return self._open

    def allows(self) -> bool:
        """Whether a request may be sent now; its outcome must be told."""
        with self._lock:
            if not self._open:
                return True
            if time.monotonic() < self._until:
                return False
            self._trying = True
            self._until = time.monotonic() + self._rest  # no other before this one has ended
            return True

    def succeeded(self) -> None:
        """A request was answered."""
        with self._lock:
            self._failures, self._rest = 0, self._first
            self._open = self._trying = False

    def failed(self, problem: str, weight: int = 1) -> None:
        """A request failed for good."""
        with self._lock:
            self.problem = problem
            self._failures += weight
            if self._open:
                if not self._trying:
                    return  # it was under way when the breaker opened
                self._trying, self._rest = False, min(self._rest * 2, self._longest)
            elif self._failures < self._most:
                return
            self._open = True
            self._until = time.monotonic() + self._rest
