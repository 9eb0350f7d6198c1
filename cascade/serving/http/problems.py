"""What goes wrong, as `application/problem+json` (RFC 9457): one form for every error."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from cascade.errors import CascadeError, EngineError, TaxonomyError, UsageError

MEDIA_TYPE = "application/problem+json"
CLOSE = {"Connection": "close"}
ENDED = "the service ended before the request was answered; ask again"
NO_NODE = (  # an error of the taxonomy tells the name that was asked for
    "there is no such node; a node is named by its code or its path, /v1/search finds nodes by "
    "words and /v1/nodes has those at the top"
)
DROPPED = 64 << 20  # bytes of a body that are read and dropped when a request is refused
KINDS = ("str", "ItemBody")  # of items, as pydantic calls them
MOST_TOLD = 5  # faults of one request
SHOWN = 200  # characters of what a client sent, in a message

logger = logging.getLogger(__name__)


class ProblemValue(BaseModel):
    """What went wrong, and what to do."""

    type: str = Field("about:blank", description="Always about:blank: the status says the kind.")
    title: str = Field(description="The name of the status, such as `Not Found`.")
    status: int = Field(description="The status of the response.")
    detail: str = Field(description="What was found, what was expected, and what to do.")


class Problem(Exception):
    """A request that is not answered, with the status that says why.

    Parameters
    ----------
    detail
        What was found, what was expected, what to do.
    headers
        Of the response.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers = dict(headers or {})

    def response(self, more: Mapping[str, str] | None = None) -> Response:
        """The problem as a response, perhaps with more headers."""
        headers = {**self.headers, **(more or {})}
        return Response(
            as_json(self.status, self.detail), self.status, headers, media_type=MEDIA_TYPE
        )


def hang_up(headers: Mapping[bytes, bytes]) -> Mapping[str, str]:
    """The header that ends a connection where a request's body may be endless.

    Other bodies are read to their end and dropped: who still writes would not see the answer of a
    server that hangs up.
    """
    length = headers.get(b"content-length", b"0")
    bounded = b"transfer-encoding" not in headers and length.isdigit() and int(length) <= DROPPED
    return {} if bounded else CLOSE


def as_json(status: int, detail: str) -> bytes:
    """The body of a problem."""
    body = ProblemValue(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return json.dumps(body.model_dump()).encode()


def problem_of(error: Exception) -> Problem:
    """Any exception as a problem; what is no error of ours is logged, without its message."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return Problem(422, described(error.errors()))
        case HTTPException():
            headers = getattr(error, "headers", None)
            return Problem(error.status_code, _usual(error.status_code, str(error.detail)), headers)
        case EngineError():
            return Problem(503, str(error), {"Retry-After": "5"} if error.retry else None)
        case TaxonomyError():
            return Problem(404, NO_NODE)
        case UsageError():
            return Problem(422, str(error))
        case CascadeError():
            return Problem(500, str(error))
    log_defect(error)
    return Problem(500, "a defect of the service; its log says where")


def log_defect(error: BaseException) -> None:
    """Log where an exception came from. Its message may hold texts of items, so it is left out."""
    where = "".join(traceback.format_tb(error.__traceback__)[-8:])
    logger.error("%s while answering:\n%s", type(error).__name__, where)


def described(faults: Sequence[Mapping[str, Any]]) -> str:
    """What pydantic found, without repeating what was sent but for names that are unknown."""
    found = dict.fromkeys(_told(fault, faults) for fault in faults)
    found.pop("", None)
    told = [*found][:MOST_TOLD]
    more = len(found) - len(told)
    return "; ".join([*told, *([f"and {more:,} more"] if more > 0 else [])])


def check_names(given: Iterable[str], known: Collection[str]) -> None:
    """Raise Problem 422 where a parameter of a query is unknown, as a key of a body would be."""
    faults = [
        {"type": "extra_forbidden", "loc": ("query", name), "msg": ""}
        for name in given
        if name not in known
    ]
    if faults:
        expected = ", ".join(sorted(known)) or "none"
        raise Problem(422, f"{described(faults)}; expected {expected}")


def _told(fault: Mapping[str, Any], faults: Sequence[Mapping[str, Any]]) -> str:
    """One fault with its place; nothing where another one says more.

    An item is a text or an object: what is neither has a fault for each of them.
    """
    place = tuple(fault["loc"])
    if kind := next((at for at in range(1, len(place)) if _is_kind(place[at - 1 : at + 1])), 0):
        item, inner = place[:kind], place[kind + 1 :]
        if not inner:
            deeper = any(tuple(f["loc"])[:kind] == item and f["loc"][kind + 1 :] for f in faults)
            return "" if deeper else f"{_place(item)}expected a text, an object or null"
        place = (*item, *inner)
    usual = str(fault["msg"])
    if fault["type"] == "extra_forbidden":
        usual = "there is no such parameter" if place[:1] == ("query",) else "there is no such key"
    return f"{_place(place)}{usual}"


def _is_kind(pair: Sequence[Any]) -> bool:
    """Whether pydantic says with a part of a place as what it tried to read a member."""
    return isinstance(pair[0], int) and pair[1] in KINDS


def _place(parts: Sequence[Any]) -> str:
    """Such as `items[3].text: `."""
    place = ""
    for part in parts:
        if isinstance(part, int):
            place += f"[{part}]"
        elif part not in ("query", "path", "body"):
            place += f".{part}" if place else str(part)
    return f"{place[:SHOWN]}: " if place else ""


def _usual(status: int, detail: str) -> str:
    """What Starlette says in one or two words, as a sentence."""
    if status == 404:
        return "there is nothing at this address; /openapi.json lists what there is"
    if status == 405:
        return "this address does not know the method; /openapi.json lists what there is"
    return detail
