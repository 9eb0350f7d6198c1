"""Zero-shot inference (`nli.model`): how surely the item entails `This product is about ...`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cascade.errors import WeightsError
from cascade.items import Batch, Choices
from cascade.models.classifiers import is_gliclass
from cascade.models.weights import find_weights
from cascade.scoring.cross_encoder import CrossEncoder, Tokens
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import readable_name

if TYPE_CHECKING:
    from cascade.scoring.components import Components


class NLIScorer(Scorer):
    """How strongly the item entails `This product is about NAME.`, against the other names.

    `p(candidate) = softmax over the candidates of the logit of entailment`, the item being the
    premise (Yin, Hay and Roth, arXiv 1909.00161; the zero-shot pipeline of transformers with one
    label that is true).

    Parameters
    ----------
    model
        A model of natural language inference.
    taxonomy
        Whose names are claimed of the item.
    hypothesis
        The claim; `{name}` stands for the name.
    max_chars
        Characters of an item that are read.

    Raises
    ------
    WeightsError
        The model has no label for entailment.
    """

    name = "nli"

    def __init__(
        self,
        model: CrossEncoder,
        taxonomy: Taxonomy,
        hypothesis: str = "This text is about {name}.",
        *,
        max_chars: int = 1000,
    ) -> None:
        self._model = model
        self._names = taxonomy.names
        self._template = hypothesis
        self._max_chars = max_chars
        self._entailment = _entailment(model)
        self._hypothesis = lru_cache(maxsize=65_536)(self._claim)

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate; see `Scorer.score`."""
        premises = batch.once(
            (self, "premises"),
            lambda items: [self._model.tokens(item.text[: self._max_chars]) for item in items],
        )
        rows = choices.rows[choices.question].tolist()
        pairs = [
            (premises[row], self._hypothesis(node))
            for row, node in zip(rows, choices.nodes.tolist(), strict=True)
        ]
        return choices.log_softmax(self._model.logits(pairs)[:, self._entailment])

    def _claim(self, node: int) -> Tokens:
        return self._model.tokens(
            self._template.replace("{name}", readable_name(self._names[node]))
        )


def _entailment(model: CrossEncoder) -> int:
    """The output of a model that stands for entailment, by its label."""
    for position, label in enumerate(model.labels):
        if label.casefold().startswith("entail"):
            return position
    raise WeightsError(
        f"the model {model.name!r} has the labels {', '.join(model.labels)}; expected one that is "
        "called entailment: name a model of natural language inference in nli.model"
    )


def make(components: Components) -> Scorer:
    """The configured model of natural language inference, or of GLiClass."""
    config = components.config.nli
    weights = find_weights(config.model, allow_download=components.config.allow_download)
    if is_gliclass(weights.path):
        from cascade.scoring.gliclass import GLiClassScorer, LabelReader

        reader = LabelReader.load(
            weights,
            device=config.device,
            precision=config.precision,
            batch_tokens=config.batch_tokens,
        )
        return GLiClassScorer(reader, components.taxonomy, max_chars=config.max_chars)
    return NLIScorer(
        components.cross_encoder(config),
        components.taxonomy,
        config.hypothesis.replace("{kind}", components.config.item_kind),
        max_chars=config.max_chars,
    )
