"""How right an encoder is without a label: the nearest node of rows, under several texts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.hierarchical_f1 import exact_match, hf1_micro
from cascade.models.sentence_encoder import SentenceEncoder
from cascade.training.encoders.sets import EncoderSet

READ = ("leaf", "path")


@dataclass(frozen=True)
class Figures:
    """For each way to answer parts and wholes of hF1 and of exact answers, float64 [4]."""

    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def __add__(self, other: Figures) -> Figures:
        forms = {**self.sums, **other.sums}
        zero = np.zeros(4)
        return Figures({f: self.sums.get(f, zero) + other.sums.get(f, zero) for f in forms})

    def rounded(self) -> dict[str, list[float]]:
        """hF1 and exact of each way."""
        return {
            form: [round(float(s[0] / s[1]), 4), round(float(s[2] / s[3]), 4)]
            for form, s in self.sums.items()
            if s[1]
        }


def drawn_rows(chosen: EncoderSet, most: int, seed: int) -> EncoderSet:
    """The set with at most so many of its rows."""
    rows = np.sort(np.random.default_rng((seed, 3)).permutation(len(chosen))[:most])
    texts = [chosen.texts[row] for row in rows.tolist()]
    return dataclasses.replace(chosen, texts=texts, nodes=chosen.nodes[rows])


def nearest_nodes(chosen: EncoderSet, encoder: SentenceEncoder) -> Figures:
    """Figures of the nearest node: each by its name, by its path, and by the mean of both.

    Nodes that can be answered are the leaves, and what rows are labelled with.
    """
    rng = np.random.default_rng(0)
    answers = chosen.answers
    items = encoder.encode(chosen.texts)
    similar = {
        form: items
        @ encoder.encode([chosen.forms.text(int(node), form, rng) for node in answers]).T
        for form in READ
    }
    similar["mean"] = np.mean([similar[form] for form in READ], axis=0)
    return Figures(
        {form: counted(chosen, answers[values.argmax(axis=1)]) for form, values in similar.items()}
    )


def counted(part: EncoderSet, chosen: NDArray[np.int32]) -> NDArray[np.float64]:
    """Part and whole of hF1, and of exact answers, float64 [4]."""
    found = GoldAndPredicted.of(part.taxonomy, chosen, part.nodes)
    hf1, exact = hf1_micro(found), exact_match(found)
    return np.array([hf1.part.sum(), hf1.whole.sum(), exact.part.sum(), exact.whole.sum()])
