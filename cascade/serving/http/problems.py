"""What goes wrong, as `application/problem+json` (RFC 9457): one form for every error."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from cascade.errors import CascadeError, EngineError, TaxonomyError, UsageError

MEDIA_TYPE = "application/problem+json"
CLOSE = {"Connection": "close"}
DROPPED = 64 << 20  # bytes of a body that are read and dropped when a request is refused
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
            return Problem(404, str(error))
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
    """What pydantic found, without repeating what was sent."""
    told = [f"{_place(fault['loc'])}{fault['msg']}" for fault in faults[:MOST_TOLD]]
    more = len(faults) - len(told)
    return "; ".join([*told, *([f"and {more:,} more"] if more > 0 else [])])


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
