"""Candidates of a whole taxonomy as a prompt lists them: mark, end of the path, description.

A. Coffee > Whole Bean: roasted beans that are sold whole
B. Coffee > Ground
C. none of these
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from string import ascii_uppercase

from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import PATH_SEPARATOR, readable_name

NONE = "none of these"
NAMES = 2  # of a path's end, where they tell candidates apart
LONGEST = 160  # characters of a path's end that are listed
REMEMBERED = 65_536  # nodes whose names are kept


class CandidateTexts:
    """The text of each candidate in a list of them.

    Parameters
    ----------
    descriptions
        Characters of a description that follow the names; 0 for none.
    """

    def __init__(self, taxonomy: Taxonomy, descriptions: int = 60) -> None:
        self._taxonomy, self._descriptions = taxonomy, descriptions
        self._names = lru_cache(maxsize=REMEMBERED)(self._names_of)

    def __call__(self, nodes: Sequence[int]) -> list[str]:
        """A text for each node, on one line and unlike the others.

        The last names of its path, as many as tell it from the others of the list, and its
        description. Its code stands behind them where even its path does not tell it.
        """
        names = {node: self._names(node) for node in nodes}
        shown = dict.fromkeys(nodes, NAMES)
        while True:
            ends = {node: _end(names[node][-shown[node] :]) for node in nodes}
            same = _repeated(ends)
            grown = [node for node in same if shown[node] < len(names[node])]
            if not grown:
                break
            for node in grown:
                shown[node] += 1
        for node in same:
            ends[node] = f"{ends[node]} [{self._taxonomy.codes[node]}]"
        return [self._with_description(ends[node], node) for node in nodes]

    def _with_description(self, end: str, node: int) -> str:
        description = one_line(self._taxonomy.description(node))[: self._descriptions]
        return f"{end}: {description.rstrip()}" if description else end

    def _names_of(self, node: int) -> tuple[str, ...]:
        path = self._taxonomy.path_nodes(node).tolist()
        return tuple(one_line(readable_name(self._taxonomy.names[at])) for at in path)


def _end(names: Sequence[str]) -> str:
    """Names as a path, of a long one the last characters, which say most."""
    path = PATH_SEPARATOR.join(names)
    return path if len(path) <= LONGEST else f"... {path[-LONGEST:]}"


def _repeated(ends: Mapping[int, str]) -> list[int]:
    """Nodes whose text another one or `NONE` has too, whatever their case."""
    seen: dict[str, list[int]] = {}
    for node, end in ends.items():
        seen.setdefault(end.casefold(), []).append(node)
    return [
        node
        for text, nodes in seen.items()
        if len(nodes) > 1 or text == NONE.casefold()
        for node in nodes
    ]


def one_line(text: str) -> str:
    """A text with single blanks, and no line of its own that could pass for a candidate."""
    return " ".join(text.split())


def letters(n: int) -> list[str]:
    """`A`, `B`, ..., one for each of n candidates.

    Raises
    ------
    ValueError
        There are more candidates than letters.
    """
    if n > len(ascii_uppercase):
        raise ValueError(f"{n} candidates, but only {len(ascii_uppercase)} letters")
    return list(ascii_uppercase[:n])
