"""Linear heads that were fitted to labelled rows (TTC): the fast path of a pack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cascade.errors import UsageError
from cascade.features.backbone import Backbone, batch_rows
from cascade.features.lexical import SPARSE, LexicalFeatures
from cascade.features.sparse_rows import SparseRows
from cascade.items import Batch
from cascade.retrieval.subtrees import DenseNodeProbabilities
from cascade.scoring.methods import HEADS
from cascade.scoring.scorer import Scorer, SupportScorer
from cascade.scoring.ttc_heads import Heads, HierarchicalSoftmax, JointHeads
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    from cascade.scoring.components import Components


class TTCScorer(SupportScorer):
    """Linear heads over features of the item, one row of probabilities for all nodes.

    Parameters
    ----------
    name
        As in traces, for example `ttc.lexical`.
    backbone
        Makes the features; heads that share one compute them once for a batch.
    together
        Other heads over the same features, which are asked in the same pass.
    """

    def __init__(
        self,
        name: str,
        taxonomy: Taxonomy,
        backbone: Backbone,
        heads: Heads,
        together: JointHeads | None = None,
    ) -> None:
        self._taxonomy = taxonomy
        self.name = name
        self.reads_text, self.reads_pictures = backbone.reads_text, backbone.reads_pictures
        self._backbone = backbone
        self._heads = heads
        self._together = JointHeads() if together is None else together
        self._place = self._together.add(heads)
        self._softmax = HierarchicalSoftmax(taxonomy, heads.form)

    def support(self, batch: Batch) -> NDArray[np.float32]:
        """How much speaks for the nearest node of each item; see `SupportScorer`.

        The greatest margin: of all labelled nodes, or where each is told from its siblings alone,
        of those of level 1. With words as features the share of them that labelled rows had comes
        on top: features do not show the words that no row had, and an item of another domain has
        many.
        """
        logits, heads = self._logits(batch), self._heads
        if heads.form == "conditional":
            top = self._taxonomy.level[heads.nodes] == 1
            logits = logits[top] if top.any() else logits
        found = logits.max(axis=0, initial=-np.inf) * np.float32(heads.temperature)
        if isinstance(self._backbone, LexicalFeatures):
            unknown = self._sparse_rows(self._backbone, batch).unknown
            found += 1 - np.where(np.isnan(unknown), 1, unknown).astype(np.float32)
        for row, item in enumerate(batch.items):  # what has no picture has text
            if item.image is not None and not self.can_read(item):
                found[row] = np.nan
        if self.reads_pictures and not self.reads_text:
            found[[item.image is None for item in batch.items]] = np.nan
        return np.where(np.isfinite(found), found, np.float32(np.nan))

    def _logits(self, batch: Batch) -> NDArray[np.float32]:
        return batch.once((self, "logits"), lambda _: self._compute_logits(batch))

    def _compute_logits(self, batch: Batch) -> NDArray[np.float32]:
        backbone = self._backbone
        if isinstance(backbone, LexicalFeatures):
            rows = self._sparse_rows(backbone, batch)
            found = batch.once((self._together, "logits"), lambda _: self._together.logits(rows))
            return found[self._place]
        return self._heads.logits(batch_rows(backbone, batch))

    def _sparse_rows(self, words: LexicalFeatures, batch: Batch) -> SparseRows:
        return batch.once((words, SPARSE), words.sparse_rows)

    def _probabilities(self, batch: Batch) -> DenseNodeProbabilities:
        log_probs = self._softmax.log_probs(self._logits(batch), self._heads.nodes)
        return DenseNodeProbabilities(self._taxonomy, log_probs)


def make(components: Components) -> Scorer:
    """The fast path of a pack, or else all of its heads with even weights."""
    config = components.config
    weights = config.routing.fast or {f"{HEADS}{name}": 1.0 for name in config.heads}
    if not weights:
        raise UsageError("there are no heads; fit a pack with `cascade fit`, and name it with -c")
    return components.fusion(weights)


def make_single(components: Components, name: str) -> TTCScorer:
    """The scorer of the heads of a pack that have this name alone."""
    config = components.config.heads[name]
    heads = Heads.load(Path(config.file), components.taxonomy)
    backbone = components.backbone(config.backbone)
    together = components.joint_heads(config.backbone)
    return TTCScorer(f"{HEADS}{name}", components.taxonomy, backbone, heads, together)
