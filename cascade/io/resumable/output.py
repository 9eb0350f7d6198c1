"""Answered rows out: to a stream as they come, or to a file in a run that can be resumed."""

from __future__ import annotations

import json
import logging
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

from cascade.errors import OutputError, UsageError, unwritable
from cascade.io.files import sha256_of
from cascade.io.resumable.destination import State, check_output, on_disk, resolved, state_of
from cascade.io.resumable.journal import ASSEMBLED, Chunk, Journal, digest, sync_file, sync_folder
from cascade.io.tables.detection import kind_of
from cascade.io.tables.layout import Answer, Format
from cascade.io.tables.rows import Kind, Row, Table
from cascade.io.tables.writing import format_of

log = logging.getLogger(__name__)

COMMIT_SECONDS = 1.0


class Output(ABC):
    """Takes chunks of rows with their answers; this one remembers nothing of earlier runs.

    Attributes
    ----------
    nested
        Whether an answer is one JSON object (JSON lines), not one value for each extra column.
    complete
        Whether there is nothing left to do: an earlier run had finished.
    resumed_rows
        Rows that an interrupted run had finished.
    format
        How rows become bytes, for those who call `write_bytes`; None where that cannot be.
    """

    format: Format | None = None
    nested = False
    complete = False
    resumed_rows = 0

    def has(self, index: int, rows: Sequence[Row]) -> bool:
        """Whether the chunk of these rows was finished by an interrupted run."""
        return False

    def summary(self, index: int) -> Mapping[str, Any]:
        """What an interrupted run remembered of a chunk that `has` calls finished."""
        return {}

    @property
    def kept(self) -> Mapping[str, Any] | None:
        """What an interrupted run kept with `keep`, for all its chunks; None if nothing."""
        return None

    def keep(self, values: Mapping[str, Any]) -> None:  # noqa: B027 - most remember nothing
        """Keep JSON values for a run that is resumed, before the first chunk is written."""

    @abstractmethod
    def write(
        self,
        index: int,
        rows: Sequence[Row],
        answers: Sequence[Answer],
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the rows of one chunk with their answers.

        Parameters
        ----------
        index
            Position of the chunk in the output, from 0.
        summary
            Small JSON values to remember with the chunk.
        """

    def write_bytes(
        self,
        index: int,
        rows: Sequence[Row],
        data: bytes,
        read: str | None = None,
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """As `write`, with rows and answers that `format` has made bytes of elsewhere.

        Parameters
        ----------
        read
            `digest` of the rows, if it is known.
        """
        raise NotImplementedError

    @abstractmethod
    def finish(self) -> None:
        """Complete the output after the last chunk."""

    def close(self) -> None:  # noqa: B027 - most outputs hold nothing
        """Let go of the output; what is finished stays."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_output(
    out: str | Path,
    table: Table,
    extra: Mapping[str, type],
    *,
    kind: Kind | None = None,
    source: str | Path | None = None,
    fingerprint: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    stdout: BinaryIO | None = None,
) -> Output:
    """Open a file, or standard output for `-`, for the rows of a table with answers beside them.

    Parameters
    ----------
    extra
        Columns of the answer in tabular output, with their types (`str`, `float`, `int`, `bool`).
    kind
        Of standard output: `csv`, `tsv` or `jsonl`; by default that of the table, or `csv`.
    source
        The input file, which is never overwritten.
    fingerprint
        All that the answers depend on (options, hashes of taxonomy and weights), as JSON values;
        a run is resumed only with the same.
    resume
        Go on with the parts of an interrupted run.
    overwrite
        Replace an output, and parts, that are there.

    Raises
    ------
    UsageError
        Options do not fit, or the table looks like an output.
    OutputError
        The place cannot be written, or holds something that may not be replaced.
    """
    check_output(out, source, resume=resume, overwrite=overwrite)
    if str(out) == "-":
        default: Kind = table.kind if table.kind in ("jsonl", "tsv") else "csv"
        if (kind := kind or default) not in ("csv", "tsv", "jsonl"):
            raise UsageError(f"{kind} cannot be written to standard output; name a file with --out")
        return StreamOutput(format_of(kind, table, extra), stdout or sys.stdout.buffer)
    format = format_of(kind_of(out), table, extra)
    header = {
        "fingerprint": json.loads(json.dumps(fingerprint or {}, sort_keys=True)),
        "kind": format.kind,
        "input_columns": list(table.columns),
        "answer_columns": list(extra),
        "input": table.name,
    }
    return ResumableOutput(resolved(Path(out)), format, header, resume=resume, overwrite=overwrite)


