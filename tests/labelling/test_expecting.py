import numpy as np
import pytest

from cascade.labelling.expecting import Everywhere, Known, _differed, _widened, expect, limited
from cascade.labelling.learner import Lesson, learn


def known_of(rows, leaves, chosen):
    lesson = Lesson.of(rows.vectors[chosen], leaves[chosen], 5)
    lesson = Lesson(lesson.vectors, lesson.targets, rows.known[chosen])
    nodes = rows.branches.leaves[leaves[chosen]].astype(np.int32)
    return Known(lesson, nodes, np.ones(len(chosen)))


def test_what_is_expected_is_near_what_is_true(clouds):
    rows, leaves = clouds
    known = known_of(rows, leaves, np.arange(100))
    z = rows.branches.logits(learn(known.lesson, rows.branches), rows.known, rows.vectors)
    everywhere = Everywhere.of(z, rows.branches, np.ones(400))
    found = expect(known, rows.branches, everywhere, 100)
    true = (z[100:].argmax(axis=1) == leaves[100:]).mean()
    assert found.exact.low <= true <= found.exact.high
    assert found.exact.high - found.exact.low < 0.2
    assert found.more.low <= found.more.value <= found.more.high
    assert found.raw.shape == (100, 2) and found.right.shape == (100, 2)


def test_with_few_labels_nothing_is_told(clouds):
    rows, leaves = clouds
    known = known_of(rows, leaves, np.arange(10))
    everywhere = Everywhere.of(rows.known, rows.branches, np.ones(400))
    assert expect(known, rows.branches, everywhere, 100) is None


def test_a_model_that_is_wrong_about_itself_is_put_right():
    rng = np.random.default_rng(0)
    true = (rng.random(2000) < 0.4).astype(float)
    told = np.full(2000, 0.9)  # boastful
    values = []
    for _ in range(200):
        own = rng.choice(2000, 50, replace=False)
        weight = np.full(50, 1 / 50)
        values.append(_differed(told, np.ones(2000), told[own], true[own], weight))
    assert np.mean([v.value for v in values]) == pytest.approx(true.mean(), abs=0.02)
    assert np.mean([v.low <= true.mean() <= v.high for v in values]) >= 0.93


def test_an_inner_node_as_a_label_is_right_for_all_below_it(clouds):
    rows, leaves = clouds
    known = known_of(rows, leaves, np.arange(60))
    tree = rows.branches.taxonomy
    above = Known(known.lesson, tree.parent[known.nodes].astype(np.int32), known.weight)
    everywhere = Everywhere.of(rows.known, rows.branches, np.ones(400))
    narrow, wide = (expect(k, rows.branches, everywhere, 10) for k in (known, above))
    assert wide.whole.sum() >= narrow.whole.sum()


def test_one_label_that_stands_for_most_rows_does_not_decide(clouds):
    rows, leaves = clouds
    known = known_of(rows, leaves, np.arange(50))
    z = rows.branches.logits(learn(known.lesson, rows.branches), rows.known, rows.vectors)
    everywhere = Everywhere.of(z, rows.branches, np.ones(400))
    even = expect(known, rows.branches, everywhere, 50)
    right = (z.argmax(axis=1) == leaves)[50:].mean()
    assert even.heaviest == 0
    for heavy in (*np.flatnonzero(even.whole)[:2], *np.flatnonzero(~even.whole)[:2]):
        weight = np.ones(50)
        weight[heavy] = 120
        found = expect(Known(known.lesson, known.nodes, weight), rows.branches, everywhere, 50)
        assert found.heaviest == pytest.approx(120 / 169)
        assert found.exact.low <= right <= found.exact.high
        assert found.exact.high - found.exact.low > even.exact.high - even.exact.low


def test_limited_weights_count_as_half_of_the_labels_at_least():
    weight = np.ones(50)
    assert limited(weight) == pytest.approx(np.full(50, 1 / 50))
    weight[3] = 165
    found = limited(weight)
    assert found.sum() == pytest.approx(1)
    assert 1 / (found @ found) == pytest.approx(25)
    assert found.argmax() == 3


def test_labels_that_are_all_right_do_not_promise_that_all_is():
    all_right = _differed(np.ones(200), np.ones(200), np.ones(50), np.ones(50), np.full(50, 0.02))
    found = _widened(all_right, np.full(50, 0.02))
    assert found.value < 1 and found.low < 0.93 and found.high == pytest.approx(1)
