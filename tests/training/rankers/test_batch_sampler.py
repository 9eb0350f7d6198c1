import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(deadline=None)  # the first example loads torch
@given(st.lists(st.integers(1, 7), min_size=1, max_size=40), st.integers(2, 20))
def test_each_item_stands_whole_in_one_batch_of_an_epoch(sizes, batch_size):
    from cascade.training.rankers.batch_sampler import WholeItems, batches

    starts = [sum(sizes[:item]) for item in range(len(sizes))]
    item_of = {start: item for item, start in enumerate(starts)}
    sampler = WholeItems(None, sizes=sizes, batch_size=batch_size, drop_last=False)
    seen = list(sampler)
    assert len(seen) == len(sampler) == batches(sizes, batch_size)
    assert sorted(row for batch in seen for row in batch) == list(range(sum(sizes)))
    for batch in seen:
        items = [item_of[row] for row in batch if row in item_of]
        assert batch == [starts[i] + at for i in items for at in range(sizes[i])]
        assert len(items) == 1 or len(items) * max(sizes) <= batch_size
    assert len(seen) == math.ceil(len(sizes) / max(1, batch_size // max(sizes)))


@pytest.mark.parametrize("epoch", [0, 1])
def test_seed_and_epoch_decide_the_order(epoch):
    from cascade.training.rankers.batch_sampler import WholeItems

    def order(seed):
        sampler = WholeItems(None, sizes=[2] * 50, batch_size=8, drop_last=False, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1) == order(1) != order(2)
    sampler = WholeItems(None, sizes=[2] * 50, batch_size=8, drop_last=False, seed=1)
    sampler.set_epoch(epoch + 1)
    assert list(sampler) != order(1)
