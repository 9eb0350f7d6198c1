"""The descent: narrow, score, decide, level by level, with a beam of paths for each item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cascade.config import Answer
from cascade.items import (
    PATH_SEPARATOR,
    Alternative,
    Batch,
    Candidate,
    Choices,
    Level,
    Prediction,
)
from cascade.retrieval.children import AllChildren
from cascade.retrieval.narrow import Retriever
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy


@dataclass(frozen=True)
class _Step:
    """One question as it was answered: question q of `choices`, and what each scorer said."""

    choices: Choices
    q: int
    parts: dict[str, NDArray[np.float64]]


Trace = dict[tuple[int, int], _Step]
"""Every question that was asked, by item and parent."""


@dataclass
class _Beam:
    """Paths that are kept, for all items of a batch at once.

    Parameters
    ----------
    row, node
        int32 [n_paths], item of the batch and end of the path (-1 above the top); the rows
        never decrease.
    logprob
        float64 [n_paths], log-probability of the path.
    ended
        bool [n_paths], at a leaf or stopped.
    greedy
        bool [n_paths], the path of each item that took the likeliest child every time; it is
        always kept.
    """

    row: NDArray[np.int32]
    node: NDArray[np.int32]
    logprob: NDArray[np.float64]
    ended: NDArray[np.bool_]
    greedy: NDArray[np.bool_]

    @classmethod
    def start(cls, n_items: int) -> _Beam:
        rows = np.arange(n_items, dtype=np.int32)
        none = np.zeros(n_items, bool)
        return cls(rows, np.full(n_items, -1, np.int32), np.zeros(n_items), none, ~none)

    def best(self, width: int) -> _Beam:
        """The greedy path of each item, then its likeliest others, `width` in all."""
        order = np.lexsort((-self.logprob, ~self.greedy, self.row))
        rank = np.arange(len(order)) - np.searchsorted(self.row[order], self.row[order])
        order = order[rank < width]
        return _Beam(
            self.row[order],
            self.node[order],
            self.logprob[order],
            self.ended[order],
            self.greedy[order],
        )


@dataclass
class Descent:
    """Walks items down a taxonomy: at each level to the likeliest child.

    The likeliest leaf may lie elsewhere, where a likely branch divides its share among many. While
    probabilities are rough, as those of models that learnt no labels, the walk is right about more
    levels; fitted ones make the likeliest path right more often. Other paths are kept for the
    alternatives.

    Parameters
    ----------
    answer
        `walk` takes the likeliest child every time, `likeliest` the likeliest of the kept paths.
    candidates
        Children kept by narrowing at each level.
    beam
        Paths kept at each level: the answer and its alternatives.
    stop
        A path ends at an inner node whose best child has less than this share of its
        probability. It never ends above level 1, so that every item gets a node.
    depth
        A path ends at this level, as if its nodes were leaves.
    ends
        Nodes where a path ends, as if they were leaves.
    """

    taxonomy: Taxonomy
    retriever: Retriever | AllChildren
    candidates: int = 10
    beam: int = 3
    stop: float = 0.0
    depth: int | None = None
    answer: Answer = "walk"
    ends: Sequence[int] = ()
    _leaf: NDArray[np.bool_] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._leaf = self.taxonomy.end == np.arange(1, len(self.taxonomy) + 1)
        self._leaf[list(self.ends)] = True
        if self.depth is not None:
            self._leaf |= self.taxonomy.level >= self.depth

    def walk(self, batch: Batch, scorer: Scorer) -> list[Prediction]:
        """A prediction for each item, its source set to the scorer's name.

        Raises
        ------
        EngineError
            A model behind the scorer failed to answer.
        """
        with batch.timed("walking"):
            return self._walk(batch, scorer)

    def _walk(self, batch: Batch, scorer: Scorer) -> list[Prediction]:
        beam, trace = _Beam.start(len(batch)), Trace()
        while not beam.ended.all():
            open_ = np.flatnonzero(~beam.ended)
            choices = self.retriever.narrow(
                batch, beam.row[open_], beam.node[open_], self.candidates
            )
            logprob = self._score(batch, choices, scorer, trace)
            beam = self._advance(beam, open_, choices, logprob)
        return [self._predict(batch, row, beam, trace, scorer.name) for row in range(len(batch))]

    def _score(
        self, batch: Batch, choices: Choices, scorer: Scorer, trace: Trace
    ) -> NDArray[np.float64]:
        """Log-probability of each candidate; an only child is certain and is not asked about."""
        asked, member = choices.subset(np.diff(choices.offsets) > 1)
        parts = {scorer.name: np.zeros(len(choices.nodes))}
        if len(asked):
            for name, values in scorer.score_parts(batch, asked).items():
                parts.setdefault(name, np.full(len(choices.nodes), np.nan))[member] = values
        asked_of = zip(choices.rows.tolist(), choices.parents.tolist(), strict=True)
        trace.update((key, _Step(choices, q, parts)) for q, key in enumerate(asked_of))
        return parts[scorer.name]

    def _advance(
        self,
        beam: _Beam,
        open_: NDArray[np.int64],
        choices: Choices,
        logprob: NDArray[np.float64],
    ) -> _Beam:
        """The best paths of each item after one level: stopped, ended, or one node longer."""
        best = np.maximum.reduceat(logprob, choices.offsets[:-1])
        stops = (best < np.log(max(self.stop, 1e-300))) & (choices.parents >= 0)
        longer = ~stops[choices.question]
        question = choices.question[longer]
        child = choices.nodes[longer]
        kept = np.concatenate([np.flatnonzero(beam.ended), open_[stops]])
        likeliest = np.zeros(len(choices.nodes), bool)
        likeliest[choices.first_best(logprob)] = True
        grown = _Beam(
            np.concatenate([beam.row[kept], choices.rows[question]]),
            np.concatenate([beam.node[kept], child]),
            np.concatenate([beam.logprob[kept], beam.logprob[open_][question] + logprob[longer]]),
            np.concatenate([np.ones(len(kept), bool), self._leaf[child]]),
            np.concatenate([beam.greedy[kept], beam.greedy[open_][question] & likeliest[longer]]),
        )
        return grown.best(self.beam)

    def _predict(
        self, batch: Batch, row: int, beam: _Beam, trace: Trace, source: str
    ) -> Prediction:
        """The answer to an item as a prediction, the others as its alternatives."""
        first, last = np.searchsorted(beam.row, [row, row + 1])
        order = np.arange(first, last)  # the walk comes first, then the likeliest
        if self.answer == "likeliest":
            order = order[np.argsort(-beam.logprob[order], kind="stable")]
        nodes = beam.node[order].tolist()
        chances = np.exp(beam.logprob[order]).tolist()
        levels = self._levels(row, nodes[0], trace)
        stopped = not self._leaf[nodes[0]]
        return Prediction(
            code=self.taxonomy.codes[nodes[0]],
            path=self.taxonomy.path(nodes[0]),
            confidence=chances[0],
            source=source,
            status="partial" if stopped else "ok",
            message=self._why_stopped(self._candidates(trace[row, nodes[0]]), levels)
            if stopped
            else "",
            id=batch.items[row].id,
            levels=levels,
            alternatives=tuple(
                Alternative(self.taxonomy.codes[n], self.taxonomy.path(n), p)
                for n, p in zip(nodes[1:], chances[1:], strict=True)
            ),
        )

    def _levels(self, row: int, node: int, trace: Trace) -> tuple[Level, ...]:
        levels: list[Level] = []
        parent, confidence = -1, 1.0
        for step in self.taxonomy.path_nodes(node).tolist():
            candidates = self._candidates(trace[row, parent])
            code = self.taxonomy.codes[step]
            confidence *= next(c.probability for c in candidates if c.code == code)
            levels.append(
                Level(len(levels) + 1, code, self.taxonomy.names[step], confidence, candidates)
            )
            parent = step
        return tuple(levels)

    def _candidates(self, step: _Step) -> tuple[Candidate, ...]:
        """The candidates of a question, best first, with what each scorer said."""
        (name, total), *rest = step.parts.items()
        shown = dict(rest) or {name: total}
        span = range(step.choices.offsets[step.q], step.choices.offsets[step.q + 1])
        parent = int(step.choices.parents[step.q])
        above = "" if parent < 0 else self.taxonomy.path(parent) + PATH_SEPARATOR
        found = []
        for i in sorted(span, key=lambda i: -total[i]):
            node = int(step.choices.nodes[i])
            found.append(
                Candidate(
                    code=self.taxonomy.codes[node],
                    name=self.taxonomy.names[node],
                    path=above + self.taxonomy.names[node],
                    probability=float(np.exp(total[i])),
                    scores={
                        part: float(values[i])
                        for part, values in shown.items()
                        if not np.isnan(values[i])
                    },
                )
            )
        return tuple(found)

    @staticmethod
    def _why_stopped(candidates: Sequence[Candidate], levels: Sequence[Level]) -> str:
        best = candidates[0]
        return (
            f"stopped at level {len(levels)}: no child is likely, "
            f"the best is {best.name!r} with {best.probability:.0%}"
        )
