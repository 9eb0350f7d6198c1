"""Items that belong to no node: told by how little evidence there is for any.

A classifier with a separate problem for each node can deny all of them: its greatest margin is the
evidence that an item belongs anywhere. A softmax cannot, since its probabilities sum to 1 whatever
the item. Rows that belong, held out, tell how low evidence may be: an item with less than all but a
small share of them is nowhere (a conformal p-value, Vovk et al. 2005), so that no more than that
share of rows like them is struck.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.maps import is_number
from cascade.config import ENCODER, CascadeConfig, RetrievalConfig
from cascade.errors import UsageError
from cascade.lazy import Lazy, replace
from cascade.predictions import Alternative, Prediction
from cascade.predictions.columns import Predictions, WalkedColumns

STRUCK = 0.01  # `calibration.nowhere` of packs: rows that belong and may be struck
MOST = 0.1  # of them, at most, so that the lowest tenth of evidence is kept


@dataclass(frozen=True)
class NowhereTable:
    """The evidence that held-out rows belong anywhere.

    Parameters
    ----------
    scorer
        Whose evidence it is.
    rows
        How many rows were judged.
    lowest
        Evidence of the lowest tenth of them, increasing.
    """

    scorer: str
    rows: int
    lowest: tuple[float, ...]

    @classmethod
    def fit(cls, scorer: str, evidence: NDArray[np.floating[Any]]) -> NowhereTable:
        """The table of held-out rows; NaN where one could not be judged."""
        known = np.sort(evidence[~np.isnan(evidence)]).astype(np.float64)
        kept = known[: math.floor(MOST * (len(known) + 1))]
        return cls(scorer, len(known), tuple(np.round(kept, 5).tolist()))

    @classmethod
    def parse(cls, values: Any) -> NowhereTable:
        """The table in plain values, which may not fit together; see `is_whole`."""
        return cls(values["scorer"], values["rows"], tuple(values["lowest"]))

    def is_whole(self) -> bool:
        """Whether the table is such as `fit` makes, whatever file it comes from."""
        return (
            isinstance(self.scorer, str)
            and type(self.rows) is int
            and all(map(is_number, self.lowest))
            and len(self.lowest) == math.floor(MOST * (self.rows + 1))
            and list(self.lowest) == sorted(self.lowest)
        )

    def threshold(self, struck: float) -> float:
        """The evidence below which an item is nowhere; -inf where rows are too few to tell.

        Parameters
        ----------
        struck
            Share of rows that belong which may be struck, at most `MOST`.
        """
        at = math.floor(struck * (self.rows + 1) + 1e-9)
        return self.lowest[at - 1] if at else -math.inf


BY_NAMES = NowhereTable(
    "retrieval",
    199,
    (
        *(0.134, 0.146, 0.153, 0.16, 0.166, 0.171, 0.177, 0.181, 0.184, 0.188),
        *(0.192, 0.195, 0.198, 0.2, 0.202, 0.204, 0.206, 0.208, 0.21, 0.211),
    ),
)
"""Of the rows of twenty taxonomies, by names of nodes alone, with the encoder that ships and the
default settings of `retrieval`; by halves of a hundredth."""


def by_names(config: CascadeConfig) -> NowhereTable | None:
    """`BY_NAMES` where a config compares items with names as it was measured."""
    usual = RetrievalConfig(encoder=ENCODER)
    names = ("encoder", "vision", "query_prompt", "document_prompt", "texts", "words")
    same = all(getattr(config.retrieval, name) == getattr(usual, name) for name in names)
    return BY_NAMES if config.method == BY_NAMES.scorer and same else None


class NowhereRule:
    """Says of predictions that their items are nowhere.

    Attributes
    ----------
    scorer
        Whose evidence is judged.

    Raises
    ------
    UsageError
        `struck` was asked for, and the rows are too few.
    """

    def __init__(self, table: NowhereTable, struck: float | None) -> None:
        self.scorer = table.scorer
        self._struck = STRUCK if struck is None else struck
        self._threshold = table.threshold(self._struck)
        if struck and math.isinf(self._threshold):
            raise UsageError(
                f"calibration.nowhere is {struck:g}, and {table.rows:,} held-out rows cannot tell "
                f"so small a share; set it to {1 / (table.rows + 1):.2g} or more, or to 0"
            )

    @property
    def judges(self) -> bool:
        """Whether any item can be nowhere."""
        return math.isfinite(self._threshold)

    def apply(
        self, predictions: Sequence[Prediction], evidence: NDArray[np.floating[Any]]
    ) -> Predictions:
        """The predictions; those of items with too little evidence [n_items] (or NaN) struck."""
        found: Predictions = (
            predictions if isinstance(predictions, WalkedColumns) else list(predictions)
        )
        for row in np.flatnonzero(evidence < self._threshold).tolist():
            if found[row].status != "error":
                found[row] = self._struck_out(found[row], float(evidence[row]))
        return found

    def _struck_out(self, prediction: Prediction, evidence: float) -> Prediction:
        message = (
            "seems to belong to no node: it is less like any than "
            f"{100 * (1 - self._struck):.3g}% of the rows that do belong "
            f"(evidence {evidence:.2f}, needed {self._threshold:.2f})"
        )
        if prediction.path is not None:
            message += f"; if it does belong, the nearest is {prediction.path!r}"
        others: Any = _Struck(prediction)  # stands in the field until it is read
        return replace(
            prediction,
            code=None,
            path=None,
            confidence=0.0,
            status="nowhere",
            message=message,
            levels=(),
            alternatives=others,
            facets=(),
            climbed_from=prediction.climbed_from or prediction,
        )


class _Struck(Lazy):
    """The alternatives of an item that is nowhere: the nearest node, and those of its answer."""

    __slots__ = ("_of",)

    def __init__(self, of: Prediction) -> None:
        self._of = of

    def alternatives(self) -> tuple[Alternative, ...]:
        of = self._of
        if of.code is None or of.path is None:
            return of.alternatives
        return (Alternative(of.code, of.path, of.confidence), *of.alternatives)
