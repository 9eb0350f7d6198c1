"""What many items teach so that most like them are answered quickly: a first pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from cascade.items import Batch, Item
from cascade.models.runtime import refuse_lost_gpu
from cascade.pipeline.doors.adapting import Adapting
from cascade.predictions import Prediction
from cascade.scoring.adaptation import drawn
from cascade.scoring.first_pass.deciding import LEAST, PART, FirstPass, check_first_pass
from cascade.scoring.scorer import NodeProbabilityScorer

TAUGHT = 6000  # items that a first pass is learnt from ...
LARGE_PART, MOST_TAUGHT = 20, 12_000  # ... or one of so many, where that is more, at the most
CELLS = 1 << 25  # similarities of items with leaves that it is learnt from, at the most
TOGETHER = 128  # items that are compared at a time


class Hastening(Adapting):
    """The part of `Classifier` that is about what is learnt of many items."""

    def learn_first_pass(
        self,
        items: Any,
        *,
        loss: float | None = None,
        text: str | Sequence[str] | None = None,
        image: str | None = None,
        id: str | None = None,
    ) -> FirstPass:
        """Learn from many items to answer most like them without the encoder, from now on.

        A quarter of the items, 6,000 at the most, drawn from all, are answered by the encoder; of
        more than 120,000 items one of twenty, 12,000 at the most. A table of words that is fitted
        to these answers then goes first. It answers alone where it is sure, the encoder sees the
        rest. Of fewer than 2,000 items nothing is learnt.

        Parameters
        ----------
        items, text, image, id
            As for `classify_many`; an iterator is read to its end.
        loss
            Hierarchical F1 that may be lost; by default that of `retrieval.first_pass_loss`.

        Returns
        -------
        What was learnt; `first_pass` keeps it, and None there forgets it.

        Raises
        ------
        UsageError
            It cannot stand in for what is configured, or as for `classify_many`.
        """
        return self.learn_first_pass_read(self._intake(text, image, id).many(items), loss)

    def learn_first_pass_read(
        self,
        items: Iterable[Item | Prediction],
        loss: float | None = None,
    ) -> FirstPass:
        """As `learn_first_pass`, of items that are read already."""
        check_first_pass(self.taxonomy, self.method, self.config)
        checked = (self._checked(item) for item in items if isinstance(item, Item))
        seen = 0

        def texts() -> Iterator[Item]:
            nonlocal seen
            for item in checked:
                if isinstance(item, Item) and item.image is None:
                    seen += 1
                    yield item

        known = drawn(texts(), min(MOST_TAUGHT, CELLS // len(self._components.taxonomy.leaves)))
        n = min(len(known), seen // PART, max(TAUGHT, seen // LARGE_PART))
        known = [known[at] for at in sorted(Random(0).sample(range(len(known)), n))]
        allowed = self.config.retrieval.first_pass_loss if loss is None else loss
        self.first_pass = None
        learnt = FirstPass(n) if n < LEAST else self._learnt(known, allowed)
        self.first_pass = learnt
        return learnt

    def _learnt(self, items: Sequence[Item], allowed: float) -> FirstPass:
        from cascade.retrieval.student.pieces import PieceVectors
        from cascade.scoring.first_pass.learning import learn_first_pass  # imports SciPy

        components = self._components
        scorer = components.scorer(self.method)
        assert isinstance(scorer, NodeProbabilityScorer)
        with self._turn:
            refuse_lost_gpu()
            starts = range(0, len(items), TOGETHER)
            return learn_first_pass(
                components.taxonomy,
                scorer,
                components.retriever,
                (Batch(items[start : start + TOGETHER]) for start in starts),
                PieceVectors.open(components.encoder, components.progress),
                allowed,
                self.config.retrieval.temperature,
            )

    @property
    def first_pass(self) -> FirstPass | None:
        """What answers first, see `learn_first_pass`; None if nothing."""
        return self._components.first_pass

    @first_pass.setter
    def first_pass(self, learnt: FirstPass | None) -> None:
        if learnt is not None:
            check_first_pass(self.taxonomy, self.method, self.config)
        with self._turn:
            self._components.first_pass = learnt

    @property
    def learnt_of_items(self) -> dict[str, Any]:
        """All that was learnt of items, for a copy in another process; see `take_learnt`."""
        first = self.first_pass
        values = None if first is None else first.to_values()
        return {"adaptation": self.adaptation, "first_pass": values}

    def take_learnt(self, state: Mapping[str, Any]) -> None:
        """Take over what a copy has learnt."""
        if state["adaptation"] is not None:
            self.adaptation = state["adaptation"]
        if state["first_pass"] is not None:
            self.first_pass = self.first_pass_of(state["first_pass"])

    def first_pass_of(self, values: Mapping[str, Any]) -> FirstPass:
        """What `FirstPass.to_values` gave, for the encoder and the taxonomy of this classifier."""
        from cascade.retrieval.student.pieces import PieceVectors

        components = self._components
        return FirstPass.from_values(
            values,
            lambda: PieceVectors.open(components.encoder),
            len(components.taxonomy.leaves),
        )
