"""Risk and coverage: whether confidence tells right rows from wrong ones (AURC)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cascade.confidence.climbing import levels_held, worth
from cascade.evaluation.metrics.gold_and_predicted import Floats, GoldAndPredicted
from cascade.evaluation.metrics.ratio import ratio

RISKS = (1, 5, 10)  # percent
POINTS = 200
THRESHOLDS = 60  # of the curves of information


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Share of errors (not the known answer) among the share of rows with at least a confidence."""

    coverage: float
    risk: float
    threshold: float


def aurc(covered: Floats, errors: Floats) -> Floats:
    """Area under the risk-coverage curve: the risk at each row's own confidence, averaged.

    Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks". Risk is the
    share of errors (not the known answer) among rows at least as confident; rows of the same
    confidence, to four digits, are accepted together, those without one last.

    Parameters
    ----------
    covered, errors
        float64 [n_thresholds, n_samples], rows and errors accepted so far, from the surest on.
    """
    own = np.diff(covered, axis=0, prepend=0)
    return ratio((own * ratio(errors, covered, empty=0.0)).sum(axis=0), covered[-1])


def coverage_at_risk(covered: Floats, errors: Floats, risk: float) -> Floats:
    """The largest share of rows that can be accepted with at most {level} % errors among them.

    See `aurc` for the order in which rows are accepted and for what an error is. 0 where even the
    surest rows have more errors.
    """
    good = np.where(errors <= risk * covered + 1e-9, covered, 0.0)
    return ratio(good.max(axis=0), covered[-1])


class RiskCoverageMetrics:
    """AURC and coverage at given risks of some answers, for many samples of their rows at once.

    Parameters
    ----------
    answers
        The surest first.
    """

    def __init__(self, answers: GoldAndPredicted) -> None:
        sure = answers.written_confidence
        self._wrong = ~answers.exact[:, None]
        self._starts = np.flatnonzero(np.append(True, sure[1:] != sure[:-1]))

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Every metric by name, for weights float64 [n_rows, n_samples]."""
        covered, errors = self._accepted(weights), self._accepted(weights * self._wrong)
        return {
            "aurc": aurc(covered, errors),
            **{
                f"coverage_at_risk_{risk}": coverage_at_risk(covered, errors, risk / 100)
                for risk in RISKS
            },
        }

    def _accepted(self, counts: Floats) -> Floats:
        """What is accepted from the surest down to each confidence, [n_thresholds, n_samples]."""
        return np.cumsum(np.add.reduceat(counts, self._starts, axis=0), axis=0)


def risk_coverage(answers: GoldAndPredicted, points: int = POINTS) -> list[RiskCoverage]:
    """The risk-coverage curve, surest first, at no more than `points` of its thresholds.

    Empty where there are no confidences. See `aurc` for the order and for what an error is.
    """
    if not answers.has_confidence:
        return []
    sure = answers.written_confidence
    order = np.argsort(-sure, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(sure[order]) != 0, True))
    errors = np.cumsum(~answers.exact[order])[ends]
    shown = np.unique(np.linspace(0, len(ends) - 1, min(points, len(ends))).round().astype(int))
    return [
        RiskCoverage(
            float((ends[i] + 1) / len(answers)),
            float(errors[i] / (ends[i] + 1)),
            float(sure[order[ends[i]]]) if sure[order[ends[i]]] >= 0 else np.nan,
        )
        for i in shown.tolist()
    ]


@dataclass(frozen=True, slots=True)
class InformationAtRisk:
    """Risk and information kept at one threshold, where answers climb or are accepted whole.

    Parameters
    ----------
    risk
        Share of accepted rows whose node is neither the known answer nor above it; of whole
        answers: that are not the known answer.
    information
        Mean share of the known answer's levels that are accepted and right, over all rows.
    accepted
        Share of rows that are accepted, at any level.
    """

    climbs: bool
    risk: float
    information: float
    accepted: float


def information_at_risk(answers: GoldAndPredicted, sure: Floats) -> list[InformationAtRisk]:
    """Both curves, each from the surest threshold on; see `calibration.level_reliability`
    for `sure`.

    Thresholds are those of the rows themselves, so that the curves are a little better than those
    of new rows.
    """
    right, gold = answers.same, answers.gold_size
    known = ~np.isnan(sure).all(axis=1)
    whole = np.full(len(sure), -np.inf)
    whole[known] = np.nanmin(sure[known], axis=1)
    whole_scores = np.where(np.isnan(sure), np.nan, whole[:, None])
    found = []
    for climbs, scores in ((True, worth(sure)), (False, whole_scores)):
        for threshold in _thresholds(scores[known]):
            levels = levels_held(scores, threshold)
            accepted = levels > 0
            kept = right & (np.arange(sure.shape[1]) < levels[:, None])
            last = right[np.arange(len(sure)), np.maximum(levels, 1) - 1]
            good = last if climbs else answers.exact
            found.append(
                InformationAtRisk(
                    climbs,
                    float((~good[accepted]).mean()),
                    float((kept.sum(axis=1) / gold).mean()),
                    float(accepted.mean()),
                )
            )
    return found


def _thresholds(scores: Floats) -> list[float]:
    """Some scores, greatest first, evenly spread over the rows and levels that have them."""
    known = np.sort(scores[~np.isnan(scores)])[::-1]
    at = np.unique(np.linspace(0, len(known) - 1, min(THRESHOLDS, len(known))).round().astype(int))
    return list(dict.fromkeys(known[at].tolist()))
