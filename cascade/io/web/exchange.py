"""One HTTP request and its answer: a deadline for all of it, a size, and no redirect followed."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpcore

SLICE = 0.25  # seconds after which a waiting request looks whether it is still wanted
CONNECT = 10.0  # seconds for one address of a host
ERROR_SECONDS = 2.0  # for the body of an answer that is an error anyway
ERROR_BYTES = 64 << 10
PIECE = 16 << 10  # bytes that are sent at a time

CheckPlace = Callable[[str, int, Sequence[str]], None]
"""Raises where the addresses of a host and port must not be reached."""


class NoReply(Exception):
    """There is no answer that could be used.

    Parameters
    ----------
    problem
        What happened.
    reason
        In few words that are the same for all requests that failed so: `timed out`, `was not
        reached`, `broke off`, `sent too much`.
    """

    def __init__(self, problem: str, reason: str) -> None:
        self.problem, self.reason = problem, reason
        super().__init__(problem)


class _NotAsked(Exception):
    """What was read stood behind the answer before; taken, it would move all that follow."""


@dataclass(frozen=True)
class Reply:
    """What a server answered.

    Parameters
    ----------
    headers
        By name in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class _Task(threading.local):
    """Until when the request of this thread may take, and whether somebody still waits for it."""

    until: float = 0.0
    given_up: threading.Event | None = field(default=None)

    def left(self) -> float:
        if self.given_up is not None and self.given_up.is_set():
            raise NoReply("it is not waited for any more", "was given up")
        left = self.until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left


class Connections:
    """Sends requests, over connections that stay open; for many threads.

    Parameters
    ----------
    check
        What addresses must pass before they are connected to. The connection then goes to the very
        address that was checked, so that a name cannot mean another one a moment later.
    proxies
        Whether proxies are used that the environment names (`HTTPS_PROXY`, `NO_PROXY`, ...).
    """

    def __init__(self, check: CheckPlace | None = None, *, proxies: bool = True) -> None:
        self._proxies = proxies and check is None
        self._tls = ssl.create_default_context()  # of this machine, as other programs use it
        self._task = _Task()
        self._backend = _Backend(self._task, check)
        self._pools: dict[str | None, httpcore.ConnectionPool] = {}
        self._lock = threading.Lock()
        self._process = os.getpid()

    def send(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        seconds: float,
        most: int,
        given_up: threading.Event | None = None,
    ) -> Reply:
        """The answer to a GET, or with a body to a POST.

        Parameters
        ----------
        seconds
            For all of it: finding the host, connecting, sending, and reading to the end.
        most
            Bytes of the answer, unpacked.
        given_up
            Once it is set the request ends within a quarter of a second.

        Raises
        ------
        NoReply
            The server was not reached, broke off, was too slow, or sent too much.
        """
        self._task.until, self._task.given_up = time.monotonic() + seconds, given_up
        method = "GET" if body is None else "POST"
        own = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "cascade", **headers}
        try:
            with self._pool(url).stream(
                method, url, headers=list(own.items()), content=body
            ) as answer:
                if not answer.extensions["network_stream"].heard:
                    raise _NotAsked
                found = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in answer.headers
                }
                return Reply(answer.status, found, self._body(answer, found, most))
        except _NotAsked:  # that connection is closed; the next one is new
            left = self._task.until - time.monotonic()
            return self.send(url, headers, body, seconds=left, most=most, given_up=given_up)
        except httpcore.TimeoutException:
            problem = f"timed out: no whole answer within {seconds:.3g} seconds"
            raise NoReply(problem, "timed out") from None
        except (httpcore.ConnectError, httpcore.ProxyError) as error:
            raise NoReply(f"not reached ({error})", "was not reached") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, zlib.error) as error:
            raise NoReply(f"broke off ({error or repr(error)})", "broke off") from None
        except (httpcore.UnsupportedProtocol, ValueError) as error:  # ValueError: of odd addresses
            raise NoReply(f"no address that can be asked ({error})", "was not reached") from None

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            pools, self._pools = self._pools, {}
        if self._process == os.getpid():  # those of a parent process are still its own
            for pool in pools.values():
                pool.close()

    def _pool(self, url: str) -> httpcore.ConnectionPool:
        proxy = _proxy_for(url) if self._proxies else None
        with self._lock:
            if self._process != os.getpid():
                # A fork shares the sockets of its parent, and must not write to them.
                self._process, self._pools = os.getpid(), {}
            if proxy not in self._pools:
                self._pools[proxy] = self._made(proxy)
            return self._pools[proxy]

    def _made(self, proxy: str | None) -> httpcore.ConnectionPool:
        limits: dict[str, Any] = {
            "ssl_context": self._tls,
            "max_connections": None,
            "keepalive_expiry": 30.0,
            "network_backend": self._backend,
        }
        if proxy is None:
            return httpcore.ConnectionPool(**limits)
        parts = urllib.parse.urlsplit(proxy)
        user = None
        if parts.username:
            user = (
                urllib.parse.unquote(parts.username),
                urllib.parse.unquote(parts.password or ""),
            )
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        return httpcore.HTTPProxy(place, proxy_auth=user, **limits)

    def _body(self, answer: httpcore.Response, headers: Mapping[str, str], most: int) -> bytes:
        failed = answer.status >= 300
        if failed:  # its text helps, if it comes
            most = ERROR_BYTES
            self._task.until = min(self._task.until, time.monotonic() + ERROR_SECONDS)
        told = headers.get("content-length", "")
        if not failed and told.isascii() and told.isdigit() and int(told[:20]) > most:
            raise _too_much(most)
        found = bytearray()
        try:
            for piece in _unpacked(answer.iter_stream(), headers.get("content-encoding", ""), most):
                found += piece
                if len(found) > most:
                    if failed:
                        break
                    raise _too_much(most)
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
            if not failed:
                raise
        return bytes(found[:most])


