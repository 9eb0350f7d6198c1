"""What was learnt of coded descriptions, as it lies in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError, InputError
from cascade.features.lexical import LexicalFeatures
from cascade.io.files import read_tensors, write_tensors
from cascade.pipeline.facets.evidence import FEATURES
from cascade.pipeline.facets.own.recall import Recall
from cascade.pipeline.facets.own.words import OwnWords
from cascade.retrieval.encoder import Encoder

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


Way = Literal["catalogue", "learnt", "both"]


@dataclass(frozen=True)
class Kept:
    """Whose answers a pack gives, as they were right most often on rows as if they were new.

    Parameters
    ----------
    base
        Base terms by the catalogue alone, or as rows teach.
    facets
        Facets that words say, those that rows teach, or both of them.
    """

    base: Way = "learnt"
    facets: Way = "learnt"


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
    recall
        Descriptions that are known.
    encoder
        What made the vectors, see `weights_of`.
    kept
        Packs that were made before this was asked keep all that is learnt.
    """

    words: OwnWords
    row_vectors: NDArray[np.float32]
    row_bases: Sequence[str]
    uses: Uses
    base_weights: NDArray[np.float32]
    descriptor_weights: NDArray[np.float32]
    categories: CategoryWeights
    lexical: LexicalFeatures
    recall: Recall
    encoder: str
    kept: Kept = Kept()

    def save(self, folder: Path) -> None:
        """Write to a folder: `learnt.safetensors`, and the words that it reads beside it."""
        about = {
            "codes": list(self.words.codes),
            "names": list(self.words.names),
            "row_bases": list(self.row_bases),
            "bases": dict(self.uses.bases),
            "descriptors": dict(self.uses.descriptors),
            "rows": self.uses.rows,
            "recall": self.recall.codes,
            "encoder": self.encoder,
            "categories": list(self.categories.codes),
            "threshold": self.categories.threshold,
            "kept": asdict(self.kept),
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
                Recall(about["recall"]),
                about["encoder"],
                Kept(**about.get("kept", {})),
            )
            found._check()
        except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
            raise ConfigError(f"{path}: is damaged ({error}); fit it again") from None
        return found

    def _check(self) -> None:
        """Raise ValueError unless lists and arrays fit each other."""
        for names in (self.words.codes, self.words.names, self.row_bases, self.categories.codes):
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ValueError("a list holds something else than names")
        for counts in (self.uses.bases, self.uses.descriptors, {"": self.uses.rows}):
            if not all(type(n) is int and n >= 0 for n in counts.values()):
                raise ValueError("a count is none")
        if self.words.vectors.shape[1:] != self.row_vectors.shape[1:]:
            raise ValueError("vectors have several widths")
        if self.kept.base not in get_args(Way)[:2] or self.kept.facets not in get_args(Way):
            raise ValueError("what was kept is none of the ways")
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


def weights_of(encoder: Encoder) -> str:
    """What tells the weights of an encoder, wherever they lie."""
    return encoder.identity.rpartition(":")[2]


def _unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """As float32, of unit length again."""
    wide = vectors.astype(np.float32)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.maximum(length, 1e-6), dtype=np.float32)
