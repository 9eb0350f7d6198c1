"""The probability of every class, as scikit-learn and ensembles want it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import UsageError
from cascade.items import Batch, Item
from cascade.models.runtime import refuse_lost_gpu
from cascade.pipeline.doors.asked import Asked
from cascade.pipeline.router import Router
from cascade.predictions import Prediction
from cascade.taxonomy.staying import StayingTaxonomy

CELLS = 1 << 22  # probabilities of items and nodes that are computed at once
TIE = 1e-12  # how far below the answer others stay


class Weighing(Asked):
    """The part of `Classifier` that is about the probabilities of all classes."""

    def probabilities(
        self,
        items: Any,
        *,
        level: int | None = None,
        text: str | Sequence[str] | None = None,
        image: str | None = None,
    ) -> tuple[list[str], NDArray[np.float64]]:
        """The probability of every leaf, or of every node of a level, for each item.

        The best answer (of one that climbed, `climbed_from`) has its calibrated confidence and is
        the likeliest; what that leaves over is shared as the method's own probabilities are.

        Parameters
        ----------
        items, text, image
            As for `classify_many`; an iterator is read to its end.
        level
            1 is the top; nodes above it without children are among its classes. By default the
            classes are all nodes that can be an answer.

        Returns
        -------
        codes : list of str, n_classes
            In the order of the taxonomy.
        probabilities : float64 [n_items, n_classes]
            Each row sums to 1; of an item that cannot be answered all are nan.

        Raises
        ------
        UsageError
            The method does not know the probability of every node (those that ask a language
            model, or read one candidate at a time), or there is no such level.

        Examples
        --------
        >>> import cascade
        >>> clf = cascade.load("store")
        >>> codes, p = clf.probabilities(["straw panama hat"])
        >>> codes[p[0].argmax()]
        'SHO-ACC-HAT'
        """
        depth = self.taxonomy.depth
        check_level(level, depth)
        router = self._walker
        if not isinstance(router, Router):
            raise UsageError(
                f"the method {self.method} does not tell the probability of every node; use "
                "retrieval, or a pack"
            )
        read = list(self._intake(text, image, None).many(items))
        found = self.unwatched().classify_read(read)
        ends = router.ends
        classes, place = np.unique(self._shown(ends, level), return_inverse=True)
        codes = [self.taxonomy.codes[node] for node in classes.tolist()]
        rows = [at for at, prediction in enumerate(found) if prediction.code is not None]
        p = np.full((len(read), len(codes)), np.nan)
        size = max(1, CELLS // len(self._components.taxonomy))
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            checked = [self._checked(item) for row in some if isinstance(item := read[row], Item)]
            with self._turn:
                refuse_lost_gpu()
                of_ends = router.probabilities(Batch(checked))[:, ends]  # type: ignore[arg-type]
            sums = np.zeros((len(codes), len(some)))
            np.add.at(sums, place, of_ends.T)
            p[some] = sums.T
        for row in rows:
            _pin(p[row], codes, found[row].climbed_from or found[row], level)
        return codes, p

    def _shown(self, ends: NDArray[np.int64], level: int | None) -> NDArray[np.int64]:
        """The node of the taxonomy that each end is a class of, perhaps one above it."""
        tree, scored = self.taxonomy, self._components.taxonomy
        nodes = scored.shown[ends] if isinstance(scored, StayingTaxonomy) else ends
        if level is None:
            return np.asarray(nodes, np.int64)
        above = tree.paths_of(np.asarray(nodes, np.int32))[level - 1 : level]
        shown = np.where(tree.level[nodes] >= level, above[0], nodes) if len(above) else nodes
        return np.asarray(shown, np.int64)


def _pin(
    row: NDArray[np.float64], codes: Sequence[str], answer: Prediction, level: int | None
) -> None:
    """Give the answer its confidence and scale the others, none of which gets likelier than it."""
    total = row.sum()
    row[:] = row / total if total > 0 else 1 / len(row)
    if len(row) == 1:
        row[:] = 1.0
        return
    at, sure = _place(codes, answer, level)
    if at < 0:  # it ends above all of these classes
        return
    sure = min(1.0, max(sure, 1 / len(row)))
    others = np.delete(row, at)
    weight = others.sum()
    others = others / weight if weight > 0 else np.full(len(others), 1 / len(others))
    row[at] = sure
    row[np.arange(len(row)) != at] = _below(others * (1 - sure), sure - TIE)


def _place(codes: Sequence[str], answer: Prediction, level: int | None) -> tuple[int, float]:
    """Where the answer stands among classes, and its confidence; -1 where it does not."""
    known = {code: place for place, code in enumerate(codes)}
    if level is None:
        return known.get(str(answer.code), -1), answer.confidence
    for step in reversed(answer.levels[:level]):
        if step.code in known:
            return known[step.code], step.confidence
    return -1, 0.0


def _below(shares: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    """Shares of the same sum, none above `most`: what is cut goes to the others as they stand."""
    for _ in range(len(shares)):
        over = shares > most
        if not over.any():
            break
        excess = (shares[over] - most).sum()
        free = ~over & (shares < most)
        if not free.any():
            return np.full(len(shares), shares.sum() / len(shares))
        room = shares[free].sum()
        shares[over] = most
        shares[free] += excess * (shares[free] / room if room > 0 else 1 / free.sum())
    return shares


def check_level(level: object, depth: int) -> None:
    """Raise UsageError unless a level of a taxonomy, or None, is named."""
    known = isinstance(level, int) and not isinstance(level, bool) and 1 <= level <= depth
    if level is not None and not known:
        raise UsageError(f"level={level!r:.20}: the taxonomy has levels 1 to {depth}")
