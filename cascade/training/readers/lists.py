"""Lists to learn from: an item, the nodes that an encoder really finds for it, and the right one.

Lists of a step are of several taxonomies, since each item has wrong nodes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.training.encoders.augmentation import changed
from cascade.training.encoders.batches import relations
from cascade.training.encoders.sets import EncoderSet
from cascade.training.readers.recipe import ReaderLoopRecipe

Floats = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Floats]


@dataclass(frozen=True)
class ReadingLists:
    """What a step learns from.

    Parameters
    ----------
    items
        Texts of rows.
    nodes
        Texts of nodes, each once.
    lists
        int64 [n_items, k], places in `nodes`; -1 where a list is shorter.
    cosine
        float32 [n_items, k], of the encoder; 0 for items of which the reader is to judge alone.
    gold, wrong, shared
        As in `tree_loss`, [n_items], [n_items, k] and [n_levels, n_items, k].
    """

    items: list[str]
    nodes: list[str]
    lists: NDArray[np.int64]
    cosine: Floats
    gold: NDArray[np.int64]
    wrong: NDArray[np.bool_]
    shared: NDArray[np.bool_]


@dataclass(frozen=True)
class _List:
    item: str
    nodes: NDArray[np.int32]
    texts: list[str]
    cosine: Floats
    gold: int
    wrong: NDArray[np.bool_]
    shared: NDArray[np.bool_]


class ListSource:
    """Draws lists from sets; those of a step depend on the seed and the vectors alone.

    Parameters
    ----------
    encode
        Unit vectors of items, as those of nodes, to find what is near.
    residual
        As `encode` for the cosine that a reader adds to; by default the same. An encoder that never
        saw the rows is as often wrong as it will be in use.
    vectors
        For each set, by name, unit vectors of all nodes by both, [n_nodes, width].
    """

    def __init__(
        self,
        sets: Sequence[EncoderSet],
        recipe: ReaderLoopRecipe,
        seed: int,
        encoders: Sequence[Encode],
        vectors: Mapping[str, Sequence[Floats]],
    ) -> None:
        self._sets, self._recipe, self._seed = list(sets), recipe, seed
        self._encoders, self._vectors = encoders, vectors
        weights = np.array([s.weight for s in sets], float)
        self._shares = weights / weights.sum()
        forms = recipe.forms.shares()
        self._forms = list(forms)
        self._form_shares = np.array(list(forms.values())) / sum(forms.values())

    def draw(self, step: int) -> ReadingLists:
        """The lists of a step."""
        rng = np.random.default_rng((self._seed, step))
        places = rng.choice(len(self._sets), self._recipe.items, p=self._shares)
        drawn = []
        for place in places.tolist():
            chosen = self._sets[place]
            row = self._row(chosen, rng)
            text = chosen.texts[row]
            drawn.append((chosen, row, changed(text, chosen.augmentation, rng) or text))
        items = [text for *_, text in drawn]
        vectors = [encode(items) for encode in self._encoders]
        lists = [
            self._list(chosen, row, text, [v[at] for v in vectors], rng)
            for at, (chosen, row, text) in enumerate(drawn)
        ]
        return _together(lists)

    def _row(self, chosen: EncoderSet, rng: np.random.Generator) -> int:
        """A row, of a node that is drawn by the root of its rows."""
        counts = np.array([len(rows) for rows in chosen.rows_of], float) ** 0.5
        own = chosen.rows_of[int(rng.choice(len(counts), p=counts / counts.sum()))]
        return int(own[int(rng.integers(len(own)))])

    def _list(
        self,
        chosen: EncoderSet,
        row: int,
        text: str,
        vectors: Sequence[Floats],
        rng: np.random.Generator,
    ) -> _List:
        recipe, taxonomy = self._recipe, chosen.taxonomy
        gold = int(chosen.nodes[row])
        right = chosen.right_of.get(chosen.texts[row].casefold(), {gold})
        pool = chosen.answers
        if taxonomy.level[gold] > 1 and rng.random() < recipe.upper_rows:
            level = int(rng.integers(1, taxonomy.level[gold]))
            paths = taxonomy.paths_of(np.array(sorted(right), np.int32))
            right = set(paths[level - 1].tolist()) - {-1}
            gold = int(taxonomy.paths_of(np.array([gold], np.int32))[level - 1, 0])
            ends = (taxonomy.level < level) & (taxonomy.end == np.arange(len(taxonomy)) + 1)
            pool = np.flatnonzero((taxonomy.level == level) | ends).astype(np.int32)
        near = self._vectors[chosen.name]
        which = int(rng.integers(len(near)))  # the encoder that finds
        similar = near[which][pool] @ vectors[which]
        similar = similar + rng.normal(0, recipe.noise, len(pool)).astype(np.float32)
        k = min(recipe.candidates, len(pool))
        nodes = pool[np.argpartition(-similar, k - 1)[:k]]
        if gold not in nodes:
            nodes = np.append(pool[np.argsort(-similar)[: k - 1]], gold)
        nodes = np.unique(nodes).astype(np.int32)
        form = str(rng.choice(self._forms, p=self._form_shares))
        texts = [chosen.forms.text(int(node), form, rng) for node in nodes]
        wrong, shared = relations(chosen, np.array([gold], np.int32), nodes, texts)
        wrong[0, np.isin(nodes, list(right))] = False
        cosine = near[-1][nodes] @ vectors[-1]
        if rng.random() < recipe.alone:
            cosine = np.zeros_like(cosine)
        return _List(
            text, nodes, texts, cosine, int(np.searchsorted(nodes, gold)), wrong[0], shared[:, 0]
        )


def _together(lists: Sequence[_List]) -> ReadingLists:
    n, k = len(lists), max(len(each.nodes) for each in lists)
    depth = max(len(each.shared) for each in lists)
    places: dict[str, int] = {}
    out = np.full((n, k), -1, np.int64)
    cosine = np.zeros((n, k), np.float32)
    wrong, shared = np.zeros((n, k), bool), np.zeros((depth, n, k), bool)
    for row, each in enumerate(lists):
        own = len(each.nodes)
        out[row, :own] = [places.setdefault(text, len(places)) for text in each.texts]
        cosine[row, :own], wrong[row, :own] = each.cosine, each.wrong
        shared[: len(each.shared), row, :own] = each.shared
    gold = np.array([each.gold for each in lists])
    return ReadingLists(
        [each.item for each in lists], list(places), out, cosine, gold, wrong, shared
    )
