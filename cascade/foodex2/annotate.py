"""Annotates codes, one by one or in files: with a check, their meaning, or a new code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from cascade.errors import InputError
from cascade.foodex2.catalogue import Catalogue, decode
from cascade.foodex2.releases import Migrated, Migration
from cascade.foodex2.rules import Checker, Message, Mode, worst
from cascade.io import open_output, open_table, require_columns
from cascade.io.files import sha256_of
from cascade.io.resumable.finished import check_finished

CHUNK = 1024  # rows


class Annotation(NamedTuple):
    """A check, the meaning, or the new code of a code.

    Parameters
    ----------
    outcome
        What the code is counted as.
    texts
        Written beside a row, in the order of the columns.
    record
        The same as JSON values.
    """

    outcome: str
    texts: Sequence[str | None]
    record: dict[str, Any]


class Annotator(NamedTuple):
    """A kind of annotation.

    Parameters
    ----------
    columns
        Names of the columns that are added.
    outcomes
        What rows are counted as, in the order of a summary.
    failures
        Those of the outcomes for which a command fails.
    annotate
        From a code, or the problem of a row that cannot be read.
    about
        All that annotations depend on, as JSON values: a run is resumed only with the same.
    """

    columns: Sequence[str]
    outcomes: Sequence[str]
    failures: Sequence[str]
    annotate: Callable[[str, str | None], Annotation]
    about: Mapping[str, Any]


def check_annotator(checker: Checker, mode: Mode) -> Annotator:
    """Severity, rules and messages; a text that EFSA's tool crashes on has the severity ERROR."""

    def annotate(code: str, problem: str | None) -> Annotation:
        messages = [Message("", "ERROR", problem)] if problem else checker.check(code, mode)
        severity = worst(messages) or ""
        rules = " ".join(message.rule for message in messages if message.rule)
        texts = "; ".join(message.text for message in messages)
        record = {"code": code, "messages": [asdict(message) for message in messages]}
        return Annotation(severity or "clean", (severity, rules, texts), record)

    about = {
        "check": mode,
        "catalogue": _hash(checker.catalogue.file),
        "processes": _hash(checker.processes.file),
    }
    columns = ("foodex2_severity", "foodex2_rules", "foodex2_messages")
    return Annotator(columns, ("clean", "LOW", "HIGH", "ERROR"), ("HIGH", "ERROR"), annotate, about)


def decode_annotator(catalogue: Catalogue) -> Annotator:
    """The code in order, and the names of its parts."""

    def annotate(code: str, problem: str | None) -> Annotation:
        try:
            if problem:
                raise InputError(problem)
            found = decode(code, catalogue)
        except InputError as error:
            message = str(error)
            return Annotation("error", (None, "", "", "", message), {"message": message})
        texts = found.code, found.base, "; ".join(found.explicit), "; ".join(found.implied), ""
        return Annotation("explained", texts, asdict(found))

    columns = [f"foodex2_{name}" for name in ("code", "base", "explicit", "implied", "message")]
    about = {"decode": _hash(catalogue.file)}
    return Annotator(columns, ("explained", "error"), ("error",), annotate, about)


def migration_annotator(migration: Migration) -> Annotator:
    """The code in another release, whether a part of it needs review, and what changed."""

    def annotate(code: str, problem: str | None) -> Annotation:
        found = Migrated(None, "error", [problem]) if problem else migration.migrate(code)
        texts = found.code, found.outcome, "; ".join(found.notes)
        return Annotation(found.outcome, texts, {"was": code, **asdict(found)})

    columns = ("foodex2_code", "foodex2_outcome", "foodex2_notes")
    about = {"migrate": [_hash(one.file) for one in migration.releases]}
    return Annotator(columns, ("same", "changed", "review", "error"), ("error",), annotate, about)


def annotate_file(
    file: str,
    annotator: Annotator,
    column: str,
    output: str,
    *,
    resume: bool = False,
    overwrite: bool = False,
    encoding: str | None = None,
    sheet: str | None = None,
) -> dict[str, int] | None:
    """Write the rows of a file with an annotation of the code in a column.

    A part that the output already has from an interrupted run is not annotated again.

    Returns
    -------
    The number of rows of each outcome; None where a run is resumed that was finished.

    Raises
    ------
    InputError, OutputError
        The file or the column cannot be read, or the output not be written.
    """
    counts = Counter(dict.fromkeys(annotator.outcomes, 0))
    columns: dict[str, type] = dict.fromkeys(annotator.columns, str)
    with open_table(file, encoding=encoding, sheet=sheet) as table:
        require_columns(table, [column])
        with open_output(
            output,
            table,
            columns,
            source=file,
            fingerprint={**annotator.about, "column": column},
            resume=resume,
            overwrite=overwrite,
        ) as sink:
            if sink.complete:
                check_finished(output, table, columns)
                return None
            for index, rows in enumerate(table.chunks(CHUNK)):
                if sink.has(index, rows):
                    counts.update(sink.summary(index))
                    continue
                found = [
                    annotator.annotate("" if row.problem else table.text(row, column), row.problem)
                    for row in rows
                ]
                own = Counter(one.outcome for one in found)
                values = [dict(zip(columns, one.texts, strict=True)) for one in found]
                sink.write(index, rows, values, dict(own))
                counts.update(own)
            sink.finish()
    return dict(counts)


def _hash(file: str) -> str:
    """SHA-256 of a file that was read."""
    return sha256_of(Path(file))
