"""What a user should know about the labels of rows that are prepared, logged as warnings."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from cascade.evaluation.preparation.cleaning import ScannedRows
from cascade.evaluation.preparation.options import PreparationOptions
from cascade.pipeline.labels.finding import LabelFinder, OtherAnswers, several_at
from cascade.taxonomy import Taxonomy

logger = logging.getLogger(__name__)


def tell_several(
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


def tell_others(options: PreparationOptions, taxonomy: Taxonomy) -> None:
    """Log a warning for each column of other right answers that has unknown ones."""
    if not options.also:
        return
    finder = LabelFinder(taxonomy, options.form.separator)
    others = {name: OtherAnswers(finder) for name in options.also}
    with options.source.open() as table:
        for row in table:
            for name, answers in others.items():
                answers.look(row.line, table.text(row, name))
    for name, answers in others.items():
        answers.warn(options.source.file, name)
