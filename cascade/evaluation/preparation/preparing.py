"""Labelled rows prepared to learn from and to measure on: labels cut, rows cleaned and divided.

The file is read twice: here to decide about every row, then to copy each to where it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError
from cascade.evaluation.preparation.cleaning import (
    KEPT,
    REASONS,
    CleanedRows,
    ScannedRows,
    clean,
    scan,
)
from cascade.evaluation.preparation.cutting import cut_labels
from cascade.evaluation.preparation.plan import Plan, Preparation
from cascade.evaluation.preparation.splits import PARTS, draw, out_of_sample, stratified
from cascade.io import Row, require_columns
from cascade.pipeline.labels import nothing_known, taxonomy_of_paths
from cascade.pipeline.reading import guess_text_columns
from cascade.taxonomy import Taxonomy

Progress = Callable[[Row], None]


def prepare(
    plan: Plan, taxonomy: Taxonomy | None = None, *, progress: Progress | None = None
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
    plan = _settled(plan)
    with plan.source.open() as table:
        rows = scan(table, plan.text, plan.label, plan.seed, progress)
    if not len(rows):
        raise InputError("there are no rows to prepare", file=plan.source.file)
    if not rows.labels:
        raise _nothing_left(plan, rows, rows.fault)
    tree = taxonomy or taxonomy_of_paths(rows.labels, Path(plan.source.file).stem)
    labels = cut_labels(rows.labels, tree, plan.depth)
    if (labels.node < 0).all():
        raise _nothing_known(plan, rows, tree)
    cleaned = clean(rows, labels.node)
    if not len(cleaned.kept):
        raise _nothing_left(plan, rows, cleaned.reason)
    place = np.full(len(rows), -1, dtype=np.int8)
    place[cleaned.kept] = _divide(plan, rows, cleaned, labels.taxonomy)
    prepared = Preparation(plan, taxonomy is None, len(tree), rows, labels, cleaned, place)
    for name in prepared.parts:
        if not (place == PARTS.index(name)).any():
            raise _empty_part(prepared, name)
    return prepared


def _settled(plan: Plan) -> Plan:
    """The plan with its columns there; the label is never guessed to be text."""
    with plan.source.open() as table:
        require_columns(table, [plan.label])
        text = plan.text or [c for c in guess_text_columns(table) if c != plan.label]
        if not text:
            raise InputError(
                f"has no column beside the label {plan.label!r}; name the text with --text",
                file=table.name,
            )
        require_columns(table, text)
    return replace(plan, text=tuple(text))


def _divide(
    plan: Plan, rows: ScannedRows, cleaned: CleanedRows, taxonomy: Taxonomy
) -> NDArray[np.int8]:
    """int8 [n_kept], the part of each row that is kept."""
    nodes, classes = np.unique(cleaned.node[cleaned.kept], return_inverse=True)
    classes = classes.astype(np.int64)
    if plan.split == "stratified":
        return stratified(classes, rows.key[cleaned.kept], plan.shares)
    drawn = [draw(taxonomy.codes[node], plan.seed) for node in nodes.tolist()]
    return out_of_sample(classes, np.array(drawn, dtype=np.uint64), plan.shares)


def _nothing_known(plan: Plan, rows: ScannedRows, taxonomy: Taxonomy) -> InputError:
    labelled = np.flatnonzero(rows.fault == KEPT)
    first = f"line {rows.line[labelled[0]]}, {rows.labels[0][:80]!r}"
    return nothing_known(plan.source, plan.label, taxonomy, len(labelled), first)


def _nothing_left(plan: Plan, rows: ScannedRows, reason: NDArray[np.int8]) -> InputError:
    counts = [
        f"{n:,} {word} ({meaning})"
        for at, (word, meaning) in enumerate(REASONS.items())
        if (n := int((reason == at).sum()))
    ]
    return InputError(
        f"no row is left of {len(rows):,}: {', '.join(counts)}; look at these rows, and name other "
        "columns with --text and --label if they are the wrong ones",
        file=plan.source.file,
    )


def _empty_part(prepared: Preparation, name: str) -> InputError:
    plan, kept = prepared.plan, prepared.cleaned.kept
    sizes = np.unique(prepared.cleaned.node[kept], return_counts=True)[1]
    share = getattr(plan.shares, name)
    found = f"{len(kept):,} rows of {len(sizes):,} classes"
    if plan.split == "stratified":
        reason = "each class has one row in train before it has one elsewhere"
    else:
        reason = f"the smallest class has {sizes.min():,}, and classes are held out whole"
    return InputError(
        f"no row is left for {name}: {found} at a share of {share:g}, and {reason}; give more "
        f"rows, or a larger --{name}, or leave the part out with --{name} 0",
        file=plan.source.file,
    )
