"""Confidences where nothing was fitted to labels: how much surer, or less sure, than they look.

A softmax of similarities looks too sure where there are few leaves and where the text has nothing
of the name of the likeliest leaf, and not sure enough where the text names it. So the log-odds of
the likeliest leaf are moved, by numbers that were fitted over many taxonomies
(`eval/bench/zero_shot_confidence.py` makes them).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

EVERY = -1.20
COVER = 0.90
ENTROPY = 0.30
LEAD = 2.26

KEPT = 0.95
"""Of the likeliest leaf's lead at most this share is taken: it stays the likeliest."""


@dataclass(frozen=True)
class Evidence:
    """What is known, without labels, of the likeliest leaf of each item; all float32 [n].

    Parameters
    ----------
    cover
        Share of the leaf's name that the text has; 0 to 1.
    entropy
        Of the softmax over leaves, in nats.
    lead
        By how much the leaf is more similar than the next.
    margin
        By how much its logit is greater than that of the next.
    """

    cover: Floats
    entropy: Floats
    lead: Floats
    margin: Floats

    def lift(self) -> Floats:
        """What is added to the logit of the likeliest leaf, float32 [n].

        All other leaves share what is left in the same proportions as before, so the probabilities
        of nodes stay those of one distribution, at every level.
        """
        moved = EVERY + COVER * self.cover + ENTROPY * self.entropy + LEAD * self.lead
        return np.asarray(np.maximum(moved, -KEPT * self.margin), dtype=np.float32)
