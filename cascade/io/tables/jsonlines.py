"""JSON lines: each line an object, and lines that are none as bad rows; and back."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, BinaryIO

from cascade.io.encodings import SURROGATE, Encoding, TextLines
from cascade.io.tables.detection import HEAD
from cascade.io.tables.layout import (
    ANSWER_KEY,
    RAW_KEY,
    Answer,
    AnswerColumns,
    Layout,
    TextFormat,
    refuse_answered,
)
from cascade.io.tables.rows import EXTRA, Kind, Row, RowBlock, Rows, RowsAfter, Table, cells_of
from cascade.values import MOST_LEVELS, is_too_deep, json_of, json_texts

LINE_LIMIT = 1 << 26
SAMPLE = 1_000
BLANKS = " \t\r\n\ufeff"  # around an object


def read_json_lines(stream: BinaryIO, encoding: Encoding, name: str) -> Table:
    """A table over JSON lines; its columns are the keys of the first thousand objects."""
    text = encoding.wrap(stream, "\n")
    rows = _Objects(TextLines(text, LINE_LIMIT, name), encoding)
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
        rows=RowsAfter(sample, rows),
        close=text.close,
        overflow=None if complete else overflow,
    )


class _Repeating(dict[str, Any]):
    """An object of a JSON file that has a key more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        keys = Counter([key for key, _ in pairs])
        self.twice = next(key for key, count in keys.items() if count > 1)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Repeating(pairs)


_DECODER: Any = json.JSONDecoder(object_pairs_hook=_object)  # `json.loads` would make one a line
_PLAIN_DECODER: Any = json.JSONDecoder()
_SCAN = _PLAIN_DECODER.scan_once  # of several values of a key it takes the last


def _decoded(text: str) -> Any:
    """The value of a line without blanks around it; ValueError or RecursionError if it has none."""
    try:  # as `decode` does, without looking for blanks
        value, end = _DECODER.scan_once(text, 0)
    except StopIteration:
        end = -1
    return value if end == len(text) else _DECODER.decode(text)


class _Objects(Rows):
    """The rows of the lines."""

    def __init__(self, lines: TextLines, encoding: Encoding) -> None:
        self._lines, self._encoding = lines, encoding
        self._number = self._line = 0  # the last row and the last line
        self._returned: deque[str] = deque()  # lines that were taken, and are not read yet

    def __next__(self) -> Row:
        while line := self._returned.popleft() if self._returned else next(self._lines, ""):
            self._line += 1
            if stripped := line.strip(BLANKS):
                self._number += 1
                return _row(self._number, self._line, stripped, len(line), self._encoding)
        raise StopIteration

    def take(self, size: int) -> Sequence[Row]:
        """See `Rows`: lines of which each is a plain object are read together."""
        lines = [] if self._returned else self._lines.take(size)
        found = self._plain(lines) if len(lines) == size else None
        if found is not None:
            return found
        self._returned.extend(lines)
        return list(islice(self, size))

    def _plain(self, lines: Sequence[str]) -> Sequence[Row] | None:
        """The rows of lines; None, and nothing is read, where one needs a closer look."""
        texts = [line.strip(BLANKS) for line in lines]
        try:
            found = [_SCAN(text, 0) for text in texts]
        except (StopIteration, ValueError, RecursionError):
            return None
        objects: list[Any] = [own for own, _ in found]
        n, whole = len(texts), "".join(texts)
        if (
            [end for _, end in found] != list(map(len, texts))
            or {*map(type, objects)} != {dict}
            or not (whole.isascii() or self._encoding.fault(whole) is None)
        ):
            return None
        brackets = whole.count("[") + whole.count("{")
        if brackets - n >= MOST_LEVELS and any([_has_levels(text) for text in texts]):
            return None
        if whole.count(":") != sum(map(len, objects)):  # else no key can be there twice
            for at, text in enumerate(texts):
                if text.count(":") != len(objects[at]):
                    objects[at] = _decoded(text)
            if {*map(type, objects)} != {dict}:
                return None
        numbers, lines_ = range(self._number + 1, self._number + n + 1), self._line + 1
        self._number, self._line = self._number + n, self._line + n
        return RowBlock(numbers, range(lines_, lines_ + n), objects, texts)


def _has_levels(text: str) -> bool:
    """Whether a text may hold values that are nested too deeply."""
    return text.count("[") + text.count("{") > MOST_LEVELS


