"""The descent: narrow, score, decide, level by level, with a beam of paths for each item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import Objective, PathChoice
from cascade.errors import EngineError
from cascade.items import Batch, Choices, Spread
from cascade.pipeline.aiming import Aim
from cascade.pipeline.trace import LevelScores, Traces
from cascade.predictions import Prediction, Status
from cascade.predictions.columns import Predictions, WalkedColumns
from cascade.scoring.components import Components
from cascade.scoring.scorer import NodeProbabilityScorer, Scorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.staying import StayingTaxonomy

if TYPE_CHECKING:
    from cascade.retrieval.all_children import AllChildren
    from cascade.retrieval.retriever import Retriever

STOP = 0.3  # `descent.stop` where methods walk
SPARSE = 8  # a table of all items may take so many times the room of the paths


@dataclass
class _Beam:
    """Paths that are kept, for all items of a batch at once.

    Parameters
    ----------
    row, node
        int32 [n_paths], item of the batch and end of the path (-1 above the top).
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

    def pruned(self, width: int) -> _Beam:
        """The greedy path of each item, then its likeliest others, `width` in all; sorted by item.

        Every item has a path.
        """
        return self.take(_top_of_each(self.row, np.where(self.greedy, np.inf, self.logprob), width))

    def take(self, which: NDArray[Any]) -> _Beam:
        """Some of the paths, by index or by a mask."""
        return _Beam(*[values[which] for values in self._arrays])

    def joined(self, others: _Beam) -> _Beam:
        """These paths, then others."""
        pairs = zip(self._arrays, others._arrays, strict=True)
        return _Beam(*[np.concatenate(pair) for pair in pairs])

    @property
    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self.row, self.node, self.logprob, self.ended, self.greedy


