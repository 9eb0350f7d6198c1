"""What tells whether a description says something in a facet category: a few numbers for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch
from cascade.pipeline.facets.evidence import Evidence, EvidenceFinder
from cascade.retrieval.word_overlap import words_of
from cascade.taxonomy.facets import Facet, FacetedTaxonomy

WORDS = 1.0  # weight of shared words beside likeness, in what a descriptor's evidence is
NAMES = (
    "likeness of the best descriptor",
    "its share of words in the text",
    "its share of words that the base term does not have",
    "best likeness",
    "best share of words",
    "best share of words that the base term does not have",
    "likeness to the name of the category",
    "the best descriptor of another category is this much better",
    "the base term implies one",
    "there are words that the base term does not have",
)


@dataclass(frozen=True)
class Rest:
    """Descriptions without the words of their base terms, and of what these imply.

    Parameters
    ----------
    covered
        float32 [n_terms, n_items], share of a term's words that is in them.
    words
        The words that are left, of each item.
    """

    covered: NDArray[np.float32]
    words: list[list[str]]


@dataclass(frozen=True)
class Found:
    """Of a batch, what was found in each category.

    Parameters
    ----------
    features
        float32 [n_items, n_categories, len(NAMES)]
    scores
        By category float32 [n_nodes, n_items], the evidence for each descriptor; -inf where it may
        not be said, as what the base term implies.
    exact
        By category bool [n_nodes, n_items], whether a text has all words of a descriptor that its
        base term does not have.
    """

    features: NDArray[np.float32]
    scores: list[NDArray[np.float32]]
    exact: list[NDArray[np.bool_]]


class FacetFeatures:
    """Computes `Found`.

    Attributes
    ----------
    codes
        Facet categories, in the order of the arrays.
    """

    def __init__(self, taxonomy: FacetedTaxonomy, finder: EvidenceFinder) -> None:
        self.taxonomy, self.finder = taxonomy, finder
        self.codes = list(taxonomy.groups)
        self.groups = list(taxonomy.groups.values())
        self._rows = [finder.places(group.tree) for group in self.groups]
        self._labels = finder.encoder.encode(
            [f"{group.label.replace('-', ' ')}: {group.note[:200]}" for group in self.groups]
        )
        self._hidden: dict[str, list[NDArray[np.int32]]] = {}

    def rest(self, evidence: Evidence, bases: Sequence[str]) -> Rest:
        """Descriptions without the words of base terms, given by their codes; `""` is none."""
        left = []
        for own, base in zip(evidence.pieces, bases, strict=True):
            said: set[str] = set()
            if base:
                i = self.taxonomy.index(base)
                names = [self.taxonomy.names[i], *self.taxonomy.synonyms(i)]
                for facet in self.taxonomy.implied(base):
                    names += self._names_of(facet)
                said = {word for name in names for word in words_of(name)}
            left.append([word for word in words_of(own[0]) if word not in said])
        return Rest(self.finder.words.covered_by(left), left)

    def _names_of(self, facet: Facet) -> list[str]:
        """What a descriptor is called."""
        group = self.taxonomy.groups.get(facet.category)
        if group is None or facet.descriptor not in group.tree:
            return []
        i = group.tree.index(facet.descriptor)
        return [group.tree.names[i], *group.tree.synonyms(i)]

    def found(self, batch: Batch, bases: Sequence[str]) -> Found:
        """What descriptions say in each category, given the codes of base terms; `""` is none."""
        evidence = self.finder.of(batch)
        rest = self.rest(evidence, bases)
        starts = evidence.starts[:-1]
        # A piece that says no more than the base term is evidence of nothing.
        more = np.array(
            [
                not set(left).isdisjoint(words_of(piece))
                for own, left in zip(evidence.pieces, rest.words, strict=True)
                for piece in own
            ],
            dtype=np.float32,
        )
        similar = np.maximum.reduceat(evidence.similar * more, starts, axis=1)
        covered = np.maximum.reduceat(evidence.covered, starts, axis=1)
        n, width = len(batch), len(self.groups)
        features = np.zeros((n, width, len(NAMES)), dtype=np.float32)
        scores, exact = [], []
        items = np.arange(n)
        labels = self._labels @ evidence.vectors.T * more
        labels = np.maximum.reduceat(labels, starts, axis=1)
        for c, rows in enumerate(self._rows):
            like, words, left = similar[rows], covered[rows], rest.covered[rows]
            score = like + WORDS * left
            for item, base in enumerate(bases):
                hidden = self._not_said(base)[c]
                score[hidden, item] = -np.inf
                like[hidden, item] = words[hidden, item] = left[hidden, item] = 0
            top = score.argmax(axis=0)
            features[:, c, 0] = like[top, items]
            features[:, c, 1] = words[top, items]
            features[:, c, 2] = left[top, items]
            features[:, c, 3] = like.max(axis=0)
            features[:, c, 4] = words.max(axis=0)
            features[:, c, 5] = left.max(axis=0)
            features[:, c, 6] = labels[c]
            scores.append(score)
            exact.append(left > 0.999)
        together = features[:, :, 0] + WORDS * features[:, :, 2]
        for c in range(width):
            others = np.delete(together, c, axis=1).max(axis=1) if width > 1 else 0
            features[:, c, 7] = others - together[:, c]
        for item, base in enumerate(bases):
            implied = {f.category for f in self.taxonomy.implied(base)} if base else set()
            features[item, :, 8] = [code in implied for code in self.codes]
            features[item, :, 9] = bool(rest.words[item])
        return Found(features, scores, exact)

    def _not_said(self, base: str) -> list[NDArray[np.int32]]:
        """By category, descriptors that may not stand beside a base term.

        Those that may not be reported; those that it implies, and those above, which say less; and
        its own kin: bread is no ingredient of bread.
        """
        if base not in self._hidden:
            hidden, kin = [], self._kin(base)
            for group in self.groups:
                mask = ~group.reportable
                mask[[group.tree.index(code) for code in kin if code in group.tree]] = True
                for facet in self.taxonomy.implied(base) if base else ():
                    if facet.category == group.code and facet.descriptor in group.tree:
                        mask[group.tree.path_nodes(group.tree.index(facet.descriptor))] = True
                hidden.append(np.flatnonzero(mask).astype(np.int32))
            self._hidden[base] = hidden
        return self._hidden[base]

    def _kin(self, base: str) -> list[str]:
        """The codes of a base term, of what is above and below it, and of what stands beside it."""
        if not base:
            return []
        taxonomy = self.taxonomy
        node = taxonomy.index(base)
        nodes = {*taxonomy.path_nodes(node).tolist(), *range(node, int(taxonomy.end[node]))}
        if taxonomy.parent[node] >= 0:
            nodes.update(taxonomy.children(int(taxonomy.parent[node])).tolist())
        return [taxonomy.codes[other] for other in nodes]
