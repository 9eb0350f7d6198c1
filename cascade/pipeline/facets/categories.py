"""Classifies in which facet categories a description says something, beyond its base term.

There are three ways, as in FEAST: a small network over the features of each category, a multi-label
classifier of the text, and a language model that names what is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError, EngineError
from cascade.features.backbone import JoinedFeatures
from cascade.features.lexical import LexicalFeatures
from cascade.features.text_embeddings import SentenceFeatures
from cascade.generation.engine import Engine
from cascade.generation.prompts import PromptTemplate
from cascade.io.files import read_tensors, write_tensors
from cascade.items import Batch, Item
from cascade.pipeline.facets.evidence import FEATURES, FacetFeatures
from cascade.pipeline.facets.questions import (
    CONTEXT,
    category_names,
    category_question,
    shown_categories,
)
from cascade.retrieval.encoder import Encoder
from cascade.scoring.item_prompts import one_line_text
from cascade.taxonomy.facets import FacetedTaxonomy

CLASSIFIER_FILE = "categories.safetensors"
LEXICAL_FILE = "lexical.safetensors"  # beside the classifier
MAX_CHARS = 500  # of a text that the text classifier reads
NEVER = 1.1  # a threshold that no probability reaches
SHARE = 0.2  # least probability of a category by a language model, which several share
SHIPPED_NETWORK = "network.safetensors"


class CategoryClassifier(Protocol):
    """Tells how likely a description says something in each category.

    Attributes
    ----------
    thresholds
        float32 [n_categories], the least probability at which a category is taken.
    """

    thresholds: NDArray[np.float32]

    def probabilities(
        self, batch: Batch, features: FacetFeatures, bases: Sequence[str]
    ) -> NDArray[np.float32]:
        """float32 [n_items, n_categories], given the codes of base terms."""
        ...


@dataclass
class NetworkClassifier:
    """A network with one hidden layer over the features of a pair of text and category.

    Parameters
    ----------
    codes
        Of the categories.
    mean, scale
        float32 [n_features], to standardise the features.
    hidden, hidden_bias, out, bias
        float32 [n_features + n_codes, n_hidden], [n_hidden], [n_hidden], [1].
    thresholds
        float32 [n_codes]
    """

    codes: Sequence[str]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    hidden: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    out: NDArray[np.float32]
    bias: NDArray[np.float32]
    thresholds: NDArray[np.float32]

    @classmethod
    def load(cls, path: Path, codes: Sequence[str]) -> NetworkClassifier:
        """The network in a file, for these categories; those it was not fitted to are never taken.

        Raises
        ------
        ConfigError
            The file cannot be read, or the network was fitted to other features.
        """
        about, arrays = read_tensors(path)
        if about.get("features") != list(FEATURES):
            raise ConfigError(f"{path}: was made by another version; fit it again")
        width, fitted = len(FEATURES), _codes(about, path)
        hidden = arrays["hidden"].shape[-1] if "hidden" in arrays else 0
        expected = {
            "mean": (width,),
            "scale": (width,),
            "hidden": (width + len(fitted), hidden),
            "hidden_bias": (hidden,),
            "out": (hidden,),
            "bias": (1,),
            "thresholds": (len(fitted),),
        }
        _check_shapes(arrays, expected, path)
        places, known = _places(fitted, codes)
        one_hot = np.where(known[:, None], arrays["hidden"][width:][places], 0)
        return cls(
            list(codes),
            arrays["mean"],
            arrays["scale"],
            np.concatenate([arrays["hidden"][:width], one_hot]),
            arrays["hidden_bias"],
            arrays["out"],
            arrays["bias"],
            np.where(known, arrays["thresholds"][places], NEVER).astype(np.float32),
        )

    def save(self, path: Path) -> None:
        """Write the network to a file."""
        names = ("mean", "scale", "hidden", "hidden_bias", "out", "bias", "thresholds")
        about = {"features": list(FEATURES), "codes": list(self.codes)}
        write_tensors(path, about, {name: getattr(self, name) for name in names})

    def probabilities(
        self, batch: Batch, features: FacetFeatures, bases: Sequence[str]
    ) -> NDArray[np.float32]:
        """See `CategoryClassifier.probabilities`."""
        return self.of(features.values)

    def of(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n_items, n_categories], from [n_items, n_categories, n_features]."""
        values = (values - self.mean) / self.scale
        hidden = values @ self.hidden[: len(FEATURES)] + self.hidden[len(FEATURES) :]
        return _sigmoid(np.maximum(hidden + self.hidden_bias, 0) @ self.out + self.bias)


