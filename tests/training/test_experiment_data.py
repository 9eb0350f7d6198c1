import numpy as np
import pytest

from cascade.items import Item
from cascade.training.experiment_data import held_out
from cascade.training.labelled import Labelled


def rows(texts):
    items = [Item.of(text) for text in texts]
    return Labelled(items, np.zeros(len(items), np.int32), {})


DIFFERENT = rows(f"item {n}" for n in range(100))


@pytest.mark.parametrize(("share", "most", "expected"), [(0.1, 50, 10), (0.5, 20, 20), (0, 9, 0)])
def test_a_share_is_held_out_up_to_a_number(share, most, expected):
    assert held_out(DIFFERENT, share, most, 0).sum() == expected


def test_equal_texts_are_held_out_together():
    texts = [f"item {n}" for n in range(20)]
    out = held_out(rows([*texts, *(f"  ITEM   {n}" for n in range(20)), *texts]), 0.3, 100, 0)
    assert out.sum() == 18
    assert np.array_equal(out[:20], out[20:40])
    assert np.array_equal(out[:20], out[40:])


def test_the_seed_draws_what_is_held_out():
    first, again, other = (held_out(DIFFERENT, 0.2, 50, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
