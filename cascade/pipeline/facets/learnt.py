"""Ranking and categories as an institution's coded descriptions teach them.

What the catalogue tells is the start: similarities, shared words and the network of categories are
features here, and weights say how far to follow them, how far the labelled rows. Both are linear,
so that a few hundred rows are enough to learn them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import BaseTermConfig
from cascade.errors import ConfigError
from cascade.features.backbone import JoinedFeatures
from cascade.features.lexical import LexicalFeatures
from cascade.io.files import read_tensors, write_tensors
from cascade.items import Batch, Item
from cascade.pipeline.facets.categories import NEVER, NetworkClassifier, text_features
from cascade.pipeline.facets.evidence import (
    FEATURES,
    Evidence,
    FacetFeatureExtractor,
    FacetFeatures,
)
from cascade.pipeline.facets.own_words import OwnWords, OwnWordsFinder
from cascade.pipeline.facets.ranking import BaseTermRanker, Reranker
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.words.overlap import words_of
from cascade.taxonomy.facets import FacetedTaxonomy

LEARNT, LEXICAL = "learnt.safetensors", "learnt-words.safetensors"
LEVELS = 3  # of the hierarchy whose use is looked at
BASE_FEATURES = (  # written into files: names, order and meaning must stay
    "score by the catalogue",
    "likeness of the whole text",
    "likeness of its first phrase",
    "likeness of its best phrase",
    "share of words of the name",
    "a word of the name makes another food, and is not said",
    "share of characters of the name",
    "share of characters of the text",
    "both of these",
    "likeness of the nearest labelled row",
    "rows labelled with it",
    *(f"rows labelled below its ancestor of level {level}" for level in range(1, LEVELS + 1)),
)
DESCRIPTOR_FEATURES = (
    "likeness and share of words",
    "share of characters of the name",
    "share of characters of the text",
    "rows labelled with it",
)
CATEGORY_FEATURES = (
    "log-odds by the network of the catalogue",
    *FEATURES,
    "score of the best descriptor",
    "all words of some descriptor are said",
    "how far it is before the second",
)
MOST_LOG_ODDS = 8.0


@dataclass(frozen=True)
class Uses:
    """How often base terms and descriptors are used in labelled rows.

    Parameters
    ----------
    bases, descriptors
        Rows by code; descriptors as `F28.A07KG`.
    rows
        All of them.
    """

    bases: Mapping[str, int]
    descriptors: Mapping[str, int]
    rows: int

    def share(self, counts: NDArray[np.int64]) -> NDArray[np.float32]:
        """From 0 for none to 1 for all, by their logarithms."""
        return np.asarray(np.log1p(counts) / np.log1p(max(self.rows, 1)), dtype=np.float32)


@dataclass(frozen=True)
class CategoryWeights:
    """Weights of a logistic regression for each category.

    Parameters
    ----------
    codes
        Of the categories.
    dense
        float32 [n_features, n_codes], of `CATEGORY_FEATURES`.
    sparse
        float32 [width, n_codes], of the words and the embedding of a text.
    bias
        float32 [n_codes]
    threshold
        Least probability at which a category is taken.
    """

    codes: Sequence[str]
    dense: NDArray[np.float32]
    sparse: NDArray[np.float32]
    bias: NDArray[np.float32]
    threshold: float


@dataclass(frozen=True)
class LearntCodes:
    """What was learnt of coded descriptions; see `save`.

    Parameters
    ----------
    words
        Own names of terms.
    row_vectors, row_bases
        float32 [n_rows, width], of unit length, and the base terms of labelled rows.
    base_weights, descriptor_weights
        float32, of `BASE_FEATURES` and `DESCRIPTOR_FEATURES`.
    """

    words: OwnWords
    row_vectors: NDArray[np.float32]
    row_bases: Sequence[str]
    uses: Uses
    base_weights: NDArray[np.float32]
    descriptor_weights: NDArray[np.float32]
    categories: CategoryWeights
    lexical: LexicalFeatures

    def save(self, folder: Path) -> None:
        """Write to a folder: `learnt.safetensors`, and the words that it reads beside it."""
        about = {
            "codes": list(self.words.codes),
            "names": list(self.words.names),
            "row_bases": list(self.row_bases),
            "bases": dict(self.uses.bases),
            "descriptors": dict(self.uses.descriptors),
            "rows": self.uses.rows,
            "categories": list(self.categories.codes),
            "threshold": self.categories.threshold,
            "features": [BASE_FEATURES, DESCRIPTOR_FEATURES, CATEGORY_FEATURES],
        }
        arrays = {
            "word_vectors": self.words.vectors.astype(np.float16),
            "row_vectors": self.row_vectors.astype(np.float16),
            "base_weights": self.base_weights,
            "descriptor_weights": self.descriptor_weights,
            "dense": self.categories.dense,
            "sparse": self.categories.sparse.astype(np.float16),
            "bias": self.categories.bias,
        }
        write_tensors(folder / LEARNT, about, arrays)
        self.lexical.save(folder / LEXICAL)

    @classmethod
    def load(cls, path: Path) -> LearntCodes:
        """What `save` wrote.

        Raises
        ------
        ConfigError
            The file cannot be read, or is of another version.
        """
        about, arrays = read_tensors(path)
        known = [list(BASE_FEATURES), list(DESCRIPTOR_FEATURES), list(CATEGORY_FEATURES)]
        if about.get("features") != known:
            raise ConfigError(f"{path}: was made by another version; fit it again")
        lexical = LexicalFeatures.load(path.with_name(LEXICAL))
        try:
            found = cls(
                OwnWords(about["codes"], about["names"], _unit(arrays["word_vectors"])),
                _unit(arrays["row_vectors"]),
                about["row_bases"],
                Uses(about["bases"], about["descriptors"], about["rows"]),
                arrays["base_weights"],
                arrays["descriptor_weights"],
                CategoryWeights(
                    about["categories"],
                    arrays["dense"],
                    arrays["sparse"].astype(np.float32),
                    arrays["bias"],
                    float(about["threshold"]),
                ),
                lexical,
            )
            found._check()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"{path}: is damaged ({error}); fit it again") from None
        return found

    def _check(self) -> None:
        """Raise ValueError unless lists and arrays fit each other."""
        n, width = len(self.categories.codes), self.lexical.width
        shapes = (
            (self.words.vectors, (len(self.words.codes), None)),
            (self.words.vectors, (len(self.words.names), None)),
            (self.row_vectors, (len(self.row_bases), None)),
            (self.base_weights, (len(BASE_FEATURES),)),
            (self.descriptor_weights, (len(DESCRIPTOR_FEATURES),)),
            (self.categories.dense, (len(CATEGORY_FEATURES), n)),
            (self.categories.bias, (n,)),
        )
        for array, expected in shapes:
            right = len(array.shape) == len(expected) and all(
                wanted is None or found == wanted
                for found, wanted in zip(array.shape, expected, strict=True)
            )
            if not right:
                raise ValueError(f"the shape {array.shape} is not {expected}")
        sparse = self.categories.sparse
        if sparse.ndim != 2 or sparse.shape[1] != n or sparse.shape[0] < width:
            raise ValueError(f"the shape {sparse.shape} does not fit {width} words and {n} codes")


class LearntBaseRanker(BaseTermRanker):
    """Ranks base terms by learnt weights of what the catalogue and labelled rows say."""

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        finder: OwnWordsFinder,
        config: BaseTermConfig,
        allowed: NDArray[np.bool_],
        learnt: LearntCodes,
        reranker: Reranker | None = None,
    ) -> None:
        super().__init__(taxonomy, finder, config, allowed, reranker)
        self._own_finder, self._weights = finder, learnt.base_weights
        self._uses = learnt.uses
        place = {taxonomy.codes[node]: at for at, node in enumerate(self._nodes.tolist())}
        rows = [at for at, base in enumerate(learnt.row_bases) if base in place]
        rows.sort(key=lambda at: place[learnt.row_bases[at]])
        self._row_vectors = learnt.row_vectors[rows]
        places = np.array([place[learnt.row_bases[at]] for at in rows], dtype=np.int64)
        self._row_places, self._row_starts = np.unique(places, return_index=True)

    @cached_property
    def _used(self) -> NDArray[np.float32]:
        """float32 [1 + LEVELS, n_allowed], how often base terms and what is below them are used."""
        tree = self._taxonomy
        counts = np.zeros(len(tree) + 1, dtype=np.int64)
        for code, rows in self._uses.bases.items():
            if code in tree:
                counts[tree.index(code) + 1] += rows
        up_to = np.cumsum(counts)
        own = counts[1:][self._nodes]
        found = [own]
        for level in range(LEVELS):
            above = np.array(
                [
                    path[min(level, len(path) - 1)]
                    for path in (tree.path_nodes(int(node)) for node in self._nodes)
                ],
                dtype=np.int64,
            )
            found.append(up_to[np.asarray(tree.end)[above]] - up_to[above])
        return np.stack([self._uses.share(each) for each in found])

    @property
    def nodes(self) -> NDArray[np.int32]:
        """int32 [n_allowed], the base terms that may be answered."""
        return self._nodes

    def features(self, evidence: Evidence) -> NDArray[np.float32]:
        """float32 [n_features, n_allowed, n_items], see `BASE_FEATURES`."""
        similarity, overlap = evidence.similarity[self._rows], evidence.overlap[self._rows]
        similarity[:, evidence.negated] = -1
        whole = evidence.starts[:-1]
        first = np.minimum(whole + 1, evidence.starts[1:] - 1)
        texts = [phrases[0] for phrases in evidence.phrases]
        out = np.zeros((len(BASE_FEATURES), len(self._nodes), len(texts)), dtype=np.float32)
        out[0] = super().scores(evidence)
        out[1] = similarity[:, whole]
        out[2] = similarity[:, first]
        out[3] = np.maximum.reduceat(similarity, whole, axis=1)
        out[4] = overlap[:, whole]
        words = [set(words_of(text)) for text in texts]
        for distinct, terms in self._another:
            silent = np.flatnonzero([distinct.isdisjoint(own) for own in words])
            out[5][np.ix_(terms, silent)] = 1
        cover, explained = self._own_finder.spelling.of(texts)
        out[6], out[7] = cover[self._rows], explained[self._rows]
        out[8] = 2 * out[6] * out[7] / np.maximum(out[6] + out[7], 1e-6)
        if len(self._row_places):
            near = self._row_vectors @ evidence.vectors[whole].T
            out[9][self._row_places] = np.maximum.reduceat(near, self._row_starts, axis=0)
        out[10:] = self._used[:, :, None]
        return out

    def scores(self, evidence: Evidence) -> NDArray[np.float32]:
        """float32 [n_allowed, n_items], log-odds up to a constant of each item."""
        return np.tensordot(self._weights, self.features(evidence), axes=1)


class LearntExtractor(FacetFeatureExtractor):
    """Computes features of descriptions whose descriptors are scored by learnt weights."""

    def __init__(
        self, taxonomy: FacetedTaxonomy, finder: OwnWordsFinder, learnt: LearntCodes
    ) -> None:
        super().__init__(taxonomy, finder)
        self._own_finder, self._weights = finder, learnt.descriptor_weights
        uses = learnt.uses
        self._used = [
            uses.share(
                np.array([uses.descriptors.get(f"{c.code}.{d}", 0) for d in c.tree.codes], int)
            )
            for c in self.categories
        ]

    def extract(self, batch: Batch, bases: Sequence[str]) -> FacetFeatures:
        """As `FacetFeatureExtractor.extract`, with scores that are log-odds up to a constant."""
        found = super().extract(batch, bases)
        for at in range(len(self.categories)):
            features = self.descriptor_features(batch, bases, found, at)
            known = np.isfinite(found.scores[at])
            scores = np.tensordot(self._weights, features, axes=1)
            found.scores[at] = np.where(known, scores, -np.inf).astype(np.float32)
        return found

    def plain(self, batch: Batch, bases: Sequence[str]) -> FacetFeatures:
        """What the catalogue and own words say, before weights."""
        return super().extract(batch, bases)

    def descriptor_features(
        self, batch: Batch, bases: Sequence[str], plain: FacetFeatures, category: int
    ) -> NDArray[np.float32]:
        """float32 [n_features, n_nodes, n_items], see `DESCRIPTOR_FEATURES`."""
        cover, explained = self._spelt(batch, bases)
        rows = self._rows[category]
        score = plain.scores[category]
        used = np.broadcast_to(self._used[category][:, None], score.shape)
        known = np.where(np.isfinite(score), score, 0)
        return np.stack([known, cover[rows], explained[rows], used]).astype(np.float32)

    def _spelt(
        self, batch: Batch, bases: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What texts spell of names, beside the words of their base terms."""

        def made(_: Sequence[Item]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            remaining = self._remaining_words(self.finder.of(batch), bases)
            return self._own_finder.spelling.of([" ".join(words) for words in remaining])

        return batch.once((self, "spelt", tuple(bases)), made)


class LearntCategories:
    """Tells by learnt weights how likely a description says something in each category."""

    def __init__(self, learnt: LearntCodes, network: NetworkClassifier, encoder: Encoder) -> None:
        own = learnt.categories
        self._network = network
        self.backbone = text_features(learnt.lexical, encoder)
        if self.backbone.width != len(own.sparse):
            raise ConfigError(
                f"the pack was fitted to another encoder: its weights are of {len(own.sparse):,} "
                f"features, and there are {self.backbone.width:,}; fit it again"
            )
        place = {code: at for at, code in enumerate(own.codes)}
        at = np.array([place.get(code, -1) for code in network.codes])
        self._dense, self._sparse = own.dense[:, at], own.sparse[:, at]
        self._bias = own.bias[at]
        self.thresholds = np.where(at >= 0, own.threshold, NEVER).astype(np.float32)

    def probabilities(
        self, batch: Batch, features: FacetFeatures, bases: Sequence[str]
    ) -> NDArray[np.float32]:
        """See `CategoryClassifier.probabilities`."""
        dense = category_features(self._network, features)
        sparse = text_rows(self.backbone, batch.items) @ self._sparse
        logits = np.einsum("ncf,fc->nc", dense, self._dense) + sparse + self._bias
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)


