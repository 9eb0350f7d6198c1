"""Every figure of a run: what its predictions are worth, how surely, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cascade.evaluation.metrics.bootstrap import Interval, bootstrap, mean_interval
from cascade.evaluation.metrics.calibration import Bin, level_reliability, reliability
from cascade.evaluation.metrics.given import RowsGiven, SetsOfSize, rows_given, sets_by_size
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.hierarchical_f1 import (
    exact_match,
    exact_match_with_nowhere,
    hf1_micro,
)
from cascade.evaluation.metrics.ranking import ranking_figures
from cascade.evaluation.metrics.risk_coverage import (
    InformationAtRisk,
    RiskCoverage,
    information_at_risk,
    risk_coverage,
)
from cascade.evaluation.run_predictions import RunPredictions
from cascade.pipeline.labels.finding import LabelCounts
from cascade.pipeline.runs.table import Counts

POINTS = 40  # of the running figures
WITH_NOWHERE = exact_match_with_nowhere.__name__


@dataclass(frozen=True)
class RunMetrics:
    """What was measured, as `metrics.json` has it.

    Parameters
    ----------
    rows
        How many there are, are measured, and came out how.
    figures
        Every metric that these predictions allow, by a name that tells its averaging.
    ranking
        Metrics of the rankings of leaves; empty where there are none.
    reliability, risk_coverage
        The two curves of confidence; empty where there is none.
    seconds, stages
        Time of answering, None where it is not known, and what it went into.
    asked
        What a language model was asked for it: prompts, and their tokens.
    resamples, seed
        Of the bootstrap.
    level_reliability, information, given
        Calibration of each level; what a risk costs in information; rows by what was given. Empty
        where the confidences of levels are not known.
    codes
        What is told of FoodEx2 codes, see `evaluation.foodex2.measuring`; empty for others.
    sets
        Rows by the size of their sets; empty where there are none.
    """

    rows: Mapping[str, Any]
    figures: Mapping[str, Interval]
    ranking: Mapping[str, Interval]
    reliability: tuple[Bin, ...]
    risk_coverage: tuple[RiskCoverage, ...]
    seconds: float | None
    stages: Mapping[str, float]
    resamples: int
    seed: int
    asked: Mapping[str, int] = field(default_factory=dict)
    level_reliability: tuple[tuple[Bin, ...], ...] = ()
    information: tuple[InformationAtRisk, ...] = ()
    given: tuple[RowsGiven, ...] = ()
    codes: Mapping[str, Any] = field(default_factory=dict)
    sets: tuple[SetsOfSize, ...] = ()

    @property
    def rows_per_second(self) -> float | None:
        """Answered rows in a second, None where the time is not known."""
        return self.rows["all"] / self.seconds if self.seconds else None

    def to_dict(self) -> dict[str, Any]:
        """The contents of `metrics.json`."""
        rate = self.rows_per_second
        return {
            "rows": dict(self.rows),
            "figures": {name: asdict(interval) for name, interval in self.figures.items()},
            "ranking": {name: asdict(interval) for name, interval in self.ranking.items()},
            "curves": {
                "reliability": [asdict(bin_) for bin_ in self.reliability],
                "risk_coverage": [asdict(point) for point in self.risk_coverage],
                "level_reliability": [[asdict(b) for b in each] for each in self.level_reliability],
                "information": [asdict(point) for point in self.information],
            },
            "given": [asdict(each) for each in self.given],
            "sets": [asdict(each) for each in self.sets],
            "time": {
                "seconds": self.seconds,
                "rows_per_second": None if rate is None else round(rate, 2),
                "stages": dict(self.stages),
            },
            "asked": dict(self.asked),
            "bootstrap": {"resamples": self.resamples, "seed": self.seed},
            **({"codes": dict(self.codes)} if self.codes else {}),
        }


def measure(
    predictions: RunPredictions,
    labels: LabelCounts,
    counts: Counts | None,
    *,
    resamples: int,
    seed: int,
) -> RunMetrics:
    """Every figure of some predictions.

    Parameters
    ----------
    counts
        What classifying took; None where it was done elsewhere.

    Raises
    ------
    UsageError
        `resamples` is less than 1.
    """
    answers = predictions.against_gold()
    figures = bootstrap(answers, resamples=resamples, seed=seed)
    if len(predictions.nowhere):
        rows = exact_match_with_nowhere(answers, predictions.without_answer(predictions.nowhere))
        figures[WITH_NOWHERE] = mean_interval(rows.part, resamples=resamples, seed=seed)
    ranked = predictions.ranked()
    sure = predictions.path_confidence
    sure = None if sure is None else sure[predictions.measured]
    return RunMetrics(
        rows={
            "all": len(predictions),
            "measured": len(predictions.measured),
            "without_label": labels.empty,
            "label_nowhere": len(labels.nowhere),
            "label_not_in_taxonomy": labels.unknown,
            "first_label_not_in_taxonomy": labels.first_unknown or None,
            "ranked": len(ranked[0]),
            "status": predictions.status,
            "source": predictions.source,
        },
        figures=figures,
        ranking=ranking_figures(*ranked, resamples=resamples, seed=seed) if ranked[0] else {},
        reliability=tuple(reliability(answers)),
        risk_coverage=tuple(risk_coverage(answers)),
        seconds=None if counts is None else counts.seconds,
        stages={} if counts is None else counts.stages,
        resamples=resamples,
        seed=seed,
        asked={} if counts is None else counts.asked,
        level_reliability=() if sure is None else tuple(level_reliability(answers, sure)),
        information=() if sure is None else tuple(information_at_risk(answers, sure)),
        given=tuple(rows_given(answers)),
        sets=tuple(sets_by_size(answers)),
    )


def running_figures(answers: GoldAndPredicted) -> Iterator[tuple[int, dict[str, float]]]:
    """Headline figures over the first rows, some numbers of rows up to all.

    They tell whether so many rows were enough: where they still move, more would be better.
    """
    shown = {"exact_match": exact_match(answers), "hf1_micro": hf1_micro(answers)}
    sums = {name: (f.part.cumsum(), f.whole.cumsum()) for name, f in shown.items()}
    n = len(answers)
    if not n:
        return
    for rows in sorted({max(1, round(n * step / POINTS)) for step in range(1, POINTS + 1)}):
        yield (
            rows,
            {
                name: float(part[rows - 1] / whole[rows - 1])
                for name, (part, whole) in sums.items()
                if whole[rows - 1]
            },
        )
