"""Examples for prompts out of the taxonomy at hand: they are of its domain, whatever that is.

Without labelled rows nothing tells how items are worded. A description or a synonym of a leaf
stands in an item's place, or else its name; its category is one of the nodes above it. They are
drawn evenly from the top nodes, and are the same for all items, so that they are computed once.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import readable_name

EXAMPLES = 8
LONGEST = 100  # characters of an example's item


class Example(TypedDict):
    """A leaf as an example.

    `item` is a text that could be an item's, `name` that of a node above it, `parent` that of the
    node right above it, `path` has all names, top first.
    """

    item: str
    name: str
    parent: str
    path: list[str]


def examples_of(taxonomy: Taxonomy, most: int = EXAMPLES) -> list[Example]:
    """At most so many examples, the same for the same taxonomy; none of one without levels."""
    rng = np.random.default_rng(0)
    tops = rng.permutation(taxonomy.children(-1)).tolist()
    below = {top: _leaves_below(taxonomy, top) for top in tops}
    fruitful = [top for top in tops if len(below[top])]
    examples: list[Example] = []
    seen: set[int] = set()
    while fruitful and len(examples) < most and len(seen) < len(taxonomy):
        top = fruitful[len(examples) % len(fruitful)]
        fresh = [leaf for leaf in below[top].tolist() if leaf not in seen]
        if not fresh:
            fruitful.remove(top)
            continue
        leaf = fresh[int(rng.integers(len(fresh)))]
        seen.add(leaf)
        path = [readable_name(taxonomy.names[at]) for at in taxonomy.path_nodes(leaf).tolist()]
        examples.append(
            {
                "item": _words_for(taxonomy, leaf),
                "name": path[len(examples) % (len(path) - 1)],  # of each level in turn
                "parent": path[-2],
                "path": path,
            }
        )
    return examples


def _leaves_below(taxonomy: Taxonomy, top: int) -> NDArray[np.int32]:
    """Leaves below a node, without itself."""
    first, end = np.searchsorted(taxonomy.leaves, [top + 1, taxonomy.end[top]])
    return taxonomy.leaves[first:end]


def _words_for(taxonomy: Taxonomy, leaf: int) -> str:
    """A text that an item of a leaf could have."""
    synonyms = taxonomy.synonyms(leaf)
    texts = [*synonyms[:1], taxonomy.description(leaf) or "", readable_name(taxonomy.names[leaf])]
    text = next(" ".join(text.split()) for text in texts if text.strip())
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition(" ")[0]
