"""Answered rows as a table that a person reads: code, path, how sure, and what is doubtful."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from cascade.cli.console import out
from cascade.cli.grid import STYLES
from cascade.io import Answer, Output, Row, Table
from cascade.taxonomy.names import PATH_SEPARATOR
from cascade.values import printable

SURE = ((0.8, "green"), (0.5, "yellow"), (0.0, "red"))  # from which confidence on, by style
BAR = 5  # cells of the bar of a confidence
EIGHTHS = " ▏▎▍▌▋▊▉█"
CUT = "…"
LONGEST_CODE = 24  # cells; longer codes are folded, so that they can be copied
BESIDE = 10 + 7 + 4 * 2  # cells of confidence and status, and between columns
TEXT_SHARE = 0.45  # of what is left for texts and paths


class ScreenOutput(Output):
    """Prints each chunk of answered rows as a table, with the columns that were read."""

    def __init__(self, table: Table, shown: Sequence[str]) -> None:
        self._table = table
        self._shown = list(shown)

    def write(
        self,
        index: int,
        rows: Sequence[Row],
        answers: Sequence[Answer],
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Print the next rows."""
        widths = _widths(out.width, answers)
        printed = RichTable(box=None, pad_edge=False, header_style="bold")
        heading = Text(printable(" / ".join(self._shown)))
        printed.add_column(heading, width=widths[0], overflow="ellipsis", no_wrap=True)
        printed.add_column("code", width=widths[1], overflow="fold")
        printed.add_column("path", width=widths[2])
        printed.add_column("confidence", width=10)
        printed.add_column("", width=7)
        for row, answer in zip(rows, answers, strict=True):
            text = " ".join(" ".join(self._table.texts(row, self._shown).values()).split())
            status = answer["cascade_status"]
            style = "" if status == "ok" else STYLES[status]
            path = answer["cascade_path"]
            printed.add_row(
                Text(printable(text[:200])),
                Text(answer["cascade_code"] or ""),
                CutPath(path, style) if path else Text(answer["cascade_message"], style),
                confidence_bar(answer["cascade_confidence"]),
                Text("" if status == "ok" else status, style),
            )
            for code, path, confidence in _others(answer):
                printed.add_row(
                    "", Text(code, "dim"), CutPath(path, "dim"), confidence_bar(confidence), ""
                )
        out.print(printed)

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """Nothing is left to do."""


def _widths(width: int, answers: Sequence[Answer]) -> tuple[int, int, int]:
    """Cells of the columns of texts, codes and paths, which together fill a terminal."""
    codes = [code for answer in answers if (code := answer["cascade_code"])]
    code = min(max(map(cell_len, codes), default=4), LONGEST_CODE, width // 5)
    left = width - code - BESIDE
    text = max(int(left * TEXT_SHARE), 1)
    return text, max(code, 4), max(left - text, 1)


def _others(answer: Answer) -> list[tuple[str, str, float]]:
    """The next best answers, as their columns hold them: code, path and confidence."""
    found = []
    at = 2
    while code := answer.get(f"cascade_code_{at}"):
        path, confidence = answer[f"cascade_path_{at}"], answer[f"cascade_confidence_{at}"]
        found.append((code, path or "", confidence))
        at += 1
    return found


def confidence_bar(confidence: float | None) -> Text:
    """A bar and a percentage, by which doubtful rows are seen from afar; without colours too."""
    if confidence is None:
        return Text()
    style = next(style for least, style in SURE if confidence >= least)
    whole, part = divmod(round(confidence * BAR * 8), 8)
    bar = ("█" * whole + EIGHTHS[part].strip()).ljust(BAR)
    return Text(f"{bar} {confidence:4.0%}", style)


class CutPath:
    """A path that is cut in its middle where the column is too narrow for it; see `cut_path`."""

    def __init__(self, path: str, style: str = "") -> None:
        self._path, self._style = path, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(cut_path(self._path, options.max_width), self._style, no_wrap=True)


def cut_path(path: str, width: int) -> str:
    """A path in at most `width` cells: its node in full, its top, and of the middle what fits.

    Examples
    --------
    >>> cut_path("Clothing > Tops > Sweatshirts & Hoodies", 35)
    'Clothing > … > Sweatshirts & Hoodies'
    >>> cut_path("Clothing > Tops > Sweatshirts & Hoodies", 24)
    '… > Sweatshirts & Hoodies'
    """
    if cell_len(path) <= width:
        return path
    top, *middle, node = path.split(PATH_SEPARATOR) if PATH_SEPARATOR in path else ("", path)
    for first in ([top], []) if top else ([],):
        for kept in range(len(middle), -1, -1):
            left = len(middle) - kept
            parts = [*first, *([CUT] if left or not first else []), *middle[left:], node]
            told = PATH_SEPARATOR.join(parts)
            if cell_len(told) <= width:
                return told
    if cell_len(node) <= width:
        return node
    half = (width - 1) // 2
    end = node[::-1]
    while cell_len(end) > half:
        end = end[:-1]
    return set_cell_size(node, width - 1 - cell_len(end)).rstrip() + CUT + end[::-1]
