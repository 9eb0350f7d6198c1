import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score
from sklearn.preprocessing import MultiLabelBinarizer

from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.metrics_table import all_metrics
from cascade.taxonomy import Taxonomy

TREE = Taxonomy.from_paths(["Food > Bread", "Food > Oil"])
SETS = st.lists(
    st.tuples(st.frozensets(st.sampled_from("abcd")), st.frozensets(st.sampled_from("abcd"))),
    min_size=1,
    max_size=12,
)


def metrics_of(pairs, predicted=None):
    counts = [(len(ours & theirs), len(ours), len(theirs)) for ours, theirs in pairs]
    gold = [1] * len(pairs)
    return all_metrics(GoldAndPredicted.of(TREE, predicted or gold, gold, facets=counts))


@settings(deadline=None, max_examples=40)
@given(SETS)
def test_figures_of_facets_are_those_of_scikit_learn(pairs):
    binarizer = MultiLabelBinarizer(classes=list("abcd"))
    gold = binarizer.fit_transform([theirs for _, theirs in pairs])
    predicted = binarizer.transform([ours for ours, _ in pairs])
    found = metrics_of(pairs)
    micro = {"average": "micro", "zero_division": 0}
    assert found["facet_precision_micro"] == pytest.approx(
        precision_score(gold, predicted, **micro)
    )
    if gold.any():
        assert found["facet_recall_micro"] == pytest.approx(recall_score(gold, predicted, **micro))
        assert found["facet_f1_micro"] == pytest.approx(f1_score(gold, predicted, **micro))
    sample = f1_score(gold, predicted, average="samples", zero_division=1)
    assert found["facet_f1_sample"] == pytest.approx(sample)


def test_a_code_is_exact_where_its_node_and_all_its_facets_are():
    pairs = [({"a"}, {"a"}), ({"a"}, {"a", "b"}), (set(), set()), ({"a"}, {"a"})]
    found = metrics_of([tuple(map(frozenset, pair)) for pair in pairs], [1, 1, 1, 2])
    assert found["exact_match"] == 0.75
    assert found["exact_match_with_facets"] == 0.5


def test_rows_of_the_same_nodes_and_other_facets_are_counted_apart():
    answers = GoldAndPredicted.of(TREE, [1, 1], [1, 1], facets=[(1, 1, 1), (0, 1, 1)])
    assert len(answers.distinct()[0]) == 2
    assert np.isclose(all_metrics(answers)["facet_f1_micro"], 0.5)
