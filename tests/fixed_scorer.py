"""A scorer whose belief in each node is given, so that a walk can be reckoned by hand."""

import numpy as np

from cascade.errors import EngineError
from cascade.scoring.scorer import Scorer


class FixedScorer(Scorer):
    """Log-softmax of `weights` [n_nodes] over the candidates; notes what it was asked."""

    def __init__(self, weights, name="fixed"):
        self.name = name
        self.weights = np.asarray(weights, dtype=float)
        self.asked = []

    def score(self, batch, choices):
        self.asked += zip(choices.rows.tolist(), choices.parents.tolist(), strict=True)
        return choices.log_softmax(self.weights[choices.nodes])


class FailingScorer(Scorer):
    """A scorer whose model is out of order."""

    name = "failing"

    def score(self, batch, choices):
        raise EngineError("out of memory")