class _Backend(httpcore.NetworkBackend):
    """Connects to addresses that pass the check, each step within the deadline of the request."""

    def __init__(self, task: _Task, check: CheckPlace | None) -> None:
        self._task, self._check = task, check
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        places = resolved(host, port, self._task.left())
        if self._check is not None:
            self._check(host, port, places)
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        for place in places:
            try:
                stream = self._inner.connect_tcp(
                    place, port, min(self._task.left(), CONNECT), local_address, socket_options
                )
                return _Stream(stream, self._task)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem


class _Stream(httpcore.NetworkStream):
    """A connection whose every step keeps to the deadline of the request that uses it.

    Attributes
    ----------
    heard
        Whether anything came since the request was sent.
    """

    def __init__(self, inner: httpcore.NetworkStream, task: _Task) -> None:
        self._inner, self._task = inner, task
        self.heard = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            try:
                found = self._inner.read(max_bytes, min(self._task.left(), SLICE))
            except httpcore.ReadTimeout:
                self._task.left()  # raises where none is
            else:
                self.heard = True
                return found

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.heard = False
        for start in range(0, len(buffer), PIECE):
            self._inner.write(buffer[start : start + PIECE], self._task.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.start_tls(
            ssl_context, server_hostname, min(self._task.left(), CONNECT)
        )
        return _Stream(stream, self._task)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def resolved(host: str, port: int, seconds: float) -> list[str]:
    """The IP addresses of a host, as the system tells them.

    Raises
    ------
    httpcore.ConnectError, httpcore.ConnectTimeout
        It has none, or they are not told in time.
    """
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    # No call ends a resolver that hangs; a daemon thread holds nobody up.
    asking = threading.Thread(target=ask, daemon=True, name="cascade-resolver")
    asking.start()
    asking.join(seconds)
    if not found:
        raise httpcore.ConnectTimeout(f"the name {host} was not resolved in time")
    if isinstance(found[0], Exception):
        raise httpcore.ConnectError(f"the name {host} is not known: {found[0]}")
    return list(dict.fromkeys(str(place[4][0]) for place in found[0]))


def _proxy_for(url: str) -> str | None:
    """The proxy that the environment names for an address, if it is one of HTTP."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    return proxy if proxy.startswith(("http://", "https://")) else None


def _unpacked(pieces: Iterator[bytes], encoding: str, most: int) -> Iterator[bytes]:
    """The pieces of a body, unpacked no further than one byte beyond what is allowed.

    Nothing packed is asked for, but some gateways pack all the same.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        yield from pieces
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise NoReply(f"packed as {encoding!r:.40}, which was not asked for", "broke off")
    unpacking, size = zlib.decompressobj(47), 0
    for packed in pieces:
        part = b"."
        while size <= most and (packed or part):
            part = unpacking.decompress(packed, 1 << 16)
            packed = unpacking.unconsumed_tail
            size += len(part)
            yield part
    if not unpacking.eof and size <= most:
        raise zlib.error("the packed answer ends too soon")


def _too_much(most: int) -> NoReply:
    return NoReply(f"the answer has more than {most >> 10:,} KiB", "sent too much")
