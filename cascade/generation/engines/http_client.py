"""JSON over HTTP to a server that the user has named: retries, time limits, and a budget.

One request that fails fails for its own prompts only; see `Client.ask`.
"""

from __future__ import annotations

import email.utils
import json
import logging
import os
import random
import threading
import time
import urllib.parse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from cascade.config import ServerConfig
from cascade.errors import ConfigError, EngineError
from cascade.forks import renew_in_child
from cascade.generation.engines.answer_forms import UNASKED, Answer
from cascade.io.web.breaker import Breaker
from cascade.io.web.exchange import Connections, NoReply, Reply

FIRST_WAIT = 0.5  # seconds before the first retry; then twice as long each time
LONGEST_WAIT = 60.0  # seconds; a server that asks for more is not waited for
MOST_BYTES = 8 * 2**20  # of one answer
AGAIN = (408, 409, 425, 429)  # and all of 5xx but 501
NO_ENTRY = (401, 403, 404, 405, 501)  # the key, the model or the address is not right
FAILURES = 8  # requests in a row without an answer, after which the server is left alone
NO_ENTRIES = 3  # requests that are not let in before any was, after which none is sent
REFUSALS = 4  # so many that were answered, but with nothing of use, count as one of these
REST, LONGEST_REST = 30.0, 300.0  # seconds until a request tries whether it is back

SPENT = "the budget is spent"
LEFT_ALONE = "server was left alone after many failures"

