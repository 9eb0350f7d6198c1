"""What of a node is embedded: one text or several, of which the best counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cascade.config import NodeText
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import readable_name


def node_texts(taxonomy: Taxonomy, recipe: NodeText) -> tuple[list[str], NDArray[np.int32]]:
    """Texts of all nodes under a recipe, in depth-first order of their nodes.

    - `leaf`: the node's name
    - `path`: the names from the top, `A > B > C`
    - `path+description`: the path; the name with its description; each synonym
    - `full`: the name with its parent's, `C (B)`, where they differ; the name with its
      description; each synonym and translation; names in the form of `readable_name`

    Returns
    -------
    texts : list of str
    node : int32 [n_texts]
        The node that each text belongs to; never decreases.
    """
    if recipe == "leaf":
        return list(taxonomy.names), np.arange(len(taxonomy), dtype=np.int32)
    heads = _names_with_parents(taxonomy) if recipe == "full" else all_paths(taxonomy)
    if recipe == "path":
        return heads, np.arange(len(taxonomy), dtype=np.int32)
    texts: list[str] = []
    owner: list[int] = []
    for i, (head, name) in enumerate(zip(heads, taxonomy.names, strict=True)):
        own = [head]
        if description := taxonomy.description(i):
            own.append(f"{name}: {description}")
        own += taxonomy.synonyms(i)
        if recipe == "full":
            own += taxonomy.translations(i).values()
        texts += own
        owner += [i] * len(own)
    return texts, np.array(owner, dtype=np.int32)


def _names_with_parents(taxonomy: Taxonomy) -> list[str]:
    names = [readable_name(name) for name in taxonomy.names]
    return [
        name if parent < 0 or names[parent] == name else f"{name} ({names[parent]})"
        for name, parent in zip(names, taxonomy.parent.tolist(), strict=True)
    ]


def all_paths(taxonomy: Taxonomy) -> list[str]:
    """The path of every node, each built from its parent's."""
    paths: list[str] = []
    for name, parent in zip(taxonomy.names, taxonomy.parent.tolist(), strict=True):
        paths.append(name if parent < 0 else f"{paths[parent]} > {name}")
    return paths
