import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.errors import UsageError
from cascade.evaluation.sets import set_figures

facets = st.frozensets(st.sampled_from("ABCDEF"), max_size=4)
rows = st.lists(st.tuples(facets, facets), min_size=1, max_size=12)


def binarized(rows):
    """Predicted and gold sets as zeros and ones; a last column of zeros, since one is no set."""
    labels = [*sorted(set().union(*(a | b for a, b in rows))), None]
    return (
        np.array([[label in row[side] for label in labels] for row in rows], dtype=int)
        for side in (0, 1)
    )


@settings(deadline=None)
@given(rows.filter(lambda rows: any(a | b for a, b in rows)))
def test_figures_are_those_of_scikit_learn_for_many_labels(rows):
    sklearn = pytest.importorskip("sklearn.metrics")
    predicted, gold = binarized(rows)
    figures = set_figures(*zip(*rows, strict=True))
    labels = np.arange(gold.shape[1] - 1)
    for average in ("micro", "macro"):
        expected = sklearn.precision_recall_fscore_support(
            gold, predicted, labels=labels, average=average, zero_division=0
        )[:3]
        found = [getattr(figures, f"{name}_{average}") for name in ("precision", "recall", "f1")]
        assert found == pytest.approx(expected)
    assert figures.exact_match == pytest.approx(sklearn.accuracy_score(gold, predicted))
    assert figures.support == gold.sum()
    assert (figures.rows, figures.labels) == (len(gold), len(labels))


def test_empty_sets_are_the_same_set_and_have_no_labels_to_find():
    figures = set_figures([[], []], [[], []])
    assert figures.exact_match == 1
    assert (figures.f1_micro, figures.f1_macro, figures.support) == (0, 0, 0)


def test_a_rare_label_counts_as_much_as_a_common_one_in_macro_only():
    figures = set_figures([{"common"}] * 9 + [set()], [{"common"}] * 9 + [{"rare"}])
    assert figures.recall_micro == 0.9
    assert figures.recall_macro == 0.5


def test_order_and_repetition_of_labels_do_not_matter():
    assert set_figures([["a", "b", "a"]], [("b", "a")]).exact_match == 1


@pytest.mark.parametrize(("predicted", "gold"), [([], []), ([{"a"}], [{"a"}, {"b"}])])
def test_rows_must_be_there_on_both_sides(predicted, gold):
    with pytest.raises(UsageError, match="give both for each row"):
        set_figures(predicted, gold)
