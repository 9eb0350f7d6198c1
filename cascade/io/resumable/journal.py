"""The finished parts of a run, and the journal that lists them.

A part counts only once its line stands in the journal: the file is written under a temporary
name, synced and renamed, and then one line is appended and synced. So after a kill at any moment
a part is either whole and listed, or is made again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from io import FileIO
from pathlib import Path
from typing import Any, cast

from cascade.errors import OutputError
from cascade.io.files import sha256_of

VERSION = 1
JOURNAL = "journal.jsonl"
LOCK = "lock"
ASSEMBLED = "output.tmp"
MOST = 10**12  # rows that anybody counts


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that were answered together.

    Parameters
    ----------
    first_row, rows
        Number of the first row, and how many there are.
    input
        Hash of the input rows, to notice that the input changed.
    summary
        What the caller wants to remember of them, as JSON values.
    """

    first_row: int
    rows: int
    input: str
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the journal: a file with one or more chunks that follow each other.

    Parameters
    ----------
    index
        Position of the first chunk in the output.
    sha256
        Of the file.
    """

    index: int
    sha256: str
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """That the output is whole, and what it and its input were then.

    Parameters
    ----------
    assembled
        SHA-256 of the output.
    output, source
        Size and time of the output and the input, as of `stamp_of`; empty where they are not known.
    input
        Hash of all rows of the input; see `digest_of_all`.
    """

    assembled: str
    output: tuple[int, ...] = ()
    source: tuple[int, ...] = ()
    input: str = ""

    def is_of(self, out: Path) -> bool:
        """Whether a file is the output that was finished; it is read where its time differs."""
        is_same = bool(self.output) and stamp_of(out) == self.output
        return is_same or sha256_of(out) == self.assembled


@dataclass(frozen=True, slots=True)
class _OpenPart:
    index: int
    file: FileIO
    chunks: list[Chunk]
    sha256: Any


def stamp_of(path: str | Path) -> tuple[int, ...]:
    """Size and time of a file, by which a change is noticed without reading it; else nothing."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else ()


