"""A taxonomy made of the labels of rows: which spellings are one class, and what looks odd."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cascade.errors import InputError, TaxonomyError
from cascade.io import require_columns
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.cells import is_list, labels_in, separator_of
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.lookup import SEPARATOR, code_form, plain, unescaped
from cascade.taxonomy.names import PATH_SEPARATOR, clean, normalize_code, split_path

_FROM_PROGRAMS = "nan none null nil n/a n.a. na #na <na> nat - -- ?"
_FROM_SHEETS = "#n/a #ref! #value! #name? #div/0! #null! #num!"
_FROM_PEOPLE = "unknown unlabeled unlabelled undefined missing tbd todo"
MISSING = frozenset(f"{_FROM_PROGRAMS} {_FROM_SHEETS} {_FROM_PEOPLE}".split())
"""What programs and people write for no label."""

SHORT = 3  # characters of codes among which NA may be one
_ARROWS = re.compile(r"\s*(?:->|=>|>{2,}|[›»→⟩])\s*")
_WHOLE = re.compile(r"([-+]?\d+)\.0+", re.ASCII)
_FRACTION = re.compile(r"[-+]?\d+\.\d*[1-9]\d*", re.ASCII)

Path_ = tuple[str, ...]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelForm:
    """How labels of a column are read where they make a taxonomy.

    Parameters
    ----------
    separator
        What stands between several labels of a cell; None where a cell has one.
    keep_case
        Whether labels that differ only in upper and lower case are different classes.
    """

    separator: str | None = None
    keep_case: bool = False


@dataclass
class _Seen:
    """Rows with a label, and where the first stands (empty where that is not known)."""

    rows: int = 0
    first: str = ""


def taxonomy_of_labels(
    sources: Sequence[TableFile], column: str, form: LabelForm = LabelForm()
) -> Taxonomy:
    """The taxonomy that the label paths of files (`A > B > C`) make, with the first one's name.

    What a user should know about the labels is logged as a warning.

    Raises
    ------
    InputError
        The column is not there, or no row has a label.
    TaxonomyError
        No label is a path.
    """
    labels: dict[str, _Seen] = {}
    for source in sources:
        with source.open() as table:
            require_columns(table, [column])
            for row in table:
                text = table.text(row, column)
                if not clean(text):
                    continue
                if not table.is_nested(row, column) or form.separator or _one_of_a_list(text):
                    seen = labels.setdefault(text, _Seen(0, f"line {row.line}"))
                    seen.rows += 1
    if not labels:
        raise InputError(
            "no row has a label, so that no taxonomy can be made of them; name one with -t",
            file=sources[0].file,
            column=column,
        )
    return _taxonomy(labels, Path(sources[0].file).stem, form)


def taxonomy_of_paths(
    labels: Mapping[str, int] | Sequence[str],
    name: str,
    form: LabelForm = LabelForm(),
) -> Taxonomy:
    """The taxonomy that labels make as paths (`A > B > C`); those that are no path are left out.

    Parameters
    ----------
    labels
        Different labels, with the rows that have each.

    Raises
    ------
    TaxonomyError
        There is no path among them.
    """
    counts = labels if isinstance(labels, Mapping) else dict.fromkeys(labels, 1)
    return _taxonomy({text: _Seen(rows) for text, rows in counts.items()}, name, form)


def _taxonomy(cells: Mapping[str, _Seen], name: str, form: LabelForm) -> Taxonomy:
    labels: dict[str, _Seen] = {}
    for text, seen in cells.items():
        parts = labels_in(text, form.separator)
        for label in parts if form.separator or len(parts) == 1 else [text]:
            known = labels.setdefault(label, _Seen(0, seen.first))
            known.rows += seen.rows
    spellings = _Spellings(form.keep_case, drop_zeros=not any(map(_FRACTION.fullmatch, labels)))
    for label, seen in labels.items():
        spellings.add(label, seen.rows)
    spellings.join_separators()
    if not spellings.paths:
        first = next(iter(labels), next(iter(cells)))
        raise TaxonomyError(
            f"none of {len(labels):,} different labels is a path of names such as 'A > B' (first: "
            f"{first[:80]!r}), so that no taxonomy can be made of them; name one with -t"
        )
    for warning in (
        *_several(labels, spellings, form),
        *_joined(labels, spellings),
        *_zeros(labels),
        *_missing(labels),
        *_other_separators(labels),
    ):
        logger.warning("%s", warning)
    return Taxonomy.from_paths(dict.fromkeys(map(spellings.shown, spellings.paths)), name=name)


@dataclass
class _Spellings:
    """How often each name is spelled how, by the form of its path.

    Blanks, invisible characters and forms of Unicode are no difference, case is one if wanted. Of
    numbers, which programs write as 110.0 where a column has blanks, `.0` is left out.
    """

    keep_case: bool
    drop_zeros: bool
    paths: dict[Path_, None] = field(default_factory=dict)
    _counts: dict[Path_, Counter[str]] = field(default_factory=dict)
    _others: dict[Path_, Path_] = field(default_factory=dict)  # classes of names with separators

    def add(self, label: str, rows: int) -> None:
        """Count a label, if it is a path."""
        names, key = self._names(label), self.key(label)
        if key is None:
            return
        self.paths.setdefault(key)
        for depth, spelled in enumerate(names, 1):
            self._counts.setdefault(key[:depth], Counter())[spelled] += rows

    def key(self, label: str) -> Path_ | None:
        """What labels of one class have in common; None for what is no path."""
        key = self._key(self._names(label))
        return key if key is None else self._others.get(key, key)

    def is_other(self, label: str) -> bool:
        """Whether a label is a path with other separators than those of its class."""
        return self._key(self._names(label)) in self._others

    def join_separators(self) -> None:
        """Take names such as `A/B` for the path `A > B` where that is a class, too."""
        for key in [key for key in self.paths if len(key) == 1]:
            parts = self._key([clean(part) for part in SEPARATOR.split(key[0])])
            if parts is not None and len(parts) > 1 and parts in self.paths:
                self._others[key] = parts
                del self.paths[key], self._counts[key]

    def _key(self, names: Sequence[str]) -> Path_ | None:
        if not all(names):
            return None
        forms = map(plain, names)
        return tuple(forms) if self.keep_case else tuple(map(str.casefold, forms))

    def knows(self, label: str) -> bool:
        """Whether there is a label of this class."""
        return self.key(label) in self.paths

    def shown(self, key: Path_) -> Path_:
        """The names of a class as most rows spell them; of equals the first."""
        depths = range(1, len(key) + 1)
        return tuple([self._counts[key[:depth]].most_common(1)[0][0] for depth in depths])

    def _names(self, label: str) -> list[str]:
        label = normalize_code(unescaped(label))
        if self.drop_zeros and (whole := _WHOLE.fullmatch(label)):
            return [whole[1]]
        names = [clean(name) for name in split_path(_ARROWS.sub(PATH_SEPARATOR, label))]
        while len(names) > 1 and not names[-1]:  # a path may end in levels that are empty
            names.pop()
        return names


def _joined(labels: Mapping[str, _Seen], spellings: _Spellings) -> list[str]:
    """Warnings if labels that differ in case, or in separators of paths, were joined."""
    separated: dict[str, str] = {}
    others: dict[str, tuple[str, int]] = {}
    rows: Counter[str] = Counter()
    for label, seen in labels.items():
        if (key := spellings.key(label)) is None:
            continue
        shown = PATH_SEPARATOR.join(spellings.shown(key))
        own = PATH_SEPARATOR.join(spellings._names(label))
        rows[own] += seen.rows
        if spellings.is_other(label):
            separated.setdefault(own, shown)
        elif plain(own) != plain(shown) and own != shown:
            others.setdefault(own, (shown, 0))
    told = []
    for own, shown in list(separated.items())[:1]:
        told.append(
            f"{len(separated):,} labels are taken for paths that are written with ' > ' elsewhere, "
            f"such as {own[:80]!r} ({rows[own]:,} rows) for {shown[:80]!r} ({rows[shown]:,} rows)"
        )
    if not others:
        return told
    own, (shown, _) = next(iter(others.items()))
    return [
        *told,
        f"{len(others):,} labels differ from others in upper and lower case only and are taken for "
        f"these, such as {own[:80]!r} ({rows[own]:,} rows) for {shown[:80]!r} ({rows[shown]:,} "
        "rows); keep such spellings apart with --keep-case",
    ]


def _several(labels: Mapping[str, _Seen], spellings: _Spellings, form: LabelForm) -> list[str]:
    """A warning if cells look as if they had several labels."""
    if form.separator:
        return []
    found: list[tuple[str, _Seen, str]] = []
    barred = {mark: sum(mark in label for label in labels) for mark in "|;"}
    for label, seen in labels.items():
        mark = separator_of(label, spellings.knows)
        if mark is None and is_list(label):
            mark = ","
        for sign, count in barred.items():  # seldom, so that it is no separator of paths
            if mark is None and sign in label and 2 * count <= len(labels):
                mark = sign if any(map(spellings.knows, labels_in(label, sign))) else None
        if mark is not None:
            found.append((label, seen, mark))
    if not found:
        return []
    label, first, mark = found[0]
    return [
        f"{sum(seen.rows for _, seen, _ in found):,} rows have what looks like several labels in "
        f"one cell ({_at(first)}{label[:80]!r}), each of which is taken for one label; if they are "
        f"several, say so with --label-separator {mark!r}, and the first of a cell counts"
    ]


def _zeros(labels: Mapping[str, _Seen]) -> list[str]:
    """A warning if numbers differ in zeros at their beginning only, which spreadsheets lose."""
    forms: dict[str, dict[str, int]] = {}
    for label, seen in labels.items():
        if (written := normalize_code(label)).isdecimal():
            same = forms.setdefault(code_form(written), {})
            same[written] = same.get(written, 0) + seen.rows
    found = [same for same in forms.values() if len(same) > 1]
    if not found:
        return []
    shown = " and ".join(f"{label!r} ({rows:,} rows)" for label, rows in [*found[0].items()][:2])
    return [
        f"{len(found):,} labels differ from others in zeros at their beginning only, which "
        f"spreadsheets lose, such as {shown}, and each is taken for a class of its own; if they "
        "are one, write them in one way"
    ]


def _missing(labels: Mapping[str, _Seen]) -> list[str]:
    """A warning for each label that is what people and programs write for no label."""
    short = sum(len(label.strip()) <= SHORT for label in labels) > len(labels) / 2
    return [
        f"{seen.rows:,} rows are labelled {label.strip()!r} ({_at(seen)}among {len(labels):,} "
        "different labels), which is taken for a class; if it means that there is no label, leave "
        "these cells empty"
        for label, seen in labels.items()
        if plain(label).casefold() in MISSING and not (short and len(label.strip()) <= SHORT)
    ]


def _other_separators(labels: Mapping[str, _Seen]) -> list[str]:
    """A warning if most labels look like paths that are separated by something else than `>`."""
    if any(">" in unescaped(label) for label in labels):
        return []
    for mark in ("|", "/", "\\", "::", " - ", " \u2013 ", ";", "\t", " < "):
        with_mark = [label for label in labels if mark in label.strip(mark)]
        tops = {label.split(mark)[-1 if mark == " < " else 0].strip() for label in with_mark}
        if len(with_mark) > 1 and 2 * len(with_mark) > len(labels) and len(tops) < len(with_mark):
            return [
                f"{len(with_mark):,} of {len(labels):,} different labels have {mark!r} in them "
                f"(first: {with_mark[0][:80]!r}), and each is taken for one name; if they are "
                "paths, write ' > ' between their names"
            ]
    return []


def _one_of_a_list(text: str) -> bool:
    return is_list(text) and len(labels_in(text)) == 1


def _at(seen: _Seen) -> str:
    return f"first: {seen.first}, " if seen.first else ""
