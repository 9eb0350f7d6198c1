"""Text from bytes, line by line, in bounded memory and with bad bytes kept and told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from typing import BinaryIO, Literal

from cascade.errors import InputError

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How bytes become text.

    Parameters
    ----------
    name
        As Python calls it.
    errors
        `surrogateescape` where a bad byte can be kept and written again, else `replace`.
    bom
        Whether the file begins with a UTF-8 byte order mark.
    """

    name: str
    errors: Literal["surrogateescape", "replace"]
    bom: bool = False

    def wrap(self, stream: BinaryIO, newline: str) -> TextIOWrapper:
        """The stream as text, with line ends as they are."""
        return TextIOWrapper(stream, self.name, self.errors, newline)

    def fault(self, text: str) -> str | None:
        """What is wrong with the characters of a text, None if nothing is."""
        if "\0" in text:
            return "a NUL byte; remove it"
        if text.isascii():
            return None
        if self.errors == "replace":
            known = "\ufffd" not in text
            return None if known else f"bytes that are not {self.name}; name another --encoding"
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return (
                f"a byte that is not {self.name.removesuffix('-sig')} "
                f"(0x{ord(text[error.start]) & 0xFF:02X}); save the file as UTF-8, or name its "
                "encoding, for example --encoding cp1252"
            )
        return None


def lines_of(text: TextIOWrapper, limit: int, name: str) -> Iterator[str]:
    """Lines with their ends; a longer line comes in pieces of `limit` characters."""
    line = 0
    try:
        while piece := text.readline(limit):
            line += 1
            yield piece
    except UnicodeError as error:
        raise InputError(
            f"the text is not {text.encoding} ({error}); name another encoding with --encoding",
            file=name,
            line=line + 1,
        ) from None
    except OSError as error:
        raise InputError(
            f"reading stopped: {error.strerror or error}; run again", file=name, line=line + 1
        ) from None


def well_formed(text: str) -> str:
    """The text with U+FFFD in place of what is no character (lone surrogates)."""
    return _SURROGATE.sub("\ufffd", text)


def spelled_out(text: str) -> str:
    r"""The text with `\xff` or `\ud800` spelled out in place of what is no character."""
    return _SURROGATE.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
