import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.errors import UsageError
from cascade.evaluation.ranking import CUTS, MEANINGS, ranking_figures, ranking_values

quick = settings(deadline=None, max_examples=60)

nodes = st.lists(st.integers(0, 150), max_size=120, unique=True)
cases = st.lists(st.tuples(nodes, nodes.filter(len)), min_size=1, max_size=8)


@quick
@given(cases)
def test_the_means_are_those_of_sentence_transformers(case):
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    ranked, right = zip(*case, strict=True)
    judge = InformationRetrievalEvaluator(
        {str(row): "" for row in range(len(case))},
        {str(node): "" for node in range(151)},
        {str(row): set(map(str, answers)) for row, answers in enumerate(right)},
        accuracy_at_k=list(CUTS),
        precision_recall_at_k=list(CUTS),
        mrr_at_k=[10],
        ndcg_at_k=[10],
        map_at_k=[100],
    )
    theirs = judge.compute_metrics(
        [
            [{"corpus_id": str(node), "score": -rank} for rank, node in enumerate(row)]
            for row in ranked
        ]
    )
    ours = {name: values.mean() for name, values in ranking_values(ranked, right).items()}
    for kind in ("accuracy", "recall", "precision"):
        for k in CUTS:
            assert ours[f"{kind}_at_{k}"] == pytest.approx(theirs[f"{kind}@k"][k])
    assert ours["mrr_at_10"] == pytest.approx(theirs["mrr@k"][10])
    assert ours["ndcg_at_10"] == pytest.approx(theirs["ndcg@k"][10])
    assert ours["map_at_100"] == pytest.approx(theirs["map@k"][100])


@quick
@given(cases)
def test_every_figure_stands_in_its_interval_and_has_a_meaning(case):
    found = ranking_figures(*zip(*case, strict=True), resamples=200)
    assert list(found) == list(MEANINGS)
    for name, figure in found.items():
        assert figure.low - 1e-9 <= figure.value <= figure.high + 1e-9, name


def test_the_first_right_answer_counts_by_its_rank():
    figures = ranking_figures([[7, 8, 9], [7, 8, 9], []], [[8], [7], [9]], resamples=5)
    assert figures["accuracy_at_1"].value == pytest.approx(1 / 3)
    assert figures["accuracy_at_3"].value == pytest.approx(2 / 3)
    assert figures["mrr_at_10"].value == pytest.approx((1 / 2 + 1) / 3)


def test_the_interval_of_a_share_is_as_wide_as_the_normal_approximation_says():
    rng = np.random.default_rng(0)
    right = [[1]] * 2_000
    ranked = [[1] if hit else [2] for hit in rng.random(2_000) < 0.4]
    found = ranking_figures(ranked, right)["accuracy_at_1"]
    width = 2 * 1.96 * np.sqrt(found.value * (1 - found.value) / 2_000)
    assert found.high - found.low == pytest.approx(width, rel=0.1)


def test_the_same_seed_gives_the_same_intervals():
    case = [[1, 2], [3, 1], [2]], [[1], [1], [1]]
    assert ranking_figures(*case, seed=4) == ranking_figures(*case, seed=4)


def test_many_rankings_take_seconds():
    rng = np.random.default_rng(0)
    ranked = rng.permuted(np.tile(np.arange(100), (20_000, 1)), axis=1).tolist()
    started = time.process_time()
    ranking_figures(ranked, [[int(r)] for r in rng.integers(0, 200, 20_000)])
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("ranked", "right", "told"),
    [
        ([], [], "at least one row"),
        ([[1]], [[1], [2]], "1 rankings for 2 rows"),
        ([[1], [1]], [[1], []], "row 1 has no right answer"),
    ],
)
def test_unusable_rankings_are_told(ranked, right, told):
    with pytest.raises(UsageError, match=told):
        ranking_figures(ranked, right)
