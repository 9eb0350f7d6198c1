"""How far reviewers agree: Cohen's kappa of two, Krippendorff's alpha of all.

Values are nodes of a taxonomy, or -1 for nowhere, which counts as the root above the top.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cascade.taxonomy import Taxonomy

NOWHERE = -1


@dataclass(frozen=True)
class Pair:
    """Two reviewers, the rows that both looked at, how many of these they agree on, and kappa.

    Kappa is None where chance alone would make them agree on all.
    """

    reviewers: tuple[str, str]
    rows: int
    agreed: int
    kappa: float | None


@dataclass(frozen=True)
class Agreement:
    """How far the reviewers of a session agree.

    Parameters
    ----------
    rows
        Rows with two reviewers or more, on their own.
    alpha
        Krippendorff's alpha, where any two different nodes differ alike; None where undefined.
    alpha_tree
        The same where nodes differ by the number of edges between them.
    pairs
        Each two reviewers with rows in common.
    """

    rows: int
    alpha: float | None
    alpha_tree: float | None
    pairs: tuple[Pair, ...] = ()


def agreement(verdicts: Mapping[int, Mapping[str, int]], taxonomy: Taxonomy) -> Agreement:
    """The agreement of verdicts: a node by reviewer, by row."""
    units = [list(found.values()) for found in verdicts.values() if len(found) > 1]
    common: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for found in verdicts.values():
        for one, other in combinations(sorted(found), 2):
            common[one, other].append((found[one], found[other]))
    pairs = [
        Pair(names, len(values), sum(a == b for a, b in values), cohen(values))
        for names, values in sorted(common.items())
    ]
    return Agreement(len(units), alpha(units), alpha_tree(units, taxonomy), tuple(pairs))


def cohen(values: Sequence[tuple[int, int]]) -> float | None:
    """Cohen's kappa of two (Cohen 1960, "A Coefficient of Agreement for Nominal Scales").

    (p_o - p_e) / (1 - p_e), with the share p_o of rows that both say the same of, and p_e, what
    that would be by chance: the sum over values of the product of both shares.
    """
    if not values:
        return None
    n = len(values)
    observed = sum(a == b for a, b in values) / n
    shares = [_counts([pair[side] for pair in values]) for side in (0, 1)]
    chance = sum(count * shares[1].get(value, 0) for value, count in shares[0].items()) / n**2
    return None if chance >= 1 else (observed - chance) / (1 - chance)


def alpha(units: Sequence[Sequence[int]]) -> float | None:
    """Krippendorff's alpha for nominal values, also where rows have not all the same reviewers.

    1 - D_o / D_e (Krippendorff 2018, "Content Analysis", 4th edition, section 12.3). D_o is the
    mean difference of two values of one row, D_e that of any two values; here 1 where they differ.
    """
    units = [unit for unit in units if len(unit) > 1]
    all_values = [value for unit in units for value in unit]
    n = len(all_values)
    if n < 2:
        return None
    observed = sum(_differing(unit) / (len(unit) - 1) for unit in units) / n
    expected = _differing(all_values) / (n * (n - 1))
    return None if expected == 0 else 1 - observed / expected


def alpha_tree(units: Sequence[Sequence[int]], taxonomy: Taxonomy) -> float | None:
    """Krippendorff's alpha where two nodes differ by the number of edges between them.

    In a taxonomy of one level it is `alpha`. Of the edges between all pairs of n values an edge
    above k of them is one of k (n - k) ways, each counted from both ends; so no pair is visited.
    """
    units = [unit for unit in units if len(unit) > 1]
    all_values = [value for unit in units for value in unit]
    n = len(all_values)
    if n < 2:
        return None
    observed = sum(_edges(unit, taxonomy) / (len(unit) - 1) for unit in units) / n
    expected = _edges(all_values, taxonomy) / (n * (n - 1))
    return None if expected == 0 else 1 - observed / expected


def _counts(values: Sequence[int]) -> dict[int, int]:
    found, counts = np.unique(np.array(values), return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _differing(values: Sequence[int]) -> int:
    """Ordered pairs of different values."""
    return len(values) ** 2 - sum(count**2 for count in _counts(values).values())


def _edges(values: Sequence[int], taxonomy: Taxonomy) -> int:
    """Edges between all ordered pairs of values, summed up."""
    below: dict[int, int] = defaultdict(int)
    for value, count in _counts(values).items():
        path: NDArray[np.int32] | list[int] = [] if value < 0 else taxonomy.path_nodes(value)
        for node in path:
            below[int(node)] += count
    return sum(2 * count * (len(values) - count) for count in below.values())
