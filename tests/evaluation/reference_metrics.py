"""Random answers for property tests, and the metrics again, from sets and row by row."""

import numpy as np
from hypothesis import strategies as st

from cascade.taxonomy import Taxonomy


@st.composite
def trees(draw, most=20):
    """Forests of uneven depth."""
    count = draw(st.integers(1, most))
    parents = [draw(st.integers(-1, i - 1)) for i in range(count)]
    return Taxonomy.from_records(
        (f"c{i}", f"n{i}", f"c{above}" if above >= 0 else None) for i, above in enumerate(parents)
    )


@st.composite
def answers(draw, arrays=2, most=30):
    """A taxonomy and node indices for each row: predictions (-1 is none), and gold last."""
    taxonomy = draw(trees())
    rows = draw(st.integers(1, most))
    last = len(taxonomy) - 1
    columns = [
        draw(st.lists(st.integers(least, last), min_size=rows, max_size=rows))
        for least in [-1] * (arrays - 1) + [0]
    ]
    return taxonomy, *map(np.array, columns)


def way(taxonomy, i):
    """A node and those above it, top first; none for -1."""
    found = []
    while i >= 0:
        found.insert(0, int(i))
        i = taxonomy.parent[i]
    return found


def hierarchical(taxonomy, predicted, gold):
    """hF1, hP and hR from sets of ancestors, pooled."""
    pairs = [
        (set(way(taxonomy, p)), set(way(taxonomy, g))) for p, g in zip(predicted, gold, strict=True)
    ]
    shared = sum(len(p & g) for p, g in pairs)
    n_predicted = sum(len(p) for p, _ in pairs)
    precision = shared / n_predicted if n_predicted else 0.0
    recall = shared / sum(len(g) for _, g in pairs)
    both = precision + recall
    return 2 * precision * recall / both if both else 0.0, precision, recall


def at_level(taxonomy, predicted, gold, level):
    """Classes at a level of the rows whose gold is that deep; -1 is a miss."""
    ways = [(way(taxonomy, p), way(taxonomy, g)) for p, g in zip(predicted, gold, strict=True)]
    deep = [(p, g) for p, g in ways if len(g) >= level]
    found = [p[level - 1] if len(p) >= level else -1 for p, _ in deep]
    return found, [g[level - 1] for _, g in deep]


def lenient_gold(taxonomy, predicted, gold, also, level):
    """Gold nodes, the predicted one in place of it where some right answer is the same there."""
    found = []
    for p, g, others in zip(predicted, gold, also, strict=True):
        to_level = [way(taxonomy, r)[:level] for r in (g, *others)]
        same = len(way(taxonomy, p)) >= level and way(taxonomy, p)[:level] in to_level
        found.append(p if same else g)
    return found


def nearest_gold(taxonomy, predicted, gold, also):
    """The right answer of each row that gives that row the highest hF1, the known one first."""
    return [
        max((g, *others), key=lambda right: hierarchical(taxonomy, [p], [right])[0])
        for p, g, others in zip(predicted, gold, also, strict=True)
    ]