A = TypeVar("A", bound=Answer)
P = TypeVar("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


class ServerRefusesError(ConfigError):
    """The server lets nobody in: its key, its model or its address is not right."""


@dataclass
class _Asking:
    """What requests that belong together share.

    Parameters
    ----------
    given_up
        Set where nobody waits for answers any more.
    counted
        Whether requests are paid from the budget.
    """

    given_up: threading.Event
    counted: bool = True


class Client:
    """Sends requests to one server.

    A request is sent again after 408, 409, 425, 429, 5xx (not 501), a broken connection, a time-out
    or an answer that is not what was asked for. Between tries it waits as long as the server says,
    or twice as long each time, less a random part, so that many clients do not come back at once.
    After many failures in a row requests fail at once, and the server is tried again after a rest.
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
        self._key = _key(config.api_key_env)
        self._headers = {"Content-Type": "application/json"}
        if self._key:
            self._headers["Authorization"] = f"Bearer {self._key}"
        self._connections = Connections()
        self._breaker = Breaker(FAILURES * REFUSALS, REST, LONGEST_REST)
        self._lock = threading.Lock()
        renew_in_child(self, Client._renew)
        self._requests = 0
        self._tokens = 0
        self._answered = False
        self._no_entry = 0

    def _renew(self) -> None:
        self._connections = Connections()
        self._lock = threading.Lock()

    def get(self, url: str, form: type[A]) -> A:
        """The answer to a GET, outside of the budget.

        Raises
        ------
        EngineError
            The request failed for good.
        ServerRefusesError
            The key is not accepted.
        """
        return self._send(url, None, form.parse, _Asking(threading.Event(), counted=False))

    def post(self, url: str, payload: dict[str, Any], form: type[A]) -> A:
        """The answer to a POST, outside of the budget; see `get`."""
        return self._send(url, payload, form.parse, _Asking(threading.Event(), counted=False))

    def ask(
        self,
        url: str,
        groups: Sequence[Sequence[P]],
        payload: Callable[[Sequence[P]], dict[str, Any]],
        form: type[A],
        read: Callable[[Sequence[P], A], Sequence[T]],
    ) -> list[T | EngineError]:
        """What the server answers to each prompt, or why there is no answer to it, in their order.

        Some requests are under way at a time. Where one with several prompts fails, its prompts are
        asked one by one, so that a prompt which the server refuses costs no other.

        Parameters
        ----------
        groups
            Prompts that one request asks for together.
        payload
            What is sent for such a group.
        form
            What the answer must look like.
        read
            Takes from it what belongs to each prompt; raises EngineError where that is not there.

        Raises
        ------
        ServerRefusesError
            The key is not accepted, or the server answered nothing but that there is no such model
            or address.
        """
        asking = _Asking(threading.Event())

        def one(group: Sequence[P]) -> Sequence[T | EngineError]:
            try:
                return self._send(
                    url, payload(group), lambda body: list(read(group, form.parse(body))), asking
                )
            except EngineError as error:
                if says_no_entry(error) and not self._answered:
                    self._no_entry += 1
                    if self._no_entry >= NO_ENTRIES:
                        asking.given_up.set()
                return [error] * len(group)

        with ThreadPoolExecutor(self._config.concurrency) as pool:
            try:
                found = list(pool.map(one, groups))
                alone = [
                    (at, place)
                    for at, (group, answers) in enumerate(zip(groups, found, strict=True))
                    if len(group) > 1 and isinstance(answers[0], EngineError)
                    for place in range(len(group))
                ]
                singly = list(pool.map(one, [[groups[at][place]] for at, place in alone]))
            finally:
                asking.given_up.set()
        for (at, place), (answer,) in zip(alone, singly, strict=True):
            found[at] = [*found[at][:place], answer, *found[at][place + 1 :]]
        answers = [answer for group in found for answer in group]
        self._refuse_if_no_entry(answers)
        return answers

    def _send(
        self,
        url: str,
        payload: dict[str, Any] | None,
        read: Callable[[bytes], T],
        asking: _Asking,
    ) -> T:
        """What is read from the answer, after as many tries as the config allows."""
        body = None if payload is None else json.dumps(payload).encode()
        began, tried = time.monotonic(), 0
        while True:
            if not self._breaker.allows():
                raise EngineError(
                    f"{url}: left alone for a while after many failures in a row, the last: "
                    f"{self._breaker.problem}",
                    retry=True,
                    reason=LEFT_ALONE,
                )
            tried += 1
            try:
                reply = self._once(url, body, asking)
                found = read(reply.body)
            except EngineError as error:
                wait = self._wait(error, tried)
                late = time.monotonic() - began > 2 * self._config.timeout
                last = tried > self._config.retries or late or self._breaker.is_open
                if not error.retry or last or wait > LONGEST_WAIT:
                    self._note_failure(error)
                    times = f", after {tried} tries" if error.retry else ""
                    raise EngineError(
                        f"{url}: {error}{times}", retry=error.retry, reason=error.reason
                    ) from None
                logger.info("%s: %s; again in %.1f s", url, error, wait)
                if asking.given_up.wait(wait):
                    raise EngineError(f"{url}: {error}", retry=True, reason=error.reason) from None
            else:
                self._breaker.succeeded()
                self._answered = self._answered or asking.counted
                return found

    def _wait(self, error: EngineError, tried: int) -> float:
        """Seconds until the next try."""
        if error.reason == UNASKED:
            return 0.0  # the server is well
        if isinstance(error, _StatusError) and error.wait:
            return error.wait
        return float(min(FIRST_WAIT * 2 ** (tried - 1), LONGEST_WAIT) * random.uniform(0.5, 1))

    def _note_failure(self, error: EngineError) -> None:
        if error.reason in _NOT_OF_THE_SERVER:
            return
        was_open = self._breaker.is_open
        refused = not error.retry or error.reason == UNASKED
        self._breaker.failed(self._harmless(str(error)), 1 if refused else REFUSALS)
        if self._breaker.is_open and not was_open:
            logger.warning(
                "%s is left alone, and tried again after %.0f seconds: many requests in a row "
                "failed (%s)",
                self.url,
                REST,
                self._breaker.problem,
            )

    def _once(self, url: str, body: bytes | None, asking: _Asking) -> Reply:
        """One try; EngineError where there is no answer that could be used."""
        if asking.counted:
            self._spend_request()
        try:
            reply = self._connections.send(
                url,
                self._headers,
                body,
                seconds=self._config.timeout,
                most=MOST_BYTES,
                given_up=asking.given_up,
            )
        except NoReply as failure:
            raise EngineError(
                self._harmless(failure.problem),
                retry=failure.reason != "sent too much",
                reason=f"server {failure.reason}",
            ) from None
        if reply.status >= 300:
            raise self._status_error(reply)
        if asking.counted:
            self._count_tokens(reply.body)
        return reply

    def _status_error(self, reply: Reply) -> EngineError:
        status = reply.status
        told = self._harmless(" ".join(reply.body[:10_000].decode("utf-8", "replace").split()))
        if status in AGAIN or (status >= 500 and status != 501):
            wait = _seconds(reply.headers.get("retry-after"))
            return _StatusError(status, f"status {status} ({told:.200})", retry=True, wait=wait)
        if status == 401 and self._answered:  # it accepted the key before
            return _StatusError(status, f"{self._refusal(status)}: {told:.300}", retry=True)
        return _StatusError(status, f"{self._refusal(status)}: {told:.300}", retry=False)

    def _refusal(self, status: int) -> str:
        if status in (401, 403):
            variable = self._config.api_key_env
            return f"status {status}, " + (
                f"the key in ${variable} is not accepted"
                if variable
                else "it wants a key; name its environment variable in llm.server.api_key_env"
            )
        if status in (404, 405, 501):
            return (
                f"status {status}, there is no such model or address; see llm.server.model and "
                "llm.server.url"
            )
        if 300 <= status < 400:
            return f"status {status}, it redirects; name the address itself in llm.server.url"
        return f"status {status}, it refuses this request"

    def _refuse_if_no_entry(self, answers: Sequence[Any]) -> None:
        """Raise ServerRefusesError where going on would only make all items the fallback's."""
        closed = [e for e in answers if isinstance(e, EngineError) and says_no_entry(e)]
        if closed and (not self._answered or says_no_entry(closed[0], (401,))):
            raise ServerRefusesError(str(closed[0]))

    def _harmless(self, text: str) -> str:
        """The text without the key, which some servers repeat, and without control characters."""
        text = text.replace(self._key, "[key]") if self._key else text
        return "".join(c if c.isprintable() else " " for c in text)

    def _spend_request(self) -> None:
        with self._lock:
            for spent, most, what in (
                (self._requests, self._config.max_requests, "requests"),
                (self._tokens, self._config.max_tokens, "tokens"),
            ):
                if most is not None and spent >= most:
                    raise EngineError(
                        f"the budget of {most} {what} is spent (llm.server.max_{what})",
                        reason=SPENT,
                    )
            self._requests += 1

    def _count_tokens(self, body: bytes) -> None:
        if self._config.max_tokens is None:
            return
        try:
            used = Answer.parse(body).tokens
        except EngineError:
            return  # it will be told as what it is
        with self._lock:
            self._tokens += used


_NOT_OF_THE_SERVER = (SPENT, "server was given up")


class _StatusError(EngineError):
    """A status that is none of an answer, and how long the server wants to rest."""

    def __init__(
        self, status: int, problem: str, *, retry: bool, wait: float | None = None
    ) -> None:
        self.wait = wait
        super().__init__(problem, retry=retry, reason=_answered(status))


def says_no_entry(error: EngineError, statuses: Sequence[int] = NO_ENTRY) -> bool:
    """Whether a server answered with one of these statuses, by which it lets nobody in."""
    return error.reason in map(_answered, statuses)


def _answered(status: int) -> str:
    return f"server answered {status}"


def _checked(url: str | None) -> str:
    if not url:
        raise ConfigError(
            "the engine server needs an address; set llm.server.url, for example to "
            "http://127.0.0.1:8000/v1"
        )
    try:
        parts = urllib.parse.urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if "@" in url or (known and (parts.query or parts.fragment)):
        raise ConfigError(
            "llm.server.url: expected no key, user or query in the address; a key comes from the "
            "environment variable that llm.server.api_key_env names"
        )
    if not known or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError(f"llm.server.url: {url!r} is no address such as http://127.0.0.1:8000/v1")
    return url.rstrip("/")


def _key(variable: str | None) -> str:
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"the environment variable {variable!r}, which llm.server.api_key_env names, is not set"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            f"the environment variable {variable!r}, which llm.server.api_key_env names, holds no "
            "key: expected printable ASCII without blanks"
        )
    return key


def _seconds(retry_after: str | None) -> float | None:
    """What a Retry-After header says, a number of seconds or a date; None where it says nothing."""
    if retry_after is None:
        return None
    try:
        told = float(retry_after)
    except ValueError:
        try:
            told = email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return max(0.0, told) if told == told else None  # NaN is nothing
