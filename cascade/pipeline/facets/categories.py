"""The second stage: in which facet categories a description says something, beyond its base term.

Three ways, as in FEAST: a multi-label classifier of the text, a small network over what pairs of
pieces and descriptors have in common, and a language model that writes a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError
from cascade.features.backbone import JoinedFeatures
from cascade.features.lexical import LexicalFeatures
from cascade.features.text_embeddings import SentenceFeatures
from cascade.generation.engine import Engine
from cascade.generation.prompts import PromptTemplate
from cascade.io.files import read_tensors, write_tensors
from cascade.items import Batch, Item
from cascade.pipeline.facets.features import NAMES, Found
from cascade.retrieval.encoder import Encoder
from cascade.scoring.methods.llm import one_line_text
from cascade.taxonomy.facets import FacetedTaxonomy

CLASSIFIER = "categories.safetensors"
LEXICAL = "lexical.safetensors"  # beside the classifier
MAX_CHARS = 500  # of a text that the classifier reads
NEVER = 1.1  # a threshold that no probability reaches


class Categories(Protocol):
    """Says how likely a description is to say something in each category.

    Attributes
    ----------
    thresholds
        float32 [n_categories], the least probability at which a category is taken.
    """

    name: str
    thresholds: NDArray[np.float32]

    def probabilities(
        self, batch: Batch, found: Found, bases: Sequence[str]
    ) -> NDArray[np.float32]:
        """float32 [n_items, n_categories], in the order of the taxonomy's groups."""
        ...


@dataclass
class PairCategories:
    """A network of one hidden layer over `features.NAMES` and the category.

    Parameters
    ----------
    codes
        Categories that it was fitted to; others are never taken.
    mean, scale
        float32 [n_features], by which features are made comparable.
    hidden, hidden_bias, bias, out
        float32 [n_features + n_codes, n_hidden], [n_hidden], [1], [n_hidden].
    thresholds
        By `codes`.
    """

    codes: Sequence[str]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    hidden: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    out: NDArray[np.float32]
    bias: NDArray[np.float32]
    thresholds: NDArray[np.float32]

    name = "pairs"

    @classmethod
    def load(cls, path: Path, order: Sequence[str]) -> PairCategories:
        """The network in a file, for categories in this order.

        Raises
        ------
        ConfigError
            The file cannot be read, or was made of other features.
        """
        about, arrays = read_tensors(path)
        if tuple(about.get("features", ())) != NAMES:
            raise ConfigError(f"{path}: was made by another version; fit it again")
        codes = list(about["codes"])
        width = len(NAMES)
        place = [codes.index(code) if code in codes else -1 for code in order]
        one_hot = arrays["hidden"][width:]
        chosen = np.stack([one_hot[at] if at >= 0 else np.zeros_like(one_hot[0]) for at in place])
        thresholds = np.array([arrays["thresholds"][at] if at >= 0 else NEVER for at in place])
        return cls(
            list(order),
            arrays["mean"],
            arrays["scale"],
            np.concatenate([arrays["hidden"][:width], chosen]),
            arrays["hidden_bias"],
            arrays["out"],
            arrays["bias"],
            thresholds.astype(np.float32),
        )

    def save(self, path: Path) -> None:
        """Write the network to a file."""
        names = ("mean", "scale", "hidden", "hidden_bias", "out", "bias", "thresholds")
        about = {"features": list(NAMES), "codes": list(self.codes)}
        write_tensors(path, about, {name: getattr(self, name) for name in names})

    def probabilities(
        self, batch: Batch, found: Found, bases: Sequence[str]
    ) -> NDArray[np.float32]:
        """See `Categories.probabilities`."""
        return self.of(found.features)

    def of(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n_items, n_categories], from [n_items, n_categories, n_features]."""
        features = (features - self.mean) / self.scale
        hidden = features @ self.hidden[: len(NAMES)] + self.hidden[len(NAMES) :]
        logits = np.maximum(hidden + self.hidden_bias, 0) @ self.out + self.bias
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)


@dataclass
class ClassifierCategories:
    """Logistic regression of each category on the words and the meaning of a text.

    Parameters
    ----------
    backbone
        Features of items.
    weights, bias
        float32 [n_features, n_categories], [n_categories]
    """

    backbone: JoinedFeatures
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    thresholds: NDArray[np.float32]

    name = "classifier"

    @classmethod
    def load(cls, path: Path, encoder: Encoder, order: Sequence[str]) -> ClassifierCategories:
        """The classifier in a file, with its lexical features beside, for categories in this order.

        Raises
        ------
        ConfigError
            A file cannot be read.
        """
        about, arrays = read_tensors(path)
        codes = list(about["codes"])
        lexical = LexicalFeatures.load(path.with_name(LEXICAL))
        place = np.array([codes.index(code) if code in codes else -1 for code in order])
        known = place >= 0
        return cls(
            joined(lexical, encoder),
            np.where(known, arrays["weights"][:, place], 0).astype(np.float32),
            np.where(known, arrays["bias"][place], 0).astype(np.float32),
            np.where(known, arrays["thresholds"][place], NEVER).astype(np.float32),
        )

    def probabilities(
        self, batch: Batch, found: Found, bases: Sequence[str]
    ) -> NDArray[np.float32]:
        """See `Categories.probabilities`."""
        return self.of(batch.items)

    def of(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """float32 [n_items, n_categories]"""
        logits = self.backbone.rows(items) @ self.weights + self.bias
        return np.asarray(1 / (1 + np.exp(-np.asarray(logits))), dtype=np.float32)


def joined(lexical: LexicalFeatures, encoder: Encoder) -> JoinedFeatures:
    """What the classifier reads: words and characters, and the meaning of the text."""
    return JoinedFeatures([lexical, SentenceFeatures(encoder, ["text"], MAX_CHARS)])


class LLMCategories:
    """A language model that writes the list of categories, held to their names; perhaps none.

    A category that it writes has the probability 1, any other 0.
    """

    name = "llm"

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        engine: Engine,
        template: PromptTemplate,
        allowed: NDArray[np.bool_],
        *,
        max_chars: int = 200,
    ) -> None:
        self._taxonomy = taxonomy
        self._engine, self._template = engine, template
        self._labels = [group.label for group in taxonomy.groups.values()]
        self._shown = [at for at, wanted in enumerate(allowed.tolist()) if wanted]
        self._max_chars = max_chars
        self.thresholds = np.where(allowed, 0.5, NEVER).astype(np.float32)

    def probabilities(
        self, batch: Batch, found: Found, bases: Sequence[str]
    ) -> NDArray[np.float32]:
        """See `Categories.probabilities`."""
        names = [self._labels[at] for at in self._shown]
        head = self._template.head.answer
        prompts = [
            self._template.render(
                {
                    "item": one_line_text(item, self._max_chars),
                    "base": self._taxonomy.names[self._taxonomy.index(base)],
                    "candidates": names,
                }
            )
            for item, base in zip(batch.items, bases, strict=True)
        ]
        out = np.zeros((len(batch), len(self._labels)), dtype=np.float32)
        for row, chosen in enumerate(self._engine.choose_several(prompts, names, head.lead)):
            out[row, [self._shown[at] for at in chosen]] = 1
        return out
