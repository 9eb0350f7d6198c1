"""The run folder of a first hour: what was asked and labelled so far, and the file to label.

`state.json` is written after each step, so that a run which was killed goes on from there.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cascade.errors import ConfigError, InputError, OutputError, unwritable
from cascade.io.files import read_json, write_json
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.finding import LabelFinder, name_hint, unknown_labels_error
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import clean

FORMAT = 1
STATE, LABELLED = "state.json", "labelled.csv"
ROW, LABEL = "cascade_row", "label"
ANSWER = ("cascade_code", "cascade_path", "cascade_confidence")
MADE = ("sample.safetensors", "words.safetensors", "bootstrap.safetensors")
"""What is computed of rows once."""

NOWHERE = "nowhere"
"""A label of a row that belongs to no node of the taxonomy."""


@dataclass
class State:
    """What is known of a first hour.

    Parameters
    ----------
    identity
        All that its rows and answers depend on.
    rounds
        What was asked, each time: `rows`, numbers in the file from 1, and the `weight` of each.
    labels
        By row the code of its label; None for one that is nowhere.
    told
        What was told after each round.
    file
        Number of the file to label; with new labels the next begins.
    """

    identity: dict[str, Any]
    rounds: list[dict[str, list[float]]] = field(default_factory=list)
    labels: dict[int, str | None] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)
    file: int = 1

    @property
    def asked(self) -> dict[int, float]:
        """Rows that were asked for, in their order, with the rows that each stands for.

        Of a round of which some rows are labelled, these stand for all: they were in random order.
        """
        return {
            int(row): weight
            for one in self.rounds
            for row, weight in zip(one["rows"], one["weight"], strict=True)
        }

    @property
    def unlabelled(self) -> list[int]:
        """Rows that were asked for and have no label yet."""
        return [row for row in self.asked if row not in self.labels]


def begin(folder: Path, identity: Mapping[str, Any], *, overwrite: bool) -> State:
    """The state of a folder, which is made if it is not there.

    Raises
    ------
    OutputError
        It holds something else, or a first hour of other rows, columns or settings.
    """
    path = folder / STATE
    plain = dict(identity)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name another folder with --out")
    if path.is_file() and overwrite:
        _forget(folder)
    elif path.is_file():
        state = _read(path)
        if state.identity == plain:
            return state
        changed = [k for k in plain if plain[k] != state.identity.get(k)]
        others = [f"{'other' if name.endswith('s') else 'another'} {name}" for name in changed]
        raise OutputError(
            f"{folder} was begun with {' and '.join(others) or 'another version'}; go on with "
            "the same, name another folder with --out, or begin anew with --overwrite, which "
            "forgets its labels"
        )
    elif folder.exists() and any(folder.iterdir()):
        raise OutputError(f"{folder} is there and was not made by `cascade start`; name another")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from None
    state = State(plain)
    save(folder, state)
    return state


def _forget(folder: Path) -> None:
    """Remove what is known of other rows: vectors, and what was asked and decided."""
    try:
        for known in [*MADE, *(path.name for path in folder.glob("to-label-*.csv"))]:
            (folder / known).unlink(missing_ok=True)
        for session in folder.glob("to-label-*.review"):
            if (session / "review.sqlite").is_file():
                shutil.rmtree(session)
    except OSError as error:
        raise unwritable(folder, error) from None


def save(folder: Path, state: State) -> None:
    """Write the state, whole or not at all."""
    labels = {str(row): code for row, code in state.labels.items()}
    values = {"format": FORMAT, **vars(state), "labels": labels}
    write_json(folder / STATE, values)


def _read(path: Path) -> State:
    try:
        values = read_json(path)
        if values["format"] != FORMAT:
            raise ValueError
        labels = {int(row): code for row, code in values["labels"].items()}
        rounds = [{"rows": r["rows"], "weight": r["weight"]} for r in values["rounds"]]
        return State(
            dict(values["identity"]), rounds, labels, list(values["told"]), int(values["file"])
        )
    except (ConfigError, KeyError, TypeError, ValueError, AttributeError):
        raise OutputError(
            f"{path}: is damaged, or of another version; begin anew with --overwrite"
        ) from None


def write_rows(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[tuple[int, Mapping[str, str], Sequence[Any], str]],
) -> None:
    """Write rows to label, or labelled ones, as CSV.

    Parameters
    ----------
    rows
        Number, texts, answer (code, path, confidence) and label of each.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([ROW, *columns, *ANSWER, LABEL])
            for number, texts, answer, label in rows:
                writer.writerow([number, *(texts.get(c, "") for c in columns), *answer, label])
        partial.replace(path)
    except OSError as error:
        raise unwritable(path, error) from None


