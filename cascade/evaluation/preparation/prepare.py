"""Labelled rows prepared to learn from and to measure on: labels cut, rows cleaned and split.

The file is read twice: here to decide about every row, then to copy each to where it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError
from cascade.evaluation.preparation.cleaning import (
    CONFLICTING,
    DUPLICATE,
    KEPT,
    OUTDONE,
    REASONS,
    UNKNOWN,
    UNREADABLE,
    CellCutter,
    CleanedRows,
    ScannedRows,
    TruncatedLabels,
    clean_rows,
    scan_rows,
    truncate_labels,
)
from cascade.evaluation.preparation.codes import CodeLabels
from cascade.evaluation.preparation.label_warnings import tell_others, tell_several
from cascade.evaluation.preparation.options import PreparationOptions
from cascade.evaluation.preparation.splits import (
    PARTS,
    SPLITS,
    draw,
    out_of_sample,
    stratified,
)
from cascade.foodex2.repair import is_anonymised
from cascade.io import Row, require_columns
from cascade.pipeline.labels.finding import (
    unknown_labels_error,
)
from cascade.pipeline.labels.making import taxonomy_of_paths
from cascade.pipeline.runs.columns import guess_text_columns
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.taxonomy.names import match_code
from cascade.version import __version__


@dataclass(frozen=True)
class Preparation:
    """What was decided about every row of a file; make one with `prepare`.

    Parameters
    ----------
    options
        With its text columns settled.
    made_of_labels
        Whether the taxonomy was made of the labels, since none was given.
    whole
        The taxonomy before it was cut.
    labels
        The different labels as nodes of the cut taxonomy.
    part
        int8 [n_rows], index in `PARTS` of the part that a row goes to, -1 for a dropped row.
    codes
        The labels as FoodEx2 codes; None of other taxonomies.
    """

    options: PreparationOptions
    made_of_labels: bool
    whole: Taxonomy
    rows: ScannedRows
    labels: TruncatedLabels
    cleaned: CleanedRows
    part: NDArray[np.int8]
    codes: CodeLabels | None = None

    @property
    def taxonomy(self) -> Taxonomy:
        """What the labels of all parts are nodes of."""
        return self.labels.taxonomy

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The parts that have a share."""
        weights = self.options.shares.weights
        return tuple(name for name, weight in zip(PARTS, weights, strict=True) if weight)

    def cut(self, text: str) -> str:
        """A cell of labels as it is written: cut to the depth that was asked for, codes mended."""
        if self.codes is not None and (found := self.codes.mended.get(text.strip())):
            text = found[0]
        return self._cut(text)

    def mended(self) -> list[tuple[int, int, str, str, str]]:
        """Rows whose code was mended: row, line, the code as it was, as it is, what was mended."""
        mended = {} if self.codes is None else self.codes.mended
        known = np.array([label in mended for label in self.rows.labels], dtype=bool)
        rows = np.flatnonzero((self.rows.label >= 0) & known[self.rows.label]) if len(known) else ()
        return [
            (int(row), int(self.rows.line[row]), label, *mended[label])
            for row in rows
            for label in [self.rows.labels[self.rows.label[row]]]
        ]

    @cached_property
    def _cut(self) -> Callable[[str], str]:
        options = self.options
        return cache(CellCutter(self.whole, options.depth, options.form.separator))

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
        if reason in (DUPLICATE, CONFLICTING, OUTDONE):
            rival = int(self.cleaned.rival[row])
            if reason == OUTDONE:
                label = self.rows.labels[self.rows.label[rival]]
                line = self.rows.line[rival]
                return word, f"line {line} has the same text and {label[:80]!r}, which says more"
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
            "columns": {
                "text": list(options.text),
                "label": options.label,
                "also": list(options.also),
            },
            "taxonomy": {
                "name": tree.name,
                "sha256": tree.fingerprint,
                "made_of_labels": self.made_of_labels,
                "depth": options.depth,
                "levels": tree.depth,
                "nodes": len(tree),
                "nodes_before": len(self.whole),
            },
            "kept": len(kept),
            "labels_cut": self._labels_cut(),
            "labels_above_depth": int((level < options.depth).sum()) if options.depth else 0,
            "dropped": self._dropped(),
            "codes_mended": self._codes_mended(),
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

    def _codes_mended(self) -> dict[str, Any]:
        """How many rows, and which: their lines, as far as they are a hundred."""
        lines = [line for _, line, *_ in self.mended()]
        return {"rows": len(lines), "lines": lines[:100]}

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
        faceted = isinstance(taxonomy, FacetedTaxonomy)
        masks = {"is_masked": is_anonymised} if faceted else {}
        rows = scan_rows(table, options.text, options.label, options.seed, progress, **masks)
    if not len(rows):
        raise InputError("there are no rows to prepare", file=options.source.file)
    if not rows.labels:
        raise _nothing_left(options, rows, rows.fault)
    tree = taxonomy or _taxonomy(options, rows)
    labels = truncate_labels(rows.labels, tree, options.depth, options.form.separator)
    tell_several(options, rows, labels.node, tree)
    tell_others(options, tree)
    if (labels.node < 0).all():
        raise _nothing_known(options, rows, tree)
    cleaned = clean_rows(rows, labels.node)
    codes = None
    if isinstance(tree, FacetedTaxonomy) and options.form.separator is None:
        codes = CodeLabels.of(rows.labels, tree)
        cleaned = codes.keep_most_informative(rows, cleaned, labels.taxonomy)
    if not len(cleaned.kept):
        raise _nothing_left(options, rows, cleaned.reason)
    part = np.full(len(rows), -1, dtype=np.int8)
    part[cleaned.kept] = _divide(options, rows, cleaned, labels.taxonomy)
    prepared = Preparation(options, taxonomy is None, tree, rows, labels, cleaned, part, codes)
    for name in prepared.parts:
        if not (part == PARTS.index(name)).any():
            raise _empty_part(prepared, name)
    return prepared


def _taxonomy(options: PreparationOptions, rows: ScannedRows) -> Taxonomy:
    counts = np.bincount(rows.label[rows.label >= 0], minlength=len(rows.labels)).tolist()
    labels = dict(zip(rows.labels, counts, strict=True))
    return taxonomy_of_paths(labels, Path(options.source.file).stem, options.form)


def _settled(options: PreparationOptions) -> PreparationOptions:
    """The options with its columns there; the label is never guessed to be text."""
    with options.source.open() as table:
        answers = (options.label, *options.also)
        require_columns(table, answers)
        text = options.text or [c for c in guess_text_columns(table) if c not in answers]
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
