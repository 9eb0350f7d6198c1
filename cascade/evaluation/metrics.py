"""Metrics of predicted against gold nodes; each name tells how rows and classes are averaged.

A metric is a function of `Answers` and of `weights`, float64 [n_rows, n_samples], which say how
often each row counts in each of several samples. Weights of one give the figure itself and
resampled ones its bootstrap, so that both are the same few lines of arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cascade.errors import UsageError
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    import scipy.sparse

Floats = NDArray[np.float64]
Metric = Callable[[Floats], Floats]
"""From weights [n_rows, n_samples] to one value for each sample."""


@dataclass(frozen=True)
class Answers:
    """Predicted and gold nodes as their paths; make one with `of`.

    Parameters
    ----------
    predicted, gold
        int32 [n_rows, depth], the node at each level from the top, -1 below the end of a path;
        a row without a prediction is -1 throughout.
    """

    predicted: NDArray[np.int32]
    gold: NDArray[np.int32]

    @classmethod
    def of(cls, taxonomy: Taxonomy, predicted: ArrayLike, gold: ArrayLike) -> Answers:
        """Answers from node indices.

        Parameters
        ----------
        predicted
            int [n_rows], indices of nodes, -1 where there is no prediction.
        gold
            int [n_rows], indices of nodes.

        Raises
        ------
        UsageError
            There are no rows, the lengths differ, or a value is no index of a node.
        """
        found = _indices("predicted", predicted, -1, len(taxonomy))
        known = _indices("gold", gold, 0, len(taxonomy))
        if len(found) != len(known):
            raise UsageError(
                f"{len(found):,} predicted nodes for {len(known):,} gold nodes; give one for each "
                "row, -1 where there is no prediction"
            )
        paths = _paths(taxonomy)
        return cls(paths[found], paths[known])

    def __len__(self) -> int:
        return len(self.gold)

    @cached_property
    def depth(self) -> int:
        """The deepest level that a gold node has."""
        return int((self.gold >= 0).any(axis=0).sum())

    @cached_property
    def shared(self) -> Floats:
        """float64 [n_rows], nodes that the predicted and the gold path have in common."""
        return _sizes((self.predicted == self.gold) & (self.gold >= 0))


def hp_micro(answers: Answers, weights: Floats) -> Floats:
    """Hierarchical precision, pooled over rows: sum |P & G| / sum |P|.

    P and G are the ancestors-or-self of the predicted and of the gold node. The root above the
    top, which every node shares, does not count (Kiritchenko, Matwin, Nock and Famili 2006,
    "Learning and Evaluation in the Presence of Class Hierarchies"; Silla and Freitas 2011, "A
    survey of hierarchical classification"). 0 where nothing is predicted.

    Parameters
    ----------
    weights
        float64 [n_rows, n_samples], as for all metrics here.

    Returns
    -------
    float64 [n_samples], as for all metrics here.
    """
    return _ratio(answers.shared @ weights, _sizes(answers.predicted >= 0) @ weights, empty=0.0)


def hr_micro(answers: Answers, weights: Floats) -> Floats:
    """Hierarchical recall, pooled over rows: sum |P & G| / sum |G|; see `hp_micro`."""
    return _ratio(answers.shared @ weights, _sizes(answers.gold >= 0) @ weights)


def hf1_micro(answers: Answers, weights: Floats) -> Floats:
    """Harmonic mean of `hp_micro` and `hr_micro`: 2 sum |P & G| / (sum |P| + sum |G|)."""
    sizes = _sizes(answers.predicted >= 0) + _sizes(answers.gold >= 0)
    return _ratio(2 * (answers.shared @ weights), sizes @ weights)


def exact_match(answers: Answers, weights: Floats) -> Floats:
    """Share of rows whose predicted node is the gold node, neither above nor below it."""
    same = (answers.predicted == answers.gold).all(axis=1).astype(np.float64)
    return _ratio(same @ weights, weights.sum(axis=0))


def accuracy(answers: Answers, weights: Floats, *, level: int) -> Floats:
    """Share of rows whose predicted path has the gold node at `level`: `accuracy_l{level}`.

    Rows whose gold path is shallower are dropped; a predicted path that is shallower is a miss.
    Undefined (nan) for a sample without rows that deep.
    """
    known = answers.gold[:, level - 1] >= 0
    right = known & (answers.predicted[:, level - 1] == answers.gold[:, level - 1])
    return _ratio(right.astype(np.float64) @ weights, known.astype(np.float64) @ weights)


def f1_weighted(answers: Answers, weights: Floats, *, level: int) -> Floats:
    """F1 of each class at `level`, averaged by gold support: `f1_weighted_l{level}`.

    sum_c s_c F1_c / sum_c s_c with F1_c = 2 tp_c / (s_c + p_c), where class c is the gold of s_c
    rows, predicted for p_c and both for tp_c, as `sklearn.metrics.f1_score(average="weighted")`.
    Rows whose gold path is shallower are dropped. A predicted path that is shallower counts as a
    class of its own, which is never gold and so has no weight. Undefined (nan) for a sample
    without rows that deep.
    """
    rows = np.flatnonzero(answers.gold[:, level - 1] >= 0)
    classes, gold = np.unique(answers.gold[rows, level - 1], return_inverse=True)
    nodes = answers.predicted[rows, level - 1]
    found = np.minimum(np.searchsorted(classes, nodes), len(classes) - 1)
    among = classes[found] == nodes
    shape = (len(classes), len(answers))
    support = _members(gold, rows, shape) @ weights
    predicted = _members(found[among], rows[among], shape) @ weights
    right = among & (found == gold)
    both = _members(gold[right], rows[right], shape) @ weights
    f1 = _ratio(2 * both, support + predicted, empty=0.0)
    return _ratio((support * f1).sum(axis=0), support.sum(axis=0))


def metrics_of(answers: Answers) -> dict[str, Metric]:
    """Every headline metric of these answers by name, for levels down to the deepest gold."""
    metrics: dict[str, Metric] = {
        metric.__name__: partial(metric, answers)
        for metric in (hf1_micro, hp_micro, hr_micro, exact_match)
    }
    for level in range(1, answers.depth + 1):
        metrics[f"f1_weighted_l{level}"] = partial(f1_weighted, answers, level=level)
        metrics[f"accuracy_l{level}"] = partial(accuracy, answers, level=level)
    return metrics


def headline(taxonomy: Taxonomy, predicted: ArrayLike, gold: ArrayLike) -> dict[str, float]:
    """Every headline figure by name.

    They are `hf1_micro`, `hp_micro`, `hr_micro`, `exact_match`, and for each level down to the
    deepest gold `f1_weighted_l{level}` and `accuracy_l{level}`.

    Parameters
    ----------
    predicted
        int [n_rows], indices of nodes, -1 where there is no prediction.
    gold
        int [n_rows], indices of nodes.

    Raises
    ------
    UsageError
        There are no rows, the lengths differ, or a value is no index of a node.
    """
    answers = Answers.of(taxonomy, predicted, gold)
    once = np.ones((len(answers), 1))
    return {name: float(metric(once)[0]) for name, metric in metrics_of(answers).items()}


def _indices(what: str, values: ArrayLike, least: int, n_nodes: int) -> NDArray[np.intp]:
    array = np.asarray(values)
    if array.ndim != 1 or not array.size:
        shape = "no rows" if not array.size else f"an array of shape {array.shape}"
        raise UsageError(f"{what}: found {shape}; expected one index of a node for each row")
    if not np.issubdtype(array.dtype, np.integer):
        raise UsageError(f"{what}: found values of type {array.dtype}; expected indices of nodes")
    wrong = np.flatnonzero((array < least) | (array >= n_nodes))
    if wrong.size:
        hint = "; drop rows whose label is not in the taxonomy" if least == 0 else ""
        raise UsageError(
            f"{what}: found {array[wrong[0]]} in row {wrong[0]}; expected indices from {least} "
            f"to {n_nodes - 1}{hint}"
        )
    return array.astype(np.intp)


def _paths(taxonomy: Taxonomy) -> NDArray[np.int32]:
    """int32 [n_nodes + 1, depth], the path to each node, -1 below it; the last row is all -1."""
    paths = np.full((len(taxonomy) + 1, taxonomy.depth), -1, dtype=np.int32)
    for level in range(1, taxonomy.depth + 1):
        nodes = taxonomy.level_nodes(level)
        paths[nodes] = paths[taxonomy.parent[nodes]]
        paths[nodes, level - 1] = nodes
    return paths


def _sizes(member: NDArray[np.bool_]) -> Floats:
    sizes: Floats = member.sum(axis=1).astype(np.float64)
    return sizes


def _members(
    classes: NDArray[Any], rows: NDArray[Any], shape: tuple[int, int]
) -> scipy.sparse.csr_matrix:
    """[n_classes, n_rows], one where a row is of a class."""
    import scipy.sparse

    return scipy.sparse.csr_matrix((np.ones(len(rows)), (classes, rows)), shape=shape)


def _ratio(part: Floats, whole: Floats, empty: float = np.nan) -> Floats:
    """`part / whole`, and `empty` where the whole is 0."""
    quotient: Floats = np.divide(part, whole, out=np.full_like(part, empty), where=whole > 0)
    return quotient
