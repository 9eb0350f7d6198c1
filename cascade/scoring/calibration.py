"""Fitting how much each scorer counts, on held-out questions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEAST = -30.0  # log-probability below which nothing is told apart
RIDGE = 1e-3  # pull of the weights towards equal shares, so that few rows give no wild ones


def fit_log_linear(
    logprobs: Sequence[NDArray[np.float64]], offsets: NDArray[np.int64], gold: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Weights of `sum_s w_s log p_s`, none negative, that make the known answers likeliest.

    Minimises the mean negative log-likelihood of the softmax inside each question, which is
    convex, with L-BFGS-B (Byrd et al. 1995).

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
    from scipy.optimize import minimize

    said = np.maximum(np.stack(logprobs, axis=1), LEAST)
    starts, n = offsets[:-1], len(gold)
    question = np.repeat(np.arange(n), np.diff(offsets))
    right = said[starts + gold]
    even = np.full(said.shape[1], 1 / said.shape[1])

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total = said @ weights
        total -= np.maximum.reduceat(total, starts)[question]
        shares = np.exp(total)
        sums = np.add.reduceat(shares, starts)
        shares /= sums[question]
        expected = np.add.reduceat(shares[:, None] * said, starts, axis=0)
        value = np.log(sums).mean() - total[starts + gold].mean()
        pull = weights - even
        slope = (expected - right).mean(axis=0) + 2 * RIDGE * pull
        return float(value + RIDGE * pull @ pull), slope

    found = minimize(loss, even, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(even))
    return np.asarray(found.x, dtype=np.float64)
