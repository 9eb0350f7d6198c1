"""Labels as classes: nodes of a taxonomy that ends at a level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from cascade.errors import TaxonomyError
from cascade.evaluation.labels import Finder
from cascade.evaluation.source import Source
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.formats.path_tree import split
from cascade.taxonomy.records import clean

SAMPLE = 1_000  # rows that are looked at for a column that would fit better


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


def taxonomy_of_paths(labels: Sequence[str], name: str) -> Taxonomy:
    """The taxonomy that labels make as paths (`A > B > C`); those that are no path are left out.

    Raises
    ------
    TaxonomyError
        There is no path among them.
    """
    paths = [label for label in labels if all(map(clean, split(label)))]
    if not paths:
        raise TaxonomyError(
            f"none of {len(labels):,} different labels is a path of names such as 'A > B' (first: "
            f"{labels[0][:80]!r}), so that no taxonomy can be made of them; name one with -t"
        )
    return Taxonomy.from_paths(paths, name=name)


def fitting_column(source: Source, taxonomy: Taxonomy) -> str | None:
    """The column whose values are nodes of a taxonomy most often, None if none has any."""
    finder = Finder(taxonomy)
    with source.open() as table:
        hits = dict.fromkeys(table.columns, 0)
        for row in islice(table, SAMPLE):
            for column in hits:
                hits[column] += finder.find(table.text(row, column)) >= 0
    best = max(hits, key=lambda column: hits[column], default=None)
    return best if best is not None and hits[best] else None
