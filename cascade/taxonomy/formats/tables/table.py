"""Rows of a delimited text with the line of each, and what its columns hold."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from cascade.errors import TaxonomyError
from cascade.taxonomy.draft import TOP_MARKERS, Draft
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.tables.headings import (
    COLUMNS,
    OWN_CODE,
    TRANSLATION,
    heading_key,
    is_parent,
)
from cascade.taxonomy.formats.tables.machine import MACHINE, keep_machine_texts
from cascade.taxonomy.names import match_code, normalize_code, split_synonyms

_SAMPLE = 500  # rows that decide what columns hold
_DELIMITERS = "\t,;|^~"
_RARE = "^~"  # count where known headings stand between them
_MOST_LINES = 9  # of a header
_ENTITY = re.compile(r"&#?\w{1,9};")


def _whole(file: TaxonomyFile, number: int, first: str) -> tuple[int, str]:
    """A header with the lines that belong to it where quotes stay open, and its last line."""
    if first.count('"') % 2 == 0:
        return number, first
    lines = file.text.split("\n", number + _MOST_LINES)[number - 1 : number - 1 + _MOST_LINES]
    for end in range(1, len(lines)):
        text = "\n".join(lines[: end + 1])
        if text.count('"') % 2 == 0:
            return number + end, text
    return number, first


@dataclass(frozen=True)
class Reading:
    """How a table is read.

    Parameters
    ----------
    nodes
        Reads them.
    columns
        Those that tell codes, names, and what is above.
    """

    nodes: Callable[[], Draft]
    columns: frozenset[int]


@dataclass(frozen=True)
class TaxonomyTable:
    """A delimited text whose first line (after comments) is a header.

    Parameters
    ----------
    file
        The file.
    delimiter
        One character.
    header
        Headings, trimmed.
    line
        Line of the header.
    repeated
        Lines that repeat the header, as far as rows were read; they are no rows.
    """

    file: TaxonomyFile
    delimiter: str
    header: tuple[str, ...]
    line: int
    repeated: set[int] = field(default_factory=set, compare=False, kw_only=True)

    @classmethod
    def sniff(cls, file: TaxonomyFile, skip: int = 0) -> TaxonomyTable | None:
        """The table that a text is, by the delimiter that makes most sense of its first lines.

        None where the first line, or the one below `skip` others, cannot be a header. A single
        column counts as a table.
        """
        head = file.head[skip:]
        if head[0][1].casefold().startswith("sep=") and len(head) > 1:
            head = head[1:]
        number, first = _whole(file, *head[0])
        known = frozenset().union(*COLUMNS.values())
        best: tuple[int, int] = (-1, -1)
        table = None
        for delimiter in _DELIMITERS:
            if delimiter == ";" and ";" in first and ";" not in _ENTITY.sub("", first):
                continue
            try:
                lines = first.splitlines(keepends=True)
                header = next(csv.reader(lines, delimiter=delimiter, strict=True))
            except csv.Error:
                continue
            score = (sum(heading_key(cell) in known for cell in header), len(header))
            if score > best and (delimiter not in _RARE or score[0] > 1):
                best = score
                table = cls(file, delimiter, tuple(cell.strip() for cell in header), number)
        return table

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Headings as they are compared."""
        return tuple(map(heading_key, self.header))

    @cached_property
    def columns(self) -> dict[str, int]:
        """The column that holds each thing of `COLUMNS`, where there is one.

        It is the first with a word for it. Of several columns of codes it is the one that parents
        are named by; without any, the only column that is called like codes (`google_id`) and has
        a value of its own in each row. Without a word for parents, it is the only column that is
        called like them (`Overlying parent`) and has codes of other rows.
        """
        found = {
            what: next((i for i, word in enumerate(self.keys) if word in words), None)
            for what, words in COLUMNS.items()
        }
        known = {what: i for what, i in found.items() if i is not None}
        named = [i for i, word in enumerate(self.keys) if word in COLUMNS["name"]]
        coded = [i for i, word in enumerate(self.keys) if word in COLUMNS["code"]]
        if not coded:
            coded = [
                i
                for i, word in enumerate(self.keys)
                if OWN_CODE.fullmatch(word) and not is_parent(word) and self._is_distinct(i)
            ]
            if len(coded) == 1:
                known["code"] = coded[0]
        if "parent" not in known:
            likely = [i for i, word in enumerate(self.keys) if is_parent(word)]
            hits = [(self._matches(i, code), i, code) for i in likely for code in coded]
            full = {i for hit, i, _ in hits if hit == 1}
            if len(full) == 1:
                known["parent"] = full.pop()
        if "parent" in known and not coded and len(named) > 1:
            coded = [i for i in named if self._is_distinct(i)]  # `label`, `name`, `parent`
        if "parent" in known and len(coded) > 1:
            known["code"] = max(coded, key=lambda i: self._matches(known["parent"], i))
            if known.get("name") == known["code"] and len(named) > 1:
                known["name"] = next(i for i in named if i != known["code"])
        return known

    @cached_property
    def sample(self) -> list[list[str]]:
        """The first 500 rows, or those above one that is broken."""
        rows: list[list[str]] = []
        try:
            for _, cells in islice(self.rows(short=True), _SAMPLE):
                rows.append(cells)
        except TaxonomyError:
            pass  # reading the row again raises the error
        return rows

    def _is_distinct(self, column: int) -> bool:
        cells = [normalize_code(row[column]) for row in self.sample]
        return len(cells) > 1 and "" not in cells and len(set(cells)) == len(cells)

    def _matches(self, parents: int, codes: int) -> float:
        """Share of the parents of a sample that are codes of other rows, of those not blank."""
        known = {normalize_code(row[codes]) for row in self.sample}
        cells = [(row[parents], normalize_code(row[codes])) for row in self.sample]
        named = [(above, own) for above, own in cells if above.strip()]
        named = [
            pair
            for pair in named
            if pair[0] in known or normalize_code(pair[0]).casefold() not in TOP_MARKERS
        ]
        matched = [(match_code(above, known), own) for above, own in named]
        hits = sum(above not in (None, own) for above, own in matched)
        own_ = sum(above == own for above, own in matched)  # as tops may be
        return (hits + own_) / len(named) if hits else 0.0

    @cached_property
    def translations(self) -> dict[int, str]:
        """Language tags by column, of headings such as `name_de`."""
        taken = frozenset().union(*(words for what, words in COLUMNS.items() if what != "name"))
        found = {i: TRANSLATION.fullmatch(heading) for i, heading in enumerate(self.header)}
        return {i: m[1] for i, m in found.items() if m and self.keys[i] not in taken}

    @cached_property
    def has_header(self) -> bool:
        """Whether the first line names what columns of a taxonomy hold, two of them at least.

        Where all lines have as many cells one is enough, or that paths stand below.
        """
        if len(self.header) < 2 or " > " in "".join(self.header):
            return False
        found = self.named_columns
        if found > 1:
            return True
        lines = [line for number, line in self.file.head if number >= self.line]
        if len(lines) < 2 or len({line.count(self.delimiter) for line in lines}) > 1:
            return False
        if found == 1:
            return True
        first = {
            (at, cell.partition(" > ")[0].strip())
            for line in lines[1:]
            for at, cell in enumerate(line.split(self.delimiter))
        }
        repeated = not first.isdisjoint(enumerate(self.header))
        digits = any(cell[:1].isdigit() for cell in self.header)
        paths = 2 * sum(" > " in line for line in lines) >= len(lines)
        return paths and not repeated and not digits

    @property
    def named_columns(self) -> int:
        """How many headings are words for what columns of a taxonomy hold."""
        known = frozenset().union(*COLUMNS.values())
        return sum(word in known or is_parent(word) for word in self.keys)

    def other_codes(self, used: Collection[int]) -> list[str]:
        """Headings of columns that look like codes, with a value of its own in each row.

        Those that are `used` do not count.
        """
        return [
            heading
            for at, (heading, word) in enumerate(zip(self.header, self.keys, strict=True))
            if at not in used
            and (word in COLUMNS["code"] or OWN_CODE.fullmatch(word))
            and not is_parent(word)
            and self._is_distinct(at)
        ]

    def refuse_unheaded(self) -> None:
        """Refuse texts below no heading, as where a header goes over two lines.

        Raises
        ------
        TaxonomyError
            At least half of the rows have one in a column.
        """
        for at, heading in enumerate(self.header):
            if heading or len(self.header) == 1:
                continue
            cells = [row[at] for row in self.sample if any(map(str.isalpha, row[at]))]
            if cells and 2 * len(cells) >= len(self.sample):
                raise self.file.error(
                    f"column {at + 1} has no heading, but cells such as {cells[0].strip()[:40]!r}; "
                    "the header must be one line that names each column, with no title above it",
                    self.line,
                )

    def check(self, columns: Collection[int]) -> None:
        """Refuse cells of columns that tell codes and names, but cannot be as they were written.

        A text is as it was written; workbooks are not always.

        Raises
        ------
        TaxonomyError
            There is one.
        """

    def refuse_parents(self, instead: str) -> None:
        """Refuse a column that looks like parents, where something else is read.

        Raises
        ------
        TaxonomyError
            There is one; the message says how to have it read, and how not.
        """
        for heading in self.header:
            if is_parent(heading):
                raise self.file.error(
                    f"column {heading!r} looks like the parents of nodes, but {instead}; remove "
                    "either, or head three columns code, name and parent",
                    self.line,
                    heading,
                )

    def describe(
        self, draft: Draft, row: int, cells: Sequence[str], names: Collection[int]
    ) -> None:
        """Add the description, synonyms and translations of a row; `names` are columns of names."""
        cell = {what: cells[at] for what, at in self.columns.items()}
        named = {tag: cells[at] for at, tag in self.translations.items() if at not in names}
        synonyms = split_synonyms(cell.get("synonyms", ""))
        draft.describe(row, cell.get("description", ""), synonyms, named)
        keep_machine_texts(draft, row, self.columns, cells)

    @cached_property
    def has_descriptions(self) -> bool:
        """Whether there are columns of texts beside names: descriptions, synonyms, translations."""
        texts = {"description", "synonyms", *MACHINE}
        return not texts.isdisjoint(self.columns) or bool(self.translations)

    def rows(self, *, short: bool = False) -> Iterator[tuple[int, list[str]]]:
        """Each row with the line that it starts on, without blank rows.

        Parameters
        ----------
        short
            Whether cells at the end may be missing; they come as blank ones.

        Raises
        ------
        TaxonomyError
            A row has more or fewer cells than the header, or its quotes do not close.
        """
        for line, cells in self._all_rows(short):
            is_rule = self.delimiter == "|" and not "".join(cells).strip(" -:+=")
            if not is_rule and not self.is_header(line, cells):
                yield line, cells

    def is_header(self, line: int, cells: Sequence[str]) -> bool:
        """Whether a row is the header once more, as where sheets or pages were put together."""
        found = cells[0].strip() == self.header[0] and self.header == tuple(
            [cell.strip() for cell in cells]
        )
        if found:
            self.repeated.add(line)
        return found

    def _all_rows(self, short: bool) -> Iterator[tuple[int, list[str]]]:
        width = len(self.header)
        if width == 1:
            yield from self._single_column()
            return
        reader = csv.reader(self._lines(), delimiter=self.delimiter, strict=True)
        line = self.line
        try:
            for cells in reader:
                start, line = line + 1, self.line + reader.line_num
                if len(cells) == width:
                    if any(cells):
                        yield start, cells
                elif any(cell.strip() for cell in cells):
                    yield start, self._padded_or_cut(cells, start, short)
        except csv.Error as error:
            raise self.file.error(
                f"a broken row: {error}; a cell that begins with a quote must end with one, and "
                "quotes inside it are doubled",
                line + 1,
            ) from None

    def _padded_or_cut(self, cells: list[str], line: int, short: bool) -> list[str]:
        width = len(self.header)
        if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
            return cells[:width]
        if len(cells) < width and (short or set("".join(cells)) <= {*"-+= "}):
            return cells + [""] * (width - len(cells))
        raise self.file.error(
            f"{len(cells)} cells, but the header has {width} ({', '.join(self.header)}); put a "
            f"cell that contains {self.delimiter!r} in quotes",
            line,
        )

    def _lines(self) -> Iterator[str]:
        """Lines below the header, without a list of them all."""
        text = self.file.text
        start = 0
        for _ in range(self.line):
            start = text.find("\n", start) + 1
            if not start:
                return
        while (stop := text.find("\n", start)) >= 0:
            yield text[start : stop + 1]
            start = stop + 1
        if start < len(text):
            yield text[start:]

    def _single_column(self) -> Iterator[tuple[int, list[str]]]:
        """Lines as they are: in a single column nothing needs quotes, though some have them."""
        for line, text in enumerate(self._lines(), self.line + 1):
            cell = text.strip()
            if len(cell) > 1 and cell[0] == cell[-1] == '"':
                cell = cell[1:-1].replace('""', '"')
            if cell:
                yield line, [cell]