def _row(number: int, line: int, stripped: str, length: int, encoding: Encoding) -> Row:
    """The row of a line without the blanks around it; with them it has `length` characters."""
    cells: dict[str, Any] = {}
    problem = None
    try:
        value = _decoded(stripped)
    except RecursionError:
        problem = f"line {line} is nested too deeply; flatten it"
    except json.JSONDecodeError as error:
        if length >= LINE_LIMIT:
            problem = f"line {line} is longer than {LINE_LIMIT >> 20} Mi characters"
        else:
            problem = (
                f"line {line} is not JSON ({error.msg} at character {error.pos + 1}); one "
                "object on each line is expected"
            )
    except ValueError:  # of Python's, which reads no longer numbers
        problem = f"line {line} has a number of thousands of digits; write it as text"
    else:
        if _has_levels(stripped) and is_too_deep(value):
            problem = f"line {line} is nested too deeply; flatten it"
        elif isinstance(value, dict):
            cells = value
            if isinstance(value, _Repeating):
                problem = f"line {line} has the key {value.twice!r} twice; keep one of them"
        else:
            problem = (
                f"line {line} holds {_called(value)}; one object on each line is expected, "
                'for example {"text": "..."}'
            )
    if problem is None and not stripped.isascii():
        bad = encoding.fault(stripped)
        problem = f"line {line} has {bad}" if bad else None
    return Row(number, line, cells, problem, stripped)


def _called(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


class JsonLinesFormat(TextFormat):
    """JSON lines: the object as it was, character by character, and the answer as one more key.

    A line that was no object becomes `{"_raw": "the line", "cascade": ...}`; cells beyond the
    header become a list under `_extra`.
    """

    kind: Kind = "jsonl"
    suffix = ".jsonl"

    def __init__(self, layout: Layout) -> None:
        refuse_answered(layout.table, [ANSWER_KEY])
        self._layout = layout
        self._keys = () if layout.table.kind == "jsonl" else layout.unique()

    def encode(self, rows: Sequence[Row], answers: Sequence[Answer]) -> bytes:
        """Lines, with the answer under the key `cascade`."""
        text = self._joined(rows, answers)
        if text is None:
            text = "".join(map(self._line, rows, _json_texts(answers)))
        try:
            return text.encode()
        except UnicodeEncodeError:
            return SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()

    def _joined(self, rows: Sequence[Row], answers: Sequence[Answer]) -> str | None:
        """What `_line` makes of rows that are good objects and not empty, in half the time.

        None where some are not.
        """
        texts = rows.texts if isinstance(rows, RowBlock) else None
        if texts is None or any([ANSWER_KEY in own or not own for own in cells_of(rows)]):
            return None
        begun = [text[:-1].rstrip() for text in texts]
        line, columns = _by_columns(answers)
        line = f'%s, "{ANSWER_KEY}": {line}}}\n'
        return "".join(map(line.__mod__, zip(begun, *columns, strict=True)))

    def _line(self, row: Row, answer: str) -> str:
        cells = row.cells
        if not isinstance(cells, dict):
            fields = dict(zip(self._keys, self._layout.values(row), strict=True))
            if surplus := self._layout.surplus(row):
                fields[EXTRA] = list(surplus)
            text = json_of(fields)
        elif row.problem and not cells:
            text = json_of({RAW_KEY: row.raw})
        elif ANSWER_KEY in cells:
            other = f"_{ANSWER_KEY}"
            while other in cells:
                other = f"_{other}"
            text = json_of({other if k == ANSWER_KEY else k: v for k, v in cells.items()})
        else:
            text = row.raw
        begun = text[:-1].rstrip()
        comma = "" if begun == "{" else ", "
        return f'{begun}{comma}"{ANSWER_KEY}": {answer}}}\n'


def _json_texts(answers: Sequence[Answer]) -> Iterable[str]:
    """Each answer as one line of JSON."""
    line, columns = _by_columns(answers)
    return map(line.__mod__, zip(*columns, strict=True))


def _by_columns(answers: Sequence[Answer]) -> tuple[str, list[list[str]]]:
    """What a line of JSON is with `%s` for each column, and the columns as JSON."""
    if not isinstance(answers, AnswerColumns):
        return "%s", [[json_of(dict(answer)) for answer in answers]]
    keys = [json_of(key).replace("%", "%%") for key in answers.values]
    line = "{" + ", ".join([f"{key}: %s" for key in keys]) + "}"
    return line, list(map(json_texts, answers.values.values()))
