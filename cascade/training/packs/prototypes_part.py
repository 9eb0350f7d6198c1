"""A part that knows nodes by their names and by labelled rows, with an encoder as it is.

Each labelled node has a prototype, as in prototypical networks (Snell et al., arXiv 1703.05175):
the mean of the vectors of its rows, with the vector of its own texts among them. Where rows are
few, names tell more than can be learnt from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import ENCODER, BackboneConfig
from cascade.features.backbone import make_backbone
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.node_texts import node_texts
from cascade.scoring.methods.neighbours import unit
from cascade.scoring.ttc_heads import Form, Heads
from cascade.training.labelled import Labelled
from cascade.training.packs.backbones.reading import with_prompt
from cascade.training.packs.parts import (
    Features,
    FitContext,
    HeadsPart,
    encode,
    keep_columns,
    read_columns,
    settled_columns,
)
from cascade.training.packs.recipe import PrototypesStage


class PrototypesPart(HeadsPart):
    """A softmax over the cosines of an item with the prototypes of nodes."""

    name = "prototypes"
    forms = ("leaf",)

    def __init__(self, stage: PrototypesStage, context: FitContext) -> None:
        super().__init__(context)
        self._stage, self._model = stage, stage.model or ENCODER

    def refit(self, rows: Labelled, new: NDArray[np.bool_], before: Path, folder: Path) -> None:
        """Anew, on the same columns."""
        keep_columns(before / self.name, folder / self.name)
        self.fit(rows, folder)

    def _features(self, rows: Labelled, folder: Path) -> Features:
        settled_columns(self._stage, rows, self.context.columns, folder / self.name)
        config = BackboneConfig.model_validate(self._backbones(folder)[self.name])
        backbone = make_backbone(config, allow_download=self.context.allow_download)
        return encode(backbone, rows.items, self.context.reporting("encoding rows")), rows.nodes

    def _heads(self, made: Features, form: Form) -> Heads:
        vectors, nodes = made
        labelled, at = np.unique(nodes, return_inverse=True)
        sums = self._stage.weight * self._named(labelled)
        np.add.at(sums, at, unit(vectors))
        bias = np.zeros(len(labelled), np.float32)
        weights = np.ascontiguousarray(unit(sums).T)
        return Heads(form, weights, bias, labelled, self._stage.temperature)

    def _named(self, nodes: NDArray[np.int32]) -> NDArray[np.float32]:
        """Unit vectors of the texts of nodes; several texts of a node have their mean."""
        texts, node = node_texts(self.context.taxonomy, "full")
        chosen = np.flatnonzero(np.isin(node, nodes))
        encoder = Encoder.load(self._model, allow_download=self.context.allow_download)
        vectors = encoder.encode_documents([texts[row] for row in chosen.tolist()])
        sums = np.zeros((len(nodes), vectors.shape[1]), np.float32)
        np.add.at(sums, np.searchsorted(nodes, node[chosen]), vectors)
        return unit(sums)

    def _backbones(self, folder: Path) -> dict[str, dict[str, Any]]:
        return {
            self.name: {
                "kind": "sentence",
                "columns": read_columns(folder / self.name),
                "max_chars": self._stage.max_chars,
                "model": self._model,
                **with_prompt(self._model, allow_download=self.context.allow_download),
            }
        }
