"""JSON lines in: each line an object, and lines that are none as bad rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from cascade.io.encodings import Encoding, lines_of
from cascade.io.rows import EXTRA, Row, Table
from cascade.io.sniff import HEAD

LINE_LIMIT = 1 << 26
SAMPLE = 1_000


def read_json_lines(stream: BinaryIO, encoding: Encoding, name: str) -> Table:
    """A table over JSON lines; its columns are the keys of the first thousand objects."""
    text = encoding.wrap(stream, "\n")
    rows = _rows(lines_of(text, LINE_LIMIT, name), encoding)
    sample: list[Row] = []
    keys: dict[str, None] = {}
    size, complete = 0, False
    while len(sample) < SAMPLE and size < HEAD:
        row = next(rows, None)
        if row is None:
            complete = True
            break
        sample.append(row)
        size += len(row.raw)
        keys.update(dict.fromkeys(row.cells))
    complete = complete and not any(row.problem and not row.cells for row in sample)
    overflow = EXTRA
    while overflow in keys:
        overflow += "_"
    return Table(
        name=name,
        kind="jsonl",
        columns=tuple(keys),
        rows=chain(sample, rows),
        close=text.close,
        overflow=None if complete else overflow,
    )


def _rows(lines: Iterator[str], encoding: Encoding) -> Iterator[Row]:
    number = 0
    for line, raw in enumerate(lines, start=1):
        stripped = raw.strip(" \t\r\n\ufeff")
        if not stripped:
            continue
        number += 1
        cells: dict[str, Any] = {}
        problem = None
        try:
            value = json.loads(stripped)
        except RecursionError:
            problem = f"line {line} is nested too deeply; flatten it"
        except ValueError as error:
            if len(raw) >= LINE_LIMIT:
                problem = f"line {line} is longer than {LINE_LIMIT >> 20} Mi characters"
            else:
                problem = f"line {line} is not JSON ({error}); one object on each line is expected"
        else:
            if isinstance(value, dict):
                cells = value
            else:
                problem = (
                    f"line {line} holds {_called(value)}; one object on each line is expected, "
                    'for example {"text": "..."}'
                )
        if problem is None and not stripped.isascii():
            bad = encoding.fault(stripped)
            problem = f"line {line} has {bad}" if bad else None
        yield Row(number, line, cells, problem, stripped)


def _called(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
