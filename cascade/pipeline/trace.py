"""What was considered for each item: packed as bytes while rows stream, unpacked when it is read.

Most rows are asked for their answer alone. So a prediction keeps the figures of its own path, some
hundred bytes, and nothing of the batch; `PackedTrace` makes levels, candidates and alternatives of
them when somebody reads those fields.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.items import Choices
from cascade.lazy import Lazy, LazyPath
from cascade.predictions import Alternative, Candidate, Level
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.staying import StayingTaxonomy, stays_at

NODE, LOGPROB, FIRST_SCORER = 0, 1, 2  # columns of a packed table
FLOAT64 = 8  # bytes


@dataclass(frozen=True)
class LevelScores:
    """The questions of one level, and the log-probabilities of their candidates.

    Parameters
    ----------
    by_scorer
        float64 [n_candidates] for each scorer: first the one that decides, then those that it is
        combined of.
    """

    choices: Choices
    by_scorer: dict[str, NDArray[np.float64]]

    @property
    def logprob(self) -> NDArray[np.float64]:
        """float64 [n_candidates], of the scorer that decides."""
        return next(iter(self.by_scorer.values()))

    @cached_property
    def best(self) -> NDArray[np.int64]:
        """int64 [n_questions], index of the likeliest candidate of each question."""
        return self.choices.first_best(self.logprob)

    @property
    def contributions(self) -> dict[str, NDArray[np.float64]]:
        """What the trace shows: the scorers that were combined, or else the one that decides."""
        (name, total), *combined = self.by_scorer.items()
        return dict(combined) or {name: total}


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the packed tables of a batch have in common.

    Parameters
    ----------
    scorers
        Names of the scorers of each level, in the order of their columns.
    width
        Number of columns: node, log-probability, and one for each scorer.
    """

    taxonomy: Taxonomy
    scorers: Sequence[tuple[str, ...]]
    width: int


class PackedTrace(LazyPath):
    """The levels and alternatives of one prediction, made when they are read.

    Parameters
    ----------
    table
        float64 [n_candidates, width] as bytes: the candidates of each level, from the top.
    sizes
        How many candidates each level has.
    nodes, probabilities
        Ends of the paths that were kept; the first is the answer.
    sure
        The confidence of each level of the path to the answer: the product of the probabilities of
        its node and of those above, each given its parent.
    """

    __slots__ = ("_columns", "_nodes", "_probabilities", "_sizes", "_sure", "_table")

    def __init__(
        self,
        columns: _Columns,
        table: bytes,
        sizes: list[int],
        nodes: list[int],
        probabilities: list[float],
        sure: list[float],
    ) -> None:
        self._columns = columns
        self._table, self._sizes = table, sizes
        self._nodes, self._probabilities = nodes, probabilities
        self._sure = sure

    def confidences(self) -> Sequence[float]:
        """The confidence of each level of the path to the answer."""
        return self._sure

    def nodes(self) -> Sequence[tuple[str, str]]:
        """Code and name of each node of the path to the answer."""
        return self._columns.taxonomy.named_path(self._answer)

    @property
    def _answer(self) -> int:
        """The node of the answer; to stay at it is no level of its own."""
        taxonomy, answer = self._columns.taxonomy, self._nodes[0]
        return int(taxonomy.parent[answer]) if stays_at(taxonomy, answer) else answer

    def levels(self) -> tuple[Level, ...]:
        """The path to the answer."""
        taxonomy, answer = self._columns.taxonomy, self._answer
        levels: list[Level] = []
        path = taxonomy.path_nodes(answer).tolist()
        for depth, (node, sure) in enumerate(zip(path, self._sure, strict=True)):
            code, name = taxonomy.codes[node], taxonomy.names[node]
            below = self._candidates(depth + 1) if node == answer else ()
            levels.append(Level(depth + 1, code, name, sure, self._candidates(depth), below))
        return tuple(levels)

    def _candidates(self, depth: int) -> Any:
        """The candidates of one level, made when they are read; none if nothing was asked."""
        if sum(self._sizes[depth : depth + 1]) == 0:
            return ()
        columns = self._columns
        return _PackedCandidates(columns.taxonomy, columns.scorers[depth], self._level(depth))

    def alternatives(self) -> tuple[Alternative, ...]:
        """The ends of the other paths."""
        taxonomy = self._columns.taxonomy
        others = zip(self._nodes[1:], self._probabilities[1:], strict=True)
        return tuple([Alternative(taxonomy.codes[n], taxonomy.path(n), p) for n, p in others])

    def _level(self, depth: int) -> NDArray[np.float64]:
        """float64 [n_candidates, width] of one level; 0 is the top."""
        start = sum(self._sizes[:depth])
        table = np.frombuffer(self._table).reshape(-1, self._columns.width)
        return table[start : start + self._sizes[depth]]


