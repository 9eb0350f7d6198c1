"""Labelled rows that are similar to the item vote for their nodes; of a pack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError, UsageError
from cascade.features.backbone import Backbone, batch_rows
from cascade.io.files import read_tensors, write_tensors
from cascade.items import Batch
from cascade.retrieval.faiss_index import faiss_library
from cascade.retrieval.subtrees import DenseNodeProbabilities, Subtrees
from cascade.scoring.scorer import NodeProbabilityScorer
from cascade.scoring.ttc_heads import FLOOR
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    from cascade.scoring.components import Components

BACKGROUND = 1e-4  # share of a vote that all nodes with examples divide among them


@dataclass(frozen=True)
class Examples:
    """Labelled items as they are searched.

    Parameters
    ----------
    vectors
        float32 [n_examples, width], unit length.
    nodes
        int32 [n_examples].
    taxonomy
        Fingerprint of the taxonomy whose nodes are meant.
    """

    vectors: NDArray[np.float32]
    nodes: NDArray[np.int32]
    taxonomy: str

    def with_more(self, vectors: NDArray[np.float32], nodes: NDArray[np.int32]) -> Examples:
        """These examples and others behind them."""
        return Examples(
            np.concatenate([self.vectors, vectors.astype(np.float32)]),
            np.concatenate([self.nodes, nodes.astype(np.int32)]),
            self.taxonomy,
        )

    def save(self, path: Path) -> None:
        """Write to `path`, whole or not at all; vectors are kept in half precision."""
        arrays = {"vectors": self.vectors.astype(np.float16), "nodes": self.nodes}
        write_tensors(path, {"taxonomy": self.taxonomy}, arrays)

    @classmethod
    def load(cls, path: Path, taxonomy: Taxonomy) -> Examples:
        """The examples in a file, for a taxonomy.

        Raises
        ------
        ConfigError
            The file cannot be read, holds no examples, or is of another taxonomy.
        """
        about, arrays = read_tensors(path)
        if not {"vectors", "nodes"} <= arrays.keys():
            raise ConfigError(f"{path}: holds no labelled examples; fit the pack again")
        if about.get("taxonomy") != taxonomy.fingerprint:
            raise ConfigError(
                f"{path}: these examples are of another taxonomy than {taxonomy.name!r}; use the "
                "one that lies in the pack, or fit again"
            )
        vectors, nodes = arrays["vectors"].astype(np.float32), arrays["nodes"].astype(np.int32)
        if vectors.ndim != 2 or nodes.shape != vectors.shape[:1] or not vectors.size:
            raise ConfigError(f"{path}: {nodes.shape} nodes for {vectors.shape} vectors")
        if nodes.min() < 0 or nodes.max() >= len(taxonomy):
            raise ConfigError(f"{path}: names a node that the taxonomy does not have")
        return cls(vectors, nodes, about["taxonomy"])


class NeighboursScorer(NodeProbabilityScorer):
    """The k most similar examples vote, each with `exp(cos / temperature)`.

    Parameters
    ----------
    backbone
        Makes the vectors of items; dense.
    examples
        What is searched; FAISS does it, exactly.
    k
        Neighbours that vote.
    temperature
        The smaller, the more the nearest count.
    """

    name = "neighbours"

    def __init__(
        self,
        taxonomy: Taxonomy,
        backbone: Backbone,
        examples: Examples,
        *,
        k: int = 20,
        temperature: float = 0.05,
    ) -> None:
        self._taxonomy = taxonomy
        self.reads_text, self.reads_pictures = backbone.reads_text, backbone.reads_pictures
        self._backbone = backbone
        self._own, self._wanted = examples.nodes, k
        self._temperature = temperature
        self._subtrees = Subtrees(taxonomy)
        self._index = faiss_library().IndexFlatIP(examples.vectors.shape[1])
        self._index.add(examples.vectors)
        self._vote(examples.nodes)

    def _vote(self, nodes: NDArray[np.int32]) -> None:
        """Let the examples in the index vote for these nodes."""
        self._nodes = nodes
        self._k = min(self._wanted, len(nodes))
        self._background = np.zeros(len(self._taxonomy), dtype=np.float32)
        np.add.at(self._background, nodes, BACKGROUND / len(nodes))

    def teach(self, vectors: NDArray[np.float32], nodes: NDArray[np.int32]) -> None:
        """Let more examples [n, width] vote beside its own, in the place of those taught before."""
        own = len(self._own)
        if self._index.ntotal > own:
            self._index.remove_ids(np.arange(own, self._index.ntotal, dtype=np.int64))
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        self._vote(np.concatenate([self._own, nodes.astype(np.int32)]))

    def nearest(self, vector: NDArray[np.float32], k: int) -> list[tuple[int, float]]:
        """Node and cosine of its own examples that are most like a unit vector [width]."""
        taught = self._index.ntotal - len(self._own)
        similar, found = self._index.search(vector[None].astype(np.float32), k + taught)
        pairs = zip(found[0].tolist(), similar[0].tolist(), strict=True)
        own = [(int(self._own[at]), value) for at, value in pairs if 0 <= at < len(self._own)]
        return own[:k]

    def _probabilities(self, batch: Batch) -> DenseNodeProbabilities:
        vectors = batch_rows(self._backbone, batch)
        similar, nearest = self._index.search(unit(vectors), self._k)
        votes = np.exp((similar - similar[:, :1]) / self._temperature)
        votes /= votes.sum(axis=1, keepdims=True)
        shares = np.repeat(self._background[:, None], len(batch), axis=1)
        item = np.broadcast_to(np.arange(len(batch))[:, None], nearest.shape)
        np.add.at(shares, (self._nodes[nearest], item), votes)
        with np.errstate(divide="ignore"):
            log_probs = np.maximum(np.log(self._subtrees.sum(shares)), FLOOR)
        return DenseNodeProbabilities(self._taxonomy, log_probs)


def unit(vectors: Any) -> NDArray[np.float32]:
    """Vectors [n, width] scaled to length 1; a vector of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def make(components: Components) -> NeighboursScorer:
    """The labelled examples of a pack."""
    config = components.config.neighbours
    if config.file is None:
        raise UsageError(
            "there are no labelled examples; fit a pack with `cascade fit`, and name it with -c"
        )
    return NeighboursScorer(
        components.taxonomy,
        components.backbone(config.backbone),
        Examples.load(Path(config.file), components.taxonomy),
        k=config.k,
        temperature=config.temperature,
    )
