"""Features of pairs of a description and a base term, from which a small network ranks terms.

What both share, by meaning, words and letters; what each says and the other does not; and what kind
of term it is. Candidates are first found by a plain sum of a few of them.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.pipeline.facets.evidence import Evidence, EvidenceFinder
from cascade.pipeline.facets.naming import head_word, main_part, words
from cascade.pipeline.facets.terms.species import Kinship, Said
from cascade.retrieval.array_ops import run_max, top_k
from cascade.taxonomy.facets import FacetedTaxonomy

Array = NDArray[np.float32]

SHORTLIST = 40  # terms whose features are computed
FAR = 10.0  # rarity of the unsaid words of a term that shares none with the text
GRAM, BUCKETS = 3, 1 << 14  # letters of a gram, and columns that grams are hashed to

SHARED = (  # of each pair; also less the best of the shortlist
    "likeness",
    "likeness of the best phrase",
    "likeness of the first phrase",
    "likeness to the name",
    "share of the words of a name that are said",
    "share of the text that a name says",
    "both shares",
    "the same of the own name: its share",
    "of the own name: share of the text",
    "of the own name: both",
    "words of a name that are not said",
    "words of the own name that are not said",
    "share of the text that all names say",
    "share of the text that names and implied facets say",
    "share of the text that names, implied facets and the path say",
    "share of the text that anything about the term says",
    "both shares of the main part",
    "share of the main part that a name says",
    "likeness of letters",
    "likeness of letters to the own name",
    "likeness of any name",
    "both shares of any name",
    "the same species",
    "the same genus",
    "the same family",
)
MARKS = (  # of each pair
    "the head word is one of a name",
    "the head word is that of a name",
    "the head word is that of the own name",
    "the own head word is said",
    "a head word is said",
    "the own name has the same words as the main part",
    "another name has the same words",
    "more than the term above: likeness",
    "more than the term above: both shares",
    "more than the term above: share of the text",
    "a term is above",
)
KINDS, DETAILS = "rdcsgn", "HMCEP"
ASIDES = ("other", "generic", "(feed)", "similar", "mixed", "as animal")
OF_TERM = (
    *(f"kind {kind}" for kind in KINDS),
    *(f"detail {detail}" for detail in DETAILS),
    *(f"named {aside}" for aside in ASIDES),
    "terms below",
    "depth",
    "names",
)
OF_TEXT = (
    "words",
    "has an aside",
    "has a comma",
    "says other",
    "has a scientific name",
    "has other names",
)
TERM_FEATURES = (  # written into fitted networks: names, order and meaning must stay
    *SHARED,
    *(f"{name}, less the best" for name in SHARED),
    *MARKS,
    *OF_TERM,
    *OF_TEXT,
)


@dataclass(frozen=True)
class Shortlist:
    """The candidates of a batch, by a plain sum of features, best first.

    Parameters
    ----------
    terms
        int32 [n_items, k], rows of the allowed terms.
    plain
        float32 [n_items, n_allowed], that sum.
    values
        float32 [n_items, k, len(TERM_FEATURES)]
    other_names
        float32 [n_items], how well a term fits another name of what a text says, at the best: its
        similarity, or the share of text and term that is their species; 0 where it has none.
    """

    terms: NDArray[np.int32]
    plain: Array
    values: Array
    other_names: Array


class TermFeatures:
    """Computes features of descriptions and the base terms that may be answered.

    Parameters
    ----------
    nodes
        int32 [n_allowed], of the taxonomy.
    """

    def __init__(
        self, taxonomy: FacetedTaxonomy, finder: EvidenceFinder, nodes: NDArray[np.int32]
    ) -> None:
        self._finder, self._nodes = finder, nodes
        self._rows = finder.rows_of(taxonomy)[nodes]
        names = [[taxonomy.names[n], *taxonomy.synonyms(n)] for n in nodes.tolist()]
        self._first = np.cumsum([0, *map(len, names)])[:-1]  # each term's own name
        flat = [name for own in names for name in own]
        said = [set(words(name)) for name in flat]
        every = [set().union(*map(words, own)) for own in names]
        implied = [own | _implied_words(taxonomy, n) for own, n in zip(every, nodes, strict=True)]
        paths = [
            own
            | {w for above in taxonomy.path_nodes(n).tolist() for w in words(taxonomy.names[above])}
            for own, n in zip(implied, nodes.tolist(), strict=True)
        ]
        notes = [
            own | set(words(taxonomy.description(n)))
            for own, n in zip(paths, nodes.tolist(), strict=True)
        ]
        heads = [list(map(head_word, own)) for own in names]
        vocabulary = dict.fromkeys(w for own in (*notes, *heads) for w in own)
        self._column = column = {word: at for at, word in enumerate(vocabulary)}
        often = np.bincount([column[w] for own in every for w in own], minlength=len(column))
        self._rarity = np.log1p(len(nodes) / np.maximum(often, 1)).astype(np.float32)
        self._names = self._matrix(said)
        self._rarity_of_names = np.asarray(self._names.sum(axis=1)).ravel()[:, None]
        self._tellings = [self._matrix(own) for own in (every, implied, paths, notes)]
        self._words_of_term = self._matrix(every, plain=True)
        self._heads = self._matrix([set(own) - {""} for own in heads], plain=True)
        self._own_head = np.array([column[own[0]] for own in heads])
        self._grams = _gram_matrix(flat)
        self._of_term = _of_terms(taxonomy, nodes, names)
        self._above = _nearest_above(taxonomy, nodes)
        self._kinship = Kinship(taxonomy, nodes, finder.species)
        self._last: tuple[weakref.ref[Evidence], int, Shortlist] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: nothing of a batch."""
        return {**vars(self), "_last": None}

    def shortlist(self, evidence: Evidence, k: int = SHORTLIST) -> Shortlist:
        """The k likeliest terms of each item, with their features; the last ones are remembered."""
        last = self._last
        if last is None or last[0]() is not evidence or last[1] != k:
            last = self._last = weakref.ref(evidence), k, self._shortlist(evidence, k)
        return last[2]

    def _shortlist(self, evidence: Evidence, k: int) -> Shortlist:
        texts = [own[0] for own in evidence.phrases]
        said = self._kinship.read(texts)
        shared = {**self._likeness(evidence), **self._words(texts), **self._letters(texts)}
        shared |= self._of_other_names(said, shared)
        plain = (
            shared["likeness"]
            + 0.25 * shared["likeness of the best phrase"]
            + 0.5 * shared["both shares"]
            + 0.3 * shared["share of the text that names and implied facets say"]
            + 0.2 * shared["share of the words of a name that are said"]
            + (shared["likeness of any name"] - shared["likeness"])
            + 0.5 * (shared["both shares of any name"] - shared["both shares"])
            + 0.6 * shared["the same species"]
            + 0.4 * shared["the same genus"]
            + 0.4 * shared["the same family"]
        ).T
        terms = top_k(plain, min(k, len(self._nodes))).astype(np.int32)
        items = np.arange(len(texts))[:, None]

        def of(values: Array) -> Array:
            return np.asarray(values[terms, items], np.float32)

        own = np.stack([of(shared[name]) for name in SHARED], axis=2)
        above = np.maximum(self._above[terms], 0)
        has_above = self._above[terms] >= 0
        more = [
            of(shared[name]) - np.where(has_above, shared[name][above, items], 0)
            for name in ("likeness", "both shares", "share of the text that a name says")
        ]
        marks = np.stack([*map(of, self._marks(texts, shared)), *more, has_above], axis=2)
        of_text = np.broadcast_to(_of_texts(texts, said)[:, None], (*terms.shape, len(OF_TEXT)))
        values = [own, own - own.max(axis=1, keepdims=True), marks, self._of_term[terms], of_text]
        similar = shared["likeness of any name"].max(axis=0)
        same = shared["the same species"].max(axis=0)
        others = [bool(own.others) for own in said]
        return Shortlist(
            terms,
            plain,
            np.concatenate(values, axis=2).astype(np.float32),
            np.maximum(np.where(others, similar, 0), same).astype(np.float32),
        )

    def _likeness(self, evidence: Evidence) -> dict[str, Array]:
        similarity = evidence.similarity[self._rows]
        similarity[:, evidence.negated] = -1
        whole = evidence.starts[:-1]
        first = np.minimum(whole + 1, evidence.starts[1:] - 1)
        return {
            "likeness": similarity[:, whole],
            "likeness of the best phrase": np.maximum.reduceat(similarity, whole, axis=1),
            "likeness of the first phrase": similarity[:, first],
            "likeness to the name": self._finder.names_likeness(
                self._rows, evidence.vectors[whole]
            ),
        }

    @cached_property
    def _texts(self) -> tuple[Array, NDArray[np.int64]]:
        return self._finder.texts_of(self._rows)

    def _of_other_names(self, said: Sequence[Said], shared: dict[str, Array]) -> dict[str, Array]:
        """What texts share with terms when they say other names of species, at the most."""
        others = list(dict.fromkeys(other for own in said for other in own.others))
        likeness, both = shared["likeness"].copy(), shared["both shares"].copy()
        if others:
            vectors, starts = self._texts
            alike = run_max(vectors @ self._finder.encoder.encode(others).T, starts)
            matrix, total = self._said([words(other) for other in others])
            product = 2 * np.asarray((self._names @ matrix).todense())
            share = product / (self._rarity_of_names + total)
            share = np.maximum.reduceat(share, self._first, axis=0)
            at = {other: column for column, other in enumerate(others)}
            for item, own in enumerate(said):
                columns = [at[other] for other in own.others]
                if columns:
                    best = alike[:, columns].max(axis=1), share[:, columns].max(axis=1)
                    likeness[:, item] = np.maximum(likeness[:, item], best[0])
                    both[:, item] = np.maximum(both[:, item], best[1])
        kin = self._kinship.of(said)
        return dict(zip(SHARED[-5:], (likeness, both, *kin), strict=True))

    def _words(self, texts: Sequence[str]) -> dict[str, Array]:
        said, total = self._said([words(text) for text in texts])
        main, main_total = self._said([words(main_part(text)) for text in texts])
        both = np.asarray((self._names @ said).todense())
        of_main = np.asarray((self._names @ main).todense())
        rare = self._rarity_of_names
        share, told = both / np.maximum(rare, 1e-3), both / total
        together = 2 * both / (rare + total)
        unsaid = np.minimum(rare - both, FAR)

        def best(values: NDArray[np.floating[Any]]) -> Array:
            return np.asarray(np.maximum.reduceat(values, self._first, axis=0))

        every, implied, path, anything = (
            np.asarray((telling @ said).todense()) / total for telling in self._tellings
        )
        least = -best(-np.where(both > 0, unsaid, np.float32(FAR)))
        values = (
            best(share), best(told), best(together),
            share[self._first], told[self._first], together[self._first],
            least / FAR, unsaid[self._first] / FAR,
            every, implied, path, anything,
            best(2 * of_main / (rare + main_total)), best(of_main / main_total),
        )  # fmt: skip
        return dict(zip(SHARED[4:18], values, strict=True))

    def _letters(self, texts: Sequence[str]) -> dict[str, Array]:
        alike = np.asarray((self._grams @ _gram_matrix(texts).T).todense())
        return {
            "likeness of letters": np.maximum.reduceat(alike, self._first, axis=0),
            "likeness of letters to the own name": alike[self._first],
        }

    def _marks(self, texts: Sequence[str], shared: dict[str, Array]) -> list[Array]:
        """The first seven of `MARKS`, each float32 [n_allowed, n_items]."""
        said = np.zeros((len(self._column), len(texts)), dtype=np.float32)
        head = np.zeros_like(said)
        for item, text in enumerate(texts):
            said[[self._column[w] for w in words(text) if w in self._column], item] = 1
            if (word := head_word(text)) in self._column:
                head[self._column[word], item] = 1
        head, said = scipy.sparse.csr_matrix(head), scipy.sparse.csr_matrix(said)
        same = shared["both shares of the main part"] > 0.999
        own = shared["of the own name: both"] > 0.999

        def dense(product: scipy.sparse.csr_matrix) -> Array:
            return np.minimum(np.asarray(product.todense(), np.float32), 1)

        return [
            dense(self._words_of_term @ head),
            dense(self._heads @ head),
            np.asarray(head[self._own_head].todense(), np.float32),
            np.asarray(said[self._own_head].todense(), np.float32),
            dense(self._heads @ said),
            own.astype(np.float32),
            (same & ~own).astype(np.float32),
        ]

    def _said(self, texts: Sequence[Sequence[str]]) -> tuple[scipy.sparse.csr_matrix, Array]:
        """Which words texts have, [n_words, n_items], and how rare they are together."""
        matrix = self._matrix([{w for w in own if w in self._column} for own in texts], plain=True)
        total = np.maximum(np.asarray(matrix @ self._rarity), 1e-3)
        return matrix.T.tocsr(), total.astype(np.float32)

    def _matrix(self, texts: Sequence[set[str]], *, plain: bool = False) -> scipy.sparse.csr_matrix:
        """float32 [n_texts, n_words], the rarity of the words of each; 1 where `plain`."""
        columns = np.array([self._column[w] for own in texts for w in own], dtype=np.int64)
        ends = np.cumsum([0, *map(len, texts)])
        values = np.ones(len(columns), np.float32) if plain else self._rarity[columns]
        return scipy.sparse.csr_matrix(
            (values, columns, ends), shape=(len(texts), len(self._column))
        )


