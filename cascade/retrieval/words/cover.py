"""How much of a node's name stands in an item's text, by runs of characters.

A name that is covered is named by the text, however long the text is; endings and compounds of
words count in part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cascade.retrieval.array_ops import run_starts
from cascade.retrieval.words.characters import Floats, Ints, runs
from cascade.retrieval.words.run_weights import RunWeights
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import readable_name


def name_cover(taxonomy: Taxonomy, nodes: Ints, texts: Sequence[str]) -> Floats:
    """float32 [n], the share of a name's runs that `texts[i]` has; 1 is all of it.

    Of the names, synonyms and translations of `nodes[i]` the best covered one counts.
    """
    names: list[str] = []
    owner: list[int] = []
    for at, node in enumerate(nodes.tolist()):
        own = [readable_name(taxonomy.names[node]), *taxonomy.synonyms(node)]
        own += [*taxonomy.translations(node).values(), *taxonomy.machine(node).synonyms]
        names += own
        owner += [at] * len(own)
    if not names:
        return np.zeros(0, dtype=np.float32)
    of = np.array(owner)
    found, there = _present(names), _present(texts)
    shared = found.pair_products(np.arange(len(names)), there, of)
    share = shared / np.maximum(np.diff(found.starts), 1)
    return np.asarray(np.maximum.reduceat(share, run_starts(of)), dtype=np.float32)


def _present(texts: Sequence[str]) -> RunWeights:
    """The different runs of each text, all with the value 1."""
    row, run, value = runs(texts)
    counted = RunWeights.of(len(texts), row, run, value)
    return RunWeights(counted.starts, counted.run, np.ones_like(counted.value))