class _PackedCandidates(Lazy):
    """The candidates of one level."""

    __slots__ = ("_scorers", "_table", "_taxonomy")

    def __init__(
        self, taxonomy: Taxonomy, scorers: tuple[str, ...], table: NDArray[np.float64]
    ) -> None:
        self._taxonomy, self._scorers, self._table = taxonomy, scorers, table

    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates, likeliest first, with the log-probability that each scorer gave."""
        order = np.argsort(-self._table[:, LOGPROB], kind="stable")
        return tuple([self._candidate(row) for row in self._table[order]])

    def below(self) -> tuple[Candidate, ...]:
        """The same, where they stand as what was considered below a node."""
        return self.candidates()

    def _candidate(self, row: NDArray[np.float64]) -> Candidate:
        taxonomy, node = self._taxonomy, int(row[NODE])
        scores = zip(self._scorers, row[FIRST_SCORER:].tolist(), strict=False)
        return Candidate(
            taxonomy.codes[node],
            taxonomy.names[node],
            taxonomy.path(node),
            float(np.exp(row[LOGPROB])),
            {scorer: score for scorer, score in scores if not math.isnan(score)},
        )


class Traces:
    """The traces of a batch, packed when the first of them is asked for.

    Parameters
    ----------
    levels
        The first was asked above the top, the next about children of top nodes, and so on.
    starts
        int64 [n_items], where the paths of each item begin among all.
    nodes, logprob
        int32, float64 [n_paths], ends of the paths and their log-probabilities; the first of each
        item is its answer.

    Attributes
    ----------
    path
        int32 [n_items, depth], the nodes on the path to each answer, top first, -1 below its end;
        to stay at a node is no level of its own.
    sure
        float64 [n_items, depth], the confidence of each of them, nan below the end: the product
        of the probabilities of the node and of those above, each given its parent.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        levels: Sequence[LevelScores],
        starts: NDArray[np.int64],
        nodes: NDArray[np.int32],
        logprob: NDArray[np.float64],
    ) -> None:
        self._taxonomy, self._levels = taxonomy, levels
        self._starts, self._nodes, self._logprob = starts, nodes, logprob
        self.answers = nodes[starts]
        self._paths = taxonomy.paths_of(self.answers)
        share = np.zeros(self._paths.shape)
        for level, on_path, own in zip(levels, self._paths, share, strict=False):
            choices = level.choices
            chosen = choices.nodes == on_path[choices.rows][choices.question]
            own[choices.rows[choices.question[chosen]]] = np.exp(level.logprob[chosen])
        there = self._paths >= 0
        if isinstance(taxonomy, StayingTaxonomy):
            there[taxonomy.level[self.answers] - 1, np.arange(len(starts))] &= ~taxonomy.stays[
                self.answers
            ]
        there = there[: int(there.any(axis=1).sum())]
        depth = len(there)
        self.path = np.where(there, self._paths[:depth], -1).T
        self.sure = np.where(there, np.cumprod(share[:depth], axis=0), np.nan).T

    def __getitem__(self, item: int) -> PackedTrace:
        columns, data, ends, sizes = self._packed
        first, last = self._bounds[item]
        sure = self.sure[item]
        return PackedTrace(
            columns,
            data[ends[item] : ends[item + 1]],
            sizes[item],
            self._nodes[first:last].tolist(),
            np.exp(self._logprob[first:last]).tolist(),
            sure[~np.isnan(sure)].tolist(),
        )

    def best_of_last_level(self) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The likeliest candidate of the last question on each path, and its log-probability.

        Returns
        -------
        int32, float64 [n_items].
        """
        best = np.full(len(self._starts), -1, np.int32)
        logprob = np.zeros(len(best))
        for level, asked_at in zip(self._levels, self._asked_at, strict=True):
            choices = level.choices
            on_path = choices.parents == asked_at[choices.rows]
            rows, found = choices.rows[on_path], level.best[on_path]
            best[rows], logprob[rows] = choices.nodes[found], level.logprob[found]
        return best, logprob

    @property
    def _asked_at(self) -> NDArray[np.int32]:
        """Which parent's children the path of each answer was chosen among, level by level.

        Returns
        -------
        int32 [n_levels, n_items]: -1 (above the top), then the node of level 1 on the path, and so
        on; -2 below the answer.
        """
        n_levels = len(self._levels)
        parents = np.full((n_levels, len(self._starts)), -2, np.int32)
        parents[:1] = -1
        above = self._paths[: max(n_levels - 1, 0)]
        parents[1 : 1 + len(above)] = np.where(above < 0, -2, above)
        return parents

    @cached_property
    def _bounds(self) -> list[tuple[int, int]]:
        """Where the paths of each item begin and end among all."""
        return list(pairwise([*self._starts.tolist(), len(self._nodes)]))

    @cached_property
    def _packed(self) -> tuple[_Columns, bytes, list[int], list[list[int]]]:
        """The tables of all items, where each begins in bytes, and sizes of levels."""
        scorers = [tuple(level.contributions) for level in self._levels]
        width = FIRST_SCORER + max(map(len, scorers))
        sizes = np.zeros((len(self._starts), len(self._levels)), np.int64)
        items, tables = [], []
        for depth, (level, asked_at) in enumerate(zip(self._levels, self._asked_at, strict=True)):
            choices = level.choices
            on_path = choices.parents == asked_at[choices.rows]
            sizes[choices.rows[on_path], depth] = choices.sizes[on_path]
            kept = np.flatnonzero(np.repeat(on_path, choices.sizes))
            table = np.full((len(kept), width), np.nan)
            table[:, NODE], table[:, LOGPROB] = choices.nodes[kept], level.logprob[kept]
            for column, scores in enumerate(level.contributions.values(), FIRST_SCORER):
                table[:, column] = scores[kept]
            items.append(np.repeat(choices.rows[on_path], choices.sizes[on_path]))
            tables.append(table)
        order = np.argsort(np.concatenate(items), kind="stable")  # an item's levels stay in order
        data = np.concatenate(tables)[order].tobytes()
        ends = accumulate((sizes.sum(axis=1) * (width * FLOAT64)).tolist(), initial=0)
        return _Columns(self._taxonomy, scorers, width), data, list(ends), sizes.tolist()
