"""Batches within one taxonomy: items, and the nodes that each must be told apart from.

Half of a batch's items are of nodes that are hard to tell from each other: seeds with the nodes
that the current index finds similar or that lie near in the tree. So the wrong nodes of an item are
the right ones of others, and no text is encoded for one item's sake only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.training.encoders.augmentation import changed
from cascade.training.encoders.recipe import EncoderLoopRecipe
from cascade.training.encoders.sets import EncoderSet

NEAR = 24  # neighbours of a node that are drawn from


@dataclass(frozen=True)
class TaxonomyBatch:
    """What a step learns from.

    Parameters
    ----------
    items, candidates
        Texts of rows and of nodes.
    gold
        int64 [n_items], place of each row's node among the candidates.
    wrong
        bool [n_items, n_candidates], which of them are wrong for the row.
    shared
        bool [n_levels, n_items, n_candidates], see `tree_loss`.
    """

    name: str
    items: list[str]
    candidates: list[str]
    gold: NDArray[np.int64]
    wrong: NDArray[np.bool_]
    shared: NDArray[np.bool_]


class BatchSource:
    """Draws batches from sets; the batch of a step depends on the seed and the neighbours alone.

    Attributes
    ----------
    neighbours
        For each set, by name, the nodes similar to each labelled node, int32 [n_labelled, NEAR];
        -1 where there are fewer. Sets without them draw by the tree alone.
    """

    def __init__(self, sets: Sequence[EncoderSet], recipe: EncoderLoopRecipe, seed: int) -> None:
        self.sets, self._recipe, self._seed = list(sets), recipe, seed
        weights = np.array([s.weight for s in sets], float)
        self._shares = weights / weights.sum()
        forms = recipe.forms.shares()
        self._forms = list(forms)
        self._form_shares = np.array(list(forms.values())) / sum(forms.values())
        self.neighbours: Mapping[str, NDArray[np.int32]] = {}

    def draw(self, step: int) -> TaxonomyBatch:
        """The batch of a step."""
        rng = np.random.default_rng((self._seed, step))
        chosen = self.sets[int(rng.choice(len(self.sets), p=self._shares))]
        recipe, taxonomy = self._recipe, chosen.taxonomy
        rows = self._rows(chosen, rng)
        gold = chosen.nodes[rows].copy()
        texts = [chosen.texts[row] for row in rows.tolist()]
        right = [chosen.right_of.get(text.casefold(), set()) for text in texts]
        if taxonomy.depth > 1 and rng.random() < recipe.upper_rows:
            level = int(rng.integers(1, taxonomy.depth))
            paths = taxonomy.paths_of(gold)
            names = [chosen.forms.text(int(node), "leaf", rng) for node in gold]
            below = taxonomy.level[gold] > level
            gold = np.where(below, paths[level - 1], gold)
            # The name of a node is an item of the node above it, too.
            named = below & (rng.random(len(gold)) < 0.2)
            texts = [n if use else t for n, t, use in zip(names, texts, named, strict=True)]
        nodes = self._candidates(chosen, gold, rng)
        form = str(rng.choice(self._forms, p=self._form_shares))
        words = [chosen.forms.text(int(node), form, rng) for node in nodes]
        wrong, shared = relations(chosen, gold, nodes, words)
        for row, others in enumerate(right):
            if others:
                wrong[row, np.isin(nodes, list(others))] = False
        items = [changed(text, chosen.augmentation, rng) or text for text in texts]
        return TaxonomyBatch(chosen.name, items, words, np.searchsorted(nodes, gold), wrong, shared)

    def _rows(self, chosen: EncoderSet, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows of hard groups of nodes and of others."""
        recipe, labelled = self._recipe, chosen.labelled
        counts = np.array([len(rows) for rows in chosen.rows_of], float) ** 0.5
        shares = counts / counts.sum()
        places: list[int] = []
        for seed in rng.choice(len(labelled), recipe.seeds, p=shares).tolist():
            places.append(seed)
            places += self._family(chosen, seed, rng)
        rest = max(recipe.items - len(places), 0)
        places += rng.choice(len(labelled), rest, p=shares).tolist()
        drawn = []
        for place in places[: recipe.items]:
            own = chosen.rows_of[place]
            drawn.append(int(own[int(rng.integers(len(own)))]))
        return np.unique(np.array(drawn, np.int64))

    def _family(self, chosen: EncoderSet, seed: int, rng: np.random.Generator) -> list[int]:
        """Places of labelled nodes that are hard to tell from that of a place."""
        most, labelled = self._recipe.family - 1, chosen.labelled
        found: list[int] = []
        if (near := self.neighbours.get(chosen.name)) is not None:
            known = near[seed][near[seed] >= 0]
            found = np.searchsorted(labelled, rng.permutation(known)[: most - 2]).tolist()
        # The nearest in the tree: siblings, then cousins, which lie beside it in order.
        window = labelled[max(seed - 12, 0) : seed + 13]
        nearness = _nearness(chosen, int(labelled[seed]), window)
        order = np.argsort(-nearness + rng.random(len(window)) * 0.1)
        beside = np.searchsorted(labelled, window[order]).tolist()
        found += [p for p in beside if p != seed and p not in found][: most - len(found)]
        return found

    def _candidates(
        self, chosen: EncoderSet, gold: NDArray[np.int32], rng: np.random.Generator
    ) -> NDArray[np.int32]:
        """The nodes of the rows, and others as far as there is room, in order."""
        own = np.unique(gold)
        level = chosen.taxonomy.level
        depth = int(level[own].max())
        pool = np.flatnonzero((level <= depth) & (level >= level[own].min())).astype(np.int32)
        room = max(self._recipe.candidates - len(own), 0)
        others = np.setdiff1d(pool, own)
        return np.union1d(own, rng.permutation(others)[: min(room, 32)]).astype(np.int32)


