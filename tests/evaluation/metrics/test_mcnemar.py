from math import comb

import numpy as np
import pytest
from hypothesis import given, settings

from cascade.errors import UsageError
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.mcnemar import mcnemar
from cascade.taxonomy import Taxonomy

from ..reference_metrics import answers

SHOP = Taxonomy.from_paths(["Food > Fruit", "Food > Oil", "Toys"])
FRUIT, OIL, TOYS = (SHOP.index(code) for code in ("Food > Fruit", "Food > Oil", "Toys"))


@settings(deadline=None, max_examples=60)
@given(answers(arrays=3))
def test_the_p_value_is_the_two_sided_tail_of_a_fair_coin(case):
    taxonomy, predicted, other, gold = case
    found = mcnemar(
        GoldAndPredicted.of(taxonomy, predicted, gold), GoldAndPredicted.of(taxonomy, other, gold)
    )
    a, b = predicted == gold, other == gold
    assert (found.only_ours, found.only_theirs) == ((a & ~b).sum(), (b & ~a).sum())
    assert found.both + found.only_ours + found.only_theirs + found.neither == len(gold)
    n, least = found.only_ours + found.only_theirs, min(found.only_ours, found.only_theirs)
    tail = sum(comb(n, k) for k in range(least + 1)) / 2**n
    assert found.p_value == pytest.approx(min(1.0, 2 * tail))


def test_a_level_counts_only_rows_whose_gold_is_that_deep():
    gold = [FRUIT, FRUIT, TOYS]
    ours, theirs = (
        GoldAndPredicted.of(SHOP, nodes, gold) for nodes in ([FRUIT, OIL, TOYS], [OIL, OIL, -1])
    )
    top, second = (mcnemar(ours, theirs, level=level) for level in (1, 2))
    assert (top.both, top.only_ours, top.only_theirs, top.neither) == (2, 1, 0, 0)
    assert (second.both, second.only_ours, second.only_theirs, second.neither) == (0, 1, 0, 1)


def test_a_clear_difference_is_significant_and_equal_runs_are_not():
    gold = np.full(100, FRUIT)
    right = GoldAndPredicted.of(SHOP, gold, gold)
    wrong = GoldAndPredicted.of(SHOP, np.full(100, OIL), gold)
    assert mcnemar(right, wrong).p_value < 1e-20
    assert mcnemar(right, right).p_value == 1


def test_answers_of_other_rows_are_refused():
    with pytest.raises(UsageError, match="same"):
        mcnemar(GoldAndPredicted.of(SHOP, [0], [0]), GoldAndPredicted.of(SHOP, [0], [1]))
