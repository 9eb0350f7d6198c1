"""Answers on a terminal: a table that a person reads, in place of rows that a program reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from cascade.io import Answer, Output, Row, Table

STYLES = {"ok": "green", "review": "yellow", "partial": "yellow", "error": "red"}


class ScreenOutput(Output):
    """Prints each chunk of answered rows as a table."""

    def __init__(self, table: Table, text: Sequence[str], console: Console) -> None:
        self._table = table
        self._text = list(text)
        self._console = console

    def write(
        self,
        index: int,
        rows: Sequence[Row],
        answers: Sequence[Answer],
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Print the next rows."""
        shown = RichTable(box=None, pad_edge=False, header_style="bold")
        shown.add_column(" / ".join(self._text), max_width=44, overflow="ellipsis", no_wrap=True)
        shown.add_column("path", overflow="fold")
        shown.add_column("confidence", justify="right")
        shown.add_column("")
        for row, answer in zip(rows, answers, strict=True):
            text = " ".join(" ".join(self._table.texts(row, self._text).values()).split())
            status = answer["cascade_status"]
            path = answer["cascade_path"] or answer["cascade_message"]
            confidence = answer["cascade_confidence"]
            shown.add_row(
                Text("".join(c if c.isprintable() else " " for c in text[:200])),
                Text(path, style="" if status == "ok" else STYLES[status]),
                "" if confidence is None else f"{confidence:.0%}",
                Text("" if status == "ok" else status, STYLES[status]),
            )
        self._console.print(shown)

    def finish(self) -> None:
        """Nothing is left to do."""
