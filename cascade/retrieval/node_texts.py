"""What of a node is embedded: one text or several, of which the best counts."""

from __future__ import annotations

from collections.abc import Sequence

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
    - `forms`: as `full`; in an index the first text has other forms, see `text_forms`

    The last three have, besides, what a language model wrote: the name with its description, each
    synonym and each title.

    Returns
    -------
    texts : list of str
    node : int32 [n_texts]
        The node that each text belongs to; never decreases.
    """
    if recipe == "leaf":
        return list(taxonomy.names), np.arange(len(taxonomy), dtype=np.int32)
    full = recipe in ("full", "forms")
    heads = _names_with_parents(taxonomy) if full else all_paths(taxonomy)
    if recipe == "path":
        return heads, np.arange(len(taxonomy), dtype=np.int32)
    texts: list[str] = []
    owner: list[int] = []
    for i, (head, name) in enumerate(zip(heads, taxonomy.names, strict=True)):
        own = [head]
        if description := taxonomy.description(i):
            own.append(f"{name}: {description}")
        own += taxonomy.synonyms(i)
        if full:
            own += taxonomy.translations(i).values()
        written = taxonomy.machine(i)
        if written.description:
            own.append(f"{name}: {written.description}")
        own += (*written.synonyms, *written.titles)
        texts += own
        owner += [i] * len(own)
    return texts, np.array(owner, dtype=np.int32)


def text_forms(
    taxonomy: Taxonomy, recipe: NodeText
) -> tuple[list[tuple[str, ...]], NDArray[np.int32]]:
    """The texts of `node_texts`, each with its other forms; the mean of their vectors is its own.

    Under `forms` the first text of a node, `C (B)`, is also read as `C` and as `A > B > C`; under
    other recipes no text has other forms.
    """
    texts, node = node_texts(taxonomy, recipe)
    if recipe != "forms":
        return [(text,) for text in texts], node
    names = [readable_name(name) for name in taxonomy.names]
    paths = _joined(names, taxonomy)
    first = np.diff(node, prepend=-1) > 0
    forms: list[tuple[str, ...]] = [
        (text, names[i], paths[i]) if is_first else (text,)
        for text, i, is_first in zip(texts, node.tolist(), first.tolist(), strict=True)
    ]
    return forms, node


def _names_with_parents(taxonomy: Taxonomy) -> list[str]:
    names = [readable_name(name) for name in taxonomy.names]
    return [
        name if parent < 0 or names[parent] == name else f"{name} ({names[parent]})"
        for name, parent in zip(names, taxonomy.parent.tolist(), strict=True)
    ]


def all_paths(taxonomy: Taxonomy) -> list[str]:
    """The path of every node, each built from its parent's."""
    return _joined(taxonomy.names, taxonomy)


def _joined(names: Sequence[str], taxonomy: Taxonomy) -> list[str]:
    paths: list[str] = []
    for name, parent in zip(names, taxonomy.parent.tolist(), strict=True):
        paths.append(name if parent < 0 else f"{paths[parent]} > {name}")
    return paths
