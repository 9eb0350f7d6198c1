import numpy as np
import pytest
from hypothesis import given, settings

from cascade.errors import UsageError
from cascade.evaluation import Answers, headline
from cascade.evaluation.metrics import metrics_of
from cascade.taxonomy import Taxonomy

from .plain import answers, at_level, hierarchical

quick = settings(deadline=None, max_examples=60)


@pytest.fixture
def shop():
    return Taxonomy.from_paths(
        ["Food > Fruit > Apple", "Food > Fruit > Pear", "Food > Oil", "Toys"]
    )


@quick
@given(answers())
def test_hierarchical_figures_are_those_of_pooled_ancestor_sets(case):
    figures = headline(*case)
    names = ("hf1_micro", "hp_micro", "hr_micro")
    assert [figures[name] for name in names] == pytest.approx(hierarchical(*case))


@quick
@given(answers())
def test_figures_of_a_level_are_those_of_scikit_learn_on_rows_that_deep(case):
    sklearn = pytest.importorskip("sklearn.metrics")
    figures = headline(*case)
    deepest = int(case[0].level[case[2]].max())
    for level in range(1, deepest + 1):
        found, known = at_level(*case, level)
        f1 = sklearn.f1_score(known, found, average="weighted", zero_division=0)
        assert figures[f"f1_weighted_l{level}"] == pytest.approx(f1)
        assert figures[f"accuracy_l{level}"] == pytest.approx(np.mean(np.equal(found, known)))
    assert f"accuracy_l{deepest + 1}" not in figures


@quick
@given(answers())
def test_exact_match_is_the_share_of_equal_nodes(case):
    _, predicted, gold = case
    assert headline(*case)["exact_match"] == pytest.approx(np.mean(predicted == gold))


@quick
@given(answers())
def test_weighting_a_row_is_repeating_it(case):
    taxonomy, predicted, gold = case
    times = np.arange(len(gold)) % 3 + 1
    repeated = headline(taxonomy, predicted.repeat(times), gold.repeat(times))
    for name, metric in metrics_of(Answers.of(*case)).items():
        assert metric(times[:, None].astype(float))[0] == pytest.approx(repeated[name])


def test_a_perfect_answer_is_one_everywhere_and_no_answer_nought(shop):
    gold = [shop.index(code) for code in ("Food > Fruit > Apple", "Food > Oil", "Toys")]
    assert set(headline(shop, gold, gold).values()) == {1.0}
    assert set(headline(shop, [-1] * 3, gold).values()) == {0.0}


def test_a_shallower_answer_keeps_its_precision_and_misses_below(shop):
    figures = headline(shop, [shop.index("Food > Fruit")], [shop.index("Food > Fruit > Pear")])
    assert (figures["hp_micro"], figures["hr_micro"]) == pytest.approx((1, 2 / 3))
    assert [figures[f"accuracy_l{level}"] for level in (1, 2, 3)] == [1, 1, 0]
    assert figures["exact_match"] == 0


@pytest.mark.parametrize(
    ("predicted", "gold", "message"),
    [
        ([], [], "no rows"),
        ([[0]], [0], r"shape \(1, 1\)"),
        ([0, 1], [0], "2 predicted nodes for 1 gold"),
        ([0], [-1], "gold: found -1 in row 0.*drop rows"),
        ([0, 6], [0, 0], "predicted: found 6 in row 1; expected indices from -1 to 5"),
        ([0.5], [0], "float64"),
    ],
)
def test_unusable_arrays_are_told_with_what_was_expected(shop, predicted, gold, message):
    with pytest.raises(UsageError, match=message):
        headline(shop, predicted, gold)
