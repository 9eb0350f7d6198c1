"""What it is worth to have a person look at a row, for the queue `value`.

A decision teaches most where the answer is in doubt, where many other rows are like it, and where
none of its kind has been looked at. The first two are information density (Settles and Craven 2008,
"An Analysis of Active Learning Strategies for Sequence Labeling Tasks", equation 11): doubt times
the mean similarity to all rows. The third is a discount by the row's place among those with the
same answer, so that the queue goes through all of the tree before it asks twice in one place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

READ = 400  # characters of a row
FEATURES = 1 << 18
LEAST_DOUBT = 0.01  # of answers that are sure: rows that are like many others come first


def worth(
    texts: Sequence[str], doubt: NDArray[np.float64], nodes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The value of each row, float64 [n_rows]; the greater the earlier.

    Parameters
    ----------
    texts
        What the rows say.
    doubt
        float64 [n_rows], the probability that the answer is wrong; negative where a row cannot be
        judged at all, which keeps its value negative.
    nodes
        int64 [n_rows], the answers; -1 where there is none.
    """
    value = np.maximum(doubt, LEAST_DOUBT) * density([text[:READ] for text in texts])
    value /= 1.0 + _places(value, nodes)
    return np.where(doubt < 0, doubt, value)


def density(texts: Sequence[str]) -> NDArray[np.float64]:
    """Mean cosine of each text with all of them, float64 [n], by words weighted with TF-IDF.

    Of unit vectors x_i the mean of x_i . x_j over all j is x_i . mean(x), so all pairs take no more
    than one pass.
    """
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    counts = HashingVectorizer(
        n_features=FEATURES, norm=None, alternate_sign=False, token_pattern=r"\w+"
    ).transform(texts)
    vectors = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    return np.asarray(vectors @ np.asarray(vectors.mean(axis=0)).ravel(), dtype=np.float64)


def _places(value: NDArray[np.float64], nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [n], how many rows with the same node have a greater value."""
    order = np.lexsort((-value, nodes))
    sorted_nodes = nodes[order]
    first = np.flatnonzero(np.r_[True, sorted_nodes[1:] != sorted_nodes[:-1]])
    sizes = np.diff(np.r_[first, len(nodes)])
    places = np.empty(len(nodes), np.int64)
    places[order] = np.arange(len(nodes)) - np.repeat(first, sizes)
    return places
