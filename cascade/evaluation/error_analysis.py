"""Where a run is right and wrong: by class, by pair of confused nodes, and by place in the tree.

Everything is counted over flat arrays, so that a million rows over ten thousand classes take
seconds; texts are only asked for where an example is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.taxonomy import Taxonomy

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CONFUSIONS = 200
EXAMPLES = 3


@dataclass(frozen=True)
class Classes:
    """Counts of every node that is gold or predicted, itself or by a node below it.

    A node is a class of its level. Rows whose gold path ends above that level do not count for
    it, as in `f1_weighted_l{level}`, of which `f1` are the parts. The rows of a node are also
    those of its subtree, so the same counts say where in the taxonomy errors are.

    Parameters
    ----------
    node
        int64 [n_classes], indices of nodes, in order.
    support
        int64 [n_classes], rows whose gold path has the node.
    predicted
        int64 [n_classes], rows whose predicted path has it.
    right
        int64 [n_classes], rows of which both paths have it.
    exact
        int64 [n_classes], rows of `support` whose predicted node is the gold node.
    confused
        int64 [n_classes], the node that most rows of `support` have in its place, -1 where most
        of them have none at this level.
    confused_rows
        int64 [n_classes], how many these are; 0 where every row is right.
    """

    node: Ints
    support: Ints
    predicted: Ints
    right: Ints
    exact: Ints
    confused: Ints
    confused_rows: Ints

    def __len__(self) -> int:
        return len(self.node)

    @property
    def precision(self) -> Floats:
        """float64 [n_classes], `right / predicted`, nan where nothing is predicted."""
        return _share(self.right, self.predicted)

    @property
    def recall(self) -> Floats:
        """float64 [n_classes], `right / support`, nan where nothing is gold."""
        return _share(self.right, self.support)

    @property
    def f1(self) -> Floats:
        """float64 [n_classes], `2 right / (support + predicted)`."""
        return _share(2 * self.right, self.support + self.predicted)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Rows by how the predicted node lies to the gold node; they add up to all rows.

    Parameters
    ----------
    exact
        The predicted node is the gold node.
    above, below
        It is one above the gold node, or one below it.
    unanswered
        There is no predicted node.
    parted
        Rows whose paths part at each level from the top.
    """

    exact: int
    above: int
    below: int
    unanswered: int
    parted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A row that was confused; `confidence` is None where none is known.

    `picture` is a small one as a data URI, empty where there is none.
    """

    line: int
    text: str
    confidence: float | None
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Confusion:
    """Rows of one gold node that were filed under one other node.

    Parameters
    ----------
    gold, predicted
        Indices of nodes.
    parts
        The first level at which the two paths differ; one of them may end above it.
    examples
        A few of the rows, most confident first.
    """

    gold: int
    predicted: int
    rows: int
    parts: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class ErrorAnalysis:
    """Where a run is right and wrong; make one with `analyse_errors`.

    Parameters
    ----------
    confusions
        Pairs of confused nodes with the most rows, most first.
    pairs
        How many different pairs there are in all.
    """

    taxonomy: Taxonomy
    classes: Classes
    outcomes: Outcomes
    confusions: tuple[Confusion, ...]
    pairs: int


def analyse_errors(
    answers: GoldAndPredicted,
    example_of: Callable[[int], Example],
    *,
    confusions: int = CONFUSIONS,
    examples: int = EXAMPLES,
) -> ErrorAnalysis:
    """Count where predicted nodes are right and wrong.

    Parameters
    ----------
    example_of
        A row as an example, by its place in `answers`; asked for those that are shown alone.
    confusions, examples
        Pairs to keep at the most, and examples of each.
    """
    taxonomy = answers.taxonomy
    pairs, n_pairs = _worst_pairs(answers, confusions, examples)
    return ErrorAnalysis(
        taxonomy,
        classes_of(answers),
        outcomes_of(answers),
        tuple(
            Confusion(
                gold,
                predicted,
                n_rows,
                _parting(taxonomy, gold, predicted),
                tuple(map(example_of, rows.tolist())),
            )
            for gold, predicted, n_rows, rows in pairs
        ),
        n_pairs,
    )


def classes_of(answers: GoldAndPredicted) -> Classes:
    """Counts of every class that is gold or predicted."""
    n_nodes = len(answers.taxonomy)
    exact_rows = answers.exact
    support, predicted, right, exact, rows = np.zeros((5, n_nodes), dtype=np.int64)
    confused = np.full(n_nodes, -1, dtype=np.int64)
    for level in range(answers.depth):
        deep = np.flatnonzero(answers.gold[:, level] >= 0)
        gold = answers.gold[deep, level].astype(np.int64)
        found = answers.predicted[deep, level].astype(np.int64)
        support += _count(gold, n_nodes)
        predicted += _count(found[found >= 0], n_nodes)
        right += _count(gold[gold == found], n_nodes)
        exact += _count(gold[exact_rows[deep]], n_nodes)
        nodes, instead, times = _commonest(gold[gold != found], found[gold != found], n_nodes)
        confused[nodes], rows[nodes] = instead, times
    used = np.flatnonzero((support > 0) | (predicted > 0))
    counts = (support, predicted, right, exact, confused, rows)
    return Classes(used, *(column[used] for column in counts))


def outcomes_of(answers: GoldAndPredicted) -> Outcomes:
    """Rows by how their predicted node lies to their gold node."""
    shared = answers.shared.astype(np.int64)
    reached, wanted = answers.predicted_size, answers.gold_size
    answered = answers.answered
    above = answered & (shared == reached) & (reached < wanted)
    below = answered & (shared == wanted) & (wanted < reached)
    parted = answered & (shared < reached) & (shared < wanted)
    return Outcomes(
        exact=int(answers.exact.sum()),
        above=int(above.sum()),
        below=int(below.sum()),
        unanswered=int((~answered).sum()),
        parted=tuple(np.bincount(shared[parted], minlength=answers.depth).tolist()),
    )


def _worst_pairs(
    answers: GoldAndPredicted, most: int, examples: int
) -> tuple[list[tuple[int, int, int, Ints]], int]:
    """The most frequent pairs of confused nodes, and how many pairs there are in all.

    Each has its gold and predicted node, its number of rows, and the places of its surest rows.
    """
    n_nodes = len(answers.taxonomy)
    wrong = np.flatnonzero(answers.answered & ~answers.exact)
    gold, predicted = answers.gold_node[wrong].astype(np.int64), answers.predicted_node[wrong]
    keys, pair, counts = np.unique(
        gold * n_nodes + predicted, return_inverse=True, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")[:most]
    rank = np.full(len(keys), len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    shown = np.flatnonzero(rank[pair] < len(order))
    rows, ranks = wrong[shown], rank[pair[shown]]
    sure = np.zeros(len(rows)) if answers.confidence is None else answers.confidence[rows]
    surest = np.lexsort((-sure, ranks))
    ends = np.cumsum(counts[order])
    pairs = [
        (*divmod(key, n_nodes), n_rows, rows[surest[end - n_rows : end][:examples]])
        for key, n_rows, end in zip(
            keys[order].tolist(), counts[order].tolist(), ends.tolist(), strict=True
        )
    ]
    return pairs, len(keys)


def _parting(taxonomy: Taxonomy, i: int, j: int) -> int:
    """The first level at which two paths differ."""
    common = taxonomy.lowest_common_ancestor(i, j)
    return int(taxonomy.level[common]) + 1 if common >= 0 else 1


def _commonest(gold: Ints, found: Ints, n_nodes: int) -> tuple[Ints, Ints, Ints]:
    """Each node of `gold` once, the most frequent of its `found` (the first of equals), how often.

    `found` may be -1, a kind of its own.
    """
    keys, counts = np.unique(gold * (n_nodes + 1) + found + 1, return_counts=True)
    nodes, instead = keys // (n_nodes + 1), keys % (n_nodes + 1) - 1
    order = np.lexsort((-counts, nodes))
    each, first = np.unique(nodes[order], return_index=True)
    return each, instead[order][first], counts[order][first]


def _count(nodes: Ints, n_nodes: int) -> Ints:
    return np.bincount(nodes, minlength=n_nodes).astype(np.int64)


def _share(part: Ints, whole: Ints) -> Floats:
    quotient: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return quotient
