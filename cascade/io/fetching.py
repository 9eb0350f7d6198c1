"""Fetching a file from an address, where the user has allowed it."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import IO

from cascade.errors import InputError

SCHEMES = ("http://", "https://")
PATIENCE = 20  # seconds until a server must have answered


def is_address(name: str) -> bool:
    """Whether a name is that of something on the web, and of no file."""
    return name.lower().startswith(SCHEMES)


def _read(answer: IO[bytes], most: int) -> bytes:
    """What a server sends, while it does so at a bearable pace."""
    ends, pieces, size = time.monotonic() + PATIENCE * 3, [], 0
    while size < most and (piece := answer.read(min(1 << 16, most - size))):
        pieces.append(piece)
        size += len(piece)
        if time.monotonic() > ends:
            raise TimeoutError(f"not sent within {PATIENCE * 3} seconds")
    return b"".join(pieces)


def fetch(address: str, most: int) -> bytes:
    """The bytes at an address, `most` of them at the most; redirections never lead to a file.

    Raises
    ------
    InputError
        The server does not answer or has no such thing, or it is too large.
    """
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "cascade"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            found = _read(answer, most + 1)
    except urllib.error.HTTPError as error:
        raise InputError(f"{address:.300} cannot be fetched: {error.code} {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:
        problem = getattr(error, "reason", error)
        raise InputError(f"{address:.300} cannot be fetched: {problem}") from None
    if len(found) > most:
        raise InputError(f"{address:.300} has more than {most >> 20} MiB, which is the most")
    return found
