"""The tools of the agent: the real taxonomy, the real retriever, and the rules of codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch
from cascade.retrieval.retriever import Retriever
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import readable_name
from cascade.taxonomy.staying import stays_at

LONGEST = 200  # characters of a description that `compare` shows
SYNONYMS = 5  # that it shows


class NodeTools:
    """Finds, opens and describes nodes for the items of a batch.

    Parameters
    ----------
    retriever
        Compares items and words with nodes.
    ends
        bool [n_nodes], nodes that may be answered.
    shown
        Nodes that a list has at the most.
    """

    def __init__(self, retriever: Retriever, ends: NDArray[np.bool_], shown: int) -> None:
        self.taxonomy: Taxonomy = retriever.taxonomy
        self._retriever, self._ends, self._shown = retriever, ends, shown

    def first(self, batch: Batch, answers: Sequence[int]) -> list[tuple[int, ...]]:
        """For each item the most similar nodes that may be answered, its answer so far first."""
        k = 2 * self._shown  # some may not be answered
        similar = self._retriever.compare(batch).top_nodes(4 * k)
        lists = []
        for answer, found in zip(answers, similar.tolist(), strict=True):
            nodes = [self._own(node) for node in found if node >= 0]
            nodes = [node for node in nodes if self._ends[node]]
            lists.append(tuple(dict.fromkeys([self._own(answer), *nodes]))[: self._shown])
        return lists

    def search(self, words: Sequence[str]) -> list[tuple[int, ...]]:
        """For each text nodes of any level, by name and by meaning."""
        return [tuple(found) for found in self._retriever.find(words, self._shown)]

    def below(
        self, batch: Batch, rows: Sequence[int], parents: Sequence[int]
    ) -> list[tuple[int, ...]]:
        """For items of the batch the children of a node (-1 above the top), most similar first."""
        if not rows:
            return []
        choices = self._retriever.narrow(
            batch, np.array(rows, np.int32), np.array(parents, np.int32), self._shown + 1
        )
        lists = np.split(choices.nodes, choices.offsets[1:-1])
        return [
            tuple(n for n in own.tolist() if not stays_at(self.taxonomy, n))[: self._shown]
            for own in lists
        ]

    def _own(self, node: int) -> int:
        """A node, that above it where it stands for staying there."""
        return int(self.taxonomy.parent[node]) if stays_at(self.taxonomy, node) else node

    def openable(self, node: int) -> bool:
        """Whether there is something below a node."""
        return bool(self.taxonomy.end[node] > node + 1)

    def choosable(self, node: int) -> bool:
        """Whether a node may be answered."""
        return bool(self._ends[node])

    def path(self, node: int) -> str:
        """Names from the top, on one line."""
        names = (self.taxonomy.names[at] for at in self.taxonomy.path_nodes(node).tolist())
        return " > ".join(map(one_line, map(readable_name, names)))

    def about(self, node: int, longest: int = LONGEST) -> str:
        """Description and synonyms of a node, on one line; empty where there are none."""
        taxonomy = self.taxonomy
        parts = [one_line(taxonomy.description(node))[:longest]]
        if others := taxonomy.synonyms(node)[:SYNONYMS]:
            parts.append("also " + ", ".join(map(one_line, others))[:longest])
        return "; ".join(filter(None, parts))


def one_line(text: str) -> str:
    """A text without line breaks."""
    return " ".join(text.split())
