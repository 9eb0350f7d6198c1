"""How large a batch may be, by what is measured."""

import pytest

pytest.importorskip("fastapi")

from cascade.items import Item
from cascade.serving.http.batches.pace import FIRST, Pace, cost_of


def settled(seconds, units=1.0, rounds=40):
    """A pace after batches as large as it lets them be, each no smaller than one item."""
    pace, sizes = Pace(), []
    for _ in range(rounds):
        sizes.append(max(units, pace.most // units * units))
        pace.learn(sizes[-1], seconds(sizes[-1]))
    return pace, sizes


def test_a_batch_takes_about_a_second_however_slow_the_items_are():
    for each in (0.3, 0.02, 0.001):
        pace, sizes = settled(lambda units, each=each: each * units)
        assert each * sizes[-1] <= 2.1
        assert each * sizes[-1] >= 0.5
        assert pace.seconds(10) == pytest.approx(10 * each)
        assert sum(each * size for size in sizes[20:]) / 20 < 1.3


def test_models_that_take_as_long_for_many_get_many():
    _, sizes = settled(lambda units: 3.0, units=2.0)
    assert sizes[-1] > 16 * 2.0


def test_nothing_much_larger_is_tried_than_was_measured():
    pace = Pace()
    assert pace.most == FIRST
    pace.learn(60, 0.001)
    assert pace.most == 120


def test_long_texts_and_pictures_cost_more():
    short, long = Item({"text": "rake"}), Item({"text": "rake " * 400})
    assert 15 * cost_of(short) < cost_of(long)
    assert cost_of(Item({}, image=b"1")) > 10 * cost_of(short)
