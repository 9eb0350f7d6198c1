"""Linear models that start from what is known: choices among candidates, and many yes or no."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def fit_choices(
    features: Sequence[NDArray[np.floating[Any]]],
    right: Sequence[int],
    start: Sequence[float],
    *,
    signs: Sequence[int] = (),
    ridge: float = 1.0,
) -> NDArray[np.float32]:
    """Weights by which the right candidate of each choice is likeliest: a conditional logit.

    Minimises the negative log-likelihood (McFadden 1974) and `ridge / 2` times the squared distance
    from `start`, so that few choices stay near to it.

    Parameters
    ----------
    features
        Of each choice, float [n_candidates, n_features].
    right
        The place of the right candidate of each.
    signs
        Of weights that may not be below 0 (1) or above it (-1); 0 for any.

    Returns
    -------
    float32 [n_features]
    """
    from scipy.optimize import minimize

    first = np.asarray(start, dtype=np.float64)
    if not features:
        return first.astype(np.float32)
    starts = np.concatenate([[0], np.cumsum([len(own) for own in features])[:-1]])
    rows = np.concatenate(features).astype(np.float64)
    sizes = np.array([len(own) for own in features])
    wanted = rows[starts + np.asarray(right)]

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = rows @ weights
        top = np.maximum.reduceat(scores, starts)
        shares = np.exp(scores - np.repeat(top, sizes))
        total = np.add.reduceat(shares, starts)
        shares /= np.repeat(total, sizes)
        value = (np.log(total) + top).sum() - (wanted @ weights).sum()
        apart = weights - first
        gradient = rows.T @ shares - wanted.sum(axis=0) + ridge * apart
        return float(value + ridge / 2 * apart @ apart), gradient

    limits = {1: (0, None), -1: (None, 0), 0: (None, None)}
    bounds = [limits[sign] for sign in signs or [0] * len(first)]
    options = {"maxiter": 500}
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(found.x, dtype=np.float32)


def fit_many(
    dense: NDArray[np.floating[Any]],
    sparse: Any,
    labels: NDArray[np.bool_],
    start: Sequence[float],
    *,
    ridge: tuple[float, float, float] = (0.1, 3.0, 1.0),
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """A logistic regression for each label, whose dense weights are near to common ones.

    Parameters
    ----------
    dense
        float [n_rows, n_labels, n_features]
    sparse
        float [n_rows, width], a sparse matrix that all labels share.
    labels
        bool [n_rows, n_labels]
    start
        What the common weights are near to.
    ridge
        Of the common weights' distance from `start`; of each label's distance from the common ones,
        and its bias; of the weights of `sparse`.

    Returns
    -------
    float32 [n_features, n_labels], [width, n_labels], and [n_labels] (the biases)
    """
    from scipy.optimize import minimize

    first = np.asarray(start, dtype=np.float64)
    _, n_labels, n_features = dense.shape
    width = sparse.shape[1]
    across = np.ascontiguousarray(dense.transpose(1, 0, 2), dtype=np.float64)
    wide = sparse.astype(np.float64).tocsr()
    turned = wide.T.tocsr()
    truth = labels.astype(np.float64)
    ends = np.cumsum([n_features, n_features * n_labels, n_labels, width * n_labels])

    def parts(values: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        common, own, bias, words = np.split(values, ends[:-1])
        return common, own.reshape(n_labels, n_features), bias, words.reshape(width, n_labels)

    def loss(values: Floats) -> tuple[float, Floats]:
        common, own, bias, words = parts(values)
        logits = np.einsum("cnf,cf->nc", across, common + own) + bias + wide @ words
        value = float(np.logaddexp(0, logits).sum() - (logits * truth).sum())
        error = 1 / (1 + np.exp(-logits)) - truth
        by_label = np.einsum("cnf,nc->cf", across, error)
        apart = common - first
        value += ridge[0] / 2 * float(apart @ apart)
        value += ridge[1] / 2 * float((own**2).sum() + 0.1 * (bias**2).sum())
        value += ridge[2] / 2 * float((words**2).sum())
        gradient = [
            by_label.sum(axis=0) + ridge[0] * apart,
            (by_label + ridge[1] * own).ravel(),
            error.sum(axis=0) + ridge[1] * 0.1 * bias,
            np.asarray(turned @ error + ridge[2] * words).ravel(),
        ]
        return value, np.concatenate(gradient)

    begin = np.concatenate([first, np.zeros(ends[-1] - n_features)])
    options = {"maxiter": 80, "maxcor": 6}
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options=options)
    common, own, bias, words = parts(found.x)
    return (
        (common + own).T.astype(np.float32),
        words.astype(np.float32),
        bias.astype(np.float32),
    )
