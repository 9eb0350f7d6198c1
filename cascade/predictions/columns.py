"""Predictions of a batch as columns, of which each becomes an object when somebody asks for it.

A run over a file reads the code, path, confidence, ... of each row and nothing else; an object for
each, and one more where an answer climbs, would take longer than the walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from cascade.predictions.answers import Prediction, Status

COLUMNS = ("code", "path", "confidence", "source", "status", "message")
_VALUES = attrgetter(*COLUMNS)


class Tree(Protocol):
    """What is told of nodes by their index; a `Taxonomy`."""

    codes: tuple[str, ...]
    names: tuple[str, ...]

    def path(self, i: int) -> str:
        """`A > B > C`."""


class PredictionColumns(Sequence[Prediction]):
    """A list of predictions; rows can be replaced.

    Parameters
    ----------
    columns
        Lists [n], what the fields of the predictions are, in the order of `COLUMNS`. Whoever
        changes one changes the objects alike, by a step (`then`).
    make
        The prediction at a place, as it was before all steps.

    Attributes
    ----------
    replaced
        Rows that others have put in the place of what was there.
    """

    code: list[str | None]
    path: list[str | None]
    confidence: list[float]
    source: list[str]
    status: list[Status]
    message: list[str]

    def __init__(self, columns: Sequence[list[Any]], make: Callable[[int], Prediction]) -> None:
        self.code, self.path, self.confidence, self.source, self.status, self.message = columns
        self.replaced: set[int] = set()
        self._make = make
        self._steps: list[Callable[[int, Prediction], Prediction]] = []
        self._made: dict[int, Prediction] = {}

    @classmethod
    def of(cls, predictions: Sequence[Prediction]) -> PredictionColumns:
        """The columns of predictions, whether they are objects or columns already."""
        if isinstance(predictions, PredictionColumns):
            return predictions
        values = map(_VALUES, predictions)
        columns = map(list, zip(*values, strict=True)) if predictions else ([] for _ in COLUMNS)
        found = PredictionColumns([*columns], predictions.__getitem__)
        found._made = dict(enumerate(predictions))
        return found

    def among(self, rows: Sequence[int], others: Mapping[int, Prediction]) -> PredictionColumns:
        """These at some rows, in their order, and others at all other rows."""
        n = len(rows) + len(others)
        place = dict(zip(rows, range(len(rows)), strict=True))
        columns: list[list[Any]] = [[None] * n for _ in COLUMNS]
        for name, column in zip(COLUMNS, columns, strict=True):
            for row, value in zip(rows, getattr(self, name), strict=True):
                column[row] = value
        made = PredictionColumns(columns, lambda row: self[place[row]])
        for row, other in others.items():
            made[row] = other
        known = {row: self._made.get(own) for row, own in place.items()}
        made._made |= {row: one for row, one in known.items() if one is not None}
        return made

    def then(self, step: Callable[[int, Prediction], Prediction]) -> None:
        """Change each prediction, given its row, when it is made; now, where that has happened."""
        self._made = {row: step(row, one) for row, one in self._made.items()}
        self._steps.append(step)

    @property
    def made(self) -> Mapping[int, Prediction]:
        """The predictions that are objects already, by their row, in order."""
        return dict(sorted(self._made.items())) if self._made else self._made

    def __len__(self) -> int:
        return len(self.code)

    @overload
    def __getitem__(self, row: int) -> Prediction: ...
    @overload
    def __getitem__(self, row: slice) -> list[Prediction]: ...
    def __getitem__(self, row: int | slice) -> Prediction | list[Prediction]:
        if isinstance(row, slice):
            return [self[each] for each in range(len(self))[row]]
        row = range(len(self))[row]
        found = self._made.get(row)
        if found is None:
            found = self._make(row)
            for step in self._steps:
                found = step(row, found)
            self._made[row] = found
        return found

    def __iter__(self) -> Iterator[Prediction]:
        return map(self.__getitem__, range(len(self)))

    def __setitem__(self, row: int, prediction: Prediction) -> None:
        self._made[row] = prediction
        self.replaced.add(row)
        for name, value in zip(COLUMNS, _VALUES(prediction), strict=True):
            getattr(self, name)[row] = value


class WalkedColumns(PredictionColumns):
    """Those of a walk, with the paths to the answers.

    Parameters
    ----------
    tree
        What the nodes are of.
    nodes
        int32 [n, depth], the nodes on the path to each answer, top first, -1 below its end.
    sure
        float64 [n, depth], the confidence of each level of the path, nan below its end.
    """

    def __init__(
        self,
        columns: Sequence[list[Any]],
        make: Callable[[int], Prediction],
        tree: Tree,
        nodes: NDArray[np.int32],
        sure: NDArray[np.float64],
    ) -> None:
        super().__init__(columns, make)
        self.tree, self.nodes, self.sure = tree, nodes, sure

    def __setitem__(self, row: int, prediction: Prediction) -> None:
        super().__setitem__(row, prediction)
        own = prediction.path_confidences
        missing = max(len(own) - self.sure.shape[1], 0)
        self.sure = np.pad(self.sure, ((0, 0), (0, missing)), constant_values=np.nan)
        self.sure[row] = np.nan
        self.sure[row, : len(own)] = own


Predictions = list[Prediction] | PredictionColumns