class StreamOutput(Output):
    """Rows to a stream as they are answered.

    A reader that goes away (`| head`) raises BrokenPipeError.
    """

    format: Format

    def __init__(self, format: Format, stream: BinaryIO) -> None:
        self.format = format
        self.nested = format.kind == "jsonl"
        self._stream = stream
        self._begun = False

    def write(
        self,
        index: int,
        rows: Sequence[Row],
        answers: Sequence[Answer],
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the next rows with their answers."""
        self._send(self.format.encode(rows, answers))

    def write_bytes(
        self,
        index: int,
        rows: Sequence[Row],
        data: bytes,
        read: str | None = None,
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the next rows with their answers."""
        self._send(data)

    def finish(self) -> None:
        """Write the header if no row has been written."""
        self._send(b"")

    def _send(self, data: bytes) -> None:
        try:
            if not self._begun:
                self._stream.write(self.format.head())
                self._begun = True
            self._stream.write(data)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise unwritable("standard output", error) from None


class ResumableOutput(Output):
    """Rows to a file, in parts that outlive a kill; see `open_output`."""

    format: Format

    def __init__(
        self,
        out: Path,
        format: Format,
        header: Mapping[str, Any],
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.path = out
        self.nested = format.kind == "jsonl"
        self.format = format
        self._seen: set[int] = set()
        self._whole: set[int] = set()
        self._committed = time.monotonic()
        self._digest: tuple[int, str] | None = None
        self._journal = Journal(out)
        with on_disk(out):
            state = state_of(out, self._journal, resume=resume, overwrite=overwrite)
            if state == "complete" and not self._journal.folder.exists():
                self.complete = True
                return
            self._journal.lock()
            try:
                # another process may have come first
                state = state_of(out, self._journal, resume=resume, overwrite=overwrite)
                self._open({**header, "overwrite": overwrite}, state)
            except BaseException:
                self._journal.release()
                raise

    def _open(self, header: Mapping[str, Any], state: State) -> None:
        journal = self._journal
        if state == "complete":
            journal.remove()
            self.complete = True
        elif state == "resume" and journal.parts:
            _check_same(journal.header or {}, header)
            journal.go_on()
            self.resumed_rows = journal.finished_rows
        elif state == "resume":
            replaces = (journal.header or {}).get("overwrite", False)
            journal.begin({**header, "overwrite": replaces})
        else:
            journal.begin(header)

    def summary(self, index: int) -> Mapping[str, Any]:
        """What an interrupted run remembered of a chunk that `has` calls finished."""
        return self._journal.chunk(index).summary

    @property
    def kept(self) -> Mapping[str, Any] | None:
        """What an interrupted run kept for all its chunks; None if nothing."""
        return self._journal.kept

    def keep(self, values: Mapping[str, Any]) -> None:
        """Keep JSON values for a run that is resumed."""
        with on_disk(self.path):
            self._journal.keep(values)

    def has(self, index: int, rows: Sequence[Row]) -> bool:
        """Whether the chunk of these rows is finished, and whole.

        Raises
        ------
        OutputError
            It was made of other rows.
        """
        self._seen.add(index)
        part = self._journal.part_of.get(index)
        if part is None:
            return False
        chunk = self._journal.chunk(index)
        if chunk.input != self._hash(index, rows):
            raise OutputError(
                f"the input changed since the run began: rows {chunk.first_row} to "
                f"{chunk.first_row + chunk.rows - 1} are not those that were answered; begin "
                "again with --overwrite"
            )
        if part.index not in self._whole:
            with on_disk(self.path):
                whole = self._journal.is_whole(part, self.format.suffix)
            if not whole:
                log.warning("a part of the interrupted run is damaged and is made again")
                self._journal.drop(part)
                return False
            self._whole.add(part.index)
        return True

    def write(
        self,
        index: int,
        rows: Sequence[Row],
        answers: Sequence[Answer],
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the rows of one chunk with their answers."""
        self.write_bytes(index, rows, self.format.encode(rows, answers), summary=summary)

    def write_bytes(
        self,
        index: int,
        rows: Sequence[Row],
        data: bytes,
        read: str | None = None,
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the rows of one chunk with their answers, as bytes of a part."""
        self._seen.add(index)
        first = rows[0].number if rows else 0
        read = self._hash(index, rows) if read is None else read
        chunk = Chunk(first, len(rows), read, dict(summary or {}))
        with on_disk(self.path):
            if self._journal.follows not in (None, index):
                self._journal.commit()
            self._journal.extend(index, chunk, self.format.suffix, data)
        if time.monotonic() - self._committed >= COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Make what was written outlive a kill."""
        with on_disk(self.path):
            self._journal.commit()
        self._committed = time.monotonic()

    def _hash(self, index: int, rows: Sequence[Row]) -> str:
        if self._digest is None or self._digest[0] != index:
            self._digest = (index, digest(rows))
        return self._digest[1]

    def finish(self) -> None:
        """Make the output of all parts, put it in its place and remove the parts.

        Raises
        ------
        OutputError
            Chunks are left that the input has no rows for, or the disk is full; parts stay.
        """
        if self.complete:
            return
        self.commit()
        journal, chunks = self._journal, self._journal.chunks()
        if beyond := set(chunks) - self._seen:
            first = chunks[min(beyond)].first_row
            raise OutputError(
                f"the input changed since the run began: row {first} and what follows is gone; "
                "begin again with --overwrite"
            )
        if missing := set(range(max(self._seen, default=-1) + 1)) - set(chunks):
            raise ValueError(f"chunk {min(missing)} was neither finished nor written")
        temporary = journal.folder / ASSEMBLED
        with on_disk(self.path):
            try:
                paths = [journal.path(part.index, self.format.suffix) for part in journal.parts]
                self.format.assemble(paths, temporary)
                sync_file(temporary)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
            journal.note_assembled(sha256_of(temporary))
            temporary.replace(self.path)
            sync_folder(self.path.parent)
            journal.remove()
        self.complete = True

    def close(self) -> None:
        """Let go of the output; what was written stays for `--resume`."""
        try:
            if not self.complete:
                self.commit()
        finally:
            if not self.complete and not self._journal.parts and not self.path.exists():
                self._journal.remove()
            self._journal.release()


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with other options, and name those that changed."""
    keys = ("fingerprint", "kind", "input_columns", "answer_columns")
    old, new = (dict(_flat({key: side.get(key) for key in keys})) for side in (before, now))
    changed = [
        f"{name.removeprefix('fingerprint.')} ({_shown(old, name)} then, {_shown(new, name)} now)"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    if changed:
        raise OutputError(
            f"the interrupted run had other settings: {'; '.join(changed)}; use the same to go "
            "on, or begin again with --overwrite"
        )


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _shown(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return "not set"
    text = json.dumps(values[name], ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
