"""Known answers: what the labels of a file are in a taxonomy."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from cascade.errors import InputError
from cascade.io import require_columns
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.cells import is_list, labels_in, separator_of
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.lookup import plain
from cascade.taxonomy.names import PATH_SEPARATOR, clean, match_code

logger = logging.getLogger(__name__)

SAMPLE = 1_000  # rows that are looked at for a column that would fit better
NOWHERE = "nowhere"  # a label that says that no node fits
REVIEW_ACTION = "review_action"  # where `cascade review` says so, beside an empty label


@dataclass(frozen=True)
class LabelCounts:
    """How many rows of a file can be measured.

    Parameters
    ----------
    rows
        All rows.
    empty
        Rows without a label; they are not measured.
    unknown
        Rows whose label is not in the taxonomy; they are not measured.
    first_unknown
        Line and text of the first of them, empty if there is none.
    nowhere
        Rows, from 0, of which a person said that they fit nowhere: by the label `nowhere`, or in a
        review. They are not measured against a node.
    """

    rows: int = 0
    empty: int = 0
    unknown: int = 0
    first_unknown: str = ""
    nowhere: tuple[int, ...] = ()

    @property
    def known(self) -> int:
        """Rows that are measured."""
        return self.rows - self.empty - self.unknown - len(self.nowhere)


class LabelFinder:
    """Finds labels in a taxonomy, each different one once.

    Parameters
    ----------
    separator
        What stands between several labels of a cell, of which the first counts; None where a cell
        has one label.
    """

    def __init__(self, taxonomy: Taxonomy, separator: str | None = None) -> None:
        self.taxonomy = taxonomy
        self._separator = separator
        self._found: dict[str, tuple[int, ...]] = {}

    def find(self, text: str) -> int:
        """Index of the node that a cell names, -1 if there is none.

        Of several labels in a cell it is the first, where a separator is known.
        """
        found = self._nodes(text)
        return found[0] if len(found) == 1 or (found and self._separator) else -1

    def is_deprecated(self, text: str) -> bool:
        """Whether a label is the code of a node that is no longer in use."""
        return match_code(text, self.taxonomy.deprecated) is not None

    def shown(self, text: str) -> str:
        """A label for messages; one that names a deprecated node with what to use instead."""
        old = match_code(text, self.taxonomy.deprecated)
        note = "" if old is None else f": {self.taxonomy.deprecated[old]}"
        return f"{text[:80]!r}{note}"

    def find_all(self, text: str) -> tuple[int, ...]:
        """Nodes of a cell that holds one code or path, or several; unknown ones are left out."""
        return tuple(node for node in self._nodes(text) if node >= 0)

    def labelled(self, text: str) -> list[tuple[str, int]]:
        """The labels of a cell, each with its node, -1 for an unknown one."""
        nodes = self._nodes(text)
        labels = labels_in(text, self._separator) if len(nodes) != 1 else [text.strip()]
        return list(zip(labels, nodes, strict=True)) if nodes else []

    def first_unknown(self, text: str) -> str | None:
        """The first label of a cell that is not in the taxonomy; None if all are."""
        nodes = self._nodes(text)
        if all(node >= 0 for node in nodes):
            return None
        labels = labels_in(text, self._separator)
        return next(label for label, node in zip(labels, nodes, strict=True) if node < 0)

    def several(self, text: str) -> str | None:
        """What stands between several known labels of a cell; None where it has one."""
        if len(self.find_all(text)) > 1:
            return ","
        return separator_of(text, lambda part: part != text and self.find(part) >= 0)

    def unread(self, text: str) -> str | None:
        """What stands between several labels of a cell that is unknown, as no separator is told."""
        if self._separator or not text.strip() or self.find(text) >= 0:
            return None
        return self.several(text)

    def _nodes(self, text: str) -> tuple[int, ...]:
        if text not in self._found:
            self._found[text] = self._look_up(text)
        return self._found[text]

    def _look_up(self, text: str) -> tuple[int, ...]:
        """A node for each label of a cell, -1 for an unknown one."""
        if not clean(text):
            return ()
        if (whole := self.taxonomy.find(text)) is not None:
            return (whole,)
        labels = labels_in(text, self._separator)
        nodes = [self.taxonomy.find(label) for label in labels]
        if len(labels) > 1 and None in nodes:  # a list may also be a path
            path = self.taxonomy.find(PATH_SEPARATOR.join(labels))
            nodes = nodes if path is None else [path]
        return tuple([-1 if node is None else node for node in nodes])


def count_labels(
    source: TableFile,
    column: str,
    taxonomy: Taxonomy,
    separator: str | None = None,
    also: Sequence[str] = (),
) -> LabelCounts:
    """How many labels of a file are in a taxonomy.

    Several labels in a cell, and other right answers that are not in the taxonomy, are logged.

    Parameters
    ----------
    separator
        Between several labels of a cell; see `LabelFinder`.
    also
        Columns of other right answers.

    Raises
    ------
    InputError
        The column is not there, the file has no rows, or none of its labels is in the taxonomy;
        the message says how many, which first, and what to do.
    """
    finder = LabelFinder(taxonomy, separator)
    others = {name: OtherAnswers(finder) for name in [*also, *([column] if separator else [])]}
    rows = empty = unknown = several = 0
    first = example = first_several = ""
    nowhere: list[int] = []
    with source.open() as table:
        require_columns(table, [column, *also])
        reviewed = REVIEW_ACTION in table.columns
        for row in table:
            text = table.text(row, column)
            rows += 1
            for other in others:
                if other != column or finder.find(text) >= 0:
                    others[other].look(row.line, table.text(row, other))
            if not clean(text):
                if reviewed and table.text(row, REVIEW_ACTION) == NOWHERE:
                    nowhere.append(rows - 1)
                else:
                    empty += 1
            elif finder.find(text) < 0 and clean(text).casefold() == NOWHERE:
                nowhere.append(rows - 1)
            elif finder.find(text) < 0:
                unknown += 1
                if not first:
                    first, example = f"line {row.line}, {finder.shown(text)}", text
                if mark := finder.unread(text):
                    several += 1
                    first_several = first_several or several_at(row.line, text, mark)
    if several:
        logger.warning("%s: %s rows have %s", source.file, f"{several:,}", first_several)
    for name, answers in others.items():
        answers.warn(source.file, name)
    hint = name_hint(finder, example) if example else ""
    counts = LabelCounts(rows, empty, unknown, first + hint, tuple(nowhere))
    if not rows:
        raise InputError("there are no rows to measure", file=source.file)
    if not counts.known:
        if unknown:
            raise unknown_labels_error(source, column, taxonomy, unknown, first, example)
        if nowhere:
            raise InputError(
                f"of {rows:,} rows {len(nowhere):,} fit nowhere and the others have no label, so "
                "there is no node to measure against",
                file=source.file,
                column=column,
            )
        raise InputError(
            f"all {rows:,} rows are without a label; name the column of known answers with --label",
            file=source.file,
            column=column,
        )
    return counts


@dataclass
class OtherAnswers:
    """What of a column of other right answers is not in the taxonomy."""

    finder: LabelFinder
    unknown: int = 0
    first: str = ""

    def look(self, line: int, text: str) -> None:
        """Count a cell in which something is unknown."""
        if not clean(text) or (label := self.finder.first_unknown(text)) is None:
            return
        self.unknown += 1
        if not self.first:
            mark = None if is_list(text) else self.finder.unread(text)
            cure = f"; name what stands between with --label-separator {mark!r}" if mark else ""
            self.first = f"line {line}, {self.finder.shown(label)}{cure}"

    def warn(self, file: str, column: str) -> None:
        """Log a warning if something is unknown."""
        if self.unknown:
            logger.warning("%s, column %r: %s", file, column, self)

    def __str__(self) -> str:
        return (
            f"{self.unknown:,} rows have other right answers that are not in the taxonomy and do "
            f"not count (first: {self.first})"
        )


def several_at(line: int, text: str, mark: str) -> str:
    """What is said of the first cell with several labels, and how to have them read."""
    return (
        f"several labels in one cell (first: line {line}, {text[:80]!r}); name what stands between "
        f"them with --label-separator {mark!r}, and the first of a cell counts"
    )


def unknown_labels_error(
    source: TableFile, column: str, taxonomy: Taxonomy, labels: int, first: str, label: str = ""
) -> InputError:
    """The error of a column of which no label is in the taxonomy.

    Parameters
    ----------
    first, label
        Where the first of them stands, and the label.
    """
    example = int(taxonomy.leaves[0])
    ways = dict.fromkeys([taxonomy.codes[example], taxonomy.path(example)])
    better = fitting_column(source, taxonomy)
    cure = _cure_of(label, taxonomy) or (
        f"column {better!r} has labels of it: name that with --label"
        if better not in (None, column)
        else "name another column with --label, or the taxonomy that they are from with -t"
    )
    return InputError(
        f"none of its {labels:,} labels is in taxonomy {taxonomy.name!r} (first: {first}); a label "
        f"is a code or a path, such as {' or '.join(map(repr, ways))}; {cure}",
        file=source.file,
        column=column,
    )


def name_hint(finder: LabelFinder, label: str) -> str:
    """What is said of an unknown label that is the name of nodes; else nothing."""
    named = "" if finder.several(label) else _named(label, finder.taxonomy)
    return f" is {named}" if named else ""


def _cure_of(label: str, taxonomy: Taxonomy) -> str:
    """What to do about a label that is several, or a name without its path; else nothing."""
    if mark := LabelFinder(taxonomy).several(label):
        return (
            "its cells have several labels: name what stands between them with --label-separator "
            f"{mark!r}"
        )
    named = _named(label, taxonomy)
    return f"{label!r} is {named}" if named else ""


def _named(label: str, taxonomy: Taxonomy) -> str:
    """Of which nodes a label is the name, and the cure; nothing if there are none."""
    name = plain(label).casefold()
    named = [i for i, own in enumerate(taxonomy.names) if plain(own).casefold() == name]
    if not name or not named:
        return ""
    pairs = [(taxonomy.codes[i], taxonomy.path(i)) for i in named[:3]]
    nodes = ", ".join(f"{code!r}" if code == path else f"{code!r} ({path})" for code, path in pairs)
    return f"the name of {nodes}: write codes or whole paths"


def fitting_column(source: TableFile, taxonomy: Taxonomy) -> str | None:
    """The column whose values are nodes of a taxonomy most often, None if none has any."""
    finder = LabelFinder(taxonomy)
    with source.open() as table:
        hits = dict.fromkeys(table.columns, 0)
        for row in islice(table, SAMPLE):
            for column in hits:
                hits[column] += finder.find(table.text(row, column)) >= 0
    best = max(hits, key=lambda column: hits[column], default=None)
    return best if best is not None and hits[best] else None
