"""Answered rows out to a file, in a run that can be resumed."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from cascade.errors import OutputError, UsageError
from cascade.io.files import sha256_of
from cascade.io.resumable.destination import State, check_output, on_disk, resolved, state_of
from cascade.io.resumable.interface import Output, StreamOutput
from cascade.io.resumable.journal import (
    ASSEMBLED,
    Chunk,
    Finished,
    Journal,
    stamp_of,
    sync_file,
    sync_folder,
)
from cascade.io.resumable.row_hashes import digest, digest_of, digest_of_all
from cascade.io.tables.detection import kind_of
from cascade.io.tables.layout import Answer, Format
from cascade.io.tables.rows import Kind, Row, Table
from cascade.io.tables.writing import format_of

log = logging.getLogger(__name__)

COMMIT_SECONDS = 1.0


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
    lasting: bool = False,
    run: str = "",
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
    lasting
        Whether the journal outlives the output, until `forget`: a run of many files that is resumed
        does not read what it has finished.
    run
        Name of the run, for those who ask `begun_by`.

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
        "run": run,
    }
    return ResumableOutput(
        *(resolved(Path(out)), format, header),
        resume=resume,
        overwrite=overwrite,
        lasting=lasting,
    )


def begun_by(run: str, out: str | Path) -> bool:
    """Whether a run has begun an output, and its journal is still there."""
    header = Journal(resolved(Path(out))).header
    return header is not None and header.get("run") == run


def mark_replaced(out: str | Path, fingerprint: Mapping[str, Any], run: str) -> None:
    """Begin the journal of an output that a run will replace, before its turn comes."""
    path = resolved(Path(out))
    journal = Journal(path)
    known = json.loads(json.dumps(fingerprint))
    with on_disk(path):
        journal.lock()
        try:
            journal.begin({"fingerprint": known, "overwrite": True, "run": run})
        finally:
            journal.release()


def settings_of(out: str | Path) -> Mapping[str, Any] | None:
    """What the answers of an output depend on that is begun; None where none is."""
    header = Journal(resolved(Path(out))).header
    if header is None or not isinstance(found := header.get("fingerprint"), dict):
        return None
    return found


def refuse_others(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with other settings, whatever columns a file has.

    Raises
    ------
    OutputError
        Names those that changed.
    """
    plain = json.loads(json.dumps(now))
    _check_same(
        *(
            {"fingerprint": {k: v for k, v in side.items() if k != "columns"}}
            for side in (before, plain)
        )
    )


def forget(out: str | Path) -> None:
    """Remove the journal that outlived a finished output."""
    journal = Journal(resolved(Path(out)))
    if journal.finished is not None:
        with on_disk(journal.folder):
            journal.lock()
            journal.remove()


class ResumableOutput(Output):
    """Rows to a file, in parts that outlive a kill; see `open_output`.

    Attributes
    ----------
    finished
        What an interrupted run of many files left of an output that it had finished, and
        `finished_summaries` what it remembered of its chunks.
    """

    format: Format
    finished: Finished | None = None
    finished_summaries: Sequence[Mapping[str, Any]] = ()

    def __init__(
        self,
        out: Path,
        format: Format,
        header: Mapping[str, Any],
        *,
        resume: bool = False,
        overwrite: bool = False,
        lasting: bool = False,
    ) -> None:
        self.path = out
        self._lasting = lasting
        self._input = header["input"]
        self._source = stamp_of(self._input)
        self.nested = format.kind == "jsonl"
        self.format = format
        self._seen: set[int] = set()
        self._whole: set[int] = set()
        self._committed = time.monotonic()
        self._digest: tuple[int, str] | None = None
        self._read_anew: dict[int, str] = {}  # hashes of rows, where the journal has older ones
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
            if self._lasting:
                _check_same(journal.header or {}, header)
                self.finished = journal.finished
                self.finished_summaries = [c.summary for c in journal.chunks().values()]
            else:
                journal.remove()
            self.complete = True
        elif state == "resume" and journal.parts and not journal.is_short:
            _check_same(journal.header or {}, header)
            journal.go_on()
            self.resumed_rows = journal.finished_rows
        elif state == "resume":
            replaces = (journal.header or {}).get("overwrite", False)
            journal.begin({**header, "overwrite": replaces})
        else:
            journal.begin(header)

    def check_input(self, chunks: Iterable[Sequence[Row]]) -> None:
        """Compare the input with what it was when an interrupted run finished this output.

        Parameters
        ----------
        chunks
            All of its rows; they are read only where size or time of the file have changed.

        Raises
        ------
        OutputError
            Other rows were answered.
        """
        known = self.finished
        if known is None or (known.source and known.source == self._source):
            return
        if digest_of_all(digest_of(rows, known.input) for rows in chunks) != known.input:
            raise OutputError(
                f"{self._input} changed since it was answered; remove {self.path} to have it "
                "answered again, or begin again with --overwrite"
            )

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
        now = self._hash(index, rows)
        if chunk.input not in (now, digest_of(rows, chunk.input)):
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
        if now != chunk.input:
            self._read_anew[index] = now
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

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
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
            read = digest_of_all(self._read_anew.get(at, own.input) for at, own in chunks.items())
            stamp = self._source if stamp_of(self._input) == self._source else ()
            whole = sha256_of(temporary)
            journal.note_finished(Finished(whole, stamp_of(temporary), stamp, read))
            temporary.replace(self.path)
            sync_folder(self.path.parent)
            if self._lasting:
                journal.shorten(summary or {})
            else:
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
