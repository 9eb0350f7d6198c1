"""Texts that are no table of cells, though each of their lines could be a row: refused with a cure.

Read as CSV they would have a single column with the signs of their own form in its cells, and would
be answered in silence.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from itertools import islice

from cascade.errors import InputError

_LINES = 200  # that are looked at
_MARKUP = re.compile(r"<[A-Za-z_][\w:.-]*(?:\s[^<>]*)?>")
_FASTTEXT = re.compile(r"__label__\S+\s")
_RULE = re.compile(r"[\s|+:=-]*(?:-{3}|:-|={3})[\s|+:=-]*")
_ITEM = re.compile(r"- (?:[\w. -]+:(?:\s|\Z)|\w)")
_SIGNS = "~^:#*\xa6"


def refuse_other_shapes(text: str, single: bool, name: str) -> None:
    """Raise InputError for the begin of a text that is in a form of its own; see the module.

    Parameters
    ----------
    single
        Whether its header is a single cell.
    """
    lines = [line for line in islice(text.splitlines(), _LINES) if line.strip()]
    if not lines:
        return
    for shape in (*_SHAPES, *([_other_delimiter] if single else [])):
        if (problem := shape(lines)) is not None:
            raise InputError(problem, file=name)


def _markup(lines: Sequence[str]) -> str | None:
    start = _MARKUP.match(lines[0].lstrip())
    if start is None or not any("</" in line or "/>" in line for line in lines):
        return None
    return f"this is XML or HTML ({start[0]:.40}), no table; make one row of each item in it"


def _fasttext(lines: Sequence[str]) -> str | None:
    if not all(map(_FASTTEXT.match, lines)):
        return None
    return (
        "these lines are in the form of fastText (__label__NAME text); make a table of them, with "
        "the columns label and text and a header"
    )


def _drawn(lines: Sequence[str]) -> str | None:
    rule = next((at for at, line in enumerate(lines[:3]) if _RULE.fullmatch(line)), None)
    if rule is None or not any(sign in lines[rule] for sign in "|+") or len(lines) < 3:
        return None
    return (
        f"this is a table drawn with lines, as in Markdown or a terminal ({lines[rule][:20]!r}); "
        "write its cells as CSV"
    )


def _yaml(lines: Sequence[str]) -> str | None:
    body = [line for line in lines if not line.startswith((" ", "#", "---"))]
    if len(body) < 2 or not all(map(_ITEM.match, body)):
        return None
    return "this is a list as in YAML or Markdown; write one JSON object on each line, or a table"


def _quoted_whole(lines: Sequence[str]) -> str | None:
    cells = [next(csv.reader([line]), []) for line in lines]
    if len(cells) < 2 or any(len(found) != 1 for found in cells):
        return None
    if not all(line.strip()[:1] == line.strip()[-1:] == '"' for line in lines):
        return None
    counts = {len(next(csv.reader([found[0]]), [])) for found in cells}
    if len(counts) > 1 or counts.pop() < 2 or " " in cells[0][0].strip():
        return None
    return (
        f"each line as a whole is in quotes ({lines[0][:40]}), so that it is one cell; remove the "
        "quotes at the begin and the end of the lines"
    )


def _other_delimiter(lines: Sequence[str]) -> str | None:
    for sign in _SIGNS:
        counts = {line.count(sign) for line in lines}
        if len(counts) == 1 and counts.pop() and len(lines) > 2:
            cells = [cell.strip() for cell in lines[0].split(sign)]
            if all(cells) and len(set(cells)) == len(cells) and len(cells[0].split()) < 4:
                return (
                    f"its cells seem to be separated by {sign!r} (header: {lines[0][:60]!r}); "
                    "write commas, tabs, semicolons or | between them"
                )
    return None


_SHAPES: tuple[Callable[[Sequence[str]], str | None], ...] = (
    _markup,
    _fasttext,
    _drawn,
    _yaml,
    _quoted_whole,
)


def wider_rows(header: Sequence[str], widths: Sequence[int]) -> int:
    """How many cells the rows below a header have where all have the same and more; else 0.

    Parameters
    ----------
    widths
        Cells of the first rows, up to the last that is not blank.
    """
    found = set(widths)
    return found.pop() if len(widths) > 1 and len(found) == 1 and min(found) > len(header) else 0
