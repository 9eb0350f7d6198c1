import numpy as np
import pytest
from hypothesis import given, settings

from cascade.errors import UsageError
from cascade.evaluation.metrics.descriptions import describe_metric
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.metrics_table import MetricsTable, all_metrics
from cascade.taxonomy import Taxonomy

from ..reference_metrics import (
    answers,
    at_level,
    hierarchical,
    lenient_gold,
    nearest_gold,
    way,
)

quick = settings(deadline=None, max_examples=60)

DISTANCES = ("lca_distance_mean", "mistake_severity")


@pytest.fixture
def shop():
    return Taxonomy.from_paths(
        ["Food > Fruit > Apple", "Food > Fruit > Pear", "Food > Oil", "Toys"]
    )


@quick
@given(answers())
def test_hierarchical_figures_are_those_of_pooled_ancestor_sets(case):
    figures = all_metrics(GoldAndPredicted.of(*case))
    names = ("hf1_micro", "hp_micro", "hr_micro")
    assert [figures[name] for name in names] == pytest.approx(hierarchical(*case))


@quick
@given(answers())
def test_hf1_of_samples_is_the_mean_of_that_of_each_row(case):
    taxonomy, predicted, gold = case
    rows = [hierarchical(taxonomy, [p], [g])[0] for p, g in zip(predicted, gold, strict=True)]
    assert all_metrics(GoldAndPredicted.of(*case))["hf1_sample"] == pytest.approx(np.mean(rows))


@quick
@given(answers())
def test_figures_of_a_level_are_those_of_scikit_learn_on_rows_that_deep(case):
    sklearn = pytest.importorskip("sklearn.metrics")
    figures = all_metrics(GoldAndPredicted.of(*case))
    deepest = int(case[0].level[case[2]].max())
    for level in range(1, deepest + 1):
        found, known = at_level(*case, level)
        weighted = sklearn.f1_score(known, found, average="weighted", zero_division=0)
        classes = sorted({*found, *known} - {-1})
        macro = sklearn.f1_score(known, found, labels=classes, average="macro", zero_division=0)
        assert figures[f"f1_weighted_l{level}"] == pytest.approx(weighted)
        assert figures[f"f1_macro_l{level}"] == pytest.approx(macro)
        assert figures[f"accuracy_l{level}"] == pytest.approx(np.mean(np.equal(found, known)))
    assert f"accuracy_l{deepest + 1}" not in figures


@quick
@given(answers())
def test_exact_match_is_the_share_of_equal_nodes_and_so_is_exactness_to_the_last_level(case):
    taxonomy, predicted, gold = case
    figures = all_metrics(GoldAndPredicted.of(*case))
    assert figures["exact_match"] == pytest.approx(np.mean(predicted == gold))
    for level in range(1, int(taxonomy.level[gold].max()) + 1):
        cut = [[way(taxonomy, i)[:level] for i in nodes] for nodes in (predicted, gold)]
        right = [p == g for p, g in zip(*cut, strict=True)]
        assert figures[f"exact_to_l{level}"] == pytest.approx(np.mean(right))


@quick
@given(answers())
def test_distance_and_severity_are_those_walked_in_the_tree(case):
    taxonomy, predicted, gold = case
    below = [
        taxonomy.level[list(taxonomy.subtree(i))].max() - taxonomy.level[i]
        for i in range(len(taxonomy))
    ]
    steps, severity = [], []
    for p, g in zip(predicted.tolist(), gold.tolist(), strict=True):
        shared = [node for node in way(taxonomy, p) if node in way(taxonomy, g)]
        steps.append(len(way(taxonomy, p)) + len(way(taxonomy, g)) - 2 * len(shared))
        if p != g:
            severity.append(below[shared[-1]] if shared else taxonomy.depth)
    figures = all_metrics(GoldAndPredicted.of(*case))
    assert figures["lca_distance_mean"] == pytest.approx(np.mean(steps))
    expected = np.mean(severity) if severity else np.nan
    assert figures["mistake_severity"] == pytest.approx(expected, nan_ok=True)


@quick
@given(answers())
def test_weighting_a_row_is_repeating_it(case):
    taxonomy, predicted, gold = case
    sure = np.linspace(0, 1, len(gold))
    times = np.arange(len(gold)) % 3 + 1
    again = [values.repeat(times) for values in (predicted, gold, sure)]
    repeated = all_metrics(GoldAndPredicted.of(taxonomy, *again[:2], confidence=again[2]))
    metrics = MetricsTable(GoldAndPredicted.of(taxonomy, predicted, gold, confidence=sure))
    for name, values in metrics(times[:, None].astype(float)).items():
        assert values[0] == pytest.approx(repeated[name], nan_ok=True), name


