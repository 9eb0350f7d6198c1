import numpy as np
import pytest

from cascade.retrieval.words import characters, run_weights
from cascade.retrieval.words.characters import SharedCharacters

NAMES = ["Widget XR-7710", "Widget XR-7790", "Cordless drill", "Drills and bits", "AB"]
ITEMS = ["xr-7710 widget, boxed", "DRILL bit set", "ab", "", "élan"]


def test_cosines_are_those_of_scikit_learn():
    from sklearn.feature_extraction.text import TfidfVectorizer

    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(4, 4), sublinear_tf=True)
    names = grams.fit_transform(NAMES)
    known = SharedCharacters(NAMES).of(ITEMS, 1.0).with_all()
    # Runs that no name has make an item longer here, and are left out there.
    expected = (names @ grams.transform(ITEMS).T).toarray()
    whole = known / np.maximum(np.linalg.norm(known, axis=0), 1e-9)
    np.testing.assert_allclose(
        whole, expected / np.maximum(np.linalg.norm(expected, axis=0), 1e-9), atol=1e-5
    )
    assert (known <= expected + 1e-5).all()


def test_a_code_finds_its_own_node_and_not_its_neighbour():
    found = SharedCharacters(NAMES).of(ITEMS, 0.5).with_all()
    assert found[:, 0].argmax() == 0
    assert found[0, 0] > found[1, 0] > found[2, 0] == 0
    assert found[4, 2] == pytest.approx(0.5)  # the same text
    assert not found[:, 3].any()


@pytest.mark.parametrize("few", [0, 100])
@pytest.mark.parametrize("kept", [0, 100])
def test_pairs_and_blocks_agree_with_all_whatever_is_kept(monkeypatch, kept, few):
    monkeypatch.setattr(run_weights, "FEW", few)
    monkeypatch.setattr(characters, "KEPT", kept)
    monkeypatch.setattr(characters, "CHUNK", 4)
    found = SharedCharacters(NAMES).of(ITEMS, 0.3)
    everything = found.with_all()
    texts, rows = np.divmod(np.arange(everything.size), len(ITEMS))
    np.testing.assert_allclose(found.of_pairs(texts, rows), everything[texts, rows], atol=1e-6)
    some, who = np.array([1, 3]), np.array([2, 0])
    np.testing.assert_allclose(found.with_texts(some, who), everything[some][:, who], atol=1e-6)


def test_few_items_are_multiplied_as_many_are(monkeypatch):
    shared = SharedCharacters(NAMES)
    few = shared.of(ITEMS, 1.0).with_all()
    monkeypatch.setattr(run_weights, "FEW", 0)
    np.testing.assert_allclose(shared.of(ITEMS, 1.0).with_all(), few, atol=1e-6)
    assert few.any()
    assert SharedCharacters([]).of(ITEMS, 1.0).with_all().shape == (0, len(ITEMS))
    assert shared.of([], 1.0).with_all().shape == (len(NAMES), 0)
