"""Fusion: log-linear pooling (a product of experts) of several scorers, and fitting its weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError
from cascade.items import Batch, Choices, Item
from cascade.scoring.scorer import NodeProbabilityScorer, Scorer
from cascade.taxonomy import Taxonomy

Weight = float | Sequence[float]
"""The weight of a scorer: one for all levels, or one for each level from the top."""

LEAST = -30.0  # log-probabilities below this are taken for this
SHARE_RIDGE = 0.1  # regularisation of shares towards equal ones
TEMPERATURE_RIDGE = 1e-3  # regularisation of inverse temperatures towards 1


class FusionScorer(Scorer):
    """`log p(c) = sum_s w_s log p_s(c)`, normalised over the candidates of a question.

    The weights need not sum to one. `w_s` is the share of scorer s times its inverse temperature
    (see `fit_fusion_weights`): with all weights doubled the candidates keep their order, and the
    likeliest becomes more likely.

    A scorer is asked only at levels where its weight is not zero, and only about items that have
    the text or picture that it reads. Where no scorer with a weight can read an item, those that
    can read it have weight 1; where none can, all candidates are equally likely.

    Parameters
    ----------
    scorers
        What is combined.
    weights
        For each scorer one weight, or one for each level from the top, the last of which also holds
        for all levels below. None is negative, and at every level one is above zero.
    taxonomy
        What is classified under.
    without_text, without_picture
        Weights for items without text, and for items without a picture, in place of `weights`.

    Raises
    ------
    ConfigError
        Weights that are negative, all zero at a level, or not one for each scorer.
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
        self._level = taxonomy.level

        def table(given: Sequence[Weight]) -> NDArray[np.float64]:
            return _weight_table(given, len(self._scorers), taxonomy.depth)

        self._weights = table(weights)
        self._without_text = None if without_text is None else table(without_text)
        self._without_picture = None if without_picture is None else table(without_picture)
        self.reads_text = any(scorer.reads_text for scorer in self._scorers)
        self.reads_pictures = any(scorer.reads_pictures for scorer in self._scorers)
        self.wants_narrowing = any(s.wants_narrowing for s in self._scorers)
        self.reads_candidate_order = any(s.reads_candidate_order for s in self._scorers)
        tables = (self._weights, self._without_text, self._without_picture)
        used = np.any([own.any(axis=1) for own in tables if own is not None], axis=0)
        self.name = "+".join(s.name for s, u in zip(scorers, used, strict=True) if u)

    @property
    def knows_all_nodes(self) -> bool:
        """Whether each scorer has the probability of every node at once."""
        return all(isinstance(scorer, NodeProbabilityScorer) for scorer in self._scorers)

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate; see `Scorer.score`."""
        return self.score_parts(batch, choices)[self.name]

    def score_parts(self, batch: Batch, choices: Choices) -> dict[str, NDArray[np.float64]]:
        """The combination first, then each scorer's own log-probabilities (NaN where not asked)."""
        parts: dict[str, NDArray[np.float64]] = {}
        total = np.zeros(len(choices.nodes))
        for scorer, weight in zip(
            self._scorers, self._question_weights(batch, choices), strict=True
        ):
            asked, member = choices.subset(weight > 0)
            if len(asked):
                for name, values in scorer.score_parts(batch, asked).items():
                    parts.setdefault(name, np.full(len(total), np.nan))[member] = values
                total[member] += weight[choices.question[member]] * parts[scorer.name][member]
        parts.pop(self.name, None)  # one scorer alone has the same name
        return {self.name: choices.log_softmax(total), **parts}

    def _question_weights(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """float64 [n_scorers, n_questions], the weight of each scorer for each question.

        First by the level of the question and by what its item has, text or picture or both; then
        zero for scorers that cannot read the item; and where that leaves none, 1 for all that can.
        """
        level = np.where(choices.parents < 0, 0, self._level[choices.parents])
        weights = self._weights[:, level]
        if self._without_text is not None:
            has_text = np.array([item.has_text for item in batch.items])[choices.rows]
            weights = np.where(has_text, weights, self._without_text[:, level])
        if self._without_picture is not None:
            has_picture = np.array([item.image is not None for item in batch.items])[choices.rows]
            weights = np.where(has_picture, weights, self._without_picture[:, level])
        if not self.reads_pictures:  # then all items have text, which all scorers read
            return weights
        readable = batch.once((self, "readable"), self._readable)[:, choices.rows]
        weights = np.where(readable, weights, 0.0)
        return np.where(weights.any(axis=0), weights, readable.astype(np.float64))

    def _readable(self, items: Sequence[Item]) -> NDArray[np.bool_]:
        """bool [n_scorers, n_items], whether a scorer can read an item."""
        return np.array([[s.can_read(item) for item in items] for s in self._scorers], dtype=bool)


def _weight_table(weights: Sequence[Weight], n_scorers: int, depth: int) -> NDArray[np.float64]:
    """float64 [n_scorers, depth], the weight of each scorer at each level."""
    if len(weights) != n_scorers:
        raise ConfigError(f"{n_scorers} scorers but {len(weights)} weights; expected one each")
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


def fit_fusion_weights(
    logprobs: Sequence[NDArray[np.float64]], offsets: NDArray[np.int64], gold: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The weights `w_s` of `FusionScorer` that make known answers likely, none negative.

    `w_s = share_s / temperature_s`. First each scorer alone gets the inverse temperature that makes
    the answers likeliest. Then the shares of the scorers so tempered are fitted together and pulled
    towards equal ones: scorers agree on much, so the likeliest shares of few rows are poor ones.

    Parameters
    ----------
    logprobs
        For each scorer float64 [n_candidates].
    offsets
        int64 [n_questions + 1], as in `Choices`.
    gold
        int64 [n_questions], place of the right candidate inside its question.

    Returns
    -------
    float64 [n_scorers]
    """
    scores = np.maximum(np.stack(logprobs, axis=1), LEAST)
    inverse_temperature = np.array(
        [
            _fit_log_linear(scores[:, [s]], offsets, gold, TEMPERATURE_RIDGE)[0]
            for s in range(len(logprobs))
        ]
    )
    if len(logprobs) == 1:
        return inverse_temperature
    share = _fit_log_linear(scores * inverse_temperature, offsets, gold, SHARE_RIDGE)
    return inverse_temperature * share


def _fit_log_linear(
    scores: NDArray[np.float64], offsets: NDArray[np.int64], gold: NDArray[np.int64], ridge: float
) -> NDArray[np.float64]:
    """Weights w of the columns of `scores` [n_candidates, n_scorers].

    Minimises the mean negative log-likelihood of `softmax(scores @ w)` inside each question plus
    `ridge |w - 1/n_scorers|^2`, which is convex, with L-BFGS-B (Byrd et al. 1995).
    """
    from scipy.optimize import minimize

    starts, n = offsets[:-1], len(gold)
    question = np.repeat(np.arange(n), np.diff(offsets))
    gold_scores = scores[starts + gold]
    even = np.full(scores.shape[1], 1 / scores.shape[1])

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = scores @ weights
        logits -= np.maximum.reduceat(logits, starts)[question]
        p = np.exp(logits)
        sums = np.add.reduceat(p, starts)
        p /= sums[question]
        expected_scores = np.add.reduceat(p[:, None] * scores, starts, axis=0)
        nll = np.log(sums).mean() - logits[starts + gold].mean()
        pull = weights - even
        gradient = (expected_scores - gold_scores).mean(axis=0) + 2 * ridge * pull
        return float(nll + ridge * pull @ pull), gradient

    found = minimize(loss, even, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(even))
    return np.asarray(found.x, dtype=np.float64)