@quick
@given(answers())
def test_rows_in_another_order_give_the_same_figures(case):
    taxonomy, predicted, gold = case
    backwards = all_metrics(GoldAndPredicted.of(taxonomy, predicted[::-1], gold[::-1]))
    assert all_metrics(GoldAndPredicted.of(*case)) == pytest.approx(backwards, nan_ok=True)


def test_a_perfect_answer_is_one_everywhere_and_no_answer_nought(shop):
    gold = [shop.index(code) for code in ("Food > Fruit > Apple", "Food > Oil", "Toys")]
    perfect = all_metrics(GoldAndPredicted.of(shop, gold, gold))
    nothing = all_metrics(GoldAndPredicted.of(shop, [-1] * 3, gold))
    assert perfect.pop("lca_distance_mean") == 0 and np.isnan(perfect.pop("mistake_severity"))
    assert nothing.pop("lca_distance_mean") == 2 and nothing.pop("mistake_severity") == 3
    assert np.isnan(nothing.pop("consistency"))
    assert set(perfect.values()) == {1.0}
    # `Toys` ends at level 1, and so does no answer at all, but for the node itself.
    assert set(nothing.values()) == {0.0}


def test_a_shallower_answer_keeps_its_precision_and_misses_below(shop):
    fruit, pear = shop.index("Food > Fruit"), shop.index("Food > Fruit > Pear")
    figures = all_metrics(GoldAndPredicted.of(shop, [fruit], [pear]))
    assert (figures["hp_micro"], figures["hr_micro"]) == pytest.approx((1, 2 / 3))
    assert [figures[f"accuracy_l{level}"] for level in (1, 2, 3)] == [1, 1, 0]
    assert figures["exact_match"] == 0
    assert (figures["lca_distance_mean"], figures["mistake_severity"]) == (1, 1)


def test_a_deeper_answer_is_exact_down_to_the_gold_and_not_below(shop):
    fruit, pear = shop.index("Food > Fruit"), shop.index("Food > Fruit > Pear")
    figures = all_metrics(GoldAndPredicted.of(shop, [pear, fruit], [fruit, pear]))
    assert (figures["exact_to_l2"], figures["exact_to_l3"]) == (1, 0)
    assert figures["accuracy_l3"] == 0


def test_another_right_answer_counts_in_full_only_when_it_is_hit_exactly(shop):
    apple, pear, oil, toys = (
        shop.index(code)
        for code in ("Food > Fruit > Apple", "Food > Fruit > Pear", "Food > Oil", "Toys")
    )
    also = [(toys,), (pear,), ()]
    figures = all_metrics(
        GoldAndPredicted.of(shop, [toys, apple, oil], [apple, oil, oil], also=also)
    )
    # Row 1 hits its other answer; row 2 is near to its other one, which counts nothing.
    assert figures["exact_match"] == pytest.approx(1 / 3)
    assert figures["exact_match_lenient"] == pytest.approx(2 / 3)
    assert figures["hf1_micro_lenient"] == pytest.approx(2 * (1 + 1 + 2) / (2 + 5 + 4))
    assert figures["hp_micro_lenient"] == pytest.approx(4 / 6)
    assert figures["hr_micro_lenient"] == pytest.approx(4 / 5)


def test_what_is_left_for_review_is_measured_apart(shop):
    apple, oil = shop.index("Food > Fruit > Apple"), shop.index("Food > Oil")
    marks = [False, True, False, False, True]
    found = GoldAndPredicted.of(shop, [apple, oil, oil, -1, oil], [apple, apple, apple, oil, oil])
    assert "coverage" not in all_metrics(found)
    marked = GoldAndPredicted.of(shop, found.predicted_node, found.gold_node, reviewed=marks)
    figures = all_metrics(marked)
    assert figures["coverage"] == pytest.approx(2 / 5)  # the row without an answer is not covered
    assert figures["exact_match_covered"] == pytest.approx(1 / 2)
    assert figures["exact_match"] == all_metrics(found)["exact_match"]
    assert figures["exact_match_given"] == figures["exact_match"]  # nothing was cut
    with pytest.raises(UsageError, match="marks of review"):
        GoldAndPredicted.of(shop, [apple], [apple], reviewed=[True, False])


