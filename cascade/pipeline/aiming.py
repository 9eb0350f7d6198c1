"""The node to answer with, where the probability of every node is known at once.

A walk sees the children of one node at a time and takes the likeliest, or keeps a few paths. Where
all probabilities are known the best answer of all is found directly, and its levels have the sums
of their leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cascade.config import Objective
from cascade.items import Batch, Choices
from cascade.pipeline.trace import LevelScores
from cascade.retrieval.subtrees import NodeProbabilities
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.staying import stays_at

if TYPE_CHECKING:
    from cascade.retrieval.all_children import AllChildren
    from cascade.retrieval.retriever import Retriever

Nodes = NDArray[np.int32]


@dataclass(frozen=True)
class Aim:
    """Finds the best answers under probabilities of all nodes.

    Parameters
    ----------
    objective
        `leaf`: the likeliest node where a path may end. `hf1`: of the likeliest node of each level
        the one with the greatest expected hierarchical F1.
    is_end
        bool [n_nodes], where a path ends: at leaves, and perhaps at nodes above them.
    stop
        An answer is cut at an inner node, but not above level 1, where the next one on its path
        has less than this share of its probability.
    """

    taxonomy: Taxonomy
    objective: Objective
    is_end: NDArray[np.bool_]
    stop: float = 0.0

    def answers(self, found: NodeProbabilities, n_items: int, k: int) -> tuple[Nodes, Nodes]:
        """The answer to each item, and the k likeliest ends, best first.

        Returns
        -------
        answers : int32 [n_items]
            -1 where no probability of a leaf is known.
        ends : int32 [n_items, at most k]
            -1 behind the last that is known.
        """
        ends, _ = found.top_ends(k, self._end_above)
        answers = self._greatest_f1(found, ends[:, 0]) if self.objective == "hf1" else ends[:, 0]
        return self._cut(found, answers) if self.stop > 0 else answers, ends

    def _greatest_f1(self, found: NodeProbabilities, likeliest: Nodes) -> Nodes:
        """The nodes with the greatest expected `2 |P & G| / (|P| + |G|)`, of those of each level.

        P and G are the nodes on the paths to the answer and to the right leaf. What the paths to an
        answer and to all leaves below a node have in common is that node, so expectations are sums
        over the nodes on the path to the answer.
        """
        best = likeliest.copy()
        greatest = np.full(len(best), -np.inf, dtype=np.float32)
        depth = self._depth[self._end_above].astype(np.float32)
        for level in range(1, self.taxonomy.depth + 1):
            nodes, _ = found.likeliest_at(level)
            known = np.flatnonzero((nodes >= 0) & (likeliest >= 0))
            known = known[self._end_above[nodes[known]] == nodes[known]]  # none below an end
            paths = self.taxonomy.paths_of(nodes[known])
            counts = (paths >= 0) & ~self._stays[paths]
            rows = np.broadcast_to(known, paths.shape)[counts]
            for own in np.unique(self._depth[nodes[known]]):
                here = np.broadcast_to(self._depth[nodes[known]] == own, paths.shape)[counts]
                shared = found.expected(2 / (own + depth), rows[here], paths[counts][here])
                total = np.bincount(rows[here], shared, minlength=len(best)).astype(np.float32)
                better = np.zeros(len(best), bool)
                better[known[self._depth[nodes[known]] == own]] = True
                better &= total > greatest
                best[better], greatest[better] = nodes[better], total[better]
        return best

    def _cut(self, found: NodeProbabilities, answers: Nodes) -> Nodes:
        """The last node on each path before one that is too unlikely."""
        out = answers.copy()
        rows = np.flatnonzero(answers >= 0)
        paths = self.taxonomy.paths_of(answers[rows])
        going = np.ones(len(rows), bool)
        above = found.log_prob(rows, paths[0])
        for level in range(1, len(paths)):
            nodes = paths[level]
            going &= nodes >= 0
            own = np.zeros(len(rows), dtype=np.float32)
            own[going] = found.log_prob(rows[going], nodes[going])
            stops = going & (own - above < np.log(self.stop))
            out[rows[stops]] = paths[level - 1, stops]
            going &= ~stops
            above = own
        return out

    def levels(
        self,
        name: str,
        found: NodeProbabilities,
        batch: Batch,
        answers: Nodes,
        narrower: Retriever | AllChildren,
        k: int,
    ) -> list[LevelScores]:
        """What was considered on the path to each answer and below it, k nodes at each level.

        The log-probabilities of candidates are those given their parent, among all its children.
        """
        paths = np.vstack([self.taxonomy.paths_of(answers), np.full((1, len(answers)), -1)])
        paths = paths.astype(np.int32)
        found_levels = []
        parents, above = np.full(len(answers), -1, np.int32), np.zeros(len(answers), np.float32)
        rows = np.arange(len(answers), dtype=np.int32)
        for path in paths:
            asked = narrower.narrow(batch, rows, parents[rows], k)
            choices = _with(asked, path[rows])
            of = choices.rows[choices.question]
            logprob = found.log_prob(of, choices.nodes) - above[of]
            found_levels.append(
                LevelScores(choices, {name: np.minimum(logprob, 0).astype(np.float64)})
            )
            rows = rows[(path[rows] >= 0) & ~self.is_end[path[rows]]]
            if not len(rows):
                break
            parents[rows] = path[rows]
            above[rows] = found.log_prob(rows, path[rows])
        return found_levels

    @cached_property
    def _end_above(self) -> Nodes:
        """int32 [n_nodes], the highest end at or above each node; the node itself without one."""
        nodes = np.arange(len(self.taxonomy), dtype=np.int32)
        paths = self.taxonomy.paths_of(nodes)
        out = nodes
        for path in paths[::-1]:
            out = np.where((path >= 0) & self.is_end[path], path, out)
        return out

    @cached_property
    def _stays(self) -> NDArray[np.bool_]:
        """bool [n_nodes], which stand for staying at the node above them."""
        return np.array([stays_at(self.taxonomy, i) for i in range(len(self.taxonomy))], bool)

    @cached_property
    def _depth(self) -> NDArray[np.integer]:
        """[n_nodes], how many nodes lie on the path to each as it is shown."""
        return self.taxonomy.level - self._stays


def _with(choices: Choices, wanted: Nodes) -> Choices:
    """The choices with `wanted` [n_questions] (or -1) in place of the last where it is missing."""
    there = np.zeros(len(choices), bool)
    there[choices.question[choices.nodes == wanted[choices.question]]] = True
    missing = np.flatnonzero(~there & (wanted >= 0))
    if not len(missing):
        return choices
    nodes = choices.nodes.copy()
    nodes[choices.offsets[missing + 1] - 1] = wanted[missing]
    return Choices(choices.rows, choices.parents, choices.offsets, nodes)
