"""How right sets of labels are, such as the facets of a food: shares over labels and over rows."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from cascade.errors import UsageError
from cascade.evaluation.answers import Floats
from cascade.evaluation.levels import ratio


@dataclass(frozen=True, slots=True)
class SetFigures:
    """Figures of predicted against gold sets; make one with `set_figures`.

    A label is predicted in some rows, gold in some, and hit where it is both. Shares of nothing
    are 0, as in `sklearn.metrics.precision_recall_fscore_support(zero_division=0)`.

    Parameters
    ----------
    precision_micro, recall_micro, f1_micro
        Hits, predictions and gold pooled over all labels.
    precision_macro, recall_macro, f1_macro
        Those of each label that is predicted or gold somewhere, every label alike.
    exact_match
        Share of rows whose two sets are the same (subset accuracy); empty sets are the same.
    rows
        How many there are.
    support
        Gold labels in all rows.
    labels
        Different labels, gold or predicted.
    """

    precision_micro: float
    recall_micro: float
    f1_micro: float
    precision_macro: float
    recall_macro: float
    f1_macro: float
    exact_match: float
    rows: int
    support: int
    labels: int


def set_figures(
    predicted: Sequence[Collection[Hashable]], gold: Sequence[Collection[Hashable]]
) -> SetFigures:
    """Figures of a predicted set of labels for each row, against the gold set.

    Parameters
    ----------
    predicted, gold
        [n_rows], the labels of each row; a label that stands twice counts once.

    Raises
    ------
    UsageError
        There are no rows, or the lengths differ.
    """
    if not len(gold) or len(predicted) != len(gold):
        raise UsageError(
            f"found predicted sets for {len(predicted):,} rows and gold sets for {len(gold):,}; "
            "give both for each row (empty where there is no label), and at least one row"
        )
    number: dict[Hashable, int] = {}
    columns: tuple[list[int], ...] = ([], [], [])
    exact = 0
    for ours, theirs in zip(map(frozenset, predicted), map(frozenset, gold), strict=True):
        exact += ours == theirs
        for labels, column in zip((ours & theirs, ours, theirs), columns, strict=True):
            column.extend(number.setdefault(label, len(number)) for label in labels)
    # float64 [3, n_labels]: rows in which each label is hit, predicted and gold.
    counts = np.stack(
        [np.bincount(np.array(c, dtype=np.int64), minlength=len(number)) for c in columns]
    ).astype(np.float64)
    precision, recall, f1 = _precision_recall_f1(counts)
    pooled = [float(share[0]) for share in _precision_recall_f1(counts.sum(axis=1, keepdims=True))]
    return SetFigures(
        precision_micro=pooled[0],
        recall_micro=pooled[1],
        f1_micro=pooled[2],
        precision_macro=_mean(precision),
        recall_macro=_mean(recall),
        f1_macro=_mean(f1),
        exact_match=exact / len(gold),
        rows=len(gold),
        support=int(counts[2].sum()),
        labels=len(number),
    )


def _precision_recall_f1(counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Three float64 [n_labels] of hits, predictions and gold, float64 [3, n_labels]."""
    hit, predicted, gold = counts
    return (
        ratio(hit, predicted, empty=0.0),
        ratio(hit, gold, empty=0.0),
        ratio(2 * hit, predicted + gold, empty=0.0),
    )


def _mean(shares: Floats) -> float:
    return float(shares.mean()) if shares.size else 0.0