def test_answers_as_given_are_measured_beside_the_likeliest_as_a_whole(shop):
    food, fruit = shop.index("Food"), shop.index("Food > Fruit")
    apple, oil = shop.index("Food > Fruit > Apple"), shop.index("Food > Oil")
    whole, gold = [apple, oil, oil, oil], [apple, apple, oil, apple]
    plain = GoldAndPredicted.of(shop, whole, gold)
    found = GoldAndPredicted.of(
        *(shop, whole, gold),
        given=[fruit, food, oil, oil],
        reviewed=[False, False, False, True],
    )
    figures = all_metrics(found)
    for name, value in all_metrics(plain).items():
        assert figures[name] == pytest.approx(value, nan_ok=True), name
    assert figures["coverage"] == pytest.approx(3 / 4)
    assert figures["risk_given"] == 0  # Fruit and Food lie above Apple
    assert figures["exact_match_whole"] == 1
    assert figures["exact_match_covered"] == pytest.approx(1 / 3)
    assert figures["exact_match_given"] == pytest.approx(1 / 4)
    assert figures["information_given"] == pytest.approx((2 / 3 + 1 / 3 + 1 + 0) / 4)
    assert figures["hf1_micro_given"] == pytest.approx(2 * (2 + 1 + 2 + 1) / (7 + 11))


def test_nearness_to_another_right_answer_counts_where_partial_credit_is_asked_for(shop):
    apple, pear, oil, toys = (
        shop.index(code)
        for code in ("Food > Fruit > Apple", "Food > Fruit > Pear", "Food > Oil", "Toys")
    )
    also = [(pear, oil), (apple,)]
    figures = all_metrics(GoldAndPredicted.of(shop, [apple, oil], [toys, oil], also=also))
    # Row 1 shares two nodes with pear, one with oil; row 2 is right, and apple must not count.
    assert figures["hf1_micro"] == pytest.approx(2 * 2 / (3 + 1 + 2 + 2))
    assert figures["hf1_micro_lenient"] == figures["hf1_micro"]
    assert figures["hf1_micro_lenient_partial"] == pytest.approx(2 * (2 + 2) / (3 + 3 + 2 + 2))
    assert figures["f1_macro_l1"] == pytest.approx((0 + 2 / 3) / 2)
    assert figures["f1_macro_l1_lenient"] == 1
    # At level 2 row 1 is right for its first other answer, and no longer above the level.
    assert figures["accuracy_l2"] == figures["accuracy_l2_lenient"] == 1


@quick
@given(answers(arrays=3))
def test_partial_credit_is_that_of_the_nearest_right_answer_of_each_row(case):
    taxonomy, predicted, other, gold = case
    also = [[node] * (node >= 0) for node in other.tolist()]
    figures = all_metrics(GoldAndPredicted.of(taxonomy, predicted, gold, also=also))
    nearest = nearest_gold(taxonomy, predicted, gold, also)
    expected, *_ = hierarchical(taxonomy, predicted, nearest)
    assert figures["hf1_micro_lenient_partial"] == pytest.approx(expected)


@quick
@given(answers(arrays=3))
def test_lenient_figures_of_a_level_are_those_of_gold_classes_that_are_replaced(case):
    sklearn = pytest.importorskip("sklearn.metrics")
    taxonomy, predicted, other, gold = case
    also = [[node] * (node >= 0) for node in other.tolist()]
    figures = all_metrics(GoldAndPredicted.of(taxonomy, predicted, gold, also=also))
    for level in range(1, int(taxonomy.level[gold].max()) + 1):
        known = lenient_gold(taxonomy, predicted, gold, also, level)
        found, known = at_level(taxonomy, predicted, known, level)
        classes = sorted({*found, *known} - {-1})
        macro = sklearn.f1_score(known, found, labels=classes, average="macro", zero_division=0)
        weighted = sklearn.f1_score(known, found, average="weighted", zero_division=0)
        assert figures[f"f1_macro_l{level}_lenient"] == pytest.approx(macro)
        assert figures[f"f1_weighted_l{level}_lenient"] == pytest.approx(weighted)
        right = np.mean(np.equal(found, known))
        assert figures[f"accuracy_l{level}_lenient"] == pytest.approx(right)


