import numpy as np
import pytest

from cascade.items import Batch, Item
from cascade.pipeline.facets.evidence import MAX_PHRASES, EvidenceFinder, phrases
from cascade.taxonomy import Taxonomy


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bread", ["bread"]),
        (
            "organic yogurt, strawberry, in plastic cup",
            [
                "organic yogurt, strawberry, in plastic cup",
                "organic yogurt",
                "strawberry",
                "in plastic cup",
                "plastic cup",
            ],
        ),
        ("Tuna (canned)", ["Tuna (canned)", "Tuna", "canned"]),
        ("cheese without rind", ["cheese without rind", "cheese", "without rind"]),
        ("semi-skimmed milk", ["semi-skimmed milk"]),
        ("  a\n\nb ", ["a b", "a", "b"]),
        (", ;", [", ;"]),
    ],
)
def test_a_description_is_itself_and_its_phrases(text, found):
    assert phrases(text) == found


def test_a_long_list_has_as_many_phrases_as_are_read():
    assert len(phrases(", ".join(f"word{i}" for i in range(100)))) == MAX_PHRASES + 1


def test_the_evidence_for_all_terms_begins_with_that_for_base_terms(ecf, minilm, tmp_path):
    tree = Taxonomy.load(ecf)
    finder = EvidenceFinder(tree, minilm, folder=tmp_path)
    batch = Batch([Item.of("bread with milk, dried"), Item.of("milk")])
    of_bases, of_every = finder.of(batch), finder.of_every(batch)
    n = len(tree)
    assert finder.rows_of(tree).tolist() == list(range(n))
    assert len(of_bases.similarity) == n < len(of_every.similarity) == len(tree.terms)
    np.testing.assert_allclose(of_every.similarity[:n], of_bases.similarity, atol=1e-3)
    np.testing.assert_array_equal(of_every.overlap[:n], of_bases.overlap)


def test_no_vector_of_a_descriptor_is_read_for_base_terms(ecf, minilm, tmp_path):
    EvidenceFinder(Taxonomy.load(ecf), minilm, folder=tmp_path).of(Batch([Item.of("milk")]))
    assert len(list(tmp_path.glob("*.npy"))) == 1
