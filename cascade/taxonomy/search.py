"""Lexical search over names, synonyms and codes, for people who look for a node."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_PLAIN = str.maketrans("øłđı", "oldi")
_WORD = re.compile(r"\w+")


def fold(text: str) -> str:
    """Text without case and accents."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in parts if not unicodedata.combining(c)).translate(_PLAIN)


class Searcher:
    """Finds entries by one scan over all their texts joined, so that no entry is visited in vain.

    Parameters
    ----------
    names, codes
        One for each node.
    synonyms
        Sparse, by node.
    level
        int16 [n]; among equal matches the higher level comes first.
    """

    def __init__(
        self,
        names: Sequence[str],
        synonyms: Mapping[int, Sequence[str]],
        codes: Sequence[str],
        level: NDArray[np.int16],
    ) -> None:
        others = [(i, word) for i, words in synonyms.items() for word in words]
        texts = [*names, *(word for _, word in others), *codes]
        self._edges = (len(names), len(names) + len(others))
        self._nodes = np.concatenate(
            [
                np.arange(len(names)),
                np.array([i for i, _ in others], dtype=np.int64),
                np.arange(len(codes)),
            ]
        )
        self._level = level
        self._texts = [fold(text) for text in texts]
        self._all = "\n" + "\n".join(self._texts)
        lengths = np.fromiter(map(len, self._texts), dtype=np.int64, count=len(texts))
        self._starts = np.cumsum(lengths + 1) - lengths

    def search(self, query: str, limit: int) -> list[int]:
        """Nodes, best first, at most `limit`; see `Taxonomy.search` for the order."""
        wanted = fold(" ".join(query.split()))
        if not wanted or limit < 1:
            return []
        words = set(_WORD.findall(wanted))
        best: dict[int, tuple[int, int, int, int]] = {}
        for entry in self._holding(max(words, key=len, default=wanted)):
            rank = _rank(wanted, words, self._texts[entry])
            if rank is not None:
                node = int(self._nodes[entry])
                kind = sum(entry >= edge for edge in self._edges)
                key = (rank, kind, int(self._level[node]), node)
                best[node] = min(key, best.get(node, key))
        return [key[-1] for key in sorted(best.values())[:limit]]

    def _holding(self, word: str) -> list[int]:
        """Entries that contain a word anywhere."""
        hits = [match.start() for match in re.finditer(re.escape(word), self._all)]
        entries = np.searchsorted(self._starts, np.array(hits, dtype=np.int64), side="right") - 1
        return [int(entry) for entry in np.unique(entries)]


def _rank(wanted: str, words: set[str], text: str) -> int | None:
    if text == wanted:
        return 0
    if text.startswith(wanted):
        return 1
    if words and words.issubset(_WORD.findall(text)):
        return 2
    return 3 if wanted in text else None
