"""What many items tell about themselves: how frequent nodes are, learnt without labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cascade.items import Batch, Item
from cascade.models.runtime import refuse_lost_gpu
from cascade.pipeline.doors.asked import Asked
from cascade.predictions import Prediction
from cascade.scoring.adaptation import Adaptation, check_adapts, drawn, learn
from cascade.scoring.scorer import NodeProbabilityScorer


class Adapting(Asked):
    """The part of `Classifier` that is about what items tell of each other."""

    _adaptation: Adaptation | None

    def adapt(
        self,
        items: Any,
        *,
        text: str | Sequence[str] | None = None,
        image: str | None = None,
        id: str | None = None,
    ) -> Adaptation:
        """Learn from many items how frequent nodes are, for all answers from now on.

        No labels are read. A thousand of the items are learnt from, drawn from all; from fewer than
        50 nothing is. Whatever was learnt before is forgotten.

        Parameters
        ----------
        items, text, image, id
            As for `classify_many`; an iterator is read to its end.

        Returns
        -------
        What was learnt; `adaptation` keeps it, and None there forgets it.

        Raises
        ------
        UsageError
            The method does not know the probability of every node, or as for `classify_many`.
        """
        return self.adapt_read(self._intake(text, image, id).many(items))

    def adapt_read(self, items: Iterable[Item | Prediction]) -> Adaptation:
        """As `adapt`, of items that are read already; what cannot be answered is passed over."""
        scorer = self._adapting_scorer()
        checked = (self._checked(item) for item in items if isinstance(item, Item))
        known = drawn(item for item in checked if isinstance(item, Item))
        with self._turn:
            refuse_lost_gpu()
            self._adaptation = scorer.prior = None
            parts = self._together(range(len(known)))
            batches = (Batch([known[row] for row in rows]) for rows in parts)
            learnt = learn(self._components.taxonomy, scorer, batches)
        self.adaptation = learnt
        return learnt

    @property
    def adaptation(self) -> Adaptation | None:
        """What was learnt of the items at hand, see `adapt`; None if nothing."""
        return self._adaptation

    @adaptation.setter
    def adaptation(self, learnt: Adaptation | None) -> None:
        scorer = self._adapting_scorer()
        with self._turn:
            self._adaptation = learnt
            scorer.prior = learnt.log_weight if learnt is not None and learnt.applies else None

    def _adapting_scorer(self) -> NodeProbabilityScorer:
        """The scorer that a prior of nodes changes."""
        check_adapts(self.taxonomy, self.method)
        found = self._components.scorer(self.method)
        assert isinstance(found, NodeProbabilityScorer)
        return found
