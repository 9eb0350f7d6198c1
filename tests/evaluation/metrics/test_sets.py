import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.errors import UsageError
from cascade.evaluation.metrics.sets import LabelFigures, set_figures, set_table

metrics = pytest.importorskip("sklearn.metrics")
preprocessing = pytest.importorskip("sklearn.preprocessing")

facets = st.frozensets(st.sampled_from("ABCDEF"), max_size=4)
rows = st.lists(st.tuples(facets, facets), min_size=1, max_size=12)
labelled = rows.filter(lambda rows: any(a | b for a, b in rows))
quick = settings(deadline=None, max_examples=60)


def binarized(case):
    """Predicted and gold sets as zeros and ones, and numbers of the labels that stand in any.

    A label that stands in none is added: scikit-learn takes one column for a binary target.
    """
    labels = sorted(set().union(*(a | b for a, b in case)))
    binarizer = preprocessing.MultiLabelBinarizer(classes=[*labels, "none"])
    predicted, gold = (binarizer.fit_transform(side) for side in zip(*case, strict=True))
    return predicted, gold, np.arange(len(labels))


@quick
@given(labelled)
def test_figures_are_those_of_scikit_learn(case):
    predicted, gold, labels = binarized(case)
    expected = {"exact_match_set": metrics.accuracy_score(gold, predicted)}
    for average in ("micro", "macro"):
        shares = metrics.precision_recall_fscore_support(
            gold, predicted, labels=labels, average=average, zero_division=0
        )
        for name, share in zip(("precision", "recall", "f1"), shares, strict=False):
            expected[f"{name}_{average}"] = share
    expected["f1_sample"] = metrics.f1_score(
        gold, predicted, labels=labels, average="samples", zero_division=1
    )
    assert set_figures(*zip(*case, strict=True)) == pytest.approx(expected, rel=0, abs=1e-12)


@quick
@given(labelled)
def test_the_table_is_that_of_scikit_learn(case):
    predicted, gold, labels = binarized(case)
    names = sorted(set().union(*(a | b for a, b in case)))
    expected = metrics.precision_recall_fscore_support(
        gold, predicted, labels=labels, zero_division=0
    )
    table = {each.label: each for each in set_table(*zip(*case, strict=True))}
    assert sorted(table) == names
    for name, *shares, support in zip(names, *expected, strict=True):
        own = table[name]
        assert [own.precision, own.recall, own.f1] == pytest.approx(shares, rel=0, abs=1e-12)
        assert own.support == support
        assert own.predicted == sum(name in predicted for predicted, _ in case)
        assert own.right == sum(name in predicted & gold for predicted, gold in case)


def test_two_empty_sets_are_a_row_that_is_right_and_has_no_labels_to_find():
    figures = set_figures([[], []], [[], []])
    assert (figures["exact_match_set"], figures["f1_sample"]) == (1, 1)
    assert figures["precision_micro"] == figures["recall_micro"] == figures["f1_micro"] == 0
    assert figures["precision_macro"] == figures["recall_macro"] == figures["f1_macro"] == 0
    assert set_table([[], []], [[], []]) == []


@pytest.mark.parametrize(("predicted", "gold"), [([], ["a"]), (["a"], [])])
def test_one_empty_set_is_a_row_that_is_wrong(predicted, gold):
    assert set(set_figures([predicted], [gold]).values()) == {0}


def test_a_label_only_predicted_or_only_gold_counts_0_in_macro():
    figures = set_figures([{"a", "extra"}], [{"a", "missed"}])
    assert figures["precision_macro"] == pytest.approx(1 / 3)
    assert figures["recall_macro"] == pytest.approx(1 / 3)
    assert figures["f1_macro"] == pytest.approx(1 / 3)


def test_a_rare_label_counts_as_much_as_a_common_one_in_macro_only():
    figures = set_figures([{"common"}] * 9 + [set()], [{"common"}] * 9 + [{"rare"}])
    assert figures["recall_micro"] == 0.9
    assert figures["recall_macro"] == 0.5


def test_macro_f1_is_the_mean_of_f1_and_not_that_of_the_means():
    figures = set_figures([{"a"}, {"a"}, set()], [{"a"}, set(), {"b"}])
    assert (figures["precision_macro"], figures["recall_macro"]) == (0.25, 0.5)
    assert figures["f1_macro"] == pytest.approx((2 / 3 + 0) / 2)


def test_order_and_repetition_of_labels_do_not_matter():
    assert set(set_figures([["a", "b", "a"]], [("b", "a")]).values()) == {1}
    assert set_table([["a", "a"]], [["a"]]) == [LabelFigures("a", 1, 1, 1, 1.0, 1.0, 1.0)]


def test_the_table_shows_most_support_first_and_then_by_name():
    table = set_table([{"d"}, set(), set()], [{"c", "b"}, {"c", "a"}, {"c"}])
    assert [each.label for each in table] == ["c", "a", "b", "d"]
    assert [each.support for each in table] == [3, 1, 1, 0]


@pytest.mark.parametrize("function", [set_figures, set_table])
@pytest.mark.parametrize(
    ("predicted", "gold", "told"),
    [
        ([], [], "at least one row"),
        ([{"a"}], [{"a"}, {"b"}], "for 1 rows and gold sets for 2"),
        ([{"a"}, "ab"], [{"a"}, {"b"}], "row 1 is the string 'ab'"),
    ],
)
def test_unusable_sets_are_told(function, predicted, gold, told):
    with pytest.raises(UsageError, match=told):
        function(predicted, gold)
