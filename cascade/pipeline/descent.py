"""The descent: narrow, score, decide, level by level, with a beam of paths for each item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import Answer
from cascade.items import Batch, Choices
from cascade.pipeline.walked import Step, Way, considered
from cascade.predictions import Prediction
from cascade.retrieval.children import AllChildren
from cascade.retrieval.narrow import Retriever
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy

SPARSE = 8  # times more room than paths that a table of all items may take


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
        best = np.where(self.greedy, np.inf, self.logprob)
        sizes = np.bincount(self.row)
        starts = np.cumsum(sizes) - sizes
        place = np.arange(len(self.row)) - np.repeat(starts, sizes)
        if sizes.max() * len(sizes) > SPARSE * len(place):
            order = np.lexsort((-best, self.row))[place < width]
        else:  # sorting the short rows of a table is far quicker
            by_row = np.argsort(self.row, kind="stable")
            table = np.full((len(sizes), sizes.max()), np.inf)
            table[self.row[by_row], place] = -best[by_row]
            ranked = np.argsort(table, axis=1, kind="stable")[:, :width]
            order = by_row[(starts[:, None] + ranked)[ranked < sizes[:, None]]]
        return self.some(order)

    def some(self, which: NDArray[Any]) -> _Beam:
        """Some of the paths, by places or by truth values."""
        return _Beam(*[values[which] for values in self._arrays])

    def and_(self, others: _Beam) -> _Beam:
        """These paths, then others."""
        pairs = zip(self._arrays, others._arrays, strict=True)
        return _Beam(*[np.concatenate(pair) for pair in pairs])

    @property
    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self.row, self.node, self.logprob, self.ended, self.greedy


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
        beam, steps = _Beam.start(len(batch)), list[Step]()
        while not beam.ended.all():
            open_ = np.flatnonzero(~beam.ended)
            choices = self.retriever.narrow(
                batch, beam.row[open_], beam.node[open_], self.candidates
            )
            step = self._asked(batch, choices, scorer)
            beam = self._advance(beam, open_, step)
            steps.append(step)
        return self._predictions(batch, beam, steps, scorer.name)

    def _asked(self, batch: Batch, choices: Choices, scorer: Scorer) -> Step:
        """What is said of each candidate; an only child is certain and is not asked about."""
        several = choices.sizes > 1
        if several.all():
            said = scorer.score_parts(batch, choices)
            return Step(choices, {scorer.name: said[scorer.name], **said})
        asked, member = choices.subset(several)
        parts = {scorer.name: np.zeros(len(choices.nodes))}
        if len(asked):
            for name, values in scorer.score_parts(batch, asked).items():
                parts.setdefault(name, np.full(len(choices.nodes), np.nan))[member] = values
        return Step(choices, parts)

    def _advance(
        self,
        beam: _Beam,
        open_: NDArray[np.int64],
        step: Step,
    ) -> _Beam:
        """The best paths of each item after one level: stopped, ended, or one node longer."""
        choices, question = step.choices, step.choices.question
        greedy = np.zeros(len(question), bool)
        greedy[step.best] = beam.greedy[open_]
        grown = _Beam(
            choices.rows[question],
            choices.nodes,
            beam.logprob[open_][question] + step.logprob,
            self._leaf[choices.nodes],
            greedy,
        )
        unlikely = step.logprob[step.best] < np.log(max(self.stop, 1e-300))
        stops = unlikely & (choices.parents >= 0)
        if stops.any():
            grown = grown.some(~stops[question])
        if len(open_) < len(beam.row) or stops.any():
            kept = beam.some(np.concatenate([np.flatnonzero(beam.ended), open_[stops]]))
            kept.ended[:] = True
            grown = kept.and_(grown)
        return grown.best(self.beam)

    def _predictions(
        self, batch: Batch, beam: _Beam, steps: Sequence[Step], source: str
    ) -> list[Prediction]:
        """The answer to each item as a prediction, its other paths as alternatives."""
        if not len(batch):
            return []
        order = np.arange(len(beam.row))  # the walk comes first, then the likeliest
        if self.answer == "likeliest":
            order = np.lexsort((-beam.logprob, beam.row))
        starts = np.searchsorted(beam.row, np.arange(len(batch)))
        answers = beam.node[order[starts]]
        stopped = (~self._leaf[answers]).tolist()
        shared, data, sizes, last_best = considered(self.taxonomy, answers, steps)
        nodes, chances = beam.node[order].tolist(), np.exp(beam.logprob[order]).tolist()
        codes, path = self.taxonomy.codes, self.taxonomy.path
        bounds = pairwise([*starts.tolist(), len(nodes)])
        predictions = []
        for item, (first, last), stop, best, *kept in zip(
            batch.items, bounds, stopped, last_best, data, sizes, strict=True
        ):
            answer = nodes[first]
            way = Way(shared, nodes[first:last], chances[first:last], *kept)
            predictions.append(
                Prediction(
                    codes[answer],
                    path(answer),
                    chances[first],
                    source,
                    "partial" if stop else "ok",
                    self._why_stopped(answer, *best) if stop else "",
                    item.id,
                    way,  # type: ignore[arg-type]
                    way,  # type: ignore[arg-type]
                )
            )
        return predictions

    def _why_stopped(self, answer: int, best: int, probability: float) -> str:
        return (
            f"stopped at level {self.taxonomy.level[answer]}: no child is likely, "
            f"the best is {self.taxonomy.names[best]!r} with {probability:.0%}"
        )