def _implied_words(taxonomy: FacetedTaxonomy, node: int) -> set[str]:
    """The words of what a term implies."""
    found: set[str] = set()
    for facet in taxonomy.implied(taxonomy.codes[node]):
        category = taxonomy.categories.get(facet.category)
        if category is not None and facet.descriptor in category.tree:
            at = category.tree.index(facet.descriptor)
            for name in (category.tree.names[at], *category.tree.synonyms(at)):
                found.update(words(name))
    return found


def _of_terms(
    taxonomy: FacetedTaxonomy, nodes: NDArray[np.int32], names: Sequence[Sequence[str]]
) -> Array:
    terms = taxonomy.catalogue.terms if isinstance(taxonomy, FoodEx2Taxonomy) else {}
    rows = []
    for node, own in zip(nodes.tolist(), names, strict=True):
        term = terms.get(taxonomy.codes[node])
        name = own[0].casefold()
        rows.append(
            [
                *(term is not None and term.kind == kind for kind in KINDS),
                *(term is not None and term.detail == detail for detail in DETAILS),
                *(aside in name for aside in ASIDES),
                np.log1p(int(taxonomy.end[node]) - node - 1),
                len(taxonomy.path_nodes(node)) / 4,
                np.sqrt(len(own)) / 2,
            ]
        )
    return np.array(rows, dtype=np.float32)


