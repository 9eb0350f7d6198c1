"""The icicle of a taxonomy: each node a stretch of rows beside that of its parent."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from cascade.evaluation.error_analysis import ErrorAnalysis

CELLS = 2_000
COLUMNS = 4
STEPS = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """A node with gold rows.

    Parameters
    ----------
    above
        Which cell is its parent, -1 at the top.
    start
        Rows before it: its stretch of the column of its level is `start` to `start + rows`, inside
        that of its parent.
    rows, right, exact
        As `Classes` counts them.
    """

    node: int
    level: int
    above: int
    start: int
    rows: int
    right: int
    exact: int

    @property
    def share(self) -> float:
        """Share of its rows that are right down to it."""
        return self.right / self.rows

    @property
    def step(self) -> int:
        """The step of the colour scale for `share`, from 0."""
        return min(STEPS - 1, int(self.share * STEPS))


@dataclass(frozen=True)
class Icicle:
    """Cells in the order in which they are drawn, parents first, siblings with most rows first.

    Parameters
    ----------
    rows
        All gold rows.
    left_out
        Nodes with gold rows that have no cell.
    """

    cells: tuple[Cell, ...]
    rows: int
    left_out: int

    @property
    def columns(self) -> int:
        """Levels that are seen at a time."""
        return min(COLUMNS, max(cell.level for cell in self.cells))


def icicle_of(breakdown: ErrorAnalysis, most: int = CELLS) -> Icicle:
    """The nodes with the most gold rows, at most so many, and where they lie."""
    classes, taxonomy = breakdown.classes, breakdown.taxonomy
    gold = np.flatnonzero(classes.support)
    # A node has no fewer rows than those below it and comes before them: none loses its parent.
    kept = gold[np.argsort(-classes.support[gold], kind="stable")[:most]]
    below: dict[int, list[int]] = defaultdict(list)
    for i in kept.tolist():
        below[int(taxonomy.parent[classes.node[i]])].append(i)
    cells: list[Cell] = []
    waiting = _placed(below[-1], classes.support, -1, 0)
    while waiting:
        i, above, start = waiting.pop()
        node = int(classes.node[i])
        counts = (int(column[i]) for column in (classes.support, classes.right, classes.exact))
        cells.append(Cell(node, int(taxonomy.level[node]), above, start, *counts))
        waiting += _placed(below[node], classes.support, len(cells) - 1, start)
    top = taxonomy.level[classes.node] == 1
    return Icicle(tuple(cells), int(classes.support[top].sum()), len(gold) - len(kept))


def _placed(
    siblings: list[int], support: NDArray[np.int64], above: int, start: int
) -> list[tuple[int, int, int]]:
    """Siblings one after the other with their parent and their start, last first."""
    starts = accumulate(support[siblings].tolist(), initial=start)
    return [(i, above, begin) for i, begin in zip(siblings, starts, strict=False)][::-1]
