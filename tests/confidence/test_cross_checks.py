"""What other libraries compute too must come out the same: MAPIE, and scikit-learn for maps."""

import math

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from cascade import Taxonomy
from cascade.confidence.maps import BetaCalibration
from cascade.confidence.risk import DELTA, SPARED, RiskTable
from cascade.confidence.sets import SetFamily, SetTable
from cascade.items import Spread

pytest.importorskip("mapie", reason="part of the extra dev")

N_CLASSES = 12


class AsGiven(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose features are the probabilities of the classes."""

    def __init__(self):
        self.classes_ = np.arange(N_CLASSES)

    def fit(self, x, y):
        raise NotImplementedError

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, x):
        return x

    def predict(self, x):
        return x.argmax(axis=1)


def drawn(seed, n):
    """Probabilities [n, N_CLASSES], and classes drawn of them."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(n, N_CLASSES))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return p, (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1).astype(np.int32)


def flat_spread(p):
    """The spread of items over nodes that are all of level 1."""
    rows, nodes = np.indices(p.shape, np.int32).reshape(2, -1)
    return Spread(rows, nodes, np.full(p.size, -1, np.int64), p.ravel(), [0, p.size])


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_sets_over_one_level_are_those_of_split_conformal_prediction(coverage):
    from mapie.classification import SplitConformalClassifier
    from mapie.metrics.classification import classification_coverage_score

    p, right = drawn(5, 900)
    known = slice(0, 400)
    theirs = SplitConformalClassifier(AsGiven(), confidence_level=coverage, conformity_score="lac")
    sets = theirs.conformalize(p[known], right[known]).predict_set(p[400:])[1][:, :, 0]
    flat = Taxonomy.from_paths([f"Class {i}" for i in range(N_CLASSES)], name="flat")
    family = SetFamily(flat, np.ones(N_CLASSES, bool))
    comes_in = family.comes_in(flat_spread(p[known]), right[known], 400)
    threshold = SetTable({"all": tuple(comes_in.tolist())}).thresholds(coverage)[0]["all"]
    spread = flat_spread(p[400:])
    chosen = family.chosen(spread, np.full(500, threshold * (1 - 1e-9)))
    ours = chosen.reshape(500, N_CLASSES)
    np.testing.assert_array_equal(ours, sets)
    held = ours[np.arange(500), right[400:]].mean()
    assert held == pytest.approx(classification_coverage_score(right[400:], sets)[0])


@pytest.mark.parametrize("max_risk", [0.05, 0.1, 0.2])
def test_the_threshold_of_a_risk_is_that_of_learn_then_test(max_risk):
    from mapie.risk_control.fwer_control import FWERFixedSequenceTesting
    from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

    rng = np.random.default_rng(int(100 * max_risk))
    true = rng.beta(4, 1, size=1500)
    wrong = rng.random(1500) >= true
    table = RiskTable.fit(true, np.where(wrong, true, -np.inf))

    def p_values(wrong, n):
        """Of an exact binomial test, as MAPIE does it for risks of 0 and 1."""
        share = np.maximum(wrong - 1e-9, 0) / n
        return compute_hoeffding_bentkus_p_value(share, n, max_risk, binary=True)[:, 0]

    n, wrong = np.array(table.accepted), np.array(table.wrong)
    sizes = np.arange(1, n[-1])  # the first threshold spares ten wrong rows
    spares = p_values(np.full(len(sizes), SPARED), sizes)
    first = int(np.searchsorted(n, sizes[SPARED:][spares[SPARED:] <= DELTA][0] + 1))
    tested = p_values(wrong, n)[first:]
    rejected = FWERFixedSequenceTesting().run(tested, DELTA)
    threshold = table.threshold[first + rejected[-1]] if len(rejected) else math.inf
    assert table.least_threshold(max_risk) == (0.0 if len(rejected) == len(tested) else threshold)


def test_the_calibration_error_is_that_of_mapie():
    from mapie.metrics.calibration import expected_calibration_error

    from cascade.evaluation.metrics.calibration import BINS, ece

    rng = np.random.default_rng(2)
    sure = rng.beta(3, 1, size=2000)
    right = rng.random(2000) < sure**1.5
    at = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins = np.array([np.bincount(at, w, BINS) for w in (np.ones(2000), sure, right)])
    theirs = expected_calibration_error(right.astype(int), sure, num_bins=BINS)
    assert ece(bins[:, :, None])[0] == pytest.approx(theirs, abs=1e-9)


def test_a_map_is_the_logistic_regression_of_beta_calibration():
    rng = np.random.default_rng(3)
    sure = rng.beta(3, 1, size=50_000)
    right = rng.random(50_000) < 1 / (1 + np.exp(-(0.6 * np.log(sure) - 1.4 * np.log1p(-sure))))
    x = np.stack([np.log(sure), -np.log1p(-sure)], axis=1)
    theirs = LogisticRegression(C=np.inf).fit(x, right)
    ours = BetaCalibration.fit(sure, right)  # so many rows outweigh the twenty of the prior
    assert (ours.a, ours.b) == pytest.approx(tuple(theirs.coef_[0]), abs=0.02)
    assert ours.c == pytest.approx(theirs.intercept_[0], abs=0.02)
