"""Corrections of what retrieval says: what some rows taught about nodes, in one file of a pack.

Logits of leaves are `a log p(leaf) + sum over the path of a leaf of (U[node] x + b[node])`, where p
is that of retrieval, and x the vector of an item: that of its text, and its words, projected. What
a node is corrected by holds for all leaves below it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError
from cascade.features.lexical import LexicalFeatures
from cascade.io.files import read_tensors, write_tensors
from cascade.items import Item
from cascade.taxonomy import Taxonomy

Floats = NDArray[np.float32]
Nodes = NDArray[np.int32]


@dataclass(frozen=True)
class Corrections:
    """A scale, and for each node weights over vectors and a bias.

    Parameters
    ----------
    scale
        What the logarithms of retrieval's probabilities are multiplied by.
    nodes
        int32 [n_nodes], sorted; others are not corrected.
    weights
        float32 [n_nodes, width].
    bias
        float32 [n_nodes].
    """

    scale: float
    nodes: Nodes = field(repr=False)
    weights: Floats = field(repr=False)
    bias: Floats = field(repr=False)

    @classmethod
    def none(cls, nodes: Nodes, width: int) -> Corrections:
        """No correction of these nodes."""
        n = len(nodes)
        return cls(1.0, nodes, np.zeros((n, width), np.float32), np.zeros(n, np.float32))

    def of_nodes(self, vectors: Floats) -> Floats:
        """float32 [n_nodes, n_items], what each node adds, without those above it."""
        return np.asarray(self.weights @ vectors.T + self.bias[:, None], dtype=np.float32)

    def of_all(self, vectors: Floats, taxonomy: Taxonomy) -> Floats:
        """float32 [n_nodes of the taxonomy, n_items], what paths to nodes add up to."""
        found = np.zeros((len(taxonomy), len(vectors)), np.float32)
        found[self.nodes] = self.of_nodes(vectors)
        for level in range(2, taxonomy.depth + 1):
            nodes = taxonomy.level_nodes(level)
            found[nodes] += found[taxonomy.parent[nodes]]
        return found

    def placed(self, nodes: Nodes) -> Corrections:
        """The same among more nodes, sorted, which are not corrected."""
        found = Corrections.none(nodes, self.weights.shape[1])
        at = np.searchsorted(nodes, self.nodes)
        found.weights[at], found.bias[at] = self.weights, self.bias
        return Corrections(self.scale, nodes, found.weights, found.bias)

    def of(self, nodes: Nodes) -> Corrections:
        """The same of some of the nodes."""
        at = np.searchsorted(self.nodes, nodes)
        return Corrections(self.scale, nodes, self.weights[at], self.bias[at])

    def after(self, first: Corrections) -> Corrections:
        """Both in one: `first`, and these, of the same nodes, on top of what it gives."""
        scale = np.float32(self.scale)
        weights = self.weights + scale * first.weights
        return Corrections(
            self.scale * first.scale, self.nodes, weights, self.bias + scale * first.bias
        )

    def save(self, path: Path, taxonomy: Taxonomy, words: Words | None = None) -> None:
        """Write to a safetensors file, whole or not at all; words beside it, see `Words`."""
        arrays: dict[str, NDArray[Any]] = {
            "nodes": self.nodes,
            "weights": self.weights,
            "bias": self.bias,
        }
        if words is not None:
            arrays["words"] = words.axes.astype(np.float16)
        about = {"scale": self.scale, "taxonomy": taxonomy.fingerprint}
        write_tensors(path, about, arrays)


@dataclass(frozen=True)
class Words:
    """Words and characters of items, projected to few numbers (latent semantic analysis).

    Parameters
    ----------
    features
        What is counted.
    axes
        float32 [features, width], what the counts are multiplied by.
    """

    features: LexicalFeatures
    axes: Floats

    def of(self, items: list[Item]) -> Floats:
        """float32 [n_items, width]"""
        return np.asarray(self.features.rows(items) @ self.axes, dtype=np.float32)


def load_corrections(
    path: Path, words: Path | None, taxonomy: Taxonomy, width: int
) -> tuple[Corrections, Words | None]:
    """What `Corrections.save` wrote, for a taxonomy and vectors of an encoder.

    Parameters
    ----------
    words
        File of lexical features, where words count.
    width
        Of the vectors of texts.

    Raises
    ------
    ConfigError
        A file cannot be read, holds something else, or that of another taxonomy or encoder.
    """
    about, arrays = read_tensors(path)
    if about.get("taxonomy") != taxonomy.fingerprint:
        raise ConfigError(
            f"{path}: these corrections were learnt for another taxonomy than {taxonomy.name!r}; "
            "use the one that lies in the pack, or run `cascade start` again"
        )
    features = None if words is None else LexicalFeatures.load(words)
    try:
        nodes, bias = arrays["nodes"], arrays["bias"].astype(np.float32)
        weights, scale = arrays["weights"].astype(np.float32), float(about["scale"])
        axes = None if features is None else arrays["words"].astype(np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: no corrections, {error!s:.200} is missing") from None
    whole = width + (0 if axes is None or axes.ndim != 2 else axes.shape[1])
    fits = (
        nodes.ndim == 1
        and nodes.dtype.kind in "iu"
        and bias.shape == nodes.shape
        and weights.shape == (len(nodes), whole)
        and np.isfinite(scale)
        and (axes is None or (axes.ndim == 2 and features is not None))
        and (axes is None or features is None or len(axes) == features.width)
    )
    increasing = fits and bool((nodes[1:] > nodes[:-1]).all())
    if not increasing or (len(nodes) and not 0 <= nodes[0] <= nodes[-1] < len(taxonomy)):
        raise ConfigError(
            f"{path}: corrections that do not fit together, or not to this encoder (vectors of "
            f"{width}); run `cascade start` again"
        )
    found = Corrections(scale, nodes.astype(np.int32), weights, bias)
    if features is None or axes is None:
        return found, None
    return found, Words(features, axes)
