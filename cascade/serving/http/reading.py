"""What a request holds, within bounds: its body, its items, its pictures, its time."""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.types import Receive

from cascade.config import CascadeConfig, Columns
from cascade.config.serving import ServeConfig
from cascade.errors import InputError
from cascade.io.pictures import FORMATS
from cascade.items import Item, as_text
from cascade.pipeline.intake import Intake
from cascade.predictions import Prediction
from cascade.serving.http.problems import Problem, described
from cascade.serving.http.values import ItemBody
from cascade.serving.tools import CURE

M = TypeVar("M", bound=BaseModel)
Headers = Mapping[bytes, bytes]

SHORTEST = 0.001  # seconds that a request may ask for
LARGE = 256 << 10  # bytes of a body from which it is parsed in a thread
PICTURE = "\0picture"  # the column that pictures of clients stand in, which no client can name
_DATA = re.compile(r"\s*data:[^,]{0,200};base64,", re.I)
_SPACE = re.compile(r"\s+")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Read:
    """The items of a request with the identifiers that it gave them."""

    items: Sequence[Item | Prediction]
    ids: Sequence[str | None]


def seconds_of(headers: Headers, settings: ServeConfig) -> float:
    """How long the answer of a request is waited for.

    Raises
    ------
    Problem
        400: the header X-Timeout holds no seconds.
    """
    wanted = headers.get(b"x-timeout")
    if wanted is None:
        return settings.timeout
    try:
        seconds = float(wanted)
    except ValueError:
        seconds = math.nan
    if not SHORTEST <= seconds < math.inf:
        raise Problem(400, f"X-Timeout: expected seconds, {SHORTEST} or more, such as 2.5")
    return min(seconds, settings.timeout)


async def body_of(headers: Headers, receive: Receive, model: type[M], settings: ServeConfig) -> M:
    """The body of a request, checked.

    Raises
    ------
    Problem
        413: it is too large, 415: it is no JSON by its own account, 400: it is no JSON, 422: it has
        another form than the model.
    """
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Problem(
            415, "Content-Type: expected application/json, with the item in a JSON object"
        )
    body = await _received(headers, receive, settings.max_body)
    if len(body) > LARGE:
        return await asyncio.to_thread(parsed, body, model)
    return parsed(body, model)


async def _received(headers: Headers, receive: Receive, most: int) -> bytes:
    told = headers.get(b"content-length", b"")
    if told.isdigit() and int(told) > most:
        raise _too_large(most)
    message = await receive()
    found = bytes(message.get("body", b""))
    if message.get("more_body"):
        parts, size = [found], len(found)
        while message.get("more_body") and size <= most:
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        found = b"".join(parts)
    if len(found) > most:
        raise _too_large(most)
    if message["type"] == "http.disconnect":
        raise Problem(400, "the client went away before its request was whole")
    return found


def _too_large(most: int) -> Problem:
    return Problem(413, f"the body is larger than {most:,} bytes; send fewer items in a request")


def parsed(body: bytes, model: type[M]) -> M:
    """JSON as a model.

    Raises
    ------
    Problem
        400: it is none, 422: it has another form.
    """
    if _HALF.search(body):
        body = _with_whole_characters(body)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        if faults[0]["type"] == "json_invalid":
            raise Problem(400, f"the body is no JSON: {faults[0]['msg']}") from None
        raise Problem(422, described(faults)) from None


def _with_whole_characters(body: bytes) -> bytes:
    """JSON whose halves of surrogate pairs became U+FFFD, as in items from elsewhere."""
    try:
        return json.dumps(_whole(json.loads(body))).encode()
    except (ValueError, RecursionError):
        return body  # the parser that comes next says what is wrong


def _whole(value: Any) -> Any:
    match value:
        case str():
            return as_text(value)
        case list():
            return [_whole(member) for member in value]
        case dict():
            return {as_text(name): _whole(member) for name, member in value.items()}
    return value


