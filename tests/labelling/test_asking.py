import numpy as np
import pytest

from cascade.labelling.asking import _chances, ask


def rows(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 5)).astype(np.float32), rng.normal(size=(n, 4)).astype(np.float32)


def test_rows_are_asked_once_and_never_those_that_are_known():
    answers, vectors = rows()
    known = np.arange(0, 60, 3)
    found = ask(answers, vectors, np.ones(60, int), known, 20, 0)
    assert len(set(found.rows.tolist())) == 20
    assert not set(found.rows.tolist()) & set(known.tolist())


def test_what_is_weighed_back_is_right_on_average():
    answers, vectors = rows(40)
    copies = np.arange(40) % 3 + 1
    value = np.arange(40.0)
    totals = []
    for seed in range(100):
        found = ask(answers, vectors, copies, np.empty(0, int), 10, seed)
        totals.append(found.weight @ value[found.rows])
    true = copies @ value
    assert np.mean(totals) == pytest.approx(true, rel=4 * np.std(totals) / true / 10)


def test_all_that_is_left_is_asked_where_that_is_less_than_wanted():
    answers, vectors = rows(8)
    found = ask(answers, vectors, np.ones(8, int), np.array([2]), 100, 0)
    assert sorted(found.rows.tolist()) == [0, 1, 3, 4, 5, 6, 7]
    assert found.weight.tolist() == [1.0] * 7
    none = ask(answers, vectors, np.ones(8, int), np.arange(8), 5, 0)
    assert len(none.rows) == 0


def test_rows_that_are_all_alike_can_be_asked_for():
    answers, vectors = np.zeros((30, 3), np.float32), np.ones((30, 4), np.float32)
    found = ask(answers, vectors, np.ones(30, int), np.empty(0, int), 6, 0)
    assert len(set(found.rows.tolist())) == 6


def test_doubtful_rows_are_asked_more_often():
    answers = np.zeros((200, 2), np.float32)
    answers[:100, 0] = 8  # the first hundred are sure
    vectors = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    found = ask(answers, vectors, np.ones(200, int), np.empty(0, int), 40, 0)
    assert (found.rows >= 100).sum() > 25


def test_no_row_stands_for_most_of_a_file_of_which_most_rows_are_alike():
    rng = np.random.default_rng(0)
    answers = np.zeros((240, 3), np.float32)
    answers[:, 0] = rng.uniform(0, 6, 240)
    vectors = rng.normal(size=(240, 30)).astype(np.float32)
    vectors[:180] *= 0.05  # one thick cloud, and rows that are far from all
    for seed in range(5):
        found = ask(answers, vectors, np.ones(240, int), np.empty(0, int), 50, seed)
        assert len(set(found.rows.tolist())) == 50
        share = found.weight / found.weight.sum()
        assert share.max() < 0.15
        assert 1 / (share @ share) > 12
        assert found.weight.sum() == pytest.approx(240, rel=0.35)


def test_chances_are_as_sizes_are_and_at_most_one():
    chance = _chances(np.array([100.0, 10.0, 1.0, 1.0, 2.0]), 3)
    assert chance.tolist() == pytest.approx([1, 1, 0.25, 0.25, 0.5])