def _top_of_each(group: NDArray[np.int32], score: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """int64, indices of the k greatest scores of each group, groups in order, greatest first."""
    sizes = np.bincount(group)
    starts, most = np.cumsum(sizes) - sizes, int(sizes.max())
    if most * len(sizes) > SPARSE * len(group):
        place = np.arange(len(group)) - np.repeat(starts, sizes)
        return np.lexsort((-score, group))[place < k]
    # Groups of nearly one size: sorting the short rows of a table is far quicker.
    by_group = np.argsort(group, kind="stable")
    table = np.full((len(sizes), most), np.inf)
    table[np.arange(most) < sizes[:, None]] = -score[by_group]
    ranked = np.argsort(table, axis=1, kind="stable")[:, :k]
    return np.asarray(by_group[(starts[:, None] + ranked)[ranked < sizes[:, None]]])


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
    objective
        What the answer is best at, where the scorer knows the probability of every node: it is
        found among all nodes, and nothing is walked. None walks with every scorer.
    """

    taxonomy: Taxonomy
    retriever: Retriever | AllChildren
    candidates: int = 10
    beam: int = 3
    stop: float = 0.0
    depth: int | None = None
    answer: PathChoice = "walk"
    ends: Sequence[int] = ()
    objective: Objective | None = None
    _leaf: NDArray[np.bool_] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._leaf = _ends(self.taxonomy, self.ends, self.depth)

    @property
    def is_end(self) -> NDArray[np.bool_]:
        """bool [n_nodes], where paths end: leaves, and what counts as such."""
        return self._leaf

    def walk(self, batch: Batch, scorer: Scorer) -> Predictions:
        """A prediction for each item, its source set to the scorer's name.

        Raises
        ------
        EngineError
            A model behind the scorer failed to answer.
        """
        with batch.timed("walking"):
            if self._aim is not None and isinstance(scorer, NodeProbabilityScorer):
                return self._aimed(self._aim, batch, scorer)
            return self._walk(batch, scorer)

    @cached_property
    def first_ends(self) -> NDArray[np.int64]:
        """int64 [n_ends], nodes at which a path from the top may first end."""
        below = np.zeros(len(self.taxonomy) + 1, np.int64)
        ends = np.flatnonzero(self._leaf)
        inner = ends[self.taxonomy.end[ends] > ends + 1]
        np.add.at(below, inner + 1, 1)
        np.add.at(below, self.taxonomy.end[inner], -1)
        return np.asarray(ends[np.cumsum(below)[ends] == 0])

    @cached_property
    def _aim(self) -> Aim | None:
        if self.objective is None:
            return None
        return Aim(self.taxonomy, self.objective, self._leaf, self.stop)

    def _aimed(self, aim: Aim, batch: Batch, scorer: NodeProbabilityScorer) -> Predictions:
        """The best answers under the probabilities of all nodes, with the likeliest ends beside."""
        if not len(batch):
            return []
        with batch.timed(scorer.name):
            found = scorer.confidences(batch)
            # Both have the same likeliest leaves; truer figures gain no expected F1.
            chosen_by = scorer.probabilities(batch) if self.objective == "hf1" else found
        answers, ends = aim.answers(chosen_by, len(batch), self.beam)
        if (answers < 0).any():  # a search found inner nodes alone
            return self._partly_walked(batch, scorer, np.flatnonzero(answers < 0))
        levels = aim.levels(scorer.name, found, batch, answers, self.retriever, self.candidates)
        for level in levels:
            _numbers(scorer, level.by_scorer)
        others = (ends >= 0) & (ends != answers[:, None])
        others &= np.cumsum(others, axis=1) < self.beam
        rows = np.concatenate([np.arange(len(batch)), np.nonzero(others)[0]]).astype(np.int32)
        nodes = np.concatenate([answers, ends[others]])
        order = np.argsort(rows, kind="stable")
        rows, nodes = rows[order], nodes[order]
        logprob = found.log_prob(rows, nodes).astype(np.float64)
        first = np.diff(rows, prepend=-1) > 0
        beam = _Beam(rows, nodes, logprob, np.ones(len(rows), bool), first)
        return self._predictions(batch, beam, levels, scorer.name)

    def _partly_walked(
        self, batch: Batch, scorer: NodeProbabilityScorer, walked: NDArray[np.int64]
    ) -> list[Prediction]:
        """Items of which no leaf was found are walked, the others are answered as ever."""
        out: dict[int, Prediction] = {}
        rest = np.setdiff1d(np.arange(len(batch)), walked)
        for rows, how in ((walked, self._walk), (rest, self.walk)):
            part = batch.subset(rows.tolist())
            out |= zip(rows.tolist(), how(part, scorer), strict=True)
            batch.take_back(part, rows.tolist())
        return [out[row] for row in range(len(batch))]

    def _walk(self, batch: Batch, scorer: Scorer) -> Predictions:
        beam, levels = _Beam.start(len(batch)), list[LevelScores]()
        while not beam.ended.all():
            open_ = np.flatnonzero(~beam.ended)
            choices = self.retriever.narrow(
                batch, beam.row[open_], beam.node[open_], self.candidates
            )
            level = self._scored(batch, choices, scorer)
            beam = self._descended(beam, open_, level)
            levels.append(level)
        if self.answer == "likeliest":  # else the greedy path comes first
            beam = beam.take(np.lexsort((-beam.logprob, beam.row)))
        return self._predictions(batch, beam, levels, scorer.name)

    def spread(self, batch: Batch, scorer: Scorer, rows: NDArray[np.int32], least: float) -> Spread:
        """How the probability of items is spread over nodes that hold at least so much of it.

        Parameters
        ----------
        rows
            int32 [n], some items of the batch.
        least
            Nodes with less are not opened.

        Raises
        ------
        EngineError
            A model behind the scorer failed to answer.
        """
        parents, above = np.full(len(rows), -1, np.int32), np.ones(len(rows))
        places, found, levels = np.full(len(rows), -1, np.int64), [], [0]
        while len(rows):
            choices = self.retriever.narrow(batch, rows, parents, self.candidates)
            of = choices.question
            own = above[of] * np.exp(self._scored(batch, choices, scorer).logprob)
            found.append((choices.rows[of], choices.nodes, places[of], own))
            opened = np.flatnonzero((own >= least) & ~self._leaf[choices.nodes])
            rows, parents, above = choices.rows[of[opened]], choices.nodes[opened], own[opened]
            places = opened + levels[-1]
            levels.append(levels[-1] + len(own))
        if not found:
            none = np.empty(0, np.int32)
            return Spread(none, none, none.astype(np.int64), none.astype(np.float64), levels)
        joined = [np.concatenate(values) for values in zip(*found, strict=True)]
        return Spread(joined[0], joined[1], joined[2], joined[3], levels)

    def _scored(self, batch: Batch, choices: Choices, scorer: Scorer) -> LevelScores:
        """The scores of each candidate; an only child is certain, so no scorer is asked."""
        several = choices.sizes > 1
        if several.all():
            scores = _numbers(scorer, scorer.score_parts(batch, choices))
            return LevelScores(choices, {scorer.name: scores[scorer.name], **scores})
        asked, member = choices.subset(several)
        by_scorer = {scorer.name: np.zeros(len(choices.nodes))}
        if len(asked):
            parts = _numbers(scorer, scorer.score_parts(batch, asked))
            for name, values in parts.items():
                by_scorer.setdefault(name, np.full(len(choices.nodes), np.nan))[member] = values
        return LevelScores(choices, by_scorer)

    def _descended(self, beam: _Beam, open_: NDArray[np.int64], level: LevelScores) -> _Beam:
        """The best paths of each item after one level: stopped, ended, or one node longer."""
        choices, question = level.choices, level.choices.question
        row, logprob = choices.rows[question], beam.logprob[open_][question] + level.logprob
        rank = logprob.copy()
        rank[level.best[beam.greedy[open_]]] = np.inf  # the greedy path is always kept
        unlikely = level.logprob[level.best] < np.log(max(self.stop, 1e-300))
        stops = unlikely & (choices.parents >= 0)
        if len(open_) == len(beam.row) and not stops.any():
            chosen = _top_of_each(row, rank, self.beam)
            node = choices.nodes[chosen]
            greedy = rank[chosen] == np.inf
            return _Beam(row[chosen], node, logprob[chosen], self._leaf[node], greedy)
        grown = _Beam(row, choices.nodes, logprob, self._leaf[choices.nodes], rank == np.inf)
        kept = beam.take(np.concatenate([np.flatnonzero(beam.ended), open_[stops]]))
        kept.ended[:] = True
        return kept.joined(grown.take(~stops[question])).pruned(self.beam)

    def _predictions(
        self, batch: Batch, beam: _Beam, levels: Sequence[LevelScores], source: str
    ) -> Predictions:
        """The first path of each item as a prediction, its others as alternatives."""
        n = len(batch)
        if not n:
            return []
        starts = np.searchsorted(beam.row, np.arange(n))
        traces = Traces(self.taxonomy, levels, starts, beam.node, beam.logprob)
        answers = traces.answers
        likely = np.exp(beam.logprob[starts])
        if isinstance(self.taxonomy, StayingTaxonomy):  # at or below the node at which it stays
            stays = np.flatnonzero(self.taxonomy.stays[answers])
            likely[stays] = traces.sure[stays, self.taxonomy.level[answers[stays]] - 2]
        stops: dict[int, str] = {}
        if (stopped := np.flatnonzero(~self._leaf[answers])).size:
            best, logprob = traces.best_of_last_level()
            for row in stopped.tolist():
                stops[row] = self._why_stopped(answers[row], best[row], np.exp(logprob[row]))
        codes, path = self.taxonomy.codes, self.taxonomy.path
        nodes, sure, items = answers.tolist(), likely.tolist(), batch.items
        status = list[Status](["ok"]) * n
        for row in stops:
            status[row] = "partial"

        def made(row: int) -> Prediction:
            node, why = nodes[row], stops.get(row)
            lazy: Any = traces[row]  # stands in two fields until they are read
            return Prediction(
                codes[node],
                path(node),
                sure[row],
                source,
                "ok" if why is None else "partial",
                why or "",
                items[row].id,
                lazy,
                lazy,
            )

        paths = {node: path(node) for node in {*nodes}}
        columns = [
            [codes[node] for node in nodes],
            [paths[node] for node in nodes],
            [*sure],
            [source] * n,
            status,
            [stops.get(row, "") for row in range(n)] if stops else [""] * n,
        ]
        return WalkedColumns(columns, made, self.taxonomy, traces.path, traces.sure)

    def _why_stopped(self, answer: int, best: int, probability: float) -> str:
        return (
            f"stopped at level {self.taxonomy.level[answer]}: no child is likely, "
            f"the best is {self.taxonomy.names[best]!r} with {probability:.0%}"
        )


def _ends(taxonomy: Taxonomy, ends: Sequence[int], depth: int | None) -> NDArray[np.bool_]:
    """bool [n_nodes], leaves and what counts as such."""
    leaf = np.asarray(taxonomy.end == np.arange(1, len(taxonomy) + 1))
    leaf[list(ends)] = True
    return leaf if depth is None else leaf | (taxonomy.level >= depth)


def ends_of(components: Components) -> NDArray[np.bool_]:
    """bool [n_nodes], where a path may end: leaves, and what a config makes such."""
    config, taxonomy = components.config.descent, components.taxonomy
    leaf = _ends(taxonomy, [taxonomy.index(code) for code in config.ends], config.depth)
    if isinstance(taxonomy, StayingTaxonomy):
        leaf[taxonomy.parent[np.flatnonzero(taxonomy.stays)]] = True
    return leaf


def make_descent(components: Components, scorer: Scorer) -> Descent:
    """The descent of a config, for what a scorer needs of its candidates."""
    config, taxonomy = components.config.descent, components.taxonomy
    aims = isinstance(scorer, NodeProbabilityScorer) and config.answer is None
    stop = config.stop if config.stop is not None else 0.0 if aims else STOP
    return Descent(
        taxonomy,
        components.narrower(scorer),
        candidates=components.config.retrieval.candidates,
        beam=config.beam,
        stop=stop,
        depth=config.depth,
        answer=config.answer or "walk",
        objective=config.objective if aims else None,
        ends=[taxonomy.index(code) for code in config.ends],
    )


def _numbers(
    scorer: Scorer, parts: dict[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """The scores, none of which is NaN: that is no answer, whatever is made of it."""
    if np.isnan(parts[scorer.name]).any():
        raise EngineError(
            f"{scorer.name} answered with NaN: its weights are damaged or beyond their precision; "
            "use other weights, or llm.precision: float32"
        )
    return parts
