import numpy as np
import pytest

from cascade.retrieval.words.overlap import WordIndex, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Strawberries, with CRÈME fraîche", ["strawberry", "creme", "fraiche"]),
        ("3,5 % fat", ["3.5", "%", "fat"]),
        ("W/o shell", ["without", "-shell"]),
        ("Albacore (as animal)", ["albacore"]),
        ("the and of", []),
        ("no added sugar", ["no", "-added", "sugar"]),
        ("sugar-free cola", ["-sugar", "free", "cola"]),
        ("free range eggs", ["free", "range", "egg"]),
        ("eggs, free range", ["egg", "free", "range"]),
        ("potatoes radishes boxes gas", ["potato", "radish", "box", "gas"]),
    ],
)
def test_words_have_one_form(text, words):
    assert words_of(text) == words


def test_a_text_covers_the_names_whose_words_it_has_and_rare_words_count_more():
    names = ["Plastic", "Glass bottle", "Green glass bottle", "Jar", "Pot"]
    index = WordIndex(names, np.array([0, 1, 2, 3, 3], dtype=np.int32))
    covered = index.covered(["a bottle of glass", "pot", ""])
    assert covered.shape == (4, 3)
    assert covered[1, 0] == pytest.approx(1)
    assert 0 < covered[2, 0] < 0.67  # `green` is rarer than the words that are there
    assert covered[0, 0] == 0
    assert covered[3, 1] == pytest.approx(1)  # by its other name
    assert not covered[:, 2].any()
    np.testing.assert_array_equal(index.covered(["a bottle of glass", "pot"], 2), covered[:2, :2])