@quick
@given(answers(arrays=3))
def test_weighting_a_row_with_other_right_answers_is_repeating_it(case):
    taxonomy, predicted, other, gold = case
    also = [[node] * (node >= 0) for node in other.tolist()]
    times = np.arange(len(gold)) % 3 + 1
    again = [row for row, n in zip(also, times, strict=True) for _ in range(n)]
    repeated = all_metrics(
        GoldAndPredicted.of(taxonomy, predicted.repeat(times), gold.repeat(times), also=again)
    )
    metrics = MetricsTable(GoldAndPredicted.of(taxonomy, predicted, gold, also=also))
    for name, values in metrics(times[:, None].astype(float)).items():
        assert values[0] == pytest.approx(repeated[name], nan_ok=True), name


def test_without_other_answers_there_are_no_lenient_figures(shop):
    assert not [
        name for name in all_metrics(GoldAndPredicted.of(shop, [0], [0])) if "lenient" in name
    ]


@quick
@given(answers())
def test_other_answers_never_make_a_share_worse(case):
    taxonomy, predicted, gold = case
    also = [(i % len(taxonomy),) for i in range(len(gold))]
    figures = all_metrics(GoldAndPredicted.of(taxonomy, predicted, gold, also=also))
    assert figures["exact_match_lenient"] >= figures["exact_match"]
    assert figures["hr_micro_lenient"] >= figures["hr_micro"] - 1e-12


def test_levels_that_are_no_path_are_inconsistent(shop):
    food, fruit, apple, oil, toys = (
        shop.index(code)
        for code in ("Food", "Food > Fruit", "Food > Fruit > Apple", "Food > Oil", "Toys")
    )
    levels = {
        (food, fruit, apple): True,
        (food, oil, -1): True,
        (toys, -1, -1): True,
        (food, fruit, oil): False,
        (toys, fruit, apple): False,
        (food, -1, apple): False,
        (-1, fruit, apple): False,
        (fruit, -1, -1): False,
    }
    for row, consistent in levels.items():
        last = next(node for node in reversed(row) if node >= 0)
        figures = all_metrics(GoldAndPredicted.of(shop, [last], [apple], levels=[row]))
        assert figures["consistency"] == consistent, row


def test_what_is_one_node_is_consistent(shop):
    assert all_metrics(GoldAndPredicted.of(shop, [0, 3, -1], [1, 1, 1]))["consistency"] == 1


def test_every_metric_is_described(shop):
    figures = all_metrics(GoldAndPredicted.of(shop, [0], [2], confidence=[0.5], also=[(1,)]))
    for name in figures:
        assert describe_metric(name).endswith("."), name
    assert "level 2" in describe_metric("accuracy_l2") and "5 %" in describe_metric(
        "coverage_at_risk_5"
    )
    assert describe_metric("no_such_metric") == ""


@pytest.mark.parametrize(
    ("predicted", "gold", "message"),
    [
        ([], [], "at least one row"),
        ([[0]], [0], r"shape \(1, 1\)"),
        ([0, 1], [0], "2 predicted nodes for 1 gold"),
        ([0], [-1], "gold: found -1 in row 0.*drop rows"),
        ([0, 6], [0, 0], "predicted: found 6 in row 1; expected indices from -1 to 5"),
        ([0.5], [0], "float64"),
    ],
)
def test_unusable_arrays_are_told_with_what_was_expected(shop, predicted, gold, message):
    with pytest.raises(UsageError, match=message):
        GoldAndPredicted.of(shop, predicted, gold)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"confidence": [1.5, 0.5]}, "found 1.5 in row 0; expected probabilities"),
        ({"levels": [0, 1]}, r"shape \(2,\); expected indices of nodes, int \[n_rows, depth\]"),
        ({"levels": [[0, 1], [0, 6]]}, "found 6 in row 1; expected indices from -1 to 5"),
    ],
)
def test_unusable_arrays_beside_the_nodes_are_told(shop, more, message):
    with pytest.raises(UsageError, match=message):
        GoldAndPredicted.of(shop, [0, 0], [0, 0], **more)


def test_no_answer_is_no_hit_even_if_another_right_answer_is_unknown(shop):
    figures = all_metrics(GoldAndPredicted.of(shop, [-1], [0], also=[(-1,)]))
    assert figures["exact_match_lenient"] == 0


@pytest.mark.parametrize("more", [{"confidence": [0.5]}, {"also": [()]}, {"levels": [[0, -1, -1]]}])
def test_what_is_not_given_for_each_row_is_told(shop, more):
    with pytest.raises(UsageError, match="for 2 gold nodes"):
        GoldAndPredicted.of(shop, [0, 0], [0, 0], **more)
