"""Figures of sets of labels, such as the facets of a food: how right they are, and which labels.

With tp labels that are predicted and gold, p that are predicted and g that are gold, precision is
tp / p, recall tp / g and F1 2 tp / (p + g). *Micro* counts these over all rows and labels, *macro*
averages the shares of labels, *sample* those of rows (Tsoumakas, Katakis and Vlahavas 2010, "Mining
multi-label data").

A share of nothing counts as 0, as in scikit-learn with `zero_division=0`: the precision of a label
that is never predicted, the recall of one that is never gold, and micro and macro figures where no
row has a label. The one exception is a row with two empty sets, which is right: its F1 is 1.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.errors import UsageError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """How right one label is.

    Parameters
    ----------
    label
        The label.
    support, predicted, right
        Rows in which it is gold, predicted, and both.
    precision, recall, f1
        right / predicted, right / support, and 2 right / (predicted + support); 0 for a share of
        nothing.
    """

    label: str
    support: int
    predicted: int
    right: int
    precision: float
    recall: float
    f1: float


def set_figures(
    predicted: Sequence[Collection[str]], gold: Sequence[Collection[str]]
) -> dict[str, float]:
    """Figures of the predicted sets of some rows against their gold sets, by name.

    `precision_micro`, `recall_micro`, `f1_micro`: of all labels of all rows together.
    `precision_macro`, `recall_macro`, `f1_macro`: means over the labels that are gold or predicted
    in any row; F1 is the mean of their F1, not that of the two means ("averaged F1" in Opitz and
    Burst 2019, "Macro F1 and Macro F1").
    `f1_sample`: mean over rows of the F1 of a row, 1 where both sets are empty.
    `exact_match_set`: share of rows whose sets are the same (subset accuracy); empty ones are.

    Parameters
    ----------
    predicted, gold
        [n_rows], the labels of each row, possibly none; a label that stands twice counts once.

    Raises
    ------
    UsageError
        There are no rows, their numbers differ, or a row is a string instead of a collection.
    """
    sets = _Sets.of(predicted, gold)
    by_row = sets.by_row()
    right, found, known = by_row
    micro = [float(share[0]) for share in _shares(by_row.sum(axis=1, keepdims=True))]
    macro = [float(share.mean()) if share.size else 0.0 for share in _shares(sets.by_label())]
    names = ("precision", "recall", "f1")
    return {
        **{f"{name}_micro": share for name, share in zip(names, micro, strict=True)},
        **{f"{name}_macro": share for name, share in zip(names, macro, strict=True)},
        "f1_sample": float(_ratio(2 * right, found + known, empty=1.0).mean()),
        "exact_match_set": float(((right == found) & (right == known)).mean()),
    }


def set_table(
    predicted: Sequence[Collection[str]], gold: Sequence[Collection[str]]
) -> list[LabelFigures]:
    """Figures of each label that is gold or predicted in any row: most support first, then by name.

    Parameters
    ----------
    predicted, gold
        [n_rows], as in `set_figures`.

    Raises
    ------
    UsageError
        As in `set_figures`.
    """
    sets = _Sets.of(predicted, gold)
    counts = sets.by_label()
    rows = zip(
        sets.labels,
        *(column.tolist() for column in (*counts, *_shares(counts))),
        strict=True,
    )
    table = [
        LabelFigures(label, support, found, right, precision, recall, f1)
        for label, right, found, support, precision, recall, f1 in rows
    ]
    return sorted(table, key=lambda each: (-each.support, each.label))


@dataclass(frozen=True)
class _Sets:
    """Pairs of a row and a label, each as the number `row * len(labels) + label`.

    Parameters
    ----------
    labels
        Different labels, gold or predicted.
    rows
        How many there are.
    pairs
        Three int64 [n_pairs]: of labels that are right, predicted, and gold.
    """

    labels: list[str]
    rows: int
    pairs: tuple[Counts, Counts, Counts]

    @classmethod
    def of(cls, predicted: Sequence[Collection[str]], gold: Sequence[Collection[str]]) -> _Sets:
        if not len(gold) or len(predicted) != len(gold):
            raise UsageError(
                f"found predicted sets for {len(predicted):,} rows and gold sets for "
                f"{len(gold):,}; give both for each row (empty where there is no label), and at "
                "least one row"
            )
        number: dict[str, int] = {}
        sides = [_numbered(side, number) for side in (predicted, gold)]
        found, known = (np.unique(row * len(number) + label) for row, label in sides)
        right = np.intersect1d(found, known, assume_unique=True)
        return cls(list(number), len(gold), (right, found, known))

    def by_label(self) -> Counts:
        """int64 [3, n_labels], rows in which each label is right, predicted, and gold."""
        n = len(self.labels)
        return np.stack([np.bincount(pairs % n, minlength=n) for pairs in self.pairs])

    def by_row(self) -> Counts:
        """int64 [3, n_rows], labels of each row that are right, predicted, and gold."""
        n = len(self.labels)
        return np.stack([np.bincount(pairs // n, minlength=self.rows) for pairs in self.pairs])


def _numbered(rows: Sequence[Collection[str]], number: dict[str, int]) -> tuple[Counts, Counts]:
    """The row and the number of each label, two int64 [n_labels]; gives new labels a number."""
    for row, labels in enumerate(rows):
        if isinstance(labels, str):
            raise UsageError(
                f"row {row} is the string {labels!r}; expected a collection of labels, such as "
                f"{[labels]}"
            )
    sizes = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    numbers = (number.setdefault(label, len(number)) for labels in rows for label in labels)
    return (
        np.repeat(np.arange(len(rows)), sizes),
        np.fromiter(numbers, dtype=np.int64, count=int(sizes.sum())),
    )


def _shares(counts: Counts) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1, float64 [n], of counts right, predicted and gold, int64 [3, n]."""
    right, found, known = counts
    return (
        _ratio(right, found, empty=0.0),
        _ratio(right, known, empty=0.0),
        _ratio(2 * right, found + known, empty=0.0),
    )


def _ratio(part: Counts, whole: Counts, *, empty: float) -> Floats:
    """`part / whole`, and `empty` where the whole is 0."""
    quotient: Floats = np.divide(part, whole, out=np.full(part.shape, empty), where=whole > 0)
    return quotient
