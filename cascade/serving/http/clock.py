"""How long an answer is waited for: until the time of its request is over, or the client gone."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from starlette.types import Receive

from cascade.serving.http.metrics import Metrics
from cascade.serving.http.problems import CLOSE, ENDED, Problem

PATIENCE = 0.25  # seconds of waiting from which it pays to see whether the client is still there


class Clock:
    """The time of a request, as an asynchronous context manager.

    Attributes
    ----------
    deadline
        On the clock of `time.monotonic`.
    """

    __slots__ = (
        "_gone",
        "_listening",
        "_metrics",
        "_read",
        "_task",
        "_timeout",
        "_timer",
        "deadline",
    )

    def __init__(self, seconds: float, metrics: Metrics) -> None:
        self._metrics = metrics
        self._timeout = asyncio.timeout(seconds)
        self.deadline = time.monotonic() + seconds
        self._read = self._gone = False
        self._timer: asyncio.TimerHandle | None = None
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Clock:
        await self._timeout.__aenter__()
        return self

    def reads_no_body(self) -> None:
        """From now on the answer alone is waited for."""
        self._read = True

    def has_read(self, receive: Receive) -> None:
        """The body has come: from now on the client may only go away, which ends the waiting."""
        self._read = True
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._listen, receive)

    async def __aexit__(self, *error: Any) -> None:
        """Raise Problem where it was not answered.

        Time is over (408 while the body came, else 504), nobody waits, or the server ends.
        """
        if self._timer is not None:
            self._timer.cancel()
        if self._listening is not None:
            self._listening.cancel()
        try:
            await self._timeout.__aexit__(*error)
        except TimeoutError:
            self._metrics.refused("late")
            if self._read:
                told = "the time of the request is over; ask for less, or allow more time"
                raise Problem(504, told) from None
            told = "the body did not come in the time of the request"
            raise Problem(408, told, CLOSE) from None
        if self._gone and self._task is not None:
            self._task.uncancel()
            self._metrics.refused("gone")
            raise Problem(400, "the client went away before it was answered", CLOSE)
        if error and error[0] is asyncio.CancelledError:  # the server's time to end is over
            self._metrics.refused("stopped")
            raise Problem(503, ENDED, {"Retry-After": "5", **CLOSE})

    def _listen(self, receive: Receive) -> None:
        self._listening = asyncio.get_running_loop().create_task(self._until_gone(receive))

    async def _until_gone(self, receive: Receive) -> None:
        message = await receive()
        if message["type"] == "http.disconnect" and self._task is not None:
            self._gone = True
            self._task.cancel()
