"""Labelled rows prepared to learn from and to measure on: labels cut, rows cleaned and split.

The file is read twice: here to decide about every row, then to copy each to where it goes.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError, UsageError, did_you_mean
from cascade.evaluation.preparation.cleaning import (
    CONFLICTING,
    DUPLICATE,
    KEPT,
    REASONS,
    UNKNOWN,
    UNREADABLE,
    CleanedRows,
    ScannedRows,
    TruncatedLabels,
    clean_rows,
    scan_rows,
    truncate_labels,
)
from cascade.evaluation.preparation.splits import (
    PARTS,
    SPLITS,
    Shares,
    draw,
    out_of_sample,
    stratified,
)
from cascade.io import Row, require_columns
from cascade.io.tables.opening import TableFile
from cascade.pipeline.runs.columns import guess_text_columns
from cascade.pipeline.runs.label_taxonomy import LabelForm, taxonomy_of_paths
from cascade.pipeline.runs.labels import (
    LabelFinder,
    OtherAnswers,
    several_at,
    unknown_labels_error,
)
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import match_code
from cascade.version import __version__

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparationOptions:
    """What is prepared, and how.

    Parameters
    ----------
    source
        The labelled rows; see `source_of`.
    label, text
        Columns; those of the text are guessed if none is named.
    depth
        Labels below this level are cut to it; None cuts none.
    split
        A key of `SPLITS`.
    form
        How labels are read.

    Raises
    ------
    UsageError
        There is no such split, or the label is one of the text columns.
    """

    source: TableFile
    label: str
    text: tuple[str, ...] = ()
    depth: int | None = None
    split: str = "stratified"
    shares: Shares = field(default_factory=Shares)
    seed: int = 0
    form: LabelForm = LabelForm()  # noqa: RUF009

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            hint = did_you_mean(self.split, list(SPLITS))
            raise UsageError(f"no split {self.split!r}{hint}; there are: {', '.join(SPLITS)}")
        if self.label in self.text:
            raise UsageError(
                f"column {self.label!r} is named as text and as label; the text must not hold "
                "the answer"
            )


def source_of(
    file: str, limit: int | None = None, encoding: str | None = None, sheet: str | None = None
) -> TableFile:
    """The labelled rows of a file.

    Raises
    ------
    UsageError
        It is standard input or a pipe, which can be read only once.
    """
    path = Path(file)
    if file == "-" or (path.exists() and stat.S_ISFIFO(path.stat().st_mode)):
        what = "standard input" if file == "-" else f"{file} is a pipe, which"
        raise UsageError(
            f"{what} can be read only once, and preparing reads its rows twice; save it to a file "
            "and name that"
        )
    return TableFile(file, limit, encoding, sheet)


@dataclass(frozen=True)
class Preparation:
    """What was decided about every row of a file; make one with `prepare`.

    Parameters
    ----------
    options
        With its text columns settled.
    made_of_labels
        Whether the taxonomy was made of the labels, since none was given.
    nodes_before
        Nodes of the taxonomy before it was cut.
    labels
        The different labels as nodes of the cut taxonomy.
    part
        int8 [n_rows], index in `PARTS` of the part that a row goes to, -1 for a dropped row.
    """

    options: PreparationOptions
    made_of_labels: bool
    nodes_before: int
    rows: ScannedRows
    labels: TruncatedLabels
    cleaned: CleanedRows
    part: NDArray[np.int8]

    @property
    def taxonomy(self) -> Taxonomy:
        """What the labels of all parts are nodes of."""
        return self.labels.taxonomy

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The parts that have a share."""
        weights = self.options.shares.weights
        return tuple(name for name, weight in zip(PARTS, weights, strict=True) if weight)

    def why(self, row: int, problem: str | None) -> tuple[str, str]:
        """The reason for which a row is dropped, in a word and in a sentence.

        Parameters
        ----------
        problem
            What reading says about the row.
        """
        reason = int(self.cleaned.reason[row])
        word = tuple(REASONS)[reason]
        if reason == UNREADABLE:
            return word, problem or REASONS[word]
        if reason == UNKNOWN:
            label = self.rows.labels[self.rows.label[row]]
            old = match_code(label, self.taxonomy.deprecated)
            known = None if old is None else self.taxonomy.deprecated[old]
            return word, known or f"{label[:80]!r} is not in the taxonomy"
        if reason in (DUPLICATE, CONFLICTING):
            rival = int(self.cleaned.rival[row])
            path = self.taxonomy.path(int(self.cleaned.node[rival]))
            label = "the same label" if reason == DUPLICATE else f"label {path!r}"
            return word, f"line {self.rows.line[rival]} has the same text and {label}"
        return word, REASONS[word]

    def report(self) -> dict[str, Any]:
        """All counts as plain values, the same for the same file and options."""
        options, tree = self.options, self.taxonomy
        kept = self.cleaned.kept
        level = tree.level[self.cleaned.node[kept]]
        return {
            "version": __version__,
            "input": {
                "file": Path(options.source.file).name,
                "sha256": options.source.sha256,
                "limit": options.source.limit,
                "rows": len(self.rows),
            },
            "columns": {"text": list(options.text), "label": options.label},
            "taxonomy": {
                "name": tree.name,
                "sha256": tree.fingerprint,
                "made_of_labels": self.made_of_labels,
                "depth": options.depth,
                "levels": tree.depth,
                "nodes": len(tree),
                "nodes_before": self.nodes_before,
            },
            "kept": len(kept),
            "labels_cut": self._labels_cut(),
            "labels_above_depth": int((level < options.depth).sum()) if options.depth else 0,
            "dropped": self._dropped(),
            "split": {
                "how": options.split,
                "rule": SPLITS[options.split],
                "seed": options.seed,
                "shares": dict(zip(PARTS, map(float, options.shares.exact), strict=True)),
            },
            "classes": len(np.unique(self.cleaned.node[kept])),
            "parts": self._parts(),
        }

    def _labels_cut(self) -> int:
        """Kept rows whose label was cut."""
        cut = np.array([label in self.labels.instead for label in self.rows.labels], dtype=bool)
        return int(cut[self.rows.label[self.cleaned.kept]].sum())

    def _dropped(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for reason, (word, meaning) in enumerate(REASONS.items()):
            rows = np.flatnonzero(self.cleaned.reason == reason)
            found[word] = {
                "rows": len(rows),
                "meaning": meaning,
                "first_line": int(self.rows.line[rows[0]]) if len(rows) else None,
            }
        return found

    def _parts(self) -> dict[str, Any]:
        kept = self.cleaned.kept
        nodes, cls = np.unique(self.cleaned.node[kept], return_inverse=True)
        counts = np.zeros((len(nodes), len(PARTS)), dtype=np.int64)
        np.add.at(counts, (cls, self.part[kept]), 1)
        alone = (counts > 0).sum(axis=1) == 1
        found: dict[str, Any] = {}
        for name in self.parts:
            column = counts[:, PARTS.index(name)]
            only = nodes[alone & (column > 0)]
            found[name] = {
                "rows": int(column.sum()),
                "share": round(int(column.sum()) / len(kept), 6),
                "classes": int((column > 0).sum()),
                "classes_only_here": len(only),
                "codes_only_here": [self.taxonomy.codes[node] for node in only.tolist()],
            }
        return found


OnRow = Callable[[Row], None]


def prepare(
    options: PreparationOptions,
    taxonomy: Taxonomy | None = None,
    *,
    progress: OnRow | None = None,
) -> Preparation:
    """Decide about every row of a file; nothing is written.

    Parameters
    ----------
    taxonomy
        What the labels are of; made of the label paths if None.

    Raises
    ------
    InputError
        The file cannot be read, a column is not there, no row is left, or none for a part that
        has a share.
    """
    options = _settled(options)
    with options.source.open() as table:
        rows = scan_rows(table, options.text, options.label, options.seed, progress)
    if not len(rows):
        raise InputError("there are no rows to prepare", file=options.source.file)
    if not rows.labels:
        raise _nothing_left(options, rows, rows.fault)
    tree = taxonomy or _taxonomy(options, rows)
    labels = truncate_labels(rows.labels, tree, options.depth, options.form.separator)
    _tell_several(options, rows, labels.node, tree)
    if (labels.node < 0).all():
        raise _nothing_known(options, rows, tree)
    cleaned = clean_rows(rows, labels.node)
    if not len(cleaned.kept):
        raise _nothing_left(options, rows, cleaned.reason)
    part = np.full(len(rows), -1, dtype=np.int8)
    part[cleaned.kept] = _divide(options, rows, cleaned, labels.taxonomy)
    prepared = Preparation(options, taxonomy is None, len(tree), rows, labels, cleaned, part)
    for name in prepared.parts:
        if not (part == PARTS.index(name)).any():
            raise _empty_part(prepared, name)
    return prepared


def _taxonomy(options: PreparationOptions, rows: ScannedRows) -> Taxonomy:
    counts = np.bincount(rows.label[rows.label >= 0], minlength=len(rows.labels)).tolist()
    labels = dict(zip(rows.labels, counts, strict=True))
    return taxonomy_of_paths(labels, Path(options.source.file).stem, options.form)


def _tell_several(
    options: PreparationOptions, rows: ScannedRows, nodes: NDArray[np.int32], taxonomy: Taxonomy
) -> None:
    """Log a warning if unknown labels are several known ones in a cell, or further ones unknown."""
    if options.form.separator:
        _tell_further(options, rows, nodes, taxonomy)
        return
    finder = LabelFinder(taxonomy)
    marks = {at: finder.several(rows.labels[at]) for at in np.flatnonzero(nodes < 0).tolist()}
    found = [at for at, mark in marks.items() if mark]
    if not found:
        return
    here = np.isin(rows.label, found)
    first = int(np.argmax(here))
    at = int(rows.label[first])
    said = several_at(int(rows.line[first]), rows.labels[at], marks[at] or "")
    logger.warning("%s: %s rows have %s", options.source.file, f"{here.sum():,}", said)


def _tell_further(
    options: PreparationOptions, rows: ScannedRows, nodes: NDArray[np.int32], taxonomy: Taxonomy
) -> None:
    """Log a warning if labels after the first of a cell are unknown."""
    finder = LabelFinder(taxonomy, options.form.separator)
    known = np.flatnonzero(nodes >= 0).tolist()
    found = [at for at in known if finder.first_unknown(rows.labels[at]) is not None]
    further = OtherAnswers(finder)
    for row in np.flatnonzero(np.isin(rows.label, found)).tolist():
        further.look(int(rows.line[row]), rows.labels[rows.label[row]])
    further.warn(options.source.file, options.label)


def _settled(options: PreparationOptions) -> PreparationOptions:
    """The options with its columns there; the label is never guessed to be text."""
    with options.source.open() as table:
        require_columns(table, [options.label])
        text = options.text or [c for c in guess_text_columns(table) if c != options.label]
        if not text:
            raise InputError(
                f"has no column beside the label {options.label!r}; name the text with --text",
                file=table.name,
            )
        require_columns(table, text)
    return replace(options, text=tuple(text))


def _divide(
    options: PreparationOptions, rows: ScannedRows, cleaned: CleanedRows, taxonomy: Taxonomy
) -> NDArray[np.int8]:
    """int8 [n_kept], the part of each row that is kept."""
    nodes, classes = np.unique(cleaned.node[cleaned.kept], return_inverse=True)
    classes = classes.astype(np.int64)
    if options.split == "stratified":
        return stratified(classes, rows.key[cleaned.kept], options.shares)
    drawn = [draw(taxonomy.codes[node], options.seed) for node in nodes.tolist()]
    return out_of_sample(classes, np.array(drawn, dtype=np.uint64), options.shares)


def _nothing_known(
    options: PreparationOptions, rows: ScannedRows, taxonomy: Taxonomy
) -> InputError:
    labelled = np.flatnonzero(rows.fault == KEPT)
    label = rows.labels[0]
    first = f"line {rows.line[labelled[0]]}, {label[:80]!r}"
    return unknown_labels_error(
        options.source, options.label, taxonomy, len(labelled), first, label
    )


def _nothing_left(
    options: PreparationOptions, rows: ScannedRows, reason: NDArray[np.int8]
) -> InputError:
    counts = [
        f"{n:,} {word} ({meaning})"
        for at, (word, meaning) in enumerate(REASONS.items())
        if (n := int((reason == at).sum()))
    ]
    return InputError(
        f"no row is left of {len(rows):,}: {', '.join(counts)}; look at these rows, and name other "
        "columns with --text and --label if they are the wrong ones",
        file=options.source.file,
    )


def _empty_part(prepared: Preparation, name: str) -> InputError:
    options, kept = prepared.options, prepared.cleaned.kept
    sizes = np.unique(prepared.cleaned.node[kept], return_counts=True)[1]
    share = getattr(options.shares, name)
    found = f"{len(kept):,} rows of {len(sizes):,} classes"
    if options.split == "stratified":
        reason = "each class has one row in train before it has one elsewhere"
    else:
        reason = f"the smallest class has {sizes.min():,}, and classes are held out whole"
    return InputError(
        f"no row is left for {name}: {found} at a share of {share:g}, and {reason}; give more "
        f"rows, or a larger --{name}, or leave the part out with --{name} 0",
        file=options.source.file,
    )
