"""Fetching a file from an address, where the user has allowed it."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException
from typing import IO, Any

from cascade.errors import InputError

SCHEMES = ("http://", "https://")
PATIENCE = 20  # seconds until a server must have answered


def is_address(name: str) -> bool:
    """Whether a name is that of something on the web, and of no file."""
    return name.lower().startswith(SCHEMES)


def fetch(address: str, most: int) -> bytes:
    """The bytes at an address, `most` of them at the most.

    Raises
    ------
    InputError
        The server does not answer or has no such thing, or it is too large.
    """
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "cascade"})
        with _OPENER.open(request, timeout=PATIENCE) as answer:
            found: bytes = answer.read(most + 1)
    except urllib.error.HTTPError as error:
        raise InputError(f"{address:.300} cannot be fetched: {error.code} {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:
        problem = getattr(error, "reason", error)
        raise InputError(f"{address:.300} cannot be fetched: {problem}") from None
    if len(found) > most:
        raise InputError(f"{address:.300} has more than {most >> 20} MiB, which is the most")
    return found


class _SameKind(urllib.request.HTTPRedirectHandler):
    """Follows a server to other addresses of the web, and nowhere else."""

    def redirect_request(
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not is_address(newurl):
            raise InputError(f"{req.full_url:.300} leads to {newurl:.100}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_SameKind)
