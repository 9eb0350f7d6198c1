"""JSON over HTTP to a server that the user has named: retries, time limits, and a budget."""

from __future__ import annotations

import email.utils
import json
import logging
import os
import random
import ssl
import threading
import time
import urllib.parse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from cascade.config import ServerConfig
from cascade.errors import ConfigError, EngineError

FIRST_WAIT = 0.5  # seconds before the first retry; then twice as long each time
LONGEST_WAIT = 60.0  # seconds; a server that asks for more is not waited for
MOST_BYTES = 256 * 2**20  # of one answer
AGAIN = (408, 409, 425, 429)  # and all of 5xx but 501

logger = logging.getLogger(__name__)


@dataclass
class _Again(Exception):
    """A request that failed in a way that may pass, and how long the server wants to rest."""

    problem: str
    wait: float | None = None


class Client:
    """Sends requests to one server.

    A request is sent again after 408, 409, 425, 429, 5xx (not 501), a broken connection, a time-out
    or an answer that is no JSON. Between tries it waits as long as the server says, or twice as
    long each time, less a random part, so that many clients do not come back at once.
    Redirects are not followed, since they would carry items and key to another server.

    Parameters
    ----------
    config
        Address, key, limits and budget.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self.url = _checked(config.url)
        self.root = self.url.removesuffix("/v1")
        self._http = httpx.Client(
            headers={"Content-Type": "application/json", **_key(config.api_key_env)},
            timeout=config.timeout,
            limits=httpx.Limits(max_connections=None),
            verify=ssl.create_default_context(),  # of this machine, as other programs use them
        )
        self._lock = threading.Lock()
        self._requests = 0
        self._tokens = 0

    def get(self, url: str) -> dict[str, Any]:
        """The answer to a GET, outside of the budget."""
        return self._send(url, None, threading.Event(), counted=False)

    def post(self, url: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The answer to a POST, outside of the budget."""
        return self._send(url, payload, threading.Event(), counted=False)

    def post_all(self, url: str, payloads: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers to POSTs in their order, some of them under way at a time.

        Raises
        ------
        EngineError
            A request failed for good, or the budget is spent.
        """
        given_up = threading.Event()
        with ThreadPoolExecutor(self._config.concurrency) as pool:
            pending = [pool.submit(self._send, url, payload, given_up) for payload in payloads]
            try:
                return [one.result() for one in pending]
            finally:
                given_up.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def _send(
        self,
        url: str,
        payload: dict[str, Any] | None,
        given_up: threading.Event,
        *,
        counted: bool = True,
    ) -> dict[str, Any]:
        body = None if payload is None else json.dumps(payload).encode()
        for tried in range(1, self._config.retries + 2):
            try:
                return self._once(url, body, counted)
            except _Again as failure:
                problem, wait = failure.problem, failure.wait
            if wait is None:
                wait = min(FIRST_WAIT * 2 ** (tried - 1), LONGEST_WAIT) * random.uniform(0.5, 1)
            if tried > self._config.retries or wait > LONGEST_WAIT:
                break
            logger.info("%s: %s; again in %.1f s", url, problem, wait)
            if given_up.wait(wait):
                break
        raise EngineError(f"{url}: {problem}, after {tried} tries", retry=True)

    def _once(self, url: str, body: bytes | None, counted: bool) -> dict[str, Any]:
        if counted:
            self._spend_request()
        until = time.monotonic() + self._config.timeout
        try:
            with self._http.stream("GET" if body is None else "POST", url, content=body) as answer:
                status, headers, text = answer.status_code, answer.headers, _read(answer, until)
        except httpx.RequestError as error:
            raise _Again(f"no answer ({str(error) or repr(error)})") from None
        if status >= 300:
            told = " ".join(text[:10_000].decode("utf-8", "replace").split())
            if status in AGAIN or (status >= 500 and status != 501):
                wait = _seconds(headers.get("Retry-After"))
                raise _Again(f"status {status} ({told:.200})", wait)
            raise EngineError(f"{url}: {self._refusal(status)}: {told:.300}")
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise _Again(f"the answer is no JSON object: {text[:80]!r}")
        if counted:
            self._count_tokens(found)
        return found

    def _refusal(self, status: int) -> str:
        if status in (401, 403):
            variable = self._config.api_key_env
            return f"status {status}, " + (
                f"the key in ${variable} is not accepted"
                if variable
                else "it wants a key; name its environment variable in llm.server.api_key_env"
            )
        if 300 <= status < 400:
            return f"status {status}, it redirects; name the address itself in llm.server.url"
        return f"status {status}"

    def _spend_request(self) -> None:
        with self._lock:
            for spent, most, what in (
                (self._requests, self._config.max_requests, "requests"),
                (self._tokens, self._config.max_tokens, "tokens"),
            ):
                if most is not None and spent >= most:
                    raise EngineError(
                        f"the budget of {most} {what} is spent (llm.server.max_{what})"
                    )
            self._requests += 1

    def _count_tokens(self, answer: dict[str, Any]) -> None:
        usage = answer.get("usage") or {}
        used = usage.get("total_tokens") or (
            (answer.get("tokens_evaluated") or 0) + (answer.get("tokens_predicted") or 0)
        )
        with self._lock:
            self._tokens += int(used)


def _checked(url: str | None) -> str:
    if not url:
        raise ConfigError(
            "the engine server needs an address; set llm.server.url, for example to "
            "http://127.0.0.1:8000/v1"
        )
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"llm.server.url: {url!r} is no address such as http://127.0.0.1:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            "llm.server.url: expected no key, user or query in the address; a key comes from the "
            "environment variable that llm.server.api_key_env names"
        )
    return url.rstrip("/")


def _key(variable: str | None) -> dict[str, str]:
    if variable is None:
        return {}
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"the environment variable {variable!r}, which llm.server.api_key_env names, is not set"
        )
    return {"Authorization": f"Bearer {key}"}


def _read(answer: httpx.Response, until: float) -> bytes:
    """The body, if it is there in time and of a size that can be held."""
    parts, size = [], 0
    for part in answer.iter_bytes():
        parts.append(part)
        size += len(part)
        if time.monotonic() > until:
            raise httpx.ReadTimeout("the answer took too long")
        if size > MOST_BYTES:
            raise EngineError(f"the answer has more than {MOST_BYTES >> 20} MiB")
    return b"".join(parts)


def _seconds(retry_after: str | None) -> float | None:
    """What a Retry-After header says, a number of seconds or a date."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