@dataclass
class TextClassifier:
    """A logistic regression for each category on the words and the embedding of a text.

    Parameters
    ----------
    backbone
        Features of items.
    weights, bias, thresholds
        float32 [n_features, n_categories], [n_categories], [n_categories]
    """

    backbone: JoinedFeatures
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    thresholds: NDArray[np.float32]

    @classmethod
    def load(cls, path: Path, encoder: Encoder, codes: Sequence[str]) -> TextClassifier:
        """The classifier in a file, for these categories, with its lexical features beside it.

        Raises
        ------
        ConfigError
            A file cannot be read.
        """
        about, arrays = read_tensors(path)
        fitted = _codes(about, path)
        features = text_features(LexicalFeatures.load(path.with_name(LEXICAL_FILE)), encoder)
        n = len(fitted)
        expected = {"weights": (features.width, n), "bias": (n,), "thresholds": (n,)}
        _check_shapes(arrays, expected, path)
        places, known = _places(fitted, codes)
        return cls(
            features,
            np.where(known, arrays["weights"][:, places], 0).astype(np.float32),
            np.where(known, arrays["bias"][places], 0).astype(np.float32),
            np.where(known, arrays["thresholds"][places], NEVER).astype(np.float32),
        )

    def probabilities(
        self, batch: Batch, features: FacetFeatures, bases: Sequence[str]
    ) -> NDArray[np.float32]:
        """See `CategoryClassifier.probabilities`; columns of items may be called anything."""
        return self.of([Item({"text": item.text}) for item in batch.items])

    def of(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """float32 [n_items, n_categories]"""
        return _sigmoid(np.asarray(self.backbone.rows(items) @ self.weights + self.bias))


def shipped_network() -> Path:
    """The file of the network that ships."""
    return Path(str(resources.files("cascade.foodex2") / "data" / SHIPPED_NETWORK))


def text_features(lexical: LexicalFeatures, encoder: Encoder) -> JoinedFeatures:
    """What the text classifier reads: words and characters, and the embedding of the text."""
    return JoinedFeatures([lexical, SentenceFeatures(encoder, ["text"], MAX_CHARS)])


class LLMClassifier:
    """A language model that names one category that a text tells about, or that it tells nothing.

    The probability of a category is that of its name among all answers. A model that was tuned
    shares it among the categories that are told: of three each has a third.

    Parameters
    ----------
    template
        Shows the categories that may be chosen, where its prompt has them.
    allowed
        bool [n_categories], those that may be chosen.
    threshold
        Least probability at which a category is taken.
    generates
        Whether the model writes a list of categories under a grammar, for engines that cannot
        score: what it writes has the probability 1, any other 0.
    contexts
        Characters of what a category tells.
    fallback
        Answers where the model failed; without it these items have no category.
    weight
        Of the model's log-odds beside those of the fallback; None takes the model alone.
    """

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        engine: Engine,
        template: PromptTemplate,
        allowed: NDArray[np.bool_],
        *,
        threshold: float = SHARE,
        generates: bool = False,
        contexts: int = CONTEXT,
        fallback: CategoryClassifier | None = None,
        weight: float | None = None,
        max_chars: int = 200,
    ) -> None:
        self._fallback, self._generates = fallback, generates
        self._weight = weight if fallback is not None else None
        self._taxonomy = taxonomy
        self._engine = engine
        self._allowed = np.flatnonzero(allowed)
        categories = list(taxonomy.categories.values())
        own = [categories[at] for at in self._allowed]
        self._template = template.given(categories=shown_categories(own, contexts))
        self._names = category_names(own)
        self._max_chars = max_chars
        self.thresholds = np.where(allowed, threshold, NEVER).astype(np.float32)

    def probabilities(
        self, batch: Batch, features: FacetFeatures, bases: Sequence[str]
    ) -> NDArray[np.float32]:
        """See `CategoryClassifier.probabilities`; failures are noted in `batch.failures`."""
        told = self.of(batch.items, bases)
        out = np.zeros((len(batch), len(self.thresholds)), dtype=np.float32)
        for row, own in enumerate(told):
            if isinstance(own, EngineError):
                batch.failures.setdefault(row, own)
            else:
                out[row, self._allowed] = own
        failed = [row for row, own in enumerate(told) if isinstance(own, EngineError)]
        if self._fallback is not None and (failed or self._weight is not None):
            likely = self._fallback.probabilities(batch, features, bases)
            if self._weight is not None:
                out = beside(likely, out, self._weight)
                out[:, self.thresholds >= NEVER] = 0
            out[failed] = (likely >= self._fallback.thresholds)[failed]
        return out

    def of(
        self, items: Sequence[Item], bases: Sequence[str]
    ) -> Sequence[NDArray[np.floating[Any]] | EngineError]:
        """The probability of each category that is allowed, given the codes of base terms."""
        names = self._names
        questions = [
            category_question(
                self._template,
                one_line_text(item, self._max_chars),
                self._taxonomy.names[self._taxonomy.index(base)] if base else "",
                names,
            )
            for item, base in zip(items, bases, strict=True)
        ]
        try:
            if self._generates:
                lead = self._template.head.answer.lead
                prompts = [question.prompt for question in questions]
                lists = self._engine.choose_several(prompts, names, lead)
                return [
                    own
                    if isinstance(own, EngineError)
                    else np.isin(np.arange(len(names)), own) * 1.0
                    for own in lists
                ]
            found = self._engine.score(questions, "local")
        except EngineError as error:
            return [error] * len(questions)
        return [own if isinstance(own, EngineError) else np.exp(own[:-1]) for own in found]


