"""Descriptions of foods with their codes, read from a table; which cannot be used, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cascade.config import CascadeConfig, Columns
from cascade.errors import InputError
from cascade.foodex2.code import FoodCode
from cascade.foodex2.repair import is_anonymised, repair
from cascade.io import require_columns
from cascade.io.tables.opening import TableFile
from cascade.items import Item
from cascade.pipeline.runs.columns import RowReader, guessed_columns
from cascade.predictions import Prediction
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.values import is_visible

UNREADABLE = "cannot be read"
TEXTLESS = "no text"
ANONYMISED = "a text that was struck out"
UNCODED = "no code"
UNKNOWN = "no code of the catalogue"
CHUNK = 1024  # rows between two signs of progress


@dataclass(frozen=True)
class CodedRows:
    """Rows that can be learnt from or measured on.

    Parameters
    ----------
    items, codes, lines
        Of the rows, in their order; codes without what their base terms imply.
    dropped
        The lines of rows that were left out, by reason.
    repaired
        Line, code as it was written, and what was mended.
    first_unknown
        The first code that is none of the catalogue.
    columns
        With the text settled.
    """

    items: Sequence[Item]
    codes: Sequence[FoodCode]
    lines: Sequence[int]
    dropped: dict[str, list[int]]
    repaired: Sequence[tuple[int, str, Sequence[str]]]
    first_unknown: str
    columns: Columns

    def __len__(self) -> int:
        return len(self.items)

    @property
    def texts(self) -> list[str]:
        """The whole text of each row."""
        return [item.text for item in self.items]

    def warnings(self) -> list[str]:
        """What a user should know about the rows, a sentence each."""
        found = [
            f"left out {len(lines):,} row{'s' * (len(lines) > 1)}: {reason} ({_lines(lines)})"
            + (f": {self.first_unknown[:40]!r}" if reason == UNKNOWN else "")
            for reason, lines in self.dropped.items()
            if lines
        ]
        if self.repaired:
            line, code, repairs = self.repaired[0]
            lines = [line for line, _, _ in self.repaired]
            found.append(
                f"mended {len(lines):,} code{'s' * (len(lines) > 1)} ({_lines(lines)}); the first, "
                f"{code[:60]!r} on line {line}: {'; '.join(repairs)}"
            )
        return found


def _lines(lines: Sequence[int]) -> str:
    """Which lines, the first of them."""
    shown = ", ".join(f"{line:,}" for line in lines[:5])
    return f"line{'s' * (len(lines) > 1)} {shown}{', ...' if len(lines) > 5 else ''}"


def read_coded_rows(
    source: TableFile,
    columns: Columns,
    taxonomy: FacetedTaxonomy,
    config: CascadeConfig | None = None,
    progress: Callable[[int], None] | None = None,
) -> CodedRows:
    """Read descriptions and codes; the column of codes is `columns.label`.

    Raises
    ------
    InputError
        A column is not there, or no row can be used.
    """
    assert columns.label is not None
    config = config or CascadeConfig()
    items: list[Item] = []
    codes: list[FoodCode] = []
    lines: list[int] = []
    dropped: dict[str, list[int]] = {
        reason: [] for reason in (UNREADABLE, TEXTLESS, ANONYMISED, UNCODED, UNKNOWN)
    }
    repaired: list[tuple[int, str, Sequence[str]]] = []
    first_unknown = ""
    with source.open() as table:
        require_columns(table, [columns.label])
        columns = guessed_columns(table, columns, config.reads)
        require_columns(table, columns.text)
        reader = RowReader.of(columns, config)
        for rows in table.chunks(CHUNK):
            found = reader.items(table, rows)
            for row, item, label in zip(rows, found, reader.labels(table, rows), strict=True):
                if isinstance(item, Prediction):
                    dropped[UNREADABLE].append(row.line)
                elif not is_visible(item.text):
                    dropped[TEXTLESS].append(row.line)
                elif is_anonymised(item.text):
                    dropped[ANONYMISED].append(row.line)
                elif not is_visible(label):
                    dropped[UNCODED].append(row.line)
                elif (read := repair(label, taxonomy)).code is None:
                    first_unknown = first_unknown or label
                    dropped[UNKNOWN].append(row.line)
                else:
                    items.append(item)
                    codes.append(read.code)
                    lines.append(row.line)
                    if read.repairs:
                        repaired.append((row.line, label, read.repairs))
            if progress is not None and rows:
                progress(rows[-1].number)
    if not items:
        reasons = ", ".join(f"{len(own):,} {reason}" for reason, own in dropped.items() if own)
        shown = f" (the first code: {first_unknown[:60]!r})" if first_unknown else ""
        raise InputError(
            f"no row has a text and a code of {taxonomy.name}: "
            f"{reasons or 'there are no rows'}{shown}; name other columns with --text and --code, "
            "and bring old codes along with `cascade foodex2 migrate`",
            file=source.file,
        )
    return CodedRows(items, codes, lines, dropped, repaired, first_unknown, columns)
