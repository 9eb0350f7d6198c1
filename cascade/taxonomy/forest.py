"""The tree of a taxonomy without its names: arrays in depth-first order, and how they are made.

All is done without recursion; a million rows take well under a second: levels come from pointer
jumping, subtree sizes and positions from one pass for each level.
"""

from __future__ import annotations

import logging
import operator
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import TaxonomyError
from cascade.taxonomy.draft import DEEPEST, Draft

if TYPE_CHECKING:
    import scipy.sparse

logger = logging.getLogger(__name__)


class Forest:
    """A forest of n nodes, each named by its index, an int from 0, in depth-first order.

    Parameters
    ----------
    parent
        int32 [n], index of the parent, -1 at the top.
    end
        int32 [n], one past the last descendant: the subtree of i is `range(i, end[i])`.
    level
        int16 [n], 1 at the top.
    """

    def __init__(
        self, parent: NDArray[np.int32], end: NDArray[np.int32], level: NDArray[np.int16]
    ) -> None:
        self.parent, self.end, self.level = parent, end, level
        self._children, self._offsets = _children_by_parent(parent)
        for array in (parent, end, level, self._children, self._offsets):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.parent)

    def path_nodes(self, i: int) -> NDArray[np.int32]:
        """int32 [level of i], the nodes from the top down to i itself."""
        return np.array(self._path_to(i), dtype=np.int32)

    def paths_of(self, nodes: NDArray[np.int32]) -> NDArray[np.int32]:
        """int32 [depth, n], the nodes on the path to each of n nodes, by level; -1 below it."""
        node, level = nodes, self.level[nodes]
        paths = np.full((self.depth, len(nodes)), -1, dtype=np.int32)
        for depth in range(int(level.max(initial=0)), 0, -1):
            reached = level >= depth
            paths[depth - 1, reached] = node[reached]
            node = np.where(reached, self.parent[node], node)
        return paths

    def ancestors(self, i: int) -> NDArray[np.int32]:
        """int32 [level of i - 1], the nodes above i, top first."""
        return self.path_nodes(i)[:-1]

    def lowest_common_ancestor(self, i: int, j: int) -> int:
        """The deepest node whose subtree has both i and j (perhaps one of them); -1 if none."""
        i, j = self._checked(i), self._checked(j)
        while i >= 0 and not i <= j < self.end[i]:
            i = int(self.parent[i])
        return i

    def subtree(self, i: int) -> range:
        """Indices of i and all its descendants."""
        i = self._checked(i)
        return range(i, int(self.end[i]))

    def children(self, i: int) -> NDArray[np.int32]:
        """int32, read-only: children of i in order; of -1: the top nodes."""
        i = i if i == -1 else self._checked(i)
        return self._children[self._offsets[i + 1] : self._offsets[i + 2]]

    def children_of(
        self, parents: NDArray[np.int32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Children of many nodes at once; those of -1 are the top nodes.

        Returns
        -------
        offsets
            int64 [n_parents + 1], those of parent q are `children[offsets[q]:offsets[q + 1]]`.
        children
            int32, in order inside each parent.
        """
        first = self._offsets[parents + 1].astype(np.int64)
        counts = self.n_children(parents)
        offsets = np.zeros(len(parents) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        places = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], counts)
        return offsets, self._children[places]

    def n_children(self, nodes: NDArray[np.int32]) -> NDArray[np.int32]:
        """How many children each of the nodes has; of -1: how many top nodes there are."""
        return self._offsets[nodes + 2] - self._offsets[nodes + 1]

    def is_leaf(self, i: int) -> bool:
        """Whether i has no children."""
        i = self._checked(i)
        return bool(self.end[i] == i + 1)

    @cached_property
    def leaves(self) -> NDArray[np.int32]:
        """int32, read-only: all nodes without children, in order."""
        return _frozen(np.flatnonzero(self.end == np.arange(1, len(self) + 1)))

    @cached_property
    def depth(self) -> int:
        """Number of levels."""
        return int(self.level.max())

    def level_nodes(self, level: int) -> NDArray[np.int32]:
        """int32 [n_level], read-only: all nodes of a level (1 is the top), in order.

        Raises
        ------
        TaxonomyError
            There is no such level.
        """
        if not 1 <= level <= self.depth:
            raise TaxonomyError(f"no level {level}; the levels here are 1 to {self.depth}")
        return self._nodes_by_level[level - 1]

    def transition(self, level: int) -> scipy.sparse.csr_matrix:
        """Which node of a level is the parent of which node of the next, as zeros and ones.

        Returns
        -------
        float32 [n_level, n_next], rows and columns in the order of `level_nodes`.

        Raises
        ------
        TaxonomyError
            There is no such level, or none below it.
        """
        import scipy.sparse

        upper, lower = self.level_nodes(level), self.level_nodes(level + 1)
        counts = self._offsets[upper + 2] - self._offsets[upper + 1]
        starts = np.concatenate([[0], np.cumsum(counts)])
        return scipy.sparse.csr_matrix(
            (np.ones(len(lower), dtype=np.float32), np.arange(len(lower)), starts),
            shape=(len(upper), len(lower)),
        )

    @cached_property
    def _nodes_by_level(self) -> list[NDArray[np.int32]]:
        nodes = np.argsort(self.level, kind="stable")
        edges = np.cumsum(np.bincount(self.level))
        return [_frozen(nodes[a:b]) for a, b in pairwise(edges)]

    def _path_to(self, i: int) -> list[int]:
        way = [self._checked(i)]
        while (i := int(self.parent[way[-1]])) >= 0:
            way.append(i)
        return way[::-1]

    def _checked(self, i: int) -> int:
        try:
            i = operator.index(i)
        except TypeError:
            raise TaxonomyError(f"{i!r} is no index of a node; expected an integer") from None
        if not 0 <= i < len(self):
            raise TaxonomyError(f"no node at index {i}; they run from 0 to {len(self) - 1}")
        return i


def _children_by_parent(parent: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Children of every node as compressed rows.

    Returns
    -------
    children
        int32 [n], nodes sorted by their parent, in order inside a parent; top nodes first.
    offsets
        int32 [n + 2], children of node i are `children[offsets[i + 1]:offsets[i + 2]]`; i = -1
        gives the top nodes.
    """
    children = np.argsort(parent, kind="stable").astype(np.int32)
    counts = np.bincount(parent + 1, minlength=len(parent) + 1)
    offsets = np.zeros(len(parent) + 2, dtype=np.int32)
    np.cumsum(counts, out=offsets[1:])
    return children, offsets


def _frozen(nodes: NDArray[Any]) -> NDArray[np.int32]:
    nodes = nodes.astype(np.int32)
    nodes.flags.writeable = False
    return nodes


def arrange(
    draft: Draft,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int16]]:
    """Check that a draft is a tree and put it in depth-first order, siblings as in the file.

    Names of `draft` are changed where `distinct_siblings` asks for it.

    Returns
    -------
    order
        int32 [n], the row of each node.
    parent, end, level
        Of each node, as in `Forest`.

    Raises
    ------
    TaxonomyError
        No node at all, a blank or repeated code, a blank name, a cycle, siblings of one name, or
        more than `DEEPEST` levels.
    """
    if not draft.codes:
        raise TaxonomyError("no node in it; a taxonomy needs at least one", file=draft.file)
    draft.check_codes()
    parent = np.array(draft.parent, dtype=np.int32)
    level = _levels(draft, parent)
    _check_siblings(draft, parent)
    size, position = _sizes_and_positions(parent, level)
    order = np.empty_like(position)
    order[position] = np.arange(len(position), dtype=np.int32)
    above = parent[order]
    moved = np.where(above < 0, np.int32(-1), position[above])
    end = np.arange(len(order), dtype=np.int32) + size[order]
    return order, moved, end, level[order].astype(np.int16)


def _levels(draft: Draft, parent: NDArray[np.int32]) -> NDArray[np.int32]:
    """Levels, int32 [n]: each pass doubles how far up a row has looked (pointer jumping)."""
    count = len(parent)
    jump = np.append(parent, np.int32(count))
    jump[jump < 0] = count
    level = np.ones(count + 1, dtype=np.int32)
    level[count] = 0
    for _ in range(count.bit_length() + 1):
        if (jump == count).all():
            break
        level += level[jump]
        jump = jump[jump]
    else:
        raise _cycle(draft, int(np.flatnonzero(jump != count)[0]))
    if (deepest := int(level.max())) > DEEPEST:
        row = int(np.flatnonzero(level == DEEPEST + 1)[0])
        raise draft.error(
            f"node {draft.codes[row][:80]!r} is more than {DEEPEST} levels deep (the deepest, "
            f"{deepest:,}), which is not possible; its parents are probably wrong",
            row,
        )
    return level[:count]


def _cycle(draft: Draft, row: int) -> TaxonomyError:
    seen: dict[int, int] = {}
    while row not in seen:
        seen[row] = len(seen)
        row = draft.parent[row]
    ring = list(seen)[seen[row] :]
    first = ring.index(min(ring))
    ring = ring[first:] + ring[:first]
    shown = [repr(draft.codes[r]) + draft.at(r) for r in [*ring[:9], *ring[:1]]]
    if len(ring) > 9:
        shown.insert(9, f"{len(ring) - 9} more")
    return draft.error(
        f"parents go round in a cycle: {' -> '.join(shown)}; give one of these nodes another "
        "parent, or none",
        ring[0],
    )


def _check_siblings(draft: Draft, parent: NDArray[np.int32]) -> None:
    """Find siblings of one name by sorting hashes of (parent, name); hits are compared in full."""
    names = draft.names
    keys = np.fromiter(map(hash, names), dtype=np.int64, count=len(names))
    keys ^= parent.astype(np.int64) * np.int64(0x1E3779B97F4A7C15)
    ordered = np.sort(keys)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(twice):
        return
    first: dict[tuple[int, str], int] = {}
    suspects = np.flatnonzero(np.isin(keys, twice)).tolist()
    taken: set[tuple[int, str]] = set()
    if draft.distinct_siblings:
        beside = np.flatnonzero(np.isin(parent, parent[suspects])).tolist()
        taken.update((int(parent[row]), names[row]) for row in beside)
    renamed: list[str] = []
    for row in suspects:
        before = first.setdefault((int(parent[row]), names[row]), row)
        if before != row:
            other = f"{names[row]} ({draft.codes[row]})"
            if not draft.distinct_siblings or (int(parent[row]), other) in taken:
                raise _same_name(draft, row, before)
            taken.add((int(parent[row]), other))
            names[row] = other
            renamed.append(other)
    if renamed:
        logger.warning(
            "%s: %d names are those of an earlier sibling and got their code appended: %s%s",
            draft.file,
            len(renamed),
            ", ".join(map(repr, renamed[:3])),
            ", ..." if len(renamed) > 3 else "",
        )


def _same_name(draft: Draft, row: int, before: int) -> TaxonomyError:
    name, above = draft.names[row], draft.parent[row]
    where = f"under {draft.codes[above]!r}" if above >= 0 else "at the top"
    return draft.error(
        f"two nodes {where} are called {name!r}: {draft.codes[before]!r}{draft.at(before)} and "
        f"{draft.codes[row]!r}; names of siblings must differ",
        row,
    )


def _sizes_and_positions(
    parent: NDArray[np.int32], level: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Subtree sizes and depth-first positions, both int32 [n] by row."""
    by_level = np.argsort(level, kind="stable")
    edges = np.cumsum(np.bincount(level))
    groups = [by_level[a:b] for a, b in pairwise(edges)]
    size = np.ones(len(parent), dtype=np.int32)
    for rows in reversed(groups[1:]):
        np.add.at(size, parent[rows], size[rows])
    siblings, _ = _children_by_parent(parent)
    before = np.cumsum(size[siblings], dtype=np.int64) - size[siblings]
    above = parent[siblings]
    opens = np.concatenate([[True], above[1:] != above[:-1]])
    start = np.maximum.accumulate(np.where(opens, before, 0))
    position = np.empty(len(parent), dtype=np.int32)
    position[siblings] = before - start
    for rows in groups[1:]:
        position[rows] += position[parent[rows]] + 1
    return size, position
