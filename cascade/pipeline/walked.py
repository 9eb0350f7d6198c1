"""What a walk saw, kept small, and made into levels, candidates and alternatives on demand.

Most rows are asked for their answer alone, so each item keeps the figures of its own way, some
hundred bytes, and nothing of the batch that it was walked with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cascade.items import Choices
from cascade.lazy import Lazy
from cascade.predictions import Alternative, Candidate, Level
from cascade.taxonomy import Taxonomy

NODE, TOTAL, PARTS = 0, 1, 2  # columns of what was considered: what each scorer said comes last


@dataclass(frozen=True)
class Step:
    """The questions of one level as they were answered.

    Parameters
    ----------
    parts
        float64 [n_candidates] by scorer: who answers first, then what that was made of.
    """

    choices: Choices
    parts: dict[str, NDArray[np.float64]]

    @property
    def logprob(self) -> NDArray[np.float64]:
        """Float64 [n_candidates], what who answers says."""
        return next(iter(self.parts.values()))

    @cached_property
    def best(self) -> NDArray[np.int64]:
        """int64 [n_questions], the place of the likeliest candidate of each."""
        return self.choices.first_best(self.logprob)

    @property
    def shown(self) -> dict[str, NDArray[np.float64]]:
        """What is told of each candidate: what the answer was made of, or else the answer."""
        (name, total), *rest = self.parts.items()
        return dict(rest) or {name: total}


@dataclass(frozen=True, slots=True)
class Legend:
    """How to read what was considered in a batch.

    Parameters
    ----------
    scorers
        Of each level, who is told of.
    width
        Columns: the node, its log-probability, and what each of `scorers` said (or NaN).
    """

    taxonomy: Taxonomy
    scorers: Sequence[tuple[str, ...]]
    width: int


class Considered(NamedTuple):
    """What was considered along the way of each item of a batch.

    Parameters
    ----------
    data
        Of each item the bytes of float64 [n_considered, width], level after level.
    sizes
        Of each item the number of candidates of each level.
    last_best
        Of each item the likeliest candidate of the last level, and its probability.
    """

    legend: Legend
    data: Sequence[bytes]
    sizes: Sequence[Sequence[int]]
    last_best: Sequence[tuple[int, float]]


def considered(taxonomy: Taxonomy, answers: NDArray[np.int32], steps: Sequence[Step]) -> Considered:
    """The questions that were asked on the way to the answers, and below those that stopped.

    Parameters
    ----------
    answers
        int32 [n_items], the node of each.
    steps
        The first was asked at the top, the next about children of top nodes, and so on.
    """
    n, scorers = len(answers), [tuple(step.shown) for step in steps]
    width = PARTS + max(map(len, scorers))
    depth = np.repeat(np.arange(len(steps)), [len(step.choices) for step in steps])
    rows = np.concatenate([step.choices.rows for step in steps])
    counts = np.concatenate([step.choices.sizes for step in steps])
    parents = np.concatenate([step.choices.parents for step in steps])
    on_way = parents == ways(taxonomy, answers, len(steps))[depth, rows]

    sizes = np.zeros((n, len(steps)), np.int64)
    sizes[rows[on_way], depth[on_way]] = counts[on_way]
    # Candidates of one level follow those of another; bring those of an item together.
    candidates = np.concatenate([step.choices.nodes for step in steps])
    logprob = np.concatenate([step.logprob for step in steps])
    places = np.flatnonzero(np.repeat(on_way, counts))
    places = places[np.argsort(np.repeat(rows[on_way], counts[on_way]), kind="stable")]
    block = np.empty((len(places), width))
    block[:, NODE], block[:, TOTAL] = candidates[places], logprob[places]
    for column in range(width - PARTS):
        said = [_nth(step, column) for step in steps]
        block[:, PARTS + column] = np.concatenate(said)[places]
    data = block.tobytes()
    ends = (np.cumsum(sizes.sum(axis=1)) * (width * 8)).tolist()

    starts = np.cumsum([0, *[len(step.choices.nodes) for step in steps[:-1]]])
    best = np.concatenate([step.best for step in steps]) + starts[depth]
    last = np.zeros(n, np.int64)
    last[rows[on_way]] = best[on_way]  # of a repeated place the last value stays
    return Considered(
        Legend(taxonomy, scorers, width),
        [data[start:end] for start, end in pairwise([0, *ends])],
        sizes.tolist(),
        list(zip(candidates[last].tolist(), np.exp(logprob[last]).tolist(), strict=True)),
    )


def _nth(step: Step, column: int) -> NDArray[np.float64]:
    """Float64 [n_candidates], what the scorer in a column said; NaN where there is none."""
    said = list(step.shown.values())
    return said[column] if column < len(said) else np.full(len(step.choices.nodes), np.nan)


def ways(taxonomy: Taxonomy, nodes: NDArray[np.int32], depth: int) -> NDArray[np.int32]:
    """The nodes above, level by level.

    Returns
    -------
    int32 [depth, n_nodes]: -1 (above the top), then the node of level 1 on the way, and so on;
    -2 below the node itself.
    """
    found = np.full((depth, len(nodes)), -2, np.int32)
    at, level = nodes, taxonomy.level[nodes]
    for step in range(int(level.max(initial=0)), 0, -1):
        there = level >= step
        if step < depth:
            found[step, there] = at[there]
        at = np.where(there, taxonomy.parent[at], at)
    found[:1] = -1
    return found


class Way(Lazy):
    """The levels and alternatives of one prediction, which are made when they are asked for.

    Parameters
    ----------
    nodes, chances
        Ends of the kept paths with their probabilities; the first is the answer.
    data, sizes
        Of this item, as in `Considered`.
    """

    __slots__ = ("_chances", "_data", "_legend", "_nodes", "_sizes")

    def __init__(
        self,
        legend: Legend,
        nodes: list[int],
        chances: list[float],
        data: bytes,
        sizes: Sequence[int],
    ) -> None:
        self._legend = legend
        self._nodes, self._chances = nodes, chances
        self._data, self._sizes = data, sizes

    def levels(self) -> tuple[Level, ...]:
        """The walk from the top to the answer."""
        taxonomy, scorers = self._legend.taxonomy, self._legend.scorers
        found: list[Level] = []
        confidence = 1.0
        for at, node in enumerate(taxonomy.path_nodes(self._nodes[0]).tolist()):
            table = self._table(at)
            total = table[table[:, NODE] == node, TOTAL][0]
            confidence *= float(np.exp(total))
            shown = _Shown(taxonomy, scorers[at], table)
            code, name = taxonomy.codes[node], taxonomy.names[node]
            found.append(Level(at + 1, code, name, confidence, shown))  # type: ignore[arg-type]
        return tuple(found)

    def alternatives(self) -> tuple[Alternative, ...]:
        """The other ends."""
        taxonomy = self._legend.taxonomy
        return tuple(
            [
                Alternative(taxonomy.codes[node], taxonomy.path(node), chance)
                for node, chance in zip(self._nodes[1:], self._chances[1:], strict=True)
            ]
        )

    def _table(self, at: int) -> NDArray[np.float64]:
        """Float64 [n_candidates, width] of a level, the top being 0."""
        start = sum(self._sizes[:at])
        table = np.frombuffer(self._data).reshape(-1, self._legend.width)
        return table[start : start + self._sizes[at]]


class _Shown(Lazy):
    """The candidates of one level."""

    __slots__ = ("_scorers", "_table", "_taxonomy")

    def __init__(
        self, taxonomy: Taxonomy, scorers: tuple[str, ...], table: NDArray[np.float64]
    ) -> None:
        self._taxonomy, self._scorers, self._table = taxonomy, scorers, table

    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates of a question, best first, with what each scorer said."""
        taxonomy = self._taxonomy
        order = np.argsort(-self._table[:, TOTAL], kind="stable")
        table = self._table[order]
        nodes, chances = table[:, NODE].astype(int).tolist(), np.exp(table[:, TOTAL]).tolist()
        return tuple(
            [
                Candidate(
                    code=taxonomy.codes[node],
                    name=taxonomy.names[node],
                    path=taxonomy.path(node),
                    probability=chance,
                    scores={
                        name: score
                        for name, score in zip(self._scorers, said, strict=False)
                        if not math.isnan(score)
                    },
                )
                for node, chance, said in zip(
                    nodes, chances, table[:, PARTS:].tolist(), strict=True
                )
            ]
        )
