"""Which encoding a text is in; its lines in bounded memory, with bad bytes kept and reported."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from itertools import islice
from typing import BinaryIO, Literal

from cascade.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OLDER = ["cp1250", "cp1251", "cp1253", "koi8_r", "cp932", "gb18030", "big5", "cp949"]
_EVIDENCE = 3  # lines from which an encoding older than UTF-8 is guessed
_SAMPLE = 1 << 16  # bytes that are looked at for it
SURROGATE = re.compile("[\ud800-\udfff]")
_WIDE = re.compile("[^\x00-\x7f\ud800-\udfff]")


def marked_encoding(data: bytes) -> str | None:
    """The encoding that a byte order mark names, None without one."""
    return next((name for mark, name in _MARKS if data.startswith(mark)), None)


def guess_encoding(data: bytes, doubtful: str = "utf-8") -> str:
    """The encoding of a text without a byte order mark: UTF-8, or an older one.

    Where a third of what is not ASCII is UTF-8, the text is UTF-8 with damages. Of older encodings,
    Windows-1252 is taken wherever charset-normalizer finds it possible: on short names it tells
    the code pages of Europe apart no better than chance does.

    Parameters
    ----------
    data
        The text, or as much of its start as should decide.
    doubtful
        The answer where fewer than three lines speak for an older encoding.
    """
    text = data.decode("utf-8", "surrogateescape")
    lines = [line for line in text.split("\n") if SURROGATE.search(line)]
    stray = sum(len(SURROGATE.findall(line)) for line in lines)
    if not stray or 2 * len(_WIDE.findall(text)) > stray:
        return "utf-8"
    if len(lines) < _EVIDENCE:
        return doubtful
    import charset_normalizer

    sample = "\n".join(lines).encode("utf-8", "surrogateescape")[:_SAMPLE]
    for possible in (["cp1252"], _OLDER):
        if found := charset_normalizer.from_bytes(sample, cp_isolation=possible).best():
            return found.encoding
    return doubtful


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
            bad = "\ufffd" in text
            return f"bytes that are not {self.name}; name another --encoding" if bad else None
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return (
                f"a byte that is not {self.name.removesuffix('-sig')} "
                f"(0x{ord(text[error.start]) & 0xFF:02X}); save the file as UTF-8, or name its "
                "encoding, for example --encoding cp1252"
            )
        return None


class TextLines(Iterator[str]):
    """Lines with their ends; a longer line comes in pieces of `limit` characters."""

    def __init__(self, text: TextIOWrapper, limit: int, name: str) -> None:
        self._pieces = iter(partial(text.readline, limit), "")
        self._limit, self._name, self._encoding = limit, name, text.encoding
        self._line = 0

    def __next__(self) -> str:
        found = self.take(1)
        if not found:
            raise StopIteration
        return found[0]

    def take(self, size: int) -> list[str]:
        """The next lines, at most `size`, fewer at the end, and where they reach the limit."""
        found: list[str] = []
        length = 0
        try:
            for piece in islice(self._pieces, size):
                found.append(piece)
                length += len(piece)
                if length >= self._limit:
                    break
        except UnicodeError as error:
            raise InputError(
                f"the text is not {self._encoding} ({error}); name another encoding with "
                "--encoding",
                file=self._name,
                line=self._line + len(found) + 1,
            ) from None
        except OSError as error:
            raise InputError(
                f"reading stopped: {error.strerror or error}; run again",
                file=self._name,
                line=self._line + len(found) + 1,
            ) from None
        self._line += len(found)
        return found


def replace_surrogates(text: str) -> str:
    """The text with U+FFFD in place of lone surrogates, which are no characters."""
    return SURROGATE.sub("\ufffd", text)


def escape_surrogates(text: str) -> str:
    r"""The text with `\xff` or `\ud800` in place of lone surrogates, which are no characters."""
    return SURROGATE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
