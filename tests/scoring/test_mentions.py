import numpy as np
import pytest

from cascade.items import Choices
from cascade.scoring.mentions import Mentions

NAMES = ["Shoes & Bags", "Hats", "TV", "鞋类", "Tops/Upper Body Wear", "***", "Café"]


def named(text, *nodes):
    choices = Choices(
        np.zeros(1, np.int32),
        np.full(1, -1, np.int32),
        np.array([0, len(nodes)], np.int64),
        np.array(nodes, np.int32),
    )
    return bool(Mentions(NAMES)([text], choices)[0])


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("file this under HATS.", 1),
        ("the answer is shoes, bags", 0),
        ('{"category":"Shoes & Bags"}', 0),
        ("a_tops_upper_body_wear", 4),
        ("将此归入鞋类。", 3),
        ("put it under ｈａｔｓ", 1),
        ("cafe\u0301", 6),
    ],
)
def test_a_name_is_found_however_it_is_written(text, node):
    assert named(text, 5, node)


@pytest.mark.parametrize("text", ["", "hat", "chats", "shoes and bags", "upper wear", "tv", "***"])
def test_other_words_name_nothing(text):
    assert not named(text, *range(len(NAMES)))


def test_only_candidates_of_the_question_count():
    choices = Choices(
        np.array([1, 0, 1], np.int32),
        np.full(3, -1, np.int32),
        np.array([0, 1, 3, 5], np.int64),
        np.array([1, 0, 1, 0, 2], np.int32),
    )
    assert Mentions(NAMES)(["blue", "hats"], choices).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a pot for tea with its cosy", [0.1, 0.3, 0.6]),  # all of the third: it says the most
        ("two tea pots", [0.3, 0.6, 0.1]),  # the second says more than the first
        ("loose tea", [0.6, 0.3, 0.1]),
        ("a towel", [0.6, 0.3, 0.1]),
    ],
)
def test_a_name_that_says_more_of_a_text_does_not_lose_to_one_that_says_less(text, expected):
    names = ["Tea", "Tea Pots", "Tea Pots & Cosies"]
    choices = Choices(
        np.array([0], np.int32),
        np.array([-1], np.int32),
        np.array([0, 3], np.int64),
        np.arange(3, dtype=np.int32),
    )
    found = Mentions(names).fuller([text], choices, np.array([0.6, 0.3, 0.1]))
    assert sorted(found) == [0.1, 0.3, 0.6]
    assert found.tolist() == expected
