import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from cascade.errors import ConfigError
from cascade.features.lexical import LexicalFeatures, LexicalRecipe
from cascade.items import Item
from cascade.retrieval.words.ngrams import count_characters, count_words

TEXTS = [
    "Red cotton T-Shirt, red!",
    "red cotton shirt",
    "Straßenkarte Österreich 2024",
    "",
    "a",
    "Kaffee  Kaffee\tKaffee",
]


def entries(counts):
    return {
        (int(r), int(g)): int(c)
        for r, g, c in zip(counts.row, counts.gram, counts.count, strict=True)
    }


@pytest.mark.parametrize(
    ("counts", "vectoriser"),
    [
        (
            count_words,
            TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+", use_idf=False, norm=None),
        ),
        (
            count_characters,
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), use_idf=False, norm=None),
        ),
    ],
)
def test_grams_are_counted_as_scikit_learn_counts_them(counts, vectoriser):
    theirs = vectoriser.fit_transform(TEXTS).tocsr()
    ours = counts(TEXTS)
    for row in range(len(TEXTS)):
        mine = sorted(c for (r, _), c in entries(ours).items() if r == row)
        # scikit-learn has a word that is shorter than n once more, whole, for each such n.
        known = sorted(int(v) for v in theirs[row].data)
        if counts is count_words:
            assert mine == known
        else:
            assert len(mine) == len(known)


def test_a_gram_has_the_same_hash_wherever_it_stands():
    one = count_words(["blue shoe"]).gram
    other = count_words(["an old blue shoe", "x"]).gram
    assert set(one.tolist()) <= set(other.tolist())


def test_rows_are_tf_idf_of_unit_length_for_each_column(tmp_path):
    items = [
        Item({"name": a, "note": b}) for a, b in zip(TEXTS[:3], ("x y", "x z", "x"), strict=True)
    ]
    recipe = LexicalRecipe(characters=0, words=1, first_weight=1.0, rare=1)
    features = LexicalFeatures.fit(items, ["name", "note"], recipe)
    theirs = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+")
    known = theirs.fit_transform([item.fields["name"] for item in items]).toarray()
    width = len(features.blocks[0].grams)
    ours = features.rows(items).toarray()[:, :width]
    assert np.allclose(ours @ ours.T, known @ known.T, atol=1e-6)
    features.save(tmp_path / "f.safetensors")
    again = LexicalFeatures.load(tmp_path / "f.safetensors")
    assert (again.rows(items) != features.rows(items)).nnz == 0


def test_a_truncated_file_is_refused_by_its_name(tmp_path):
    path = tmp_path / "f.safetensors"
    features = LexicalFeatures.fit([Item({"name": "a b"})], ["name"], LexicalRecipe())
    features.save(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ConfigError, match=r"f\.safetensors"):
        LexicalFeatures.load(path)


def test_unknown_words_leave_a_row_of_zeros():
    features = LexicalFeatures.fit([Item({"name": "red shoe"})], ["name"], LexicalRecipe())
    assert features.rows([Item({"name": "9"}), Item({})]).nnz == 0
