"""A file to read: its bytes, its text, and a first look at it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cascade.errors import TaxonomyError, did_you_mean
from cascade.taxonomy.formats.text import decode, refuse_packed

_ROOT = re.compile(r"<\s*([A-Za-z_][\w.-]*(?::[\w.-]+)?)")
_DECLARED = re.compile(rb"\s*<\?xml[^>]*encoding=[\"']([\w.-]+)")
_LOOK = 200


@dataclass(frozen=True)
class TaxonomyFile:
    """A file and its content, which is read when it is asked for.

    Parameters
    ----------
    path
        Where it is.
    encoding
        Of the text, where the caller knows it.
    """

    path: Path
    encoding: str | None = None

    @cached_property
    def data(self) -> bytes:
        """The bytes of a text file.

        Raises
        ------
        TaxonomyError
            There is no such file, it is a folder, it cannot be read, it is empty, or it is packed
            or a workbook.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise TaxonomyError(_unreadable(self.path, error), file=self.path) from error
        except ValueError as error:
            raise TaxonomyError(
                f"no usable file name: {error}", file=repr(str(self.path))
            ) from error
        refuse_packed(data, self.path)
        if not data.strip(b" \t\r\n\x00\xef\xbb\xbf\xfe\xff"):
            raise TaxonomyError("the file is empty; expected a taxonomy", file=self.path)
        return data

    @cached_property
    def text(self) -> str:
        """The whole text, lines ending in a newline, without a byte order mark."""
        declared = _DECLARED.match(self.data)
        return decode(
            self.data, self.path, self.encoding or (declared[1].decode() if declared else None)
        )

    @cached_property
    def head(self) -> list[tuple[int, str]]:
        """Up to 200 lines with their numbers, without blank lines and `#` comments."""
        found: list[tuple[int, str]] = []
        for number, line in enumerate(self.text[: 1 << 18].split("\n"), 1):
            if line.strip() and not line.startswith("#"):
                found.append((number, line))
                if len(found) == _LOOK:
                    break
        return found or [(1, self.text.lstrip()[:80])]

    @cached_property
    def start(self) -> str:
        """The first 4,096 characters that are not blank."""
        return self.text[: 1 << 16].lstrip()[:4096]

    @property
    def is_xml(self) -> bool:
        """Whether this is markup."""
        return self.start.startswith("<") and self.root != ""

    @property
    def is_json(self) -> bool:
        """Whether this is JSON, perhaps broken."""
        return self.start.startswith(("{", "["))

    @cached_property
    def root(self) -> str:
        """Name of the first element of XML, with its prefix; empty where there is none."""
        text = re.sub(r"<!--.*?-->", "", self.start, flags=re.DOTALL)
        found = _ROOT.search(text)
        return found[1] if found else ""

    def line_of(self, *parts: str) -> int | None:
        """The first line that contains one of the parts, the first part that occurs counting."""
        for part in filter(None, parts):
            if (at := self.text.find(part)) >= 0:
                return self.text.count("\n", 0, at) + 1
        return None


def _unreadable(path: Path, error: OSError) -> str:
    if path.is_dir():
        files = sorted(p.name for p in path.iterdir() if p.is_file())
        inside = f"it holds {', '.join(files[:5])}" if files else "it holds no file"
        return f"this is a folder; give a taxonomy file ({inside})"
    if isinstance(error, FileNotFoundError):
        folder = path.parent
        if not folder.is_dir():
            return f"no such file, and no folder {str(folder)!r} either"
        return f"no such file{did_you_mean(path.name, sorted(p.name for p in folder.iterdir()))}"
    return f"the file cannot be read: {error.strerror or error}"
