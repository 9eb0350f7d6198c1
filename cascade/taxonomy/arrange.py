"""From rows in any order to a tree in depth-first order, with arrays and without recursion.

A million rows take well under a second: levels come from pointer jumping, subtree sizes and
positions from one pass for each level.
"""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cascade.errors import TaxonomyError
from cascade.taxonomy.records import Draft, check_codes
from cascade.taxonomy.shape import by_parent

DEEPEST = np.iinfo(np.int16).max

logger = logging.getLogger(__name__)


class Arrangement(NamedTuple):
    """A checked tree.

    Parameters
    ----------
    order
        int32 [n], the row of each node; nodes are in depth-first order, siblings as in the file.
    parent
        int32 [n], node of the parent, -1 at the top.
    end
        int32 [n], one past the last descendant.
    level
        int16 [n], 1 at the top.
    """

    order: NDArray[np.int32]
    parent: NDArray[np.int32]
    end: NDArray[np.int32]
    level: NDArray[np.int16]


def arrange(draft: Draft) -> Arrangement:
    """Check that a draft is a tree and put it in depth-first order.

    Names of `draft` are changed where `distinct_siblings` asks for it.

    Raises
    ------
    TaxonomyError
        No node at all, a blank or repeated code, a blank name, a cycle, siblings of one name, or
        more than 32,767 levels.
    """
    if not draft.codes:
        raise TaxonomyError("no node in it; a taxonomy needs at least one", file=draft.file)
    check_codes(draft)
    level = _levels(draft)
    _check_siblings(draft)
    parent = draft.parent
    size, position = _place(parent, level)
    order = np.empty_like(position)
    order[position] = np.arange(len(position), dtype=np.int32)
    above = parent[order]
    moved = np.where(above < 0, np.int32(-1), position[above])
    end = np.arange(len(order), dtype=np.int32) + size[order]
    return Arrangement(order, moved, end, level[order].astype(np.int16))


def _levels(draft: Draft) -> NDArray[np.int32]:
    """Levels, int32 [n]: each pass doubles how far up a row has looked (pointer jumping)."""
    count = len(draft.parent)
    jump = np.append(draft.parent, np.int32(count))
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
        row = int(level.argmax())
        raise draft.error(
            f"node {draft.codes[row]!r} lies {deepest:,} levels deep; at most {DEEPEST:,} are "
            "possible, so the parents are probably wrong",
            row,
        )
    return level[:count]


def _cycle(draft: Draft, row: int) -> TaxonomyError:
    seen: dict[int, int] = {}
    while row not in seen:
        seen[row] = len(seen)
        row = int(draft.parent[row])
    ring = list(seen)[seen[row] :]
    first = ring.index(min(ring))
    ring = ring[first:] + ring[:first]
    if len(ring) == 1:
        return draft.error(
            f"node {draft.codes[ring[0]]!r} is its own parent; leave the parent blank at the top",
            ring[0],
        )
    shown = [repr(draft.codes[r]) + draft.at(r) for r in [*ring[:9], *ring[:1]]]
    if len(ring) > 9:
        shown.insert(9, f"{len(ring) - 9} more")
    return draft.error(
        f"parents go round in a cycle: {' -> '.join(shown)}; give one of these nodes another "
        "parent, or none",
        ring[0],
    )


def _check_siblings(draft: Draft) -> None:
    """Find siblings of one name by sorting hashes of (parent, name); hits are compared in full."""
    names, parent = draft.names, draft.parent
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
    name, above = draft.names[row], int(draft.parent[row])
    where = f"under {draft.codes[above]!r}" if above >= 0 else "at the top"
    return draft.error(
        f"two nodes {where} are called {name!r}: {draft.codes[before]!r}{draft.at(before)} and "
        f"{draft.codes[row]!r}; names of siblings must differ",
        row,
    )


def _place(
    parent: NDArray[np.int32], level: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Subtree sizes and depth-first positions, both int32 [n] by row."""
    by_level = np.argsort(level, kind="stable")
    edges = np.cumsum(np.bincount(level))
    groups = [by_level[a:b] for a, b in pairwise(edges)]
    size = np.ones(len(parent), dtype=np.int32)
    for rows in reversed(groups[1:]):
        np.add.at(size, parent[rows], size[rows])
    siblings, _ = by_parent(parent)
    before = np.cumsum(size[siblings], dtype=np.int64) - size[siblings]
    above = parent[siblings]
    opens = np.concatenate([[True], above[1:] != above[:-1]])
    start = np.maximum.accumulate(np.where(opens, before, 0))
    position = np.empty(len(parent), dtype=np.int32)
    position[siblings] = before - start
    for rows in groups[1:]:
        position[rows] += position[parent[rows]] + 1
    return size, position
