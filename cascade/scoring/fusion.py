"""Fusion: a log-linear combination (product of experts) of other scorers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError
from cascade.items import Batch, Choices, Item
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy

Weight = float | Sequence[float]


class FusionScorer(Scorer):
    """`log p(c) = sum_s w_s log p_s(c)`, normalised over the candidates of a question.

    A scorer whose weight at a level is zero is not asked there, nor about items that have nothing
    that it can judge them by. Where none that has a weight can see an item, those that can have a
    weight of one; where nobody can, all candidates are as likely.

    Parameters
    ----------
    scorers
        What is combined.
    weights
        For each scorer one weight, or one for each level from the top, of which the last holds
        for all levels below; not negative, and at every level one above zero.
    taxonomy
        Tells the level of a question.
    without_text, without_picture
        Weights for items that have only a picture, and only text, in place of `weights`.

    Raises
    ------
    ConfigError
        Weights that are negative, all zero or not one for each scorer.
    """

    def __init__(
        self,
        scorers: Sequence[Scorer],
        weights: Sequence[Weight],
        taxonomy: Taxonomy,
        without_text: Sequence[Weight] | None = None,
        without_picture: Sequence[Weight] | None = None,
    ) -> None:
        self._scorers = list(scorers)
        for given in (weights, without_text, without_picture):
            if given is not None and len(self._scorers) != len(given):
                raise ConfigError(
                    f"{len(self._scorers)} scorers but {len(given)} weights; expected one each"
                )
        self._weights = _by_level(weights, taxonomy.depth)
        self._mute = None if without_text is None else _by_level(without_text, taxonomy.depth)
        self._blind = (
            None if without_picture is None else _by_level(without_picture, taxonomy.depth)
        )
        self._level = taxonomy.level
        self.reads_text = any(scorer.reads_text for scorer in self._scorers)
        self.reads_pictures = any(scorer.reads_pictures for scorer in self._scorers)
        tables = [t for t in (self._weights, self._mute, self._blind) if t is not None]
        used = np.any([table.any(axis=1) for table in tables], axis=0)
        self.name = "+".join(s.name for s, u in zip(scorers, used, strict=True) if u)

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate; see `Scorer.score`."""
        return self.score_parts(batch, choices)[self.name]

    def score_parts(self, batch: Batch, choices: Choices) -> dict[str, NDArray[np.float64]]:
        """The combination first, then each scorer's own log-probabilities (NaN where not asked)."""
        parts: dict[str, NDArray[np.float64]] = {}
        total = np.zeros(len(choices.nodes))
        above = np.where(choices.parents < 0, 0, self._level[choices.parents])
        for scorer, weight in zip(
            self._scorers, self._weights_of(batch, choices, above), strict=True
        ):
            asked, member = choices.subset(weight > 0)
            if len(asked):
                for name, values in scorer.score_parts(batch, asked).items():
                    parts.setdefault(name, np.full(len(total), np.nan))[member] = values
                total[member] += weight[choices.question[member]] * parts[scorer.name][member]
        parts.pop(self.name, None)  # one scorer alone has the same name
        return {self.name: choices.log_softmax(total), **parts}

    def _weights_of(
        self, batch: Batch, choices: Choices, above: NDArray[np.int_]
    ) -> NDArray[np.float64]:
        """float64 [n_scorers, n_questions], none for what a scorer cannot see."""
        found = self._weights[:, above]
        for other, lacks in (
            (self._mute, [not item.has_text for item in batch.items]),
            (self._blind, [item.image is None for item in batch.items]),
        ):
            if other is not None:
                found = np.where(np.array(lacks)[choices.rows], other[:, above], found)
        if not self.reads_pictures:  # an item without text is not asked about
            return found
        seen = batch.once((self, "seen"), self._seen)[:, choices.rows]
        found = np.where(seen, found, 0.0)
        return np.where(found.any(axis=0), found, seen.astype(np.float64))

    def _seen(self, items: Sequence[Item]) -> NDArray[np.bool_]:
        """bool [n_scorers, n_items], who has something to judge which item by."""
        return np.array([[s.sees(item) for item in items] for s in self._scorers], dtype=bool)


def _by_level(weights: Sequence[Weight], depth: int) -> NDArray[np.float64]:
    """Float64 [n_scorers, depth], the weight of each scorer at each level."""
    rows = []
    for weight in weights:
        given = list(weight) if isinstance(weight, Sequence) else [weight]
        rows.append((given + given[-1:] * depth)[:depth] if given else [0.0] * depth)
    table = np.array(rows, dtype=np.float64).reshape(len(rows), depth)
    if not (table >= 0).all() or not table.any(axis=0).all():
        raise ConfigError(
            f"fusion weights {list(weights)}: expected none below 0, and at every level one above"
        )
    return table
