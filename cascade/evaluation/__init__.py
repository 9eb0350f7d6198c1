"""How good answers are: metrics that know the tree, and intervals that say how sure they are."""

from cascade.evaluation.intervals import Interval, bootstrap, paired_difference
from cascade.evaluation.metrics import Answers, headline

__all__ = ["Answers", "Interval", "bootstrap", "headline", "paired_difference"]
