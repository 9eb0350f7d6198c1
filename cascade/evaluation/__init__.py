"""How good answers are: metrics that know the tree, and intervals that say how sure they are."""

from cascade.evaluation.answers import Answers
from cascade.evaluation.intervals import Interval, bootstrap, paired_difference
from cascade.evaluation.meanings import describe
from cascade.evaluation.metrics import headline
from cascade.evaluation.significance import McNemar, mcnemar

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
