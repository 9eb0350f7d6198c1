"""Labels as classes: nodes of a taxonomy that ends at a level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.pipeline.runs.labels import Finder
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import clean


@dataclass(frozen=True)
class CutLabels:
    """The different labels of a file as nodes.

    Parameters
    ----------
    taxonomy
        What the nodes are of: without the levels that were cut off.
    node
        int32 [n_labels], index of the node of each label, -1 where it is none.
    instead
        What is written for a label that was cut: the code of its node if it was a code, else the
        path. Other labels stay as they are.
    """

    taxonomy: Taxonomy
    node: NDArray[np.int32]
    instead: Mapping[str, str]


def cut_labels(labels: Sequence[str], taxonomy: Taxonomy, depth: int | None = None) -> CutLabels:
    """Find labels in a taxonomy; those below `depth` become the node above them at that level."""
    trimmed = taxonomy if depth is None else taxonomy.trim(depth)
    nodes = np.full(len(labels), -1, dtype=np.int32)
    instead: dict[str, str] = {}
    finder = Finder(taxonomy)
    for at, label in enumerate(labels):
        if (whole := finder.find(label)) < 0:
            continue
        way = taxonomy.path_nodes(whole)
        kept = int(way[:depth][-1])
        nodes[at] = trimmed.index(taxonomy.codes[kept])
        if kept != whole:
            by_code = taxonomy.codes[whole] in (label, clean(label))
            instead[label] = taxonomy.codes[kept] if by_code else taxonomy.path(kept)
    return CutLabels(trimmed, nodes, instead)
