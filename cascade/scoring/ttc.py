"""TTC heads as a scorer: the fast path, and the fallback."""

from __future__ import annotations

from cascade.features.backbone import Backbone, batch_rows
from cascade.items import Batch
from cascade.retrieval.dense import DenseMass
from cascade.scoring.forms import FormReader
from cascade.scoring.heads import Heads
from cascade.scoring.mass import MassScorer
from cascade.taxonomy import Taxonomy


class TTCScorer(MassScorer):
    """Linear heads over features of the item, one row of probabilities for all nodes.

    Parameters
    ----------
    name
        As in traces, for example `ttc.lexical`.
    backbone
        Makes the features; heads that share one compute them once for a batch.
    """

    def __init__(self, name: str, taxonomy: Taxonomy, backbone: Backbone, heads: Heads) -> None:
        super().__init__(taxonomy)
        self.name = name
        self.reads_text, self.reads_pictures = backbone.reads_text, backbone.reads_pictures
        self._backbone = backbone
        self._heads = heads
        self._reader = FormReader(taxonomy, heads.form)

    def _mass(self, batch: Batch) -> DenseMass:
        rows = batch_rows(self._backbone, batch)
        mass = self._reader.read(self._heads.logits(rows), self._heads.nodes)
        return DenseMass(self._taxonomy, mass)