@dataclass(frozen=True)
class Given:
    """Labels as a file has them.

    Parameters
    ----------
    labels
        By row the code; None for one that is nowhere.
    warnings
        What could not be used, a sentence each.
    """

    labels: dict[int, str | None]
    warnings: list[str]


def texts_asked(folder: Path, columns: Sequence[str]) -> dict[int, tuple[str, ...]]:
    """What was written of rows to label: their texts, by number.

    Raises
    ------
    InputError
        A file of them is damaged.
    """
    found: dict[int, tuple[str, ...]] = {}
    for path in folder.glob("to-label-*.csv"):
        with TableFile(str(path)).open() as table:
            if {ROW, *columns} <= set(table.columns):
                for row in table:
                    texts = tuple(clean(table.text(row, c)) for c in columns)
                    found[_number(table.text(row, ROW))] = texts
    return found


def require_ours(source: TableFile, columns: Sequence[str], asked: set[int], folder: Path) -> None:
    """Check that a file of labels is of the rows that were asked for; some may differ.

    Raises
    ------
    InputError
        Most of its rows have another number, or another text.
    """
    other = total = 0
    texts = texts_asked(folder, columns)
    with source.open() as table:
        if ROW not in table.columns:
            return
        there = [at for at, name in enumerate(columns) if name in table.columns]
        for row in table:
            number = _number(table.text(row, ROW))
            known = texts.get(number)
            here = {at: clean(table.text(row, columns[at])) for at in there}
            differs = known and here and all(known[at] != text for at, text in here.items())
            total += 1
            other += number not in asked or bool(differs)
    if 2 * other > total:
        raise InputError(
            f"is not of this file: {other:,} of its {total:,} rows are not those that were asked "
            f"for in {folder}; name a copy of its to-label-1.csv (or -2, ...), or the folder that "
            "these labels belong to with --out",
            file=source.file,
        )


def read_labels(source: TableFile, taxonomy: Taxonomy, rows: set[int]) -> Given:
    """The labels of a file of rows to label.

    Parameters
    ----------
    rows
        Rows that were asked for.

    Raises
    ------
    InputError
        A column is missing, or none of its labels is in the taxonomy.
    """
    lines: dict[int, str] = {}
    double: dict[int, str] = {}
    finder = LabelFinder(taxonomy)
    found: dict[int, str | None] = {}
    unknown: list[str] = []
    strange: list[str] = []
    first = example = ""
    with source.open() as table:
        for column in (ROW, LABEL):
            if column not in table.columns:
                raise InputError(
                    f"has no column {column!r}; name the file that `cascade start` wrote, with "
                    f"labels in its column {LABEL!r}, and keep its column {ROW!r}",
                    file=source.file,
                )
        for row in table:
            label = clean(table.text(row, LABEL))
            if not label:
                continue
            number = _number(table.text(row, ROW))
            if number not in rows:
                strange.append(f"line {row.line}")
                continue
            node = finder.find(label)
            if node >= 0 or label.casefold() == NOWHERE:
                code = taxonomy.codes[node] if node >= 0 else None
                if found.setdefault(number, code) != code:
                    told = f"row {number} in lines {lines[number]} and {row.line}"
                    double.setdefault(number, told)
                lines.setdefault(number, str(row.line))
            else:
                unknown.append(f"line {row.line}, {finder.shown(label)}{name_hint(finder, label)}")
                first, example = first or f"line {row.line}, {finder.shown(label)}", label
    if unknown and not found:
        raise unknown_labels_error(source, LABEL, taxonomy, len(unknown), first, example)
    warnings = []
    if unknown:
        warnings.append(
            f"{source.file}: {len(unknown):,} labels are not in the taxonomy and wait for another "
            f"(first: {unknown[0]}); write {NOWHERE!r} where nothing fits"
        )
    if double:
        warnings.append(
            f"{source.file}: {len(double):,} rows have two labels that differ (first: "
            f"{next(iter(double.values()))}); they wait until one label is left of each"
        )
        found = {row: code for row, code in found.items() if row not in double}
    if strange:
        warnings.append(
            f"{source.file}: {len(strange):,} rows have a {ROW} that was not asked for (first: "
            f"{strange[0]}); they are passed over"
        )
    return Given(found, warnings)


def _number(text: str) -> int:
    """A row's number, also as spreadsheets write it (17.0); 0 for what is none."""
    try:
        value = float(text)
    except ValueError:
        return 0
    return int(value) if value.is_integer() and 0 < value < 1e15 else 0
