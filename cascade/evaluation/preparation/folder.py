"""The folder of prepared rows: what lies in it, and how it is written."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cascade.errors import InputError, OutputError
from cascade.evaluation.evaluation_task import LINE
from cascade.evaluation.preparation.prepare import Preparation
from cascade.evaluation.preparation.splits import PARTS
from cascade.io import Answer, Row, Table
from cascade.io.files import write_json, write_text
from cascade.io.tables.detection import KINDS
from cascade.io.tables.writing import TableWriter, with_text

REASON, MESSAGE = "cascade_reason", "cascade_message"
CHUNK = 1024  # rows that are copied together

OnRow = Callable[[Row], None]


class PreparationFolder:
    """`train`, `validation` and `test` of the kind of the input, and what tells about them.

    The files appear together, when all are whole.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.dropped = self.path / "dropped.csv"  # rows in no part, each with its reason
        self.mended = self.path / "mended.csv"  # codes that were malformed, with what they are now
        self.taxonomy = self.path / "taxonomy.csv"  # cut where the labels are
        self.report = self.path / "preparation.json"  # see `Preparation.report`

    def check(self, read: Iterable[str | Path], *, overwrite: bool) -> None:
        """Check, without changing anything, that a preparation can be put here.

        Parameters
        ----------
        read
            Files that are read for it, none of which may be replaced by it.

        Raises
        ------
        OutputError
            It cannot.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path} is a file; name a folder with --out")
        for file in map(Path, read):
            if file.resolve().parent == self.path.resolve() and file.name in _names():
                raise OutputError(f"{file} is itself read by this command; name another --out")
        if self.path.is_dir() and any(self.path.iterdir()):
            if not self.report.is_file():
                raise OutputError(
                    f"{self.path} is not empty, and holds no whole preparation; name another "
                    "--out, or remove what is there"
                )
            if not overwrite:
                raise OutputError(
                    f"{self.path} exists; replace it with --overwrite, or name another --out"
                )

    def write(self, prepared: Preparation, *, progress: OnRow | None = None) -> dict[str, Any]:
        """Copy the rows to their parts, and write the rest; an earlier preparation is replaced.

        Returns
        -------
        dict
            The report.

        Raises
        ------
        OutputError
            The folder cannot be written.
        InputError
            The file has changed since its rows were decided about.
        """
        place = Path(os.path.realpath(self.path))
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.") as made:
                whole = PreparationFolder(made)
                _copy(prepared, whole, progress)
                prepared.taxonomy.to_csv(whole.taxonomy)
                _write_mended(prepared, whole.mended)
                report = prepared.report()
                write_json(whole.report, report)
                place.mkdir(exist_ok=True)
                # The report goes first and comes last, as what says that all is there: rows
                # of an earlier test among those of a new train would never be noticed.
                (place / whole.report.name).unlink(missing_ok=True)
                for name in sorted(_names(), key=whole.report.name.__eq__):
                    if (file := Path(made) / name).exists():
                        file.replace(place / name)
                    else:
                        (place / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written: {error.strerror or error}; mend that (free "
                "space, permissions), or name another --out"
            ) from None
        return report


def _names() -> set[str]:
    """Names of all files that a preparation may have."""
    folder = PreparationFolder(".")
    rest = (folder.dropped, folder.mended, folder.taxonomy, folder.report)
    return {f"{part}.{kind}" for part in PARTS for kind in KINDS.values()} | {f.name for f in rest}


def _copy(prepared: Preparation, folder: PreparationFolder, progress: OnRow | None) -> None:
    """Write the rows of the parts, and the dropped ones."""
    done = 0
    with ExitStack() as open_files:
        table = open_files.enter_context(prepared.options.source.open())
        extra = {LINE: int, REASON: str, MESSAGE: str}
        dropped = open_files.enter_context(TableWriter(folder.dropped, table, extra))
        parts = {
            PARTS.index(name): open_files.enter_context(
                TableWriter(folder.path / f"{name}.{table.kind}", table)
            )
            for name in prepared.parts
        }
        for rows in table.chunks(CHUNK):
            places = prepared.part[done : done + len(rows)].tolist()
            if len(places) < len(rows):
                raise _changed(table)
            for part, file in parts.items():
                mine = [row for row, at in zip(rows, places, strict=True) if at == part]
                file.write(_cut(prepared, table, mine))
            rest = [done + i for i, at in enumerate(places) if at < 0]
            lost = [rows[at - done] for at in rest]
            dropped.write(lost, _reasons(prepared, rest, lost))
            done += len(rows)
            if progress is not None:
                progress(rows[-1])
        if done < len(prepared.part):
            raise _changed(table)
        for file in (dropped, *parts.values()):
            file.finish()


def _write_mended(prepared: Preparation, file: Path) -> None:
    """The codes that were malformed, a row each; no file where there are none."""
    if found := prepared.mended():
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([LINE, "was", "is", MESSAGE])
        writer.writerows([line, was, now, what] for _, line, was, now, what in found)
        write_text(file, text.getvalue())


def _changed(table: Table) -> InputError:
    return InputError("the file changed while it was read; run again", file=table.name)


def _cut(prepared: Preparation, table: Table, rows: Sequence[Row]) -> list[Row]:
    """The rows with labels, and other right answers, cut to the depth that was asked for."""
    options = prepared.options
    found = list(rows)
    for column in (options.label, *options.also):
        for at, row in enumerate(found):
            text = table.text(row, column)
            if (cut := prepared.cut(text)) != text:
                found[at] = with_text(table, row, column, cut)
    return found


def _reasons(prepared: Preparation, at: Sequence[int], rows: Sequence[Row]) -> list[Answer]:
    """What stands beside dropped rows."""
    answers: list[Answer] = []
    for index, row in zip(at, rows, strict=True):
        word, message = prepared.why(index, row.problem)
        answers.append({LINE: row.line, REASON: word, MESSAGE: message})
    return answers