def _nearness(chosen: EncoderSet, node: int, others: NDArray[np.int32]) -> NDArray[np.float64]:
    """1 / (1 + steps between a node and others)."""
    taxonomy = chosen.taxonomy
    path, theirs = taxonomy.paths_of(np.array([node], np.int32)), taxonomy.paths_of(others)
    same = ((theirs == path) & (path >= 0)).sum(axis=0)
    steps = int(taxonomy.level[node]) + taxonomy.level[others].astype(int) - 2 * same
    return np.asarray(1 / (1 + steps))


def relations(
    chosen: EncoderSet, gold: NDArray[np.int32], nodes: NDArray[np.int32], words: Sequence[str]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which candidates are wrong, and which lie under each ancestor of the right one."""
    taxonomy = chosen.taxonomy
    end = taxonomy.end
    above = (nodes[None] <= gold[:, None]) & (gold[:, None] < end[nodes][None])
    below = (gold[:, None] <= nodes[None]) & (nodes[None] < end[gold][:, None])
    text = np.unique([word.casefold() for word in words], return_inverse=True)[1]
    alike = text[None] == text[np.searchsorted(nodes, gold)][:, None]
    wrong = ~(above | below | alike)
    paths, theirs = taxonomy.paths_of(gold), taxonomy.paths_of(nodes)
    depth = int(taxonomy.level[gold].max())
    shared = paths[: depth - 1, :, None] == theirs[: depth - 1, None, :]
    levels = np.arange(1, depth)[:, None, None]
    shared &= levels < taxonomy.level[gold][None, :, None]
    own = np.zeros_like(wrong)
    own[np.arange(len(gold)), np.searchsorted(nodes, gold)] = True
    return wrong, shared & (wrong | own)[None]


def neighbours_of(chosen: EncoderSet, vectors: NDArray[np.float32]) -> NDArray[np.int32]:
    """For each labelled node those whose vectors are most like its own; none on its own path.

    Parameters
    ----------
    vectors
        float32 [n_labelled, width].
    """
    labelled, end = chosen.labelled, chosen.taxonomy.end
    out = np.full((len(labelled), NEAR), -1, np.int32)
    for start in range(0, len(labelled), 1024):
        block = labelled[start : start + 1024]
        similar = vectors[start : start + 1024] @ vectors.T
        on_path = (block[:, None] <= labelled[None]) & (labelled[None] < end[block][:, None])
        on_path |= (labelled[None] <= block[:, None]) & (block[:, None] < end[labelled][None])
        similar[on_path] = -np.inf
        k = min(NEAR, len(labelled) - 1)
        found = np.argpartition(-similar, k - 1, axis=1)[:, :k]
        good = np.isfinite(np.take_along_axis(similar, found, axis=1))
        out[start : start + 1024, :k] = np.where(good, labelled[found], -1)
    return out
