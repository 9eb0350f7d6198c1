"""Opening a file, a folder of pictures or a stream as a table, whatever kind it turns out to be."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from cascade.errors import InputError, UsageError, did_you_mean
from cascade.io.files import sha256_of
from cascade.io.tables.delimited.reading import read_delimited
from cascade.io.tables.detection import HEAD, container_of, encoding_of, head_text
from cascade.io.tables.folder import fingerprint, read_folder
from cascade.io.tables.json_shapes import is_json_lines
from cascade.io.tables.jsonlines import read_json_lines
from cascade.io.tables.rows import Table

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STDIN = "standard input"


def open_table(
    source: str | Path,
    *,
    encoding: str | None = None,
    sheet: str | None = None,
    stdin: BinaryIO | None = None,
) -> Table:
    """Open a file, a folder of pictures, or standard input for `-`, as a table.

    Use it in a `with` statement. The kind is detected from the content: CSV, TSV (also with `;`
    or `|`), JSON lines, Parquet or Excel. Text is streamed; a Parquet file or a workbook that
    comes through a pipe is first copied to a temporary file.

    Parameters
    ----------
    encoding
        Of a text file; detected if None, see `encoding_of`.
    sheet
        Of a workbook; by default the first.
    stdin
        What `-` stands for, by default the standard input.

    Raises
    ------
    InputError
        There is no such file, or nothing in it that can be read as a table. Single bad rows come
        as rows with a `problem`.
    UsageError
        There is no such encoding.
    """
    if str(source) == "-":
        name, file, regular = STDIN, stdin or sys.stdin.buffer, False
    elif Path(source).is_dir():
        return read_folder(Path(source))
    else:
        name = str(source)
        file = _opened(Path(source))
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    with ExitStack() as undo:
        if name != STDIN:
            undo.callback(file.close)
        try:
            head = _first_bytes(file)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}", file=name) from None
        table = _table(file, head, regular, name, encoding, sheet)
        undo.pop_all()
        return table


@dataclass(frozen=True)
class TableFile:
    """A file of rows that is read more than once, as evaluation and training do.

    Parameters
    ----------
    limit
        Rows to read, from the start.
    encoding, sheet
        As for `open_table`.

    Raises
    ------
    UsageError
        The file is standard input, which can be read only once.
    """

    file: str
    limit: int | None = None
    encoding: str | None = None
    sheet: str | None = None

    def __post_init__(self) -> None:
        if self.file == "-":
            raise UsageError(
                "standard input can be read only once, but its rows are read more often; "
                "save it to a file and name that"
            )

    def open(self) -> Table:
        """The table, with no more rows than the limit."""
        table = open_table(self.file, encoding=self.encoding, sheet=self.sheet)
        if self.limit is not None:
            table.limit(self.limit)
        return table

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the whole file; of a folder of pictures, of their names, sizes and times."""
        if Path(self.file).is_dir():
            return hashlib.sha256(fingerprint(Path(self.file))).hexdigest()
        return sha256_of(Path(self.file))


def _table(
    file: BinaryIO, head: bytes, regular: bool, name: str, encoding: str | None, sheet: str | None
) -> Table:
    container = container_of(head, name)
    if container is not None:
        seekable = file if regular else _copied(head, file)
        seekable.seek(0)
        if container == "parquet":
            from cascade.io.tables.parquet import read_parquet

            return read_parquet(seekable, name)
        from cascade.io.tables.excel.reading import read_excel

        return read_excel(seekable, name, sheet)
    found = encoding_of(head, name, encoding)
    text = head_text(head, found, name)
    if regular:
        file.seek(0)
        stream = file
    else:
        stream = cast(BinaryIO, BufferedReader(_Chained(head, file, owned=name != STDIN), 1 << 20))
    if is_json_lines(text, name, whole=len(head) < HEAD):
        return read_json_lines(stream, found, name)
    return read_delimited(stream, text, len(head) < HEAD, found, name)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(_missing(path)) from None
    except PermissionError:
        raise InputError(f"{path} may not be read; change its permissions (chmod u+r)") from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror or error}") from None


def _missing(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"{path} does not exist, nor does the folder {folder}; check the path"
    try:
        hint = did_you_mean(path.name, os.listdir(folder))
    except OSError:
        hint = ""
    return f"{path} does not exist{hint or '; check the path'}"


def _first_bytes(file: BinaryIO) -> bytes:
    pieces, size = [], 0
    while size < HEAD and (piece := file.read(HEAD - size)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _copied(head: bytes, file: BinaryIO) -> BinaryIO:
    copy = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115
    copy.write(head)
    shutil.copyfileobj(file, copy, 1 << 20)
    return copy


class _Chained(RawIOBase):
    """The head that was read for detection, then the rest of the stream."""

    def __init__(self, head: bytes, rest: Any, owned: bool) -> None:
        self._head = head
        self._rest = rest
        self._owned = owned

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(buffer).cast("B")
        if self._head:
            piece = self._head[: len(target)]
            self._head = self._head[len(target) :]
        else:
            read = getattr(self._rest, "read1", self._rest.read)
            piece = read(len(target))
        target[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if self._owned:
            self._rest.close()
        super().close()
