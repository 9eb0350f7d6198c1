"""What a run did, in three columns: in colours on a terminal, else as plain lines of any length."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.cli.console import err
from cascade.values import printable

STYLES = {
    "ok": "green",
    "review": "yellow",
    "partial": "yellow",
    "nowhere": "magenta",
    "error": "red",
}
"""The colour of each status."""

Parts = Sequence[tuple[str, str]]  # of a text, each with its style
Cell = str | Parts
GAP = "  "


class Grid:
    """Rows of what is counted, how many, and what is to say of them."""

    def __init__(self) -> None:
        self._rows: list[tuple[Parts, str, Parts]] = []

    def add(self, what: Cell, number: str = "", told: Cell = "") -> None:
        """Add a row."""
        self._rows.append((_parts(what), number, _parts(told)))

    def print(self) -> None:
        """Print the rows on standard error."""
        if err.is_terminal:
            self._print_rich()
            return
        rows = [(_plain(what), number, _plain(told)) for what, number, told in self._rows]
        first, second = (max((len(row[at]) for row in rows), default=0) for at in (0, 1))
        for what, number, told in rows:
            err.write(GAP.join((what.ljust(first), number.rjust(second), told)).rstrip())

    def _print_rich(self) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold")
        table.add_column(justify="right")
        table.add_column()
        for what, number, told in self._rows:
            table.add_row(Text.assemble(*what), number, Text.assemble(*told))
        err.print(table)


def styled(text: str, style: str) -> Cell:
    """A text in one style."""
    return [(text, style)]


def _parts(cell: Cell) -> Parts:
    """A cell with nothing in it that steers a terminal: names and labels are of files."""
    parts = [(cell, "")] if isinstance(cell, str) else cell
    return [(printable(text), style) for text, style in parts]


def _plain(parts: Parts) -> str:
    return "".join(text for text, _ in parts)