class Journal:
    """The folder `<out>.parts`: the parts, the journal, a lock.

    Nothing is changed before `lock`. Files of others in the folder are left alone.
    """

    def __init__(self, out: Path) -> None:
        self.folder = out.with_name(out.name + ".parts")
        self._file = self.folder / JOURNAL
        self._lock: Any = None
        self._open: _OpenPart | None = None
        self.load()

    def load(self) -> None:
        """Read the journal up to the first line that is not whole."""
        self.header: dict[str, Any] | None = None
        self.finished: Finished | None = None
        self.kept: dict[str, Any] | None = None
        self.part_of: dict[int, Part] = {}  # by the position of each of its chunks
        self._length = 0
        try:
            data = self._file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return
        for line in data.splitlines(keepends=True):
            try:
                entry = json.loads(line)
                if not line.endswith(b"\n"):
                    return
                self._take(entry)
            except (ValueError, TypeError, KeyError, RecursionError):
                return
            self._length += len(line)

    def _take(self, entry: Any) -> None:
        """Take in the values of a line; ValueError, TypeError or KeyError where it is damaged."""
        if self.header is None:
            if entry["version"] != VERSION:
                raise ValueError
            self.header = entry
        elif "assembled" in entry:
            stamps = {name: tuple(entry.get(name, ())) for name in ("output", "source")}
            self.finished = Finished(**{**entry, **stamps})
        elif "kept" in entry:
            self.kept = dict(entry["kept"])
        else:
            chunks = tuple(Chunk(**chunk) for chunk in entry["chunks"])
            part = Part(entry["index"], entry["sha256"], chunks)
            if not chunks or not _is_number(part.index) or not isinstance(part.sha256, str):
                raise ValueError
            for chunk in chunks:
                numbers = _is_number(chunk.first_row) and _is_number(chunk.rows)
                texts = isinstance(chunk.input, str) and isinstance(chunk.summary, dict)
                if not numbers or not texts:
                    raise ValueError
            self._list(part)

    def _list(self, part: Part) -> None:
        for at in range(part.index, part.index + len(part.chunks)):
            if at in self.part_of:
                self.drop(self.part_of[at])
        self.part_of |= {part.index + at: part for at in range(len(part.chunks))}

    def drop(self, part: Part) -> None:
        """Forget a part, so that its chunks are made again."""
        self.part_of = {at: other for at, other in self.part_of.items() if other is not part}

    @property
    def is_short(self) -> bool:
        """Whether it only tells that an output is finished, and has no parts to make it of."""
        return any(not part.sha256 for part in self.part_of.values())

    @property
    def parts(self) -> list[Part]:
        """All parts, in the order of the output."""
        return [part for at, part in sorted(self.part_of.items()) if at == part.index]

    def chunk(self, index: int) -> Chunk:
        """The chunk at a position, which a part has."""
        part = self.part_of[index]
        return part.chunks[index - part.index]

    def chunks(self) -> dict[int, Chunk]:
        """All chunks that were stored, those of the open part too, by their position."""
        done = {at: self.chunk(at) for at in self.part_of}
        if self._open is not None:
            done.update(enumerate(self._open.chunks, start=self._open.index))
        return dict(sorted(done.items()))

    @property
    def finished_rows(self) -> int:
        """How many rows are in all parts."""
        return sum(chunk.rows for chunk in self.chunks().values())

    @property
    def follows(self) -> int | None:
        """The position that comes after the open part; None where no part is open."""
        return None if self._open is None else self._open.index + len(self._open.chunks)

    def lock(self) -> None:
        """Make the folder and keep other processes out of it."""
        from filelock import FileLock, Timeout

        self.folder.mkdir(exist_ok=True)
        lock = FileLock(self.folder / LOCK, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(
                f"another process is writing {self.folder.name.removesuffix('.parts')}; wait for "
                "it to end, or name another --out"
            ) from None
        self._lock = lock
        self.load()

    def begin(self, header: Mapping[str, Any]) -> None:
        """Forget all parts and write a new header."""
        self._file.unlink(missing_ok=True)
        self._remove_parts()
        with self._file.open("wb") as file:
            file.write(_line({"version": VERSION, **header}))
            os.fsync(file.fileno())
        sync_folder(self.folder)
        self.load()

    def go_on(self) -> None:
        """Drop a torn last line and half-written files."""
        os.truncate(self._file, self._length)
        for path in self.folder.glob("*.tmp"):
            path.unlink()

    def path(self, index: int, suffix: str) -> Path:
        """The file of a part."""
        return self.folder / f"part-{index:06d}{suffix}"

    def extend(self, index: int, chunk: Chunk, suffix: str, data: bytes) -> None:
        """Write a chunk to the open part, or to a new one that begins with it."""
        if self._open is None:
            temporary = self.folder / f"{self.path(index, suffix).name}.tmp"
            self._open = _OpenPart(index, temporary.open("wb", buffering=0), [], hashlib.sha256())
        part = self._open
        try:
            _write_all(part.file, data)
        except OSError:
            self.abandon()
            raise
        part.sha256.update(data)
        part.chunks.append(chunk)

    def commit(self) -> None:
        """Sync the open part and list it."""
        if self._open is None:
            return
        part = self._open
        try:
            os.fsync(part.file.fileno())
            part.file.close()
            temporary = Path(part.file.name)
            temporary.replace(temporary.with_suffix(""))
            sha256 = part.sha256.hexdigest()
            # Not `asdict`, which copies the summaries.
            names = [field.name for field in fields(Chunk)]
            chunks = [{name: getattr(chunk, name) for name in names} for chunk in part.chunks]
            self._append({"index": part.index, "sha256": sha256, "chunks": chunks})
        except OSError:
            self.abandon()
            raise
        self._open = None
        # Summaries are for those who resume: the journal has them, memory need not.
        light = [replace(chunk, summary={}) for chunk in part.chunks]
        self._list(Part(part.index, sha256, tuple(light)))

    def abandon(self) -> None:
        """Forget the open part."""
        if self._open is not None:
            part, self._open = self._open, None
            part.file.close()
            Path(part.file.name).unlink(missing_ok=True)

    def keep(self, values: Mapping[str, Any]) -> None:
        """List JSON values that hold for the whole run."""
        self._append({"kept": dict(values)})
        self.kept = dict(values)

    def note_finished(self, finished: Finished) -> None:
        """List that the output is whole and about to take its place."""
        self._append(asdict(finished))
        self.finished = finished

    def shorten(self, summary: Mapping[str, Any]) -> None:
        """Keep of an output that stands in its place only what tells that it is finished."""
        chunks = self.chunks()
        rows = sum(chunk.rows for chunk in chunks.values())
        whole = Chunk(min((c.first_row for c in chunks.values()), default=0), rows, "", summary)
        lines = [
            {**(self.header or {})},
            {"index": 0, "sha256": "", "chunks": [asdict(whole)]},
            asdict(cast(Finished, self.finished)),
        ]
        short = self.folder / f"{JOURNAL}.tmp"
        try:
            short.write_bytes(b"".join(map(_line, lines)))
            sync_file(short)
            short.replace(self._file)
        except OSError:  # the long one tells the same
            short.unlink(missing_ok=True)
        self._remove_parts()

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = _line(entry)
        with self._file.open("r+b", buffering=0) as file:
            file.seek(self._length)
            try:
                _write_all(file, line)
            except OSError:
                file.truncate(self._length)
                raise
            os.fsync(file.fileno())
        self._length += len(line)

    def is_whole(self, part: Part, suffix: str) -> bool:
        """Whether the file of a part is what was stored."""
        try:
            return sha256_of(self.path(part.index, suffix)) == part.sha256
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """Remove the folder with all parts; the journal goes last, for it lists what is done."""
        self._remove_parts()
        (self.folder / LOCK).unlink(missing_ok=True)
        self._file.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()
        self.release()

    def release(self) -> None:
        """Let other processes in."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _remove_parts(self) -> None:
        for pattern in ("part-??????*", ASSEMBLED, f"{JOURNAL}.tmp"):
            for path in self.folder.glob(pattern):
                path.unlink()


def _is_number(value: Any) -> bool:
    """Whether a value can be the number of a row, or of a part."""
    return type(value) is int and 0 <= value < MOST


def sync_folder(folder: Path) -> None:
    """Make renames in a folder outlive a crash, where the system can."""
    if os.name != "nt":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_file(path: Path) -> None:
    """Make the content of a file outlive a crash."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _write_all(file: FileIO, data: bytes) -> None:
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _line(entry: Mapping[str, Any]) -> bytes:
    return (json.dumps(entry, sort_keys=True) + "\n").encode()
