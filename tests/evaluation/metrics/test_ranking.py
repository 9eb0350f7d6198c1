import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.errors import UsageError
from cascade.evaluation.metrics.ranking import MEANINGS, ranking_figures

quick = settings(deadline=None, max_examples=60)

nodes = st.lists(st.integers(0, 150), max_size=120, unique=True)
cases = st.lists(st.tuples(nodes, nodes.filter(len)), min_size=1, max_size=8)


def figures_of_sentence_transformers(ranked, right):
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    cuts = [1, 3, 5, 10]
    judge = InformationRetrievalEvaluator(
        queries={str(row): "" for row in range(len(ranked))},
        corpus={},
        relevant_docs={str(row): set(map(str, answers)) for row, answers in enumerate(right)},
        accuracy_at_k=cuts,
        precision_recall_at_k=cuts,
        mrr_at_k=[10],
        ndcg_at_k=[10],
        map_at_k=[100],
    )
    found = judge.compute_metrics(
        [
            [{"corpus_id": str(node), "score": -rank} for rank, node in enumerate(row)]
            for row in ranked
        ]
    )
    return {
        f"{kind.removesuffix('@k')}_at_{k}": value
        for kind, by_cut in found.items()
        for k, value in by_cut.items()
    }


@quick
@given(cases)
def test_every_figure_is_that_of_sentence_transformers(case):
    ranked, right = zip(*case, strict=True)
    ours = {name: each.value for name, each in ranking_figures(ranked, right, resamples=1).items()}
    theirs = figures_of_sentence_transformers(ranked, right)
    assert ours == pytest.approx(theirs, rel=0, abs=1e-12)


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


def test_precision_divides_by_the_cut_however_short_the_ranking():
    figures = ranking_figures([[4]], [[4]], resamples=1)
    assert [figures[f"precision_at_{k}"].value for k in (1, 3, 5, 10)] == [1, 1 / 3, 1 / 5, 1 / 10]


def test_right_answers_below_the_ranks_that_a_figure_looks_at_do_not_count():
    deep = ranking_figures([list(range(200))], [[10, 100]], resamples=1)
    assert deep["mrr_at_10"].value == deep["ndcg_at_10"].value == deep["recall_at_10"].value == 0
    assert deep["map_at_100"].value == pytest.approx(1 / 11 / 2)


def test_a_right_answer_that_stands_twice_counts_once():
    assert ranking_figures([[1, 2]], [[2, 2]]) == ranking_figures([[1, 2]], [[2]])


def test_intervals_are_those_of_rows_drawn_one_by_one():
    rng = np.random.default_rng(0)
    ranked = [rng.permutation(12).tolist() for _ in range(150)]
    found = ranking_figures(ranked, [[0, 1]] * 150, resamples=4_000)["ndcg_at_10"]
    rows = [ranking_figures([row], [[0, 1]], resamples=1)["ndcg_at_10"].value for row in ranked]
    means = rng.choice(rows, size=(4_000, 150)).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_rows_that_are_all_alike_leave_no_doubt():
    found = ranking_figures([[3, 5]] * 40, [[5]] * 40)["mrr_at_10"]
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)


def test_the_seed_decides_the_intervals():
    rng = np.random.default_rng(1)
    case = [rng.permutation(10).tolist() for _ in range(50)], [[0]] * 50
    assert ranking_figures(*case, seed=4) == ranking_figures(*case, seed=4)
    assert ranking_figures(*case, seed=4) != ranking_figures(*case, seed=5)


def test_intervals_of_many_rows_with_several_right_answers_take_little_time_and_memory():
    rng = np.random.default_rng(0)
    rankings = rng.permuted(np.tile(np.arange(100), (1_000, 1)), axis=1).tolist()
    ranked = rankings * 100
    right = rng.integers(0, 200, (100_000, 2)).tolist()
    started = time.process_time()
    tracemalloc.start()
    try:
        ranking_figures(ranked, right, resamples=1_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 20
    assert peak < 60e6


@pytest.mark.parametrize(
    ("ranked", "right", "resamples", "told"),
    [
        ([], [], 10, "at least one row"),
        ([[1]], [[1], [2]], 10, "1 rankings for 2 rows"),
        ([[1], [1]], [[1], []], 10, "row 1 has no right answer"),
        ([[1]], [[1]], 0, "found 0 resamples"),
    ],
)
def test_unusable_rankings_are_told(ranked, right, resamples, told):
    with pytest.raises(UsageError, match=told):
        ranking_figures(ranked, right, resamples=resamples)
