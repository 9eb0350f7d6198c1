import numpy as np
import pytest

from cascade.retrieval.words.cover import name_cover
from cascade.taxonomy import Taxonomy


@pytest.fixture
def taxonomy(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text(
        "code,name,parent,synonyms\n1,Tools,,\n2,Cordless drills,1,\n3,Pliers,1,tongs|pincers\n"
    )
    return Taxonomy.load(file)


def cover(taxonomy, *pairs):
    nodes = np.array([taxonomy.index(code) for code, _ in pairs])
    return name_cover(taxonomy, nodes, [text for _, text in pairs])


def test_a_name_is_covered_however_long_the_text_is(taxonomy):
    found = cover(
        taxonomy,
        ("2", "Bosch, 18 V: two cordless drills in a case with charger and bits, used once"),
        ("2", "cordless mower"),
        ("2", "screws"),
        ("2", ""),
    )
    assert found[0] == pytest.approx(1)
    assert 0.2 < found[1] < 0.9
    assert found[2:].tolist() == [0, 0]


def test_the_best_covered_name_counts(taxonomy):
    assert cover(taxonomy, ("3", "blacksmith tongs"), ("3", "pliers")).tolist() == [1, 1]


def test_many_pairs_are_as_one(taxonomy):
    pairs = [("2", "cordless drill"), ("3", "pincer")] * 20
    one = [float(cover(taxonomy, pair)[0]) for pair in pairs]
    assert cover(taxonomy, *pairs).tolist() == pytest.approx(one)
    assert len(cover(taxonomy)) == 0
