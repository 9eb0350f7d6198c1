"""Odd things handed to the Python API."""

import pytest

import cascade
from cascade.errors import UsageError


@pytest.fixture(scope="module")
def clf(minilm):
    few = cascade.Taxonomy.from_paths(["Clothing > Hats", "Garden > Tools", "Garden > Seeds"])
    return cascade.load("few", taxonomy=few, method="retrieval")


@pytest.mark.weights
def test_what_is_no_item_has_its_place_among_the_answers(clf):
    answers = list(clf.classify_many(["straw hat", None, 5, "garden rake"]))
    assert [answer.status for answer in answers].count("error") == 2
    assert "found None" in answers[1].message
    assert answers[0].code is not None
    assert answers[3].code is not None


@pytest.mark.weights
def test_a_single_text_is_not_taken_for_many_letters(clf):
    with pytest.raises(UsageError, match="use classify for one text"):
        clf.classify_many("hat")


@pytest.mark.weights
def test_a_batch_without_items_is_refused(clf):
    with pytest.raises(UsageError, match="batch_size 0"):
        clf.classify_many(["hat"], batch_size=0)