class ItemReader:
    """Makes items of what clients send, as `classify_many` does of what callers give.

    A picture is bytes: what a client names, a file of this machine or an address, is never opened.
    """

    def __init__(self, config: CascadeConfig, settings: ServeConfig) -> None:
        self._settings = settings
        self._first = config.reads[0] if config.reads else "text"
        without = config.columns.model_copy(update={"image": None})
        self._texts = Intake(config.model_copy(update={"columns": without}), cure=CURE)
        self._pictures = Intake(config, Columns(image=PICTURE), CURE)

    def read(self, given: Sequence[str | ItemBody | None]) -> Read:
        """The items of a request; what is no item has its reason in its place.

        Raises
        ------
        Problem
            413: there are too many, or too many or too large pictures. 422: there is none.
        """
        most = self._settings.max_items
        if not given:
            raise Problem(422, "items: there is none; expected one or more")
        if len(given) > most:
            raise Problem(
                413, f"items: there are {len(given):,}; the most in one request is {most:,}"
            )
        pictures = sum(isinstance(one, ItemBody) and one.image is not None for one in given)
        if pictures > self._settings.max_pictures:
            raise Problem(
                413,
                f"there are {pictures:,} pictures; the most in one request is "
                f"{self._settings.max_pictures:,}",
            )
        values = [self._value(one) for one in given]
        failed = {at: value for at, value in enumerate(values) if isinstance(value, Prediction)}
        asked = [value for value in values if not isinstance(value, Prediction)]
        if any(not isinstance(value, Item) for value in asked):
            asked = list((self._pictures if pictures else self._texts).many(asked))
        found = iter(asked)
        items = [failed[at] if at in failed else next(found) for at in range(len(values))]
        ids = [one.id if isinstance(one, ItemBody) else None for one in given]
        return Read([*map(self._bounded, items)], ids)

    def _value(self, one: str | ItemBody | None) -> Any:
        """An item, what an intake reads, or why there is nothing to read."""
        if isinstance(one, str):
            return Item({self._first: one})
        if one is None:
            return None
        if one.text is not None and one.fields is not None:
            return Prediction.failed("give the item as text or as fields, not as both")
        if one.image is None:
            return self._value(one.text) if one.fields is None else one.fields
        try:
            picture = self._picture(one.image)
        except InputError as error:
            return Prediction.failed(str(error))
        if one.fields is None:
            return Item({} if one.text is None else {self._first: one.text}, image=picture)
        return {**one.fields, PICTURE: picture}

    def _picture(self, sent: str) -> bytes:
        """The bytes of a picture, whose sides are within bounds where it tells them."""
        from PIL import Image

        most = self._settings.max_picture_bytes
        if begun := _DATA.match(sent):
            sent = sent[begun.end() :]
        if len(sent) > most * 3 // 2 + 1000 or len(sent := _SPACE.sub("", sent)) > most * 4 / 3 + 4:
            raise Problem(413, f"a picture is larger than {most:,} bytes; send a smaller one")
        try:
            picture = base64.b64decode(sent, validate=True)
        except (binascii.Error, ValueError):
            raise InputError(
                "the picture is not base64; expected the bytes of the file in base64, or "
                "data:image/png;base64,...; paths and addresses are not read"
            ) from None
        if not picture:
            raise InputError("the picture is empty")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                with Image.open(io.BytesIO(picture), formats=FORMATS) as opened:
                    width, height = opened.size
        except Exception:  # a decoder may raise anything; who reads the whole says what is wrong
            return picture
        if width * height > self._settings.max_pixels:
            raise InputError(
                f"the picture has {width:,} x {height:,} pixels; the most is "
                f"{self._settings.max_pixels:,}"
            )
        return picture

    def _bounded(self, item: Item | Prediction) -> Item | Prediction:
        most = self._settings.max_chars
        if isinstance(item, Prediction):
            return item
        length = sum(map(len, item.fields.values()))
        if length <= most:
            return item
        return Prediction.failed(
            f"the text has {length:,} characters, the limit of this service is {most:,}; shorten it"
        )
