"""Terms that share with a text only what stands beside the food."""

import numpy as np
import pytest
from toy_catalogue import packed, xml

from cascade.pipeline.facets.terms.asides import Asides
from cascade.retrieval.words.overlap import WordIndex
from cascade.taxonomy import Taxonomy

NAMES = ["Cured ham", "Cheese, bitto del Monte", "Olive oil", "Monte apples", "Spread, hazel"]


@pytest.fixture
def asides(tmp_path):
    terms = {
        f"TERM{at}": (name, "d", "C", {"report": ("root", True)}, [])
        for at, name in enumerate(NAMES)
    }
    tree = Taxonomy.load(packed(tmp_path / "TOY.ecf", xml(terms)))
    nodes = np.flatnonzero(tree.reportable).astype(np.int32)
    names = [tree.names[node] for node in nodes.tolist()]
    return Asides(tree, nodes, WordIndex(names, np.arange(len(nodes), dtype=np.int32))), names


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ham del Monte", ["Cheese, bitto del Monte"]),
        ("Ham from Monte", ["Cheese, bitto del Monte"]),
        ("bitto del Monte", []),
        ("cheese from Monte", []),
        ("xyzzy del Monte", []),
        ("Monte ham", []),
        ("ham in oil", ["Olive oil"]),
        ("ham with hazel spread", ["Spread, hazel"]),
        ("ham with hazel", []),
        ("ham without oil", ["Olive oil"]),
    ],
)
def test_a_place_and_what_comes_with_a_food_are_no_food(asides, text, found):
    own, names = asides
    scores = np.zeros(len(names), np.float32)
    own.lower(scores, text, 1.0)
    assert [names[row] for row in np.flatnonzero(scores < 0)] == found
