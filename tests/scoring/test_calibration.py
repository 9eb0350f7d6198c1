import math
from itertools import pairwise

import numpy as np
import pytest

from cascade.scoring.calibration import DELTA, BetaCalibration, RiskTable


def answers(rng, n, sharpness=3.0):
    """Confidences that are too sure, and whether each answer is right."""
    true = rng.beta(4, 1, size=n)
    odds = (true / (1 - true)) ** sharpness
    return odds / (1 + odds), rng.random(n) < true


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


def test_the_risk_among_accepted_rows_is_kept_as_often_as_promised():
    rng = np.random.default_rng(1)
    broken = 0
    for _ in range(200):
        table = RiskTable.fit(*(lambda c, r: (c, ~r))(*answers(rng, 800)))
        least = table.least_confidence(0.1)
        confidence, right = answers(rng, 5000)
        accepted = confidence >= least
        broken += accepted.any() and (~right[accepted]).mean() > 0.1
    assert broken / 200 <= DELTA + 0.03


def test_more_risk_accepts_no_less_and_too_few_rows_accept_nothing():
    rng = np.random.default_rng(2)
    confidence, right = answers(rng, 1000)
    table = RiskTable.fit(confidence, ~right)
    found = [table.least_confidence(risk) for risk in (0.05, 0.1, 0.2, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == 0
    few = RiskTable.fit(confidence[:10], np.zeros(10, bool))
    assert math.isinf(few.least_confidence(0.05))
