import tempfile
from pathlib import Path

import numpy as np
import pytest
from hash_encoder import HashEncoder

from cascade.items import Batch, Item
from cascade.retrieval.retriever import Retriever
from cascade.scoring.methods.rerank import ReadScorer
from cascade.scoring.methods.retrieval import RetrievalScorer
from cascade.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_paths(
    [f"{top} > {middle} > {leaf}" for top in "AB" for middle in "CDE" for leaf in "FGH"] + ["Z"]
)
BATCH = ("straw hat for summer", "leather shoes", "A > C > F")


class Likes:
    """Stands for a reader: says a number for each pair, and remembers what it was asked."""

    def __init__(self, liked):
        self.liked, self.asked = liked, []

    def score(self, items, nodes, rows, columns):
        self.asked += [(items[r], nodes[c]) for r, c in zip(rows, columns, strict=True)]
        return np.array([10.0 * (nodes[c] == self.liked) for c in columns], np.float32)


@pytest.fixture(params=[{}, {"index": "ivf", "hits": 100}])
def retriever(request):
    with tempfile.TemporaryDirectory() as folder:
        yield Retriever(TAXONOMY, HashEncoder(), "path", folder=Path(folder), **request.param)


def batch():
    return Batch([Item.of(text) for text in BATCH])


def leaves_of(scorer):
    nodes, p = scorer.probabilities(batch()).top_ends(len(TAXONOMY.leaves))
    return [dict(zip(n.tolist(), x.tolist(), strict=True)) for n, x in zip(nodes, p, strict=True)]


def test_what_is_read_shares_what_it_had_together(retriever):
    before = leaves_of(RetrievalScorer(retriever, 0.3))
    for listed in (2, 5, 99):
        liked = "B > E > H"
        reader = Likes(liked)
        after = leaves_of(ReadScorer(retriever, 0.3, 0.0, reader, listed=listed))
        node = TAXONOMY.find(liked)
        for row, text in enumerate(BATCH):
            best = sorted(before[row], key=lambda leaf: -before[row][leaf])[:listed]
            read = [n for item, n in reader.asked if item == text]
            assert set(read) == {TAXONOMY.path(leaf) for leaf in best}
            together = sum(before[row][leaf] for leaf in best)
            assert sum(after[row][leaf] for leaf in best) == pytest.approx(together, rel=1e-3)
            weights = {n: before[row][n] * (np.exp(5) if n == node else 1) for n in best}
            for leaf in before[row]:
                p = before[row][leaf]
                if leaf in weights:
                    p = together * weights[leaf] / sum(weights.values())
                assert after[row][leaf] == pytest.approx(p, rel=1e-3)


def test_only_items_in_doubt_are_read(retriever):
    before = leaves_of(RetrievalScorer(retriever, 0.05))
    surest = sorted(max(p.values()) for p in before)
    reader = Likes("Z")
    threshold = (surest[0] + surest[1]) / 2
    after = leaves_of(ReadScorer(retriever, 0.05, 0.0, reader, threshold=threshold))
    asked = {item for item, _ in reader.asked}
    for row, text in enumerate(BATCH):
        doubted = max(before[row].values()) < threshold
        assert (text in asked) == doubted
        if not doubted:
            assert after[row] == pytest.approx(before[row], rel=1e-4)
