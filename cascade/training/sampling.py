"""Holding rows out so that what is measured on them is true: near duplicates stay on one side."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.words.ngrams import count_characters

LIKE = 0.8  # Jaccard similarity from which two texts count as near duplicates
BANDS, IN_BAND = 8, 4
CHUNK = 4096


def near_duplicate_groups(texts: Sequence[str]) -> NDArray[np.int64]:
    """Group of each text; texts that are alike or nearly so share one.

    MinHash signatures over runs of five characters (Broder 1997), compared where a band of them
    agrees; the share of equal places estimates the Jaccard similarity.

    Returns
    -------
    int64 [n_texts], from 0
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    parts = [_signatures(texts[at : at + CHUNK]) for at in range(0, len(texts), CHUNK)]
    if not parts:
        return np.empty(0, np.int64)
    signature = np.concatenate(parts)
    left: list[NDArray[np.int64]] = []
    right: list[NDArray[np.int64]] = []
    for band in range(BANDS):
        key = signature[:, band * IN_BAND : (band + 1) * IN_BAND]
        _, bucket = np.unique(key, axis=0, return_inverse=True)
        order = np.argsort(bucket.reshape(-1), kind="stable")
        same = np.flatnonzero(np.diff(bucket.reshape(-1)[order]) == 0)
        one, other = order[same], order[same + 1]
        near = (signature[one] == signature[other]).mean(axis=1) >= LIKE
        left.append(one[near])
        right.append(other[near])
    pairs = np.concatenate(left), np.concatenate(right)
    n = len(texts)
    links = coo_matrix((np.ones(len(pairs[0]), np.int8), pairs), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def _signatures(texts: Sequence[str]) -> NDArray[np.uint32]:
    """uint32 [n_texts, BANDS * IN_BAND], the least of differently mixed hashes of each text."""
    # Runs go across words; a text too short for one stands three times.
    joined = ["_".join(text.split()) for text in texts]
    found = count_characters([t if len(t) > 2 else f"{t}_{t}_{t}_" for t in joined], 5, 5)
    starts = np.searchsorted(found.row, np.arange(len(texts)))
    rng = np.random.default_rng(0)
    odd = rng.integers(1 << 63, size=BANDS * IN_BAND, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    out = np.empty((len(texts), BANDS * IN_BAND), dtype=np.uint32)
    grams = found.gram.astype(np.uint64) + np.uint64(1)
    for at, factor in enumerate(odd):
        with np.errstate(over="ignore"):
            mixed = ((grams * factor) >> np.uint64(32)).astype(np.uint32)
        out[:, at] = np.minimum.reduceat(mixed, starts)
    return out


def hold_out_stratified(
    texts: Sequence[str],
    nodes: NDArray[np.int32],
    groups: NDArray[np.int64],
    share: float,
    seed: int,
) -> NDArray[np.bool_]:
    """Which rows are held out: about `share` of each label, whole groups, never a label's last row.

    Rows of the same texts and labels give the same parts in any order and on any machine.

    Parameters
    ----------
    nodes, groups
        Label and group of each row, [n_rows].

    Returns
    -------
    bool [n_rows]
    """
    drawn = np.array([_draw(text, seed) for text in texts], dtype=np.float64)
    labels, label = np.unique(nodes, return_inverse=True)
    counts = np.bincount(label)
    luck = np.array([_draw(f"label {node}", seed) for node in labels.tolist()])
    wanted = np.minimum(np.floor(share * counts + luck), counts - 1)
    first = np.full(int(groups.max(initial=-1)) + 1, np.inf)
    np.minimum.at(first, groups, drawn)
    order = np.lexsort((drawn, groups, first[groups]))
    ends = np.flatnonzero(np.append(np.diff(groups[order]) != 0, True)) + 1
    held = np.zeros(len(nodes), dtype=bool)
    taken = np.zeros(len(labels), dtype=np.int64)
    for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        rows = order[start:end]
        more = np.bincount(label[rows], minlength=len(labels))
        if (taken + more <= wanted)[more > 0].all():
            held[rows] = True
            taken += more
    return held


def _draw(text: str, seed: int) -> float:
    """A number from 0 to 1, the same for the same text and seed and else as if random."""
    key = str(seed).encode()
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=key)
    return int.from_bytes(digest.digest(), "little") / 2**64


def hold_out_groups(texts: Sequence[str], share: float, most: int, seed: int) -> NDArray[np.bool_]:
    """Which rows are held out, drawn by the seed; near duplicates stay together.

    Parameters
    ----------
    share, most
        Of the rows, and how many at the most.

    Returns
    -------
    bool [n_rows]
    """
    group = near_duplicate_groups([text.casefold() for text in texts])
    sizes = np.bincount(group)
    order = np.random.default_rng((seed, 0)).permutation(len(sizes))
    wanted = min(round(share * len(texts)), most)
    chosen = order[np.cumsum(sizes[order]) <= wanted]
    return np.isin(group, chosen)


def balanced(nodes: NDArray[np.int32], per_class: int | None, seed: int = 0) -> NDArray[np.int64]:
    """Rows of a class-balanced subset: of every node at most `per_class`, drawn by the seed.

    Returns
    -------
    int64, increasing; all rows where `per_class` is None
    """
    order = np.random.default_rng(seed).permutation(len(nodes))
    if per_class is None:
        return np.sort(order)
    by_node = order[np.argsort(nodes[order], kind="stable")]
    sorted_nodes = nodes[by_node]
    place = np.arange(len(nodes)) - np.searchsorted(sorted_nodes, sorted_nodes)
    return np.sort(by_node[place < per_class])