def _of_texts(texts: Sequence[str], said: Sequence[Said]) -> Array:
    return np.array(
        [
            [
                min(len(words(t)), 10) / 5,
                "(" in t,
                "," in t,
                "other" in t.casefold().split(),
                own.latin,
                bool(own.others),
            ]
            for t, own in zip(texts, said, strict=True)
        ],
        dtype=np.float32,
    )


def _nearest_above(taxonomy: FacetedTaxonomy, nodes: NDArray[np.int32]) -> NDArray[np.int64]:
    """int64 [n_allowed], the row of the nearest allowed term above each; -1 where there is none."""
    rows = {node: at for at, node in enumerate(nodes.tolist())}
    found = []
    for node in nodes.tolist():
        above = [rows[other] for other in taxonomy.path_nodes(node).tolist()[:-1] if other in rows]
        found.append(above[-1] if above else -1)
    return np.array(found, dtype=np.int64)


def _gram_matrix(texts: Sequence[str]) -> scipy.sparse.csr_matrix:
    """float32 [n_texts, BUCKETS], rows of unit length: the grams of each, without blanks."""
    columns: list[int] = []
    ends = [0]
    for text in texts:
        letters = f"^{''.join(words(text)).replace('-', '')}$"
        grams = {letters[at : at + GRAM] for at in range(len(letters) - GRAM + 1)}
        columns += sorted({crc32(gram.encode()) % BUCKETS for gram in grams})
        ends.append(len(columns))
    counts = np.maximum(np.diff(ends), 1)
    values = np.repeat(1 / np.sqrt(counts), np.diff(ends)).astype(np.float32)
    return scipy.sparse.csr_matrix((values, columns, ends), shape=(len(texts), BUCKETS))
