import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.evaluation.metrics.calibration import level_reliability, reliability
from cascade.evaluation.metrics.given import rows_given
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.metrics_table import all_metrics
from cascade.evaluation.metrics.risk_coverage import information_at_risk, risk_coverage
from cascade.taxonomy import Taxonomy

SHOP = Taxonomy.from_paths(["Food > Fruit", "Food > Oil", "Toys"])
FOOD, FRUIT, OIL, TOYS = (SHOP.index(c) for c in ("Food", "Food > Fruit", "Food > Oil", "Toys"))

quick = settings(deadline=None, max_examples=60)

rows = st.lists(
    st.tuples(
        st.sampled_from([-1, FOOD, FRUIT, OIL, TOYS]),
        st.sampled_from([FRUIT, OIL, TOYS]),
        st.integers(0, 10_000).map(lambda x: x / 10_000) | st.just(float("nan")),
    ),
    min_size=1,
    max_size=30,
).filter(lambda found: not all(np.isnan(sure) for _, _, sure in found))


def of(predicted, gold, sure):
    return GoldAndPredicted.of(SHOP, list(predicted), list(gold), confidence=list(sure))


@quick
@given(rows)
def test_the_area_and_the_coverages_are_those_of_accepting_row_by_row(found):
    figures = all_metrics(of(*zip(*found, strict=True)))
    sure = [-1.0 if np.isnan(s) else s for _, _, s in found]
    wrong = [p != g for p, g, _ in found]
    risks, coverages = [], []
    for own in sure:
        accepted = [w for w, s in zip(wrong, sure, strict=True) if s >= own]
        risks.append(sum(accepted) / len(accepted))
        coverages.append(len(accepted) / len(found))
    assert figures["aurc"] == pytest.approx(np.mean(risks))
    for percent in (1, 5, 10):
        good = [c for c, r in zip(coverages, risks, strict=True) if r <= percent / 100]
        assert figures[f"coverage_at_risk_{percent}"] == pytest.approx(max(good, default=0))


@quick
@given(rows)
def test_calibration_is_that_of_the_plain_definition(found):
    figures = all_metrics(of(*zip(*found, strict=True)))
    claims = [
        (sure, float(p == g or (p == FOOD and g in (FRUIT, OIL))))
        for p, g, sure in found
        if not np.isnan(sure)
    ]
    assert figures["brier"] == pytest.approx(np.mean([(s - r) ** 2 for s, r in claims]))
    gap = 0.0
    for number in range(15):
        inside = [(s, r) for s, r in claims if min(int(s * 15), 14) == number]
        gap += abs(sum(s for s, _ in inside) - sum(r for _, r in inside))
    assert figures["ece"] == pytest.approx(gap / len(claims))


@quick
@given(rows)
def test_the_curves_agree_with_the_figures(found):
    answers = of(*zip(*found, strict=True))
    figures = all_metrics(answers)
    bins = reliability(answers)
    n = sum(each.rows for each in bins)
    gap = sum(each.rows * abs(each.confidence - each.right) for each in bins) / n
    assert figures["ece"] == pytest.approx(gap)
    curve = risk_coverage(answers, points=1000)
    assert [point.coverage for point in curve] == sorted(point.coverage for point in curve)
    assert curve[-1].coverage == 1
    assert curve[-1].risk == pytest.approx(1 - figures["exact_match"])
    own = np.diff([point.coverage for point in curve], prepend=0)
    assert figures["aurc"] == pytest.approx(sum(own * [point.risk for point in curve]))


def test_a_claim_about_an_inner_node_holds_for_what_lies_below_it():
    right = all_metrics(of([FOOD, FOOD], [OIL, FOOD], [1.0, 1.0]))
    wrong = all_metrics(of([OIL, FOOD], [FOOD, TOYS], [1.0, 1.0]))
    assert right["brier"] == 0 and wrong["brier"] == 1


def test_confidence_that_tells_right_from_wrong_accepts_all_that_is_right():
    sure = all_metrics(of([FRUIT, OIL, OIL, TOYS], [FRUIT, OIL, TOYS, OIL], [0.9, 0.8, 0.2, 0.1]))
    unsure = all_metrics(of([FRUIT, OIL, OIL, TOYS], [FRUIT, OIL, TOYS, OIL], [0.1, 0.2, 0.8, 0.9]))
    assert sure["coverage_at_risk_1"] == 0.5 and unsure["coverage_at_risk_10"] == 0
    assert sure["aurc"] < unsure["aurc"]


def test_rows_of_the_same_confidence_are_accepted_together():
    figures = all_metrics(of([FRUIT, OIL], [FRUIT, TOYS], [0.7, 0.7]))
    assert figures["coverage_at_risk_10"] == 0
    assert figures["aurc"] == 0.5


def test_without_confidences_there_are_no_figures_and_no_curves():
    for answers in (GoldAndPredicted.of(SHOP, [FOOD], [OIL]), of([FOOD], [OIL], [np.nan])):
        assert "ece" not in all_metrics(answers) and "aurc" not in all_metrics(answers)
        assert reliability(answers) == risk_coverage(answers) == []


def test_a_long_curve_is_shown_at_some_of_its_points_the_ends_among_them():
    sure = np.linspace(0, 1, 900)
    curve = risk_coverage(of([FRUIT] * 900, [FRUIT] * 900, sure), points=50)
    assert len(curve) == 50
    assert (curve[0].threshold, curve[-1].threshold) == (1, 0)


def test_each_level_has_a_reliability_curve_of_its_own():
    answers = GoldAndPredicted.of(SHOP, [FRUIT, FRUIT, TOYS, -1], [FRUIT, OIL, TOYS, TOYS])
    none = float("nan")
    sure = np.array([[0.95, 0.75], [0.95, 0.75], [0.55, none], [none, none]])
    top, leaf = level_reliability(answers, sure)
    assert [(b.confidence, b.right, b.rows) for b in top] == [(0.55, 1, 1), (0.95, 1, 2)]
    assert [(b.confidence, b.right, b.rows) for b in leaf] == [(0.75, 0.5, 2)]


def test_climbing_keeps_more_than_whole_answers_where_only_leaves_are_unsure():
    answers = GoldAndPredicted.of(SHOP, [FRUIT] * 4, [FRUIT, FRUIT, OIL, OIL])
    sure = np.array([[0.9, 0.8], [0.9, 0.7], [0.9, 0.3], [0.9, 0.2]])
    points = information_at_risk(answers, sure)
    best = {
        climbs: max(p.information for p in points if p.climbs == climbs and p.risk == 0)
        for climbs in (True, False)
    }
    assert best == {True: (1 + 1 + 0.5 + 0.5) / 4, False: (1 + 1) / 4}
    last = [p for p in points if not p.climbs][-1]
    assert (last.risk, last.accepted) == (0.5, 1)


def test_rows_are_told_by_what_was_given():
    answers = GoldAndPredicted.of(
        *(SHOP, [FRUIT, OIL, FRUIT, TOYS, -1], [FRUIT, FRUIT, OIL, FRUIT, OIL]),
        given=[FRUIT, FOOD, FRUIT, TOYS, -1],
        reviewed=[False, False, True, False, False],
    )
    found = [(each.what, each.rows, each.right) for each in rows_given(answers)]
    assert found == [("ok", 2, 1), ("level 1", 1, 1), ("review", 1, 0), ("none", 1, 0)]
