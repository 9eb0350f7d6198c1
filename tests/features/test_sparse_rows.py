from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from cascade.errors import ConfigError
from cascade.features.lexical import LexicalFeatures, LexicalRecipe
from cascade.features.sparse_rows import FEW, SparseRows, SplitRows
from cascade.io.files import read_tensors, write_tensors
from cascade.items import Item
from cascade.scoring.ttc_heads import Heads, JointHeads
from cascade.taxonomy import Taxonomy

TEXTS = ["steel leaf rake", "straw hat", "", "leaf tea, loose leaf", "unheard words"]
TREE = Taxonomy.from_paths(["Garden > Rakes", "Clothing > Hats", "Food > Tea"])


def items(texts):
    return [Item({"name": text, "more": text[:5]}) for text in texts]


def sparse(matrix):
    found = scipy.sparse.csr_matrix(matrix)
    return SparseRows(found.indptr.astype(np.int64), found.indices, found.data, matrix.shape[1])


def test_products_are_those_of_scipy():
    rng = np.random.default_rng(0)
    left, right = (
        np.where(rng.random(shape) < 0.3, rng.normal(size=shape), 0).astype(np.float32)
        for shape in [(5, 40), (40, 7)]
    )
    left[2] = 0
    product = sparse(left).times(sparse(right))
    np.testing.assert_allclose(product, left @ right, atol=1e-5)
    assert product.any()
    assert (product == (sparse(left).matrix @ sparse(right).matrix).toarray()).all()
    np.testing.assert_array_equal(sparse(left).matrix.toarray(), left)


@pytest.mark.parametrize("room", [1 << 28, 4 * 40 * 10, 0])
def test_products_with_full_rows_are_those_of_scipy(monkeypatch, room):
    monkeypatch.setattr("cascade.features.sparse_rows.ROOM", room)
    rng = np.random.default_rng(2)
    left = np.where(rng.random((30, 200)) < 0.2, rng.normal(size=(30, 200)), 0).astype(np.float32)
    share = np.linspace(0, 0.3, 200)[:, None]  # from empty rows to full ones
    right = np.where(rng.random((200, 40)) < share, rng.normal(size=(200, 40)), 0)
    left[3], left[:, 7] = 0, 0
    split = SplitRows([sparse(right.astype(np.float32))])
    (product,) = split.multiplied_by(sparse(left))
    np.testing.assert_allclose(product, left @ right, atol=1e-5)
    n_dense = len(split._full)
    assert n_dense == {1 << 28: n_dense, 1600: 10, 0: 0}[room]
    assert n_dense < 200


def test_heads_that_are_asked_in_one_pass_answer_the_same_of_few_and_of_many():
    rng = np.random.default_rng(3)

    def heads(n_outputs, share):
        shape = (60, n_outputs)
        weights = np.where(rng.random(shape) < share, rng.normal(size=shape), 0)
        nodes = np.arange(n_outputs, dtype=np.int32)
        made = sparse(weights.astype(np.float32))
        return Heads("leaf", made, rng.normal(size=n_outputs).astype(np.float32), nodes)

    both = heads(5, 0.5), heads(7, 0.01)
    dense = replace(both[0], weights=both[0].weights.matrix.toarray())
    rows = np.where(rng.random((3 * FEW, 60)) < 0.2, rng.random((3 * FEW, 60)), 0)
    rows = rows.astype(np.float32)
    together = JointHeads()
    assert [together.add(own) for own in both] == [0, 1]
    many, few = together.logits(sparse(rows)), together.logits(sparse(rows[:FEW]))
    for own, found, first in zip(both, many, few, strict=True):
        np.testing.assert_allclose(found, own.logits(rows), atol=1e-5)
        assert (found[:, :FEW] == first).all()  # to the last bit
    (alone,) = JointHeads([dense]).logits(sparse(rows))
    np.testing.assert_allclose(alone, many[0], atol=1e-5)


def test_sparse_rows_of_words_are_the_same_as_many():
    features = LexicalFeatures.fit(items(TEXTS[:4]), ["name", "more"], LexicalRecipe(rare=1))
    few, many = features.sparse_rows(items(TEXTS)), features.rows(items(TEXTS))
    np.testing.assert_array_equal(few.matrix.toarray(), many.toarray())
    assert many.nnz > 10
    assert features.sparse_rows([]).shape == (0, features.width)


def saved(path, weights):
    heads = Heads("leaf", weights, np.ones(3, np.float32), np.array([1, 3, 5], np.int32))
    heads.save(path, TREE)
    return Heads.load(path, TREE)


def test_heads_answer_sparse_rows_as_many(tmp_path):
    rng = np.random.default_rng(1)
    weights = np.where(rng.random((40, 3)) < 0.3, rng.normal(size=(40, 3)), 0).astype(np.float16)
    heads = saved(tmp_path / "heads", scipy.sparse.csr_matrix(weights.astype(np.float32)))
    rows = np.where(rng.random((4, 40)) < 0.3, 1, 0).astype(np.float32)
    expected = (rows @ weights.astype(np.float32) + 1).T
    for given in (sparse(rows), scipy.sparse.csr_matrix(rows), rows):
        np.testing.assert_allclose(heads.logits(given), expected, atol=1e-5)
    many = np.tile(rows, (FEW, 1))
    np.testing.assert_allclose(heads.logits(sparse(many)), np.tile(expected, FEW), atol=1e-5)
    among = heads.logits(sparse(many))[:, : len(rows)]
    assert (among == heads.logits(sparse(rows))).all()  # to the last bit
    again = saved(tmp_path / "again", heads.weights)
    np.testing.assert_array_equal(again.logits(sparse(rows)), heads.logits(sparse(rows)))
    dense = saved(tmp_path / "dense", weights.astype(np.float32))
    np.testing.assert_allclose(dense.logits(sparse(rows)), expected, atol=1e-5)


@pytest.mark.parametrize("indptr", [[0, 2, 1, 3], [1, 1, 2, 3], [0, 1, 2, 2], [], [0, 1, 2, 9]])
def test_weights_whose_rows_do_not_fit_are_refused(tmp_path, indptr):
    saved(tmp_path / "heads", scipy.sparse.csr_matrix(np.eye(3, dtype=np.float32)))
    about, arrays = read_tensors(tmp_path / "heads")
    write_tensors(tmp_path / "bad", about, arrays | {"weights.indptr": np.array(indptr, np.int64)})
    with pytest.raises(ConfigError, match="do not fit together"):
        Heads.load(tmp_path / "bad", TREE)


@pytest.mark.parametrize("column", [-1, 3, 1 << 30, -(1 << 31)])
def test_weights_of_a_column_that_there_is_not_are_refused(tmp_path, column):
    saved(tmp_path / "heads", scipy.sparse.csr_matrix(np.eye(3, dtype=np.float32)))
    about, arrays = read_tensors(tmp_path / "heads")
    columns = np.array([0, 1, column], np.int32)
    write_tensors(tmp_path / "bad", about, arrays | {"weights.indices": columns})
    with pytest.raises(ConfigError, match="column that there is not"):
        Heads.load(tmp_path / "bad", TREE)
