"""Connections within bounds: how many, how long the head of a request may take, how large it is."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cascade.serving.http.problems import MEDIA_TYPE, as_json

HEAD_SECONDS = 10.0  # for the head of a request, and for the first one to begin
HEAD_BYTES = 64 << 10


class Connection(HttpToolsProtocol):
    """Uvicorn's connection, which has no bounds of its own for heads.

    Parameters
    ----------
    most
        Connections at the same time; a further one is told so and closed.
    """

    def __init__(self, *arguments: Any, most: int, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._most = most
        self._head: int | None = 0  # bytes so far of a head that is not whole; else None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the head of a request, or say that there are too many connections."""
        super().connection_made(transport)
        if len(self.connections) > self._most:
            self._say(503, "there are too many connections; ask again in 1 s", "Retry-After: 1\r\n")
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, as long as the head is not too large."""
        if self.transport.is_closing():
            return
        if self._head is not None:
            self._head += len(data)
            if self._head > HEAD_BYTES and self._timer is not None:
                # The head and the beginning of its body may come together: the parser knows.
                self._head = HEAD_BYTES - len(data)
                super().data_received(data)
                if self._head is not None and not self.transport.is_closing():
                    self._say(431, f"the head of the request is larger than {HEAD_BYTES:,} bytes")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Count the next head."""
        super().on_message_begin()
        self._head = 0
        if self._timer is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head = None
        self._wait_no_more()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self._say(408, f"the head of the request did not come in {HEAD_SECONDS:.0f} s")

    def _say(self, status: int, detail: str, more: str = "") -> None:
        body = as_json(status, detail)
        head = (
            f"HTTP/1.1 {status} \r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            f"connection: close\r\n{more}\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
