"""Where the table of a text begins: on its first line, or below a title and notes."""

from __future__ import annotations

import logging

from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.separators import ARROW
from cascade.taxonomy.formats.tables.levels import has_levels
from cascade.taxonomy.formats.tables.problems import has_words
from cascade.taxonomy.formats.tables.table import TaxonomyTable

logger = logging.getLogger(__name__)

_MOST_NOTES = 30  # lines that may stand above the header


def find_table(file: TaxonomyFile) -> TaxonomyTable | None:
    """The table below the first line that is its header, as in workbooks.

    Where the first line is none, a later one is if its words are those of a taxonomy, the line
    below it has as many cells, and no path stands above it. None where this is no table at all.
    """
    first = TaxonomyTable.sniff(file)
    if first is None or _is_header(first):
        return first
    for at in range(1, min(_MOST_NOTES, len(file.head) - 1)):
        if ARROW in file.head[at - 1][1]:
            break
        table = TaxonomyTable.sniff(file, at)
        if table is not None and _is_header(table) and _has_row(table, file.head[at + 1][1]):
            return table
    return first


def tell_left_out(table: TaxonomyTable) -> None:
    """Warn of lines above the header of a text, and of those that repeat a header."""
    head = table.file.head if table.delimiter else []  # workbooks tell it themselves
    first = table.line - sum(heading.count("\n") for heading in table.header)
    above = [at for at, text in head if at < first and not text.casefold().startswith("sep=")]
    if above:
        logger.warning(
            "%s: the header is on line %d; what stands above it is left out (%s)",
            table.file.label,
            table.line,
            f"line {above[0]}" if len(above) == 1 else f"lines {above[0]} to {above[-1]}",
        )
    if table.repeated:
        logger.warning(
            "%s: the header stands again on line %s, and is left out there",
            table.file.label,
            ", ".join(map(str, sorted(table.repeated)[:5])),
        )


def _is_header(table: TaxonomyTable) -> bool:
    if len(table.header) < 2:
        return False
    return table.named_columns > 1 or has_words(table) or has_levels(table.header)


def _has_row(table: TaxonomyTable, line: str) -> bool:
    """Whether a line has the delimiter as often as the header, or more, as within quotes."""
    return line.count(table.delimiter) >= len(table.header) - 1
