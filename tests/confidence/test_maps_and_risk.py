import math
from itertools import pairwise

import numpy as np
import pytest

from cascade.confidence.maps import BetaCalibration
from cascade.confidence.risk import DELTA, RiskTable


def answers(rng, n, sharpness=3.0):
    """Confidences that are too sure, and whether each answer is right."""
    true = rng.beta(4, 1, size=n)
    odds = (true / (1 - true)) ** sharpness
    return odds / (1 + odds), rng.random(n) < true


def whole(confidence, right):
    """A table of answers that are accepted whole."""
    return RiskTable.fit(confidence, np.where(right, -np.inf, confidence))


def ece(confidence, right):
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = [
        abs(confidence[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    ]
    return sum(gaps)


def test_a_map_makes_confidences_true_on_rows_that_it_has_not_seen():
    rng = np.random.default_rng(0)
    found = BetaCalibration.fit(*answers(rng, 1500))
    confidence, right = answers(rng, 20_000)
    mapped = np.array([found.apply(c) for c in confidence])
    assert ece(confidence, right) > 0.08
    assert ece(mapped, right) < 0.03
    assert ((mapped > 0) & (mapped < 1)).all()


@pytest.mark.parametrize("right", [[], [True], [True] * 20, [False] * 20])
def test_a_map_of_few_or_uniform_rows_keeps_the_order(right):
    found = BetaCalibration.fit(np.linspace(0.1, 0.9, len(right)), np.array(right, dtype=bool))
    mapped = [found.apply(c) for c in np.linspace(0, 1, 50)]
    assert all(a <= b for a, b in pairwise(mapped))


def test_a_few_answers_that_are_all_wrong_or_all_right_do_not_make_a_certainty():
    raw = np.linspace(0.3, 0.5, 8)
    for right, least, most in ((False, 0.05, 0.35), (True, 0.5, 0.97)):
        found = BetaCalibration.fit(raw, np.full(8, right))
        assert least < found.apply(0.4) < most


def test_a_map_of_answers_that_are_all_as_sure_keeps_a_slope():
    rng = np.random.default_rng(3)
    found = BetaCalibration.fit(0.5 + rng.normal(0, 0.02, size=40), rng.random(40) < 0.5)
    assert found.apply(0.001) < 0.05
    assert found.apply(0.999) > 0.9


def test_slopes_are_above_zero_even_where_surer_answers_are_wrong_more_often():
    raw = np.linspace(0.05, 0.95, 400)
    found = BetaCalibration.fit(raw, np.arange(400) % 400 < 200)
    mapped = [found.apply(c) for c in np.linspace(0.01, 0.99, 30)]
    assert all(a < b for a, b in pairwise(mapped))


def test_no_rows_change_nothing_and_many_rows_outweigh_the_prior():
    assert BetaCalibration.fit(np.empty(0), np.empty(0, bool)) == BetaCalibration()
    raw = np.full(5000, 0.9)
    found = BetaCalibration.fit(raw, np.arange(5000) % 10 < 6)
    assert found.apply(0.9) == pytest.approx(0.6, abs=0.01)


def test_the_risk_among_accepted_rows_is_kept_as_often_as_promised():
    rng = np.random.default_rng(1)
    broken = 0
    for _ in range(200):
        table = whole(*answers(rng, 800))
        least = table.least_threshold(0.1)
        confidence, right = answers(rng, 5000)
        accepted = confidence >= least
        broken += accepted.any() and (~right[accepted]).mean() > 0.1
    assert broken / 200 <= DELTA + 0.03


def test_more_risk_accepts_no_less_and_too_few_rows_accept_nothing():
    rng = np.random.default_rng(2)
    confidence, right = answers(rng, 1000)
    table = whole(confidence, right)
    found = [table.least_threshold(risk) for risk in (0.05, 0.1, 0.2, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == 0
    few = whole(confidence[:10], np.ones(10, bool))
    assert math.isinf(few.least_threshold(0.05))
