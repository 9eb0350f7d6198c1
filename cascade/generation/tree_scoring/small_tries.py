"""Tries of a few answers and their plans in plain Python: NumPy's calls cost more than they do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cascade.generation.text_encoding import TokenSequences
from cascade.generation.tree_scoring.trie import ScoringPlan, Trie


def small_tries_of(sequences: TokenSequences, counts: Sequence[int]) -> list[Trie]:
    """As `trie.tries_of`, each with the plan of its local reading."""
    flat, lengths = sequences.tokens.tolist(), sequences.lengths.tolist()
    spelled, at = [], 0
    for length in lengths:
        spelled.append(flat[at : (at := at + length)])
    tries, first = [], 0
    for count in counts:
        tries.append(_trie(spelled[first : (first := first + count)]))
    return tries


def _trie(spelled: list[list[int]]) -> Trie:
    token, parent, depth, edges = [-1], [-1], [0], [0]
    deepest = max(map(len, spelled), default=0)
    ways = [[0] * deepest for _ in spelled]
    live, last = list(range(len(spelled))), [0] * len(spelled)
    for level in range(deepest):
        live = [at for at in live if len(spelled[at]) > level]
        reached = [(last[at], spelled[at][level]) for at in live]
        # Sorted by parent and token, children of a parent lie together.
        number = {key: at for at, key in enumerate(sorted(set(reached)), len(token))}
        for above, own in number:
            token.append(own)
            parent.append(above)
            depth.append(level + 1)
            edges.append(0)
            edges[above] += 1
        for at, key in zip(live, reached, strict=True):
            last[at] = ways[at][level] = number[key]
    trie = Trie(
        np.array(token, dtype=np.int64),
        np.array(parent, dtype=np.int64),
        np.array(depth, dtype=np.int64),
        np.array(ways, dtype=np.int64).reshape(len(spelled), deepest),
    )
    trie._plans["local"] = _local_plan(token, parent, depth, edges)
    return trie


def _local_plan(
    token: list[int], parent: list[int], depth: list[int], edges: list[int]
) -> ScoringPlan:
    """What the local reading needs: the edges at branchings, and the nodes on the way to these.

    Parameters
    ----------
    edges
        How many leave each node.
    """
    computed = [n > 1 for n in edges]
    for node in range(len(parent) - 1, 0, -1):
        if computed[node]:
            computed[parent[node]] = True
    nodes = [node for node in range(1, len(parent)) if computed[node]]
    place = {0: 0} | {node: at for at, node in enumerate(nodes, 1)}
    read = [node for node in range(1, len(parent)) if edges[parent[node]] > 1]
    sources, starts = [], []
    for at, node in enumerate(read):
        if not at or parent[node] != parent[read[at - 1]]:
            sources.append(place[parent[node]])
            starts.append(at)
    return ScoringPlan(
        *(
            np.array(values, dtype=np.int64)
            for values in (
                nodes,
                [token[node] for node in nodes],
                [depth[node] for node in nodes],
                [place[parent[node]] - 1 for node in nodes],
                read,
                [token[node] for node in read],
                sources,
                starts,
            )
        )
    )