def category_features(network: NetworkClassifier, features: FacetFeatures) -> NDArray[np.float32]:
    """float32 [n_items, n_categories, n_features], see `CATEGORY_FEATURES`."""
    likely = np.clip(network.of(features.values), 1e-6, 1 - 1e-6)
    least = np.clip(network.thresholds, 0.01, 0.95)
    odds = np.log(likely / (1 - likely)) - np.log(least / (1 - least))
    odds = np.clip(odds, -MOST_LOG_ODDS, MOST_LOG_ODDS)
    best = np.zeros((*odds.shape, 3), dtype=np.float32)
    for at, scores in enumerate(features.scores):
        two = np.sort(np.where(np.isfinite(scores), scores, -MOST_LOG_ODDS), axis=0)[-2:]
        best[:, at, 0] = np.clip(two[-1], -MOST_LOG_ODDS, 2 * MOST_LOG_ODDS)
        best[:, at, 1] = features.exact[at].any(axis=0)
        best[:, at, 2] = np.clip(two[-1] - two[0], 0, MOST_LOG_ODDS)
    return np.concatenate([odds[..., None], features.values, best], axis=2).astype(np.float32)


def text_rows(backbone: JoinedFeatures, items: Sequence[Item]) -> Any:
    """float32 [n_items, width] of the whole texts of items, whatever their columns are called."""
    return backbone.rows([Item({"text": item.text}) for item in items])


def _unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """As float32, of unit length again."""
    wide = vectors.astype(np.float32)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.maximum(length, 1e-6), dtype=np.float32)