def beside(
    likely: NDArray[np.floating[Any]], told: NDArray[np.floating[Any]], weight: float
) -> NDArray[np.float32]:
    """Probabilities by the sum of log-odds, of which `told` has a weight; of any one shape."""
    sure = np.float32(1e-6)
    odds = [np.clip(p, sure, 1 - sure) for p in (likely, told)]
    logits = [np.log(p) - np.log1p(-p) for p in odds]
    return _sigmoid(np.asarray(logits[0] + weight * logits[1], np.float32))


def _places(
    fitted: Sequence[str], codes: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each code is among the fitted ones, and whether it is there at all."""
    places = np.array([fitted.index(c) if c in fitted else -1 for c in codes], dtype=np.int64)
    return places, places >= 0


def _codes(about: Mapping[str, Any], path: Path) -> list[str]:
    """The categories that a file was fitted to.

    Raises
    ------
    ConfigError
        It names none, or something else.
    """
    codes = about.get("codes")
    if not isinstance(codes, list) or not codes or not all(isinstance(c, str) for c in codes):
        raise ConfigError(f"{path}: names no categories; fit it again")
    return codes


def _check_shapes(
    arrays: Mapping[str, NDArray[Any]], expected: Mapping[str, tuple[int, ...]], path: Path
) -> None:
    """Raise ConfigError unless the arrays are there and have these shapes."""
    for name, shape in expected.items():
        found = arrays[name].shape if name in arrays else None
        if found != shape:
            raise ConfigError(
                f"{path}: {name} has the shape {found}, expected {shape}; fit it again"
            )


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)
