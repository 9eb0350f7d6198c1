from types import SimpleNamespace

import numpy as np
import pytest

from cascade.retrieval.student import fitting
from cascade.retrieval.student.fitting import fit_student
from cascade.retrieval.student.pieces import PieceVectors
from cascade.retrieval.student.student import Student
from cascade.retrieval.student.vocabulary import LONGEST, WORDS, Vocabulary, words_of

KINDS = ["straw hat", "felt hat", "steel hammer", "claw hammer", "whole milk", "oat milk"]
TEXTS = [f"{kind} {size}" for size in ("small", "large", "xl", "2 pack") for kind in KINDS]
TRUTH = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0)[np.arange(len(TEXTS)) % 6]


class Letters:
    """A tokenizer whose pieces are letters."""

    def pieces(self, words):
        return [[ord(letter) % 64 for letter in word] for word in words]


@pytest.fixture(scope="module")
def pieces():
    table = np.random.default_rng(0).standard_normal((64, 8)).astype(np.float32)
    return PieceVectors(Letters(), table / np.linalg.norm(table, axis=1, keepdims=True))


@pytest.fixture(params=[False, True], ids=["words alone", "with pieces"])
def student(request, pieces):
    return fit_student(TEXTS, TRUTH, pieces if request.param else None)[0]


def test_texts_like_those_that_were_learnt_are_most_similar_to_their_leaf(student):
    found, readable = student.similarities(["a HAT, blue", "hammers", "milk 3%", "?!"])
    assert found[:3].argmax(axis=1).tolist() == [0, 1, 2]
    assert readable.tolist() == [True, True, True, False]
    assert found[3] == pytest.approx(student.mean)


def test_a_text_has_the_same_similarities_alone_in_company_and_again(student):
    asked = [f"{word} hat number {n}" for n in range(9) for word in ("zinc", "milk")]
    together, _ = student.similarities(asked)
    alone = np.concatenate([student.similarities([text])[0] for text in asked[::-1]])[::-1]
    assert (together == alone).all()


def test_a_table_that_is_full_begins_anew_with_the_same_numbers(student):
    asked = [f"word{n} hat" for n in range(50)]
    before, _ = student.similarities(asked)
    student._most = len(student.vocabulary.words) + 10
    for text in asked:
        student.similarities([text])
    assert len(student._numbers) <= student._most + 1
    assert (student.similarities(asked)[0] == before).all()


def test_arrays_make_the_same_student_again(student, pieces):
    again = Student.of_arrays(list(student.vocabulary.words), student.arrays(), pieces)
    asked = ["blue hat", "unheard of", "milk milk"]
    assert (again.similarities(asked)[0] == student.similarities(asked)[0]).all()


def test_arrays_of_something_else_are_refused(student, pieces):
    arrays = student.arrays()
    arrays.pop("runs")
    with pytest.raises(ValueError, match="no student"):
        Student.of_arrays(list(student.vocabulary.words), arrays, pieces)
    if student.meaning is not None:
        with pytest.raises(ValueError, match="no vectors of pieces"):
            Student.of_arrays(list(student.vocabulary.words), student.arrays(), None)


def test_what_is_left_out_is_what_the_others_tell():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 12, 5)).astype(np.float32)
    kernel = x @ x.T
    weights, left_out = fitting._solved(kernel.copy(), y)
    assert (kernel + fitting.PENALTY * np.eye(12)) @ weights == pytest.approx(y, abs=1e-4)
    for row in range(12):
        others = np.delete(np.arange(12), row)
        own, _ = fitting._solved(kernel[np.ix_(others, others)].copy(), y[others])
        assert left_out[row] == pytest.approx(kernel[row, others] @ own, abs=1e-3)


def test_many_leaves_are_told_in_fewer_numbers(monkeypatch):
    rng = np.random.default_rng(2)
    leaves = TRUTH @ rng.standard_normal((3, 40)).astype(np.float32)
    whole, _ = fit_student(TEXTS, leaves, None)
    monkeypatch.setattr(fitting, "OUTPUTS", 5)
    few, left_out = fit_student(TEXTS, leaves, None)
    assert whole.basis is None
    assert few.words.shape[1] == 5
    assert left_out.shape == leaves.shape
    asked = ["hat", "milk", "saw"]
    near = pytest.approx(whole.similarities(asked)[0], abs=0.02)
    assert few.similarities(asked)[0] == near


def test_words_are_read_once_and_only_so_many():
    assert words_of("Hat, hat & HAT 5kg\n") == ["hat", "5kg"]
    assert words_of("x" * 500) == ["x" * LONGEST]
    assert len(words_of(" ".join(map(str, range(500))))) == WORDS
    assert words_of("...") == []


def test_a_vocabulary_of_single_letters_has_no_pairs():
    found = Vocabulary.of([["a"], ["b"]])
    assert len(found.run) == 2
    assert len(found.pair_key) == 0
    assert found.runs_of(["a", "zebra"])[0].tolist() == [0]
    rows = found.rows([["a", "b"], []], {"a": 0, "b": 1}.__getitem__)
    assert len(rows.pairs) == 0
    assert rows.length[1] == 0


@pytest.mark.weights
def test_a_piece_is_read_as_a_text_of_its_own(minilm):
    model = minilm.piecewise
    [[piece]] = model.pieces(["hat"])
    found = model.piece_vectors(piece, piece + 1)
    assert found @ minilm.encode(["hat"]).T == pytest.approx(1, abs=1e-4)


@pytest.mark.weights
def test_vectors_of_pieces_are_made_once(minilm, monkeypatch, tmp_path):
    monkeypatch.setenv("CASCADE_CACHE", str(tmp_path))
    model = minilm.piecewise
    few = SimpleNamespace(
        n_pieces=600, width=model.width, pieces=model.pieces, piece_vectors=model.piece_vectors
    )
    encoder = SimpleNamespace(piecewise=few, identity="few")
    made = PieceVectors.open(encoder)
    few.piece_vectors = None
    again = PieceVectors.open(encoder)
    assert made.table.shape == (600, model.width)
    assert (made.table == again.table).all()


def test_an_encoder_of_another_kind_has_no_pieces():
    assert PieceVectors.open(SimpleNamespace(piecewise=None)) is None
