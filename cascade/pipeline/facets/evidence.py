"""What descriptions have in common with terms, and features of facet categories made of that.

A description is split into phrases, and each is compared with every term: by cosine similarity, and
by the words that both have.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch
from cascade.pipeline.facets.glossing import Glossary
from cascade.pipeline.facets.kinds import names_the_young, with_plant_milk
from cascade.pipeline.facets.naming import as_served, without_measure
from cascade.pipeline.facets.shipped_vectors import shipped_vectors
from cascade.pipeline.facets.terms.absence import Absence, absence_in, with_ohne
from cascade.pipeline.facets.terms.meant import as_meant, for_babies, without_age
from cascade.pipeline.facets.terms.species import Species
from cascade.retrieval.array_ops import run_max
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.index import NodeIndex
from cascade.retrieval.text_vectors import Progress
from cascade.retrieval.words.overlap import NEGATIONS, WordIndex, words_of
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import Facet, FacetCategory, FacetedTaxonomy

SEPARATOR = re.compile(
    r"[,;:\n|/()\[\]]+|\s[-\u2013\u2014]\s|"
    r"\b(?:with|without|in|into|from|made of|made from|made with|containing|and|for|by|plus)\b",
    re.IGNORECASE,
)
MEANINGFUL = re.compile(r"\b(?:without|in|from|for)\b", re.IGNORECASE)  # separators that are kept
MAX_PHRASES = 12
NATURAL = 10_000  # terms of a tree of plants and animals, whose names are not English alone

OVERLAP_WEIGHT = 1.0  # of word overlap beside similarity, in the score of a descriptor
FEATURES = (  # written into fitted networks: names, order and meaning must stay
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


def phrases(text: str) -> list[str]:
    """The whole text, then its phrases between commas and small words, each once, in their order.

    How much of it there is is left out: `2 slices of bread`. A phrase keeps the small word before
    it where that has a meaning: `in olive oil`.
    """
    text = without_measure(text)
    found = [" ".join(text.split())]
    start = 0
    before = ""
    for separator in [*SEPARATOR.finditer(text), None]:
        phrase = text[start : separator.start() if separator else len(text)].strip(" .\t")
        if phrase:
            found.append(f"{before} {phrase}".strip())
            if before and before.casefold() != "without":
                found.append(phrase)
        word = separator[0].strip() if separator else ""
        before = word if MEANINGFUL.fullmatch(word) else ""
        start = separator.end() if separator else len(text)
    return list(dict.fromkeys(found))[: MAX_PHRASES + 1]


def category_texts(categories: Collection[FacetCategory]) -> list[str]:
    """What facet categories are called, and for what they are."""
    return [f"{own.label.replace('-', ' ')}: {own.note[:200]}" for own in categories]


@dataclass(frozen=True)
class Evidence:
    """The phrases of a batch, and how much each has in common with base terms, or with all terms.

    Parameters
    ----------
    phrases
        Of each item, the whole text first.
    vectors
        float32 [n_phrases, width], of unit length.
    starts
        int64 [n_items + 1]; item i has the columns `starts[i]:starts[i + 1]`.
    similarity
        float32 [n_terms, n_phrases], best cosine similarity with a text of the term.
    overlap
        float32 [n_terms, n_phrases], share of the term's words that are in the phrase.
    absent
        Of each item what it says is not there, which no phrase has, and what it says beside.
    """

    phrases: list[list[str]]
    vectors: NDArray[np.float32]
    starts: NDArray[np.int64]
    similarity: NDArray[np.float32]
    overlap: NDArray[np.float32]
    absent: Sequence[Absence] = ()

    @cached_property
    def negated(self) -> NDArray[np.bool_]:
        """bool [n_phrases], whether a phrase tells what is absent: `without rind`."""
        first = [words_of(phrase)[:1] for own in self.phrases for phrase in own]
        return np.array([bool(word) and word[0] in NEGATIONS for word in first], dtype=bool)


class EvidenceFinder:
    """Compares descriptions with all terms of a faceted taxonomy.

    Parameters
    ----------
    progress
        Called while the index is built, which happens once.
    folder
        Where the index is kept; by default in the user's cache.
    gloss
        Whether descriptions in other languages are read word by word as English.

    Attributes
    ----------
    terms
        Base terms and descriptors together; its nodes are the rows of evidence.
    words
        The words of their names and synonyms.
    species
        Reads names of plants and animals.
    """

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        encoder: Encoder,
        *,
        folder: Path | None = None,
        progress: Progress | None = None,
        gloss: bool = True,
    ) -> None:
        self.terms = terms = taxonomy.terms
        self.encoder = encoder
        self._known = known = shipped_vectors(encoder)

        def opened(tree: Taxonomy) -> NodeIndex:
            return NodeIndex.open(
                tree, encoder, "full", folder=folder, progress=progress, known=known
            )

        self._bases = opened(taxonomy.bases_side_by_side)
        self._every = cache(lambda: opened(terms))
        names = [[name, *terms.synonyms(i)] for i, name in enumerate(terms.names)]
        nodes = np.repeat(np.arange(len(terms), dtype=np.int32), list(map(len, names)))
        of_bases = ((own, *taxonomy.synonyms(at)) for at, own in enumerate(taxonomy.names))
        self._names = frozenset(name.casefold() for own in of_bases for name in own)
        self.words = WordIndex([name for own in names for name in own], nodes)
        trees = [taxonomy, *(own.tree for own in taxonomy.categories.values())]
        english = np.concatenate([self.rows_of(tree) for tree in trees if len(tree) < NATURAL])
        self.species = Species.of(taxonomy)
        self._glossary = Glossary(self.words.words_in(english)) if gloss else None

    def read(self, text: str) -> str:
        """A description as it is compared: in English, as far as a glossary knows its words.

        Scientific names stay as they are: Latin is near to some of its languages.
        """
        if self._glossary is None or (
            " " in text.strip() and self.species.read(text, others=False).latin
        ):
            return text
        text, is_for_babies = without_age(" ".join(text.split()))
        english = as_meant(self._glossary.read(with_plant_milk(with_ohne(text))).text)
        is_for_babies = is_for_babies or names_the_young(english)
        return as_served(for_babies(english) if is_for_babies else english)

    def of(self, batch: Batch) -> Evidence:
        """The evidence of a batch for base terms, computed once."""
        with batch.timed("encoding and searching"):
            return batch.once((self, "evidence"), lambda _: self._of(batch, self._bases))

    def of_every(self, batch: Batch) -> Evidence:
        """The evidence of a batch for base terms and descriptors, computed once."""
        with batch.timed("encoding and searching"):
            return batch.once((self, "of every"), lambda _: self._of(batch, self._every()))

    def label_vectors(self, categories: Collection[FacetCategory]) -> NDArray[np.float32]:
        """float32 [n_categories, width], unit vectors of what facet categories are called."""
        texts = category_texts(categories)
        vectors = np.empty((len(texts), self.encoder.width), dtype=np.float32)
        left = np.ones(len(texts), dtype=bool)
        if self._known is not None:
            at, found = self._known.of(texts)
            vectors[at], left[at] = found, False
        if left.any():
            vectors[left] = self.encoder.encode_documents([texts[i] for i in np.flatnonzero(left)])
        return vectors

    def rows_of(self, tree: Taxonomy) -> NDArray[np.int32]:
        """int32 [n_nodes], the rows of evidence that are the nodes of a tree."""
        return np.array([self.terms.index(code) for code in tree.codes], dtype=np.int32)

    def names_likeness(
        self, rows: NDArray[np.int32], vectors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """float32 [n_rows, n_vectors], the cosine similarity of texts to names of base terms."""
        names = self._bases.vectors[self._bases.starts[rows]]
        return np.asarray(names @ vectors.T, dtype=np.float32)

    def texts_of(self, rows: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Vectors [n_texts, width] of the texts of base terms, and where those of each begin."""
        own = self._bases.starts
        texts = [np.arange(own[row], own[row + 1]) for row in rows.tolist()]
        starts = np.cumsum([0, *map(len, texts)])[:-1].astype(np.int64)
        return self._bases.vectors[np.concatenate(texts)], starts

    def _of(self, batch: Batch, index: NodeIndex) -> Evidence:
        """The evidence for the terms of an index, which are the first ones of all."""
        read = batch.once((self, "phrases"), lambda _: self._phrases(batch))
        split, absent, unique, vectors = read
        flat = [phrase for own in split for phrase in own]
        column = {phrase: at for at, phrase in enumerate(unique)}
        columns = np.array([column[phrase] for phrase in flat], dtype=np.int64)
        similarity = self._similarity(index, vectors)
        overlap = self.words.covered(unique, index.n_nodes)
        if len(unique) < len(flat):
            similarity, overlap = similarity[:, columns], overlap[:, columns]
        starts = np.concatenate([[0], np.cumsum(list(map(len, split)))]).astype(np.int64)
        return Evidence(split, vectors[columns], starts, similarity, overlap, absent)

    def _phrases(
        self, batch: Batch
    ) -> tuple[list[list[str]], list[Absence], list[str], NDArray[np.float32]]:
        """The phrases of each item, what is absent, all phrases once, and their vectors."""
        absent = [
            absence_in(self.read(item.text), self._knows, self._is_name) for item in batch.items
        ]
        split = [phrases(own.text) for own in absent]
        unique = list(dict.fromkeys(phrase for own in split for phrase in own))
        return split, absent, unique, self.encoder.encode(unique)

    def _knows(self, word: str) -> bool:
        return self.words.knows([word])

    def _is_name(self, text: str) -> bool:
        return text.casefold() in self._names

    def _similarity(self, index: NodeIndex, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n_terms, n_vectors], of the best text of each term."""
        return run_max(index.vectors @ vectors.T, index.starts[:-1])


@dataclass(frozen=True)
class FacetFeatures:
    """Features of a batch, and the evidence for each descriptor.

    Parameters
    ----------
    values
        float32 [n_items, n_categories, len(FEATURES)]
    scores
        By category float32 [n_nodes, n_items], the score of each descriptor; -inf where it may not
        be answered, such as what the base term implies.
    exact
        By category bool [n_nodes, n_items], whether a text has all words of a descriptor, beyond
        those of its base term.
    """

    values: NDArray[np.float32]
    scores: list[NDArray[np.float32]]
    exact: list[NDArray[np.bool_]]


class FacetFeatureExtractor:
    """Computes features of descriptions, given their base terms.

    Attributes
    ----------
    categories
        Facet categories, in the order of the arrays; `codes` are their codes.
    """

    def __init__(self, taxonomy: FacetedTaxonomy, finder: EvidenceFinder) -> None:
        self.taxonomy, self.finder = taxonomy, finder
        self.codes = list(taxonomy.categories)
        self.categories = list(taxonomy.categories.values())
        self._rows = [finder.rows_of(category.tree) for category in self.categories]
        self._labels = finder.label_vectors(self.categories)
        self._excluded: dict[str, list[NDArray[np.int32]]] = {}

    def extract(self, batch: Batch, bases: Sequence[str]) -> FacetFeatures:
        """Features of descriptions, given the codes of their base terms; `""` is none."""
        evidence = self.finder.of_every(batch)
        remaining = self._remaining_words(evidence, bases)
        # A phrase that says no more than the base term is evidence of nothing.
        informative = np.array(
            [
                not set(words).isdisjoint(words_of(phrase))
                for own, words in zip(evidence.phrases, remaining, strict=True)
                for phrase in own
            ],
            dtype=np.float32,
        )
        starts = evidence.starts[:-1]
        similarity = run_max(evidence.similarity * informative, starts, axis=1)
        overlap = run_max(evidence.overlap, starts, axis=1)
        overlap_beyond = self.finder.words.covered_by(remaining)  # the base term's words
        labels = self._labels @ evidence.vectors.T * informative
        labels = np.maximum.reduceat(labels, starts, axis=1)
        items, width = np.arange(len(batch)), len(self.categories)
        values = np.zeros((len(batch), width, len(FEATURES)), dtype=np.float32)
        scores, exact = [], []
        for c, rows in enumerate(self._rows):
            similar, words, beyond = similarity[rows], overlap[rows], overlap_beyond[rows]
            score = similar + OVERLAP_WEIGHT * beyond
            for item, base in enumerate(bases):
                excluded = self._excluded_descriptors(base)[c]
                score[excluded, item] = -np.inf
                similar[excluded, item] = words[excluded, item] = beyond[excluded, item] = 0
            best = score.argmax(axis=0)
            for at, own in enumerate((similar, words, beyond)):
                values[:, c, at] = own[best, items]
                values[:, c, 3 + at] = own.max(axis=0)
            values[:, c, 6] = labels[c]
            scores.append(score)
            exact.append(beyond > 0.999)
        together = values[:, :, 0] + OVERLAP_WEIGHT * values[:, :, 2]
        for c in range(width):
            others = np.delete(together, c, axis=1).max(axis=1) if width > 1 else 0
            values[:, c, 7] = others - together[:, c]
        for item, base in enumerate(bases):
            implied = {f.category for f in self.taxonomy.implied(base)} if base else set()
            values[item, :, 8] = [code in implied for code in self.codes]
            values[item, :, 9] = bool(remaining[item])
        return FacetFeatures(values, scores, exact)

    def _remaining_words(self, evidence: Evidence, bases: Sequence[str]) -> list[list[str]]:
        """The words of descriptions without those of their base terms and of implied facets."""
        remaining = []
        for phrases, base in zip(evidence.phrases, bases, strict=True):
            known: set[str] = set()
            if base:
                i = self.taxonomy.index(base)
                names = [self.taxonomy.names[i], *self.taxonomy.synonyms(i)]
                for facet in self.taxonomy.implied(base):
                    names += self._names_of(facet)
                known = {word for name in names for word in words_of(name)}
            remaining.append([word for word in words_of(phrases[0]) if word not in known])
        return remaining

    def _names_of(self, facet: Facet) -> list[str]:
        category = self.taxonomy.categories.get(facet.category)
        if category is None or facet.descriptor not in category.tree:
            return []
        i = category.tree.index(facet.descriptor)
        return [category.tree.names[i], *category.tree.synonyms(i)]

    def _excluded_descriptors(self, base: str) -> list[NDArray[np.int32]]:
        """By category, descriptors that may not be answered beside a base term.

        Those that may not be reported; those that it implies, and those above them, which are less
        precise; and its relatives: bread is no ingredient of bread.
        """
        if base not in self._excluded:
            excluded, relatives = [], self._relatives(base)
            for category in self.categories:
                tree, mask = category.tree, ~category.reportable
                mask[[tree.index(code) for code in relatives if code in tree]] = True
                for facet in self.taxonomy.implied(base) if base else ():
                    if facet.category == category.code and facet.descriptor in tree:
                        mask[tree.path_nodes(tree.index(facet.descriptor))] = True
                excluded.append(np.flatnonzero(mask).astype(np.int32))
            self._excluded[base] = excluded
        return self._excluded[base]

    def _relatives(self, base: str) -> list[str]:
        """Codes of a base term, its ancestors, descendants and siblings."""
        if not base:
            return []
        taxonomy = self.taxonomy
        node = taxonomy.index(base)
        nodes = {*taxonomy.path_nodes(node).tolist(), *range(node, int(taxonomy.end[node]))}
        if taxonomy.parent[node] >= 0:
            nodes.update(taxonomy.children(int(taxonomy.parent[node])).tolist())
        return [taxonomy.codes[other] for other in nodes]
