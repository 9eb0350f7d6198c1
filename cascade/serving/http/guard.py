"""Who may ask: the name that a service is called by, the page that asks, the token.

One ASGI layer around an application; it also counts requests and gives what nobody caught one form.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cascade.config.serving import LOOPBACK
from cascade.serving.http.metrics import Metrics
from cascade.serving.http.problems import MEDIA_TYPE, Problem, as_json, hang_up, problem_of
from cascade.serving.http.reading import Headers

OPEN = ("/health", "/ready")  # for those who watch machines; they tell nothing
SAFE = ("GET", "HEAD", "OPTIONS")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
Quick = Mapping[tuple[str, str], Callable[[Headers, Receive], Awaitable[bytes]]]

logger = logging.getLogger(__name__)


class Guard:
    """Refuses requests that may not ask.

    Parameters
    ----------
    token
        What requests must bring, as `Authorization: Bearer TOKEN`, or as the password of a browser
        that asks its user; None where only this machine can ask.
    hosts
        Names that the service may be called by; any where there is none. A page of another site
        whose name was made to point at this machine (DNS rebinding) calls it by its own name.
    most
        Bytes of a body.
    quick
        What is asked most, by method and path: answered here with JSON, without the way through an
        application of many layers, which takes as long as a quick model.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        token: str | None,
        hosts: Collection[str],
        most: int,
        quick: Quick | None = None,
        log_requests: bool = False,
    ) -> None:
        self._app, self._metrics = app, metrics
        self._token = None if token is None else token.encode()
        self._hosts = frozenset(hosts)
        self._most = most
        self._quick = dict(quick or {})
        self._log = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":  # nothing here speaks it
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers: Headers = dict(scope["headers"])
        asked = scope["method"], scope["path"]
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_always(message["headers"])]
            await send(message)

        try:
            if (problem := self._problem(scope, headers)) is not None:
                raise problem
            if asked in self._quick and not scope["query_string"]:
                body = await self._quick[asked](headers, receive)
                status = 200
                await _send(send, 200, [_JSON, *_ALWAYS], body)
            else:
                await self._app(scope, self._bounded(scope, receive), sending)
        except Exception as error:  # a defect: who asked gets the form of all errors
            if status:
                raise
            problem = problem_of(error)
            status = problem.status
            await _refuse(problem, send, hang_up(headers))
        finally:
            self._count(scope, status, time.perf_counter() - started)

    def _problem(self, scope: Scope, headers: Headers) -> Problem | None:
        """Why a request may not ask."""
        told = headers.get(b"content-length", b"")
        if told.isdigit() and int(told) > self._most:
            return self._too_large
        if scope["path"] in OPEN and scope["method"] in SAFE:
            return None  # probes call a machine by its address
        host = headers.get(b"host", b"").decode("latin-1")
        if self._hosts and _name(host) not in self._hosts:
            return Problem(
                421,
                "this service is not known by the name in the header Host; call it by one of "
                f"{', '.join(sorted(self._hosts))}, or set serve.hosts",
            )
        origin = headers.get(b"origin")
        if origin is not None and scope["method"] not in SAFE and _site(origin) != host.lower():
            return Problem(403, "a page of another site may not ask; see the header Origin")
        if self._token is None:
            return None
        if _has_token(headers.get(b"authorization", b""), self._token):
            return None
        challenge = 'Bearer realm="cascade", Basic realm="cascade", charset="UTF-8"'
        return Problem(
            401,
            "expected the header `Authorization: Bearer TOKEN` with the token of this service",
            {"WWW-Authenticate": challenge},
        )

    @property
    def _too_large(self) -> Problem:
        return Problem(
            413,
            f"the body is larger than {self._most:,} bytes; send fewer items in a request",
        )

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """The body, as far as it is within bounds; where its length is told, it is known to be."""
        if any(name == b"content-length" for name, _ in scope["headers"]):
            return receive
        size = 0

        async def receiving() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._most:
                raise HTTPException(413, self._too_large.detail)
            return message

        return receiving

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        if (scope["method"], scope["path"]) in self._quick:
            route = scope["path"]
        else:
            route = getattr(scope.get("route"), "path", "") or "other"
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.request(method, route, status, seconds)
        if self._log:
            logger.info("%s %s %d %.1f ms", method, route, status, 1000 * seconds)


def local_hosts(hosts: Iterable[str] = ()) -> frozenset[str]:
    """The names of this machine alone, and others."""
    return frozenset([*LOOPBACK, *hosts])


def _name(host: str) -> str:
    """The header Host without its port."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _site(origin: bytes) -> str:
    """The host and the port in the header Origin; empty where it names none."""
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower()
    except ValueError:
        return ""


def _has_token(header: bytes, token: bytes) -> bool:
    """Whether a header brings the token; how long that takes tells nothing of it."""
    kind, _, given = header.partition(b" ")
    given = given.strip()
    if kind.lower() == b"basic":
        try:
            given = base64.b64decode(given, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
    elif kind.lower() != b"bearer":
        return False
    return hmac.compare_digest(given, token)


_ALWAYS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
_JSON = b"content-type", b"application/json"


def _always(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers of every response: no guesses at its type, no copies kept on the way."""
    known = {name.lower() for name, _ in headers}
    return [header for header in _ALWAYS if header[0] not in known]


async def _refuse(problem: Problem, send: Send, more: Mapping[str, str]) -> None:
    named = {**problem.headers, **more}
    own = [(name.lower().encode(), text.encode()) for name, text in named.items()]
    headers = [(b"content-type", MEDIA_TYPE.encode()), *_ALWAYS, *own]
    await _send(send, problem.status, headers, as_json(problem.status, problem.detail))


async def _send(
    send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes
) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
