"""Zero-shot inference (`nli.model`): how surely the item entails `This KIND is about ...`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError, WeightsError
from cascade.items import Batch, Choices, as_text
from cascade.models.classifiers import is_gliclass, load_gliclass
from cascade.models.inspection import reading
from cascade.models.language_models import plain_text_tokenizer
from cascade.models.runtime import Precision, padded_batches, quiet_libraries
from cascade.models.weights import Weights, find_weights
from cascade.scoring.cross_encoder import CrossEncoder, Tokens
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import readable_name

if TYPE_CHECKING:
    from cascade.scoring.components import Components


LABEL, END_OF_LABELS = "<<LABEL>>", "<<SEP>>"
MOST_TOKENS = 1024  # that the library reads of a text with its labels

Ids = list[int]


class NLIScorer(Scorer):
    """How strongly the item entails `This text is about NAME.`, against the other names.

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


class LabelReader:
    """A GLiClass model over plain texts and labels, all labels of a text read in one pass.

    Its library (extra `gliclass`) holds the model. Its pipeline is not used: that takes markers of
    labels in a text for markers, and asks one question at a time.

    Parameters
    ----------
    model, tokenizer
        As `load_gliclass` gives them.
    name
        For messages.
    batch_tokens
        Most tokens in one forward pass, padding included; bounds memory.

    Raises
    ------
    WeightsError
        The tokenizer has not the markers of labels that the model was made for.
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str, batch_tokens: int = 4096) -> None:
        self.name = name
        self._model = model
        self._batch_tokens = batch_tokens
        self._tokenizer = plain_text_tokenizer(tokenizer)
        marks = [self._tokenizer.token_to_id(token) for token in (LABEL, END_OF_LABELS)]
        if None in marks or marks[0] != model.config.class_token_index:
            raise WeightsError(
                f"the tokenizer of {name!r} has no {LABEL} and {END_OF_LABELS} where the model "
                "expects them; copy its folder again"
            )
        self._label, self._end = marks
        self._pad = tokenizer.pad_token_id or 0  # hidden by the mask
        framed = self._tokenizer.encode("a")
        inside = [at for at, text in enumerate(framed.sequence_ids) if text is not None]
        self._before, self._after = framed.ids[: inside[0]], framed.ids[inside[-1] + 1 :]
        around = len(self._before) + len(self._after) + 1
        self._max_tokens = min(MOST_TOKENS, _positions(model, tokenizer)) - around

    @classmethod
    def load(
        cls, weights: Weights, *, device: str, precision: Precision, batch_tokens: int
    ) -> LabelReader:
        """The model of some weights; see `load_gliclass`."""
        model, tokenizer = load_gliclass(weights, device, precision)
        return cls(model, tokenizer, name=weights.name, batch_tokens=batch_tokens)

    def tokens(self, text: str) -> Ids:
        """The token ids of a text; markers in it are taken for the characters that they are."""
        spelled = as_text(text).replace("<<", "< <")
        with reading(self.name, "cannot read this text", EngineError):
            ids: Ids = self._tokenizer.encode(spelled, add_special_tokens=False).ids
        return ids

    def logits(
        self, texts: Sequence[Ids], labels: Sequence[Sequence[Ids]]
    ) -> list[NDArray[np.float32]]:
        """How well each label fits the text that it is asked of.

        Of a text that is too long beside its labels the end is left out. Where labels take more
        than half of what the model can read, they are asked in several passes.

        Parameters
        ----------
        texts
            Token ids of each text.
        labels
            For each text the token ids of its labels.

        Raises
        ------
        EngineError
            The model ran out of memory, or gave no numbers.
        """
        import torch

        parts = [(row, part) for row, own in enumerate(labels) for part in self._divided(own)]
        encoded = [self._joined(texts[row], part) for row, part in parts]
        found: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(parts)
        try:
            with torch.inference_mode(), quiet_libraries():
                lengths = np.array([len(ids) for ids in encoded], dtype=np.int64)
                for batch in padded_batches(lengths, self._batch_tokens):
                    places = batch.tolist()
                    counts = [len(parts[place][1]) for place in places]
                    out = self._forward([encoded[place] for place in places], max(counts))
                    for place, own, count in zip(places, out, counts, strict=True):
                        found[place] = own[:count]
        except (RuntimeError, IndexError) as error:
            problem = str(error).strip().splitlines()[0]
            raise EngineError(
                f"{self.name} failed: {problem}; lower its batch_tokens ({self._batch_tokens})"
            ) from error
        rows: list[list[NDArray[np.float32]]] = [[] for _ in texts]
        for (row, _), own in zip(parts, found, strict=True):
            rows[row].append(own)
        joined = [np.concatenate(own) for own in rows]
        if not all(np.isfinite(own).all() for own in joined):
            raise EngineError(
                f"{self.name} answered with numbers beyond its precision; set it to float32"
            )
        return joined

    def _divided(self, labels: Sequence[Ids]) -> list[list[Ids]]:
        """Labels in groups of as many as fit beside a text; no label is longer than that."""
        room, used = self._max_tokens // 2, 0
        groups: list[list[Ids]] = [[]]
        for label in labels:
            own = label[: room - 1]
            if groups[-1] and used + len(own) + 1 > room:
                groups.append([])
                used = 0
            groups[-1].append(own)
            used += len(own) + 1
        return groups

    def _joined(self, text: Ids, labels: Sequence[Ids]) -> Ids:
        """A text and labels as the model reads them."""
        asked = [token for label in labels for token in (self._label, *label)]
        text = text[: self._max_tokens - len(asked)]
        first = self._model.config.prompt_first
        inner = [*asked, self._end, *text] if first else [*text, *asked, self._end]
        return [*self._before, *inner, *self._after]

    def _forward(self, encoded: list[Ids], labels: int) -> NDArray[np.float32]:
        """float32 [n_texts, labels]; beyond a text's own labels they mean nothing."""
        import torch

        width = max(map(len, encoded))
        ids = np.full((len(encoded), width), self._pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, own in enumerate(encoded):
            ids[row, : len(own)] = own
            mask[row, : len(own)] = 1
        device = self._model.device
        out = self._model(
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(mask).to(device),
            max_num_classes=labels,
        )
        logits: NDArray[np.float32] = out.logits.float().cpu().numpy()
        return logits


class GLiClassScorer(Scorer):
    """How well the name of each candidate fits the item, of all candidates read together.

    `p(candidate) = softmax over the candidates of the model's logits`, as the library does for one
    label that is true.

    Parameters
    ----------
    max_chars
        Characters of an item that are read.
    """

    name = "nli"

    def __init__(self, model: LabelReader, taxonomy: Taxonomy, *, max_chars: int = 1000) -> None:
        self._model = model
        self._names = taxonomy.names
        self._max_chars = max_chars
        self._label = lru_cache(maxsize=65_536)(self._tokens_of)

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate; see `Scorer.score`."""
        texts = batch.once(
            (self, "texts"),
            lambda items: [self._model.tokens(item.text[: self._max_chars]) for item in items],
        )
        spans = zip(choices.offsets[:-1].tolist(), choices.offsets[1:].tolist(), strict=True)
        labels = [[self._label(node) for node in choices.nodes[a:b].tolist()] for a, b in spans]
        asked = [texts[row] for row in choices.rows.tolist()]
        found = self._model.logits(asked, labels)
        flat = np.concatenate(found) if found else np.empty(0, np.float32)
        return choices.log_softmax(flat)

    def _tokens_of(self, node: int) -> Ids:
        return self._model.tokens(readable_name(self._names[node]))


def _positions(model: Any, tokenizer: Any) -> int:
    """Tokens that the model can read; one with relative positions reads any number."""
    encoder = model.config.encoder_config
    found = getattr(encoder, "max_position_embeddings", 0)
    if not found or not getattr(encoder, "position_biased_input", True):
        return MOST_TOKENS
    return int(min(found, tokenizer.model_max_length))


def make(components: Components) -> Scorer:
    """The configured model of natural language inference, or of GLiClass."""
    config = components.config.nli
    weights = find_weights(config.model, allow_download=components.config.allow_download)
    if is_gliclass(weights.path):
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
