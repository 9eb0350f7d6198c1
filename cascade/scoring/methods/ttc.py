"""Linear heads that were fitted to labelled rows (TTC): the fast path of a pack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cascade.errors import UsageError
from cascade.features.backbone import Backbone, batch_rows
from cascade.features.lexical import SPARSE, LexicalFeatures
from cascade.features.sparse_rows import FEW
from cascade.items import Batch
from cascade.retrieval.subtrees import DenseNodeProbabilities
from cascade.scoring.methods import HEADS
from cascade.scoring.scorer import NodeProbabilityScorer, Scorer
from cascade.scoring.ttc_heads import Heads, HierarchicalSoftmax
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    from cascade.scoring.components import Components


class TTCScorer(NodeProbabilityScorer):
    """Linear heads over features of the item, one row of probabilities for all nodes.

    Parameters
    ----------
    name
        As in traces, for example `ttc.lexical`.
    backbone
        Makes the features; heads that share one compute them once for a batch.
    """

    def __init__(self, name: str, taxonomy: Taxonomy, backbone: Backbone, heads: Heads) -> None:
        self._taxonomy = taxonomy
        self.name = name
        self.reads_text, self.reads_pictures = backbone.reads_text, backbone.reads_pictures
        self._backbone = backbone
        self._heads = heads
        self._softmax = HierarchicalSoftmax(taxonomy, heads.form)

    def _probabilities(self, batch: Batch) -> DenseNodeProbabilities:
        backbone = self._backbone
        if isinstance(backbone, LexicalFeatures):
            rows = batch.once((backbone, SPARSE), backbone.sparse_rows)
            logits = self._heads.logits(rows if len(batch) <= FEW else rows.matrix)
        else:
            logits = self._heads.logits(batch_rows(backbone, batch))
        log_probs = self._softmax.log_probs(logits, self._heads.nodes)
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
    return TTCScorer(f"{HEADS}{name}", components.taxonomy, backbone, heads)
