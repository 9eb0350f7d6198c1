"""How long answers take, as measured, so that no batch keeps others waiting for long."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.items import Item
from cascade.predictions import Prediction

AIM = 1.0  # seconds of a batch, where the models are not slower than that with any
LONGEST = 10.0  # seconds of a batch whose models take as long for one item as for many
FIRST = 64.0  # units of a batch before anything is measured
KEPT = 0.8  # of what was measured before, when a batch ends
CHARACTERS = 100  # of a text that cost as much as an item itself
PICTURE = 20.0  # units of a picture


def cost_of(item: Item | Prediction) -> float:
    """What an item costs, in units: 1, and 1 for each 100 characters."""
    if isinstance(item, Prediction):
        return 0.01  # answered already
    text = sum(map(len, item.fields.values())) / CHARACTERS
    return 1.0 + text + (PICTURE if item.image is not None else 0.0)


def costs_of(items: Sequence[Item | Prediction]) -> list[float]:
    """What each item costs, in units."""
    return [*map(cost_of, items)]


class Pace:
    """The seconds of batches, as a line over their units: what any batch takes, and each unit."""

    def __init__(self) -> None:
        # Sums over batches, those long ago with less weight: 1, units, seconds, and products.
        self._n = self._u = self._t = self._uu = self._ut = 0.0
        self._largest = 0.0
        self._any = 0.0  # seconds that any batch takes
        self._differ = False  # whether batches lately had several sizes

    def learn(self, units: float, seconds: float) -> None:
        """Remember how long a batch took."""
        values = (1.0, units, seconds, units * units, units * seconds)
        sums = (self._n, self._u, self._t, self._uu, self._ut)
        self._n, self._u, self._t, self._uu, self._ut = (
            KEPT * old + new for old, new in zip(sums, values, strict=True)
        )
        self._largest = max(units, KEPT * self._largest)
        mean, took = self._u / self._n, self._t / self._n
        spread = self._uu / self._n - mean * mean
        self._differ = spread > (0.1 * mean) ** 2
        if self._differ:  # batches of one size tell nothing of the line
            slope = (self._ut / self._n - mean * took) / spread
            self._any = max(0.0, took - max(0.0, slope) * mean)
        self._any = min(self._any, took)

    def seconds(self, units: float) -> float:
        """How long these take, as the last batches did; 0 where nothing is known."""
        return units * self._t / self._u if self._u else 0.0

    @property
    def most(self) -> float:
        """Units of the next batch: about a second's, never many more than have been tried."""
        if not self._u:
            return FIRST
        each = max(self._t - self._n * self._any, 0.05 * self._t) / self._u
        aim = min(LONGEST, max(AIM, 2 * self._any))
        wanted = (aim - min(self._any, aim / 2)) / max(each, 1e-9)
        tried = 2 * self._largest
        if not self._differ and tried <= FIRST:  # more might take no longer: it is tried
            wanted = max(wanted, tried)
        return min(wanted, max(FIRST, tried))
