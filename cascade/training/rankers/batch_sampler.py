"""Batches of pairs that hold all pairs of an item or none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.sampler import DefaultBatchSampler


class WholeItems(DefaultBatchSampler):
    """Items in an order that seed and epoch draw, as many in a batch as it has room for.

    Parameters
    ----------
    sizes
        Pairs of each item, of one at least; they stand one after the other.
    options
        As sentence-transformers gives them. `batch_size` is the most pairs of a batch; an item that
        has more is a batch of its own.
    """

    def __init__(self, dataset: Any, *, sizes: Sequence[int], **options: Any) -> None:
        super().__init__(dataset, **options)
        self._starts = np.concatenate([[0], np.cumsum(sizes)])
        self._batches = batches(sizes, self.batch_size)

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self._starts) - 1, generator=generator)
        for items in order.tensor_split(self._batches):
            yield [
                row
                for item in items.tolist()
                for row in range(int(self._starts[item]), int(self._starts[item + 1]))
            ]


def batches(sizes: Sequence[int], batch_size: int) -> int:
    """Batches of an epoch: as few as can hold at most `batch_size` pairs each, of any items."""
    return math.ceil(len(sizes) / max(1, batch_size // max(sizes)))
