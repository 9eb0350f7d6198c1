"""How good answers are: metrics that know the tree, and intervals that say how sure they are."""

from cascade.evaluation.metrics.answers import Answers
from cascade.evaluation.metrics.headline import headline
from cascade.evaluation.metrics.intervals import Interval, bootstrap, paired_difference
from cascade.evaluation.metrics.meanings import describe
from cascade.evaluation.metrics.significance import McNemar, mcnemar

__all__ = [
    "Answers",
    "Interval",
    "McNemar",
    "bootstrap",
    "describe",
    "headline",
    "mcnemar",
    "paired_difference",
]
