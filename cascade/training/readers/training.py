"""The training of a reader of pairs: a softmax over the nodes of each list."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cascade.models.runtime import autocast, best_device, precision_dtype
from cascade.scoring.pair_reader import NAMES, PairReader
from cascade.training.encoders.training import AveragedLoop, learnt
from cascade.training.encoders.tree_loss import tree_loss
from cascade.training.loop import LoopSettings
from cascade.training.readers.lists import ListSource
from cascade.training.readers.recipe import ReaderLoopRecipe

if TYPE_CHECKING:
    import torch

NEW = 10  # times the rate of what begins with random numbers


class ReaderLoop(AveragedLoop):
    """Trains a reader; `settle` gives it the averaged weights."""

    def __init__(
        self,
        reader: PairReader,
        layers: int,
        source: ListSource,
        recipe: ReaderLoopRecipe,
        folder: Path,
        *,
        seed: int = 0,
        identity: str = "",
    ) -> None:
        import torch

        self._device = best_device(recipe.device)
        reader.encoder.to(self._device)
        weights = learnt(reader.encoder, layers, words=False)
        own = reader.encoder.weights
        plain = [p for p in weights.values() if p.ndim < 2]
        others = [p for p in weights.values() if p.ndim >= 2]
        new = []
        for name in NAMES:
            own[name] = weights[name] = torch.nn.Parameter(own[name].detach().clone())
            new.append(weights[name])
        optimizer = torch.optim.AdamW(
            [
                {"params": others, "weight_decay": recipe.weight_decay},
                {"params": plain, "weight_decay": 0.0},
                {"params": new, "weight_decay": 0.0, "lr": recipe.learning_rate * NEW},
            ],
            lr=recipe.learning_rate,
            fused=True,
        )
        settings = LoopSettings(
            recipe.steps, recipe.warmup, recipe.decay, checkpoint_every=recipe.checkpoint_every
        )
        super().__init__(weights, optimizer, settings, folder, seed=seed, identity=identity)
        self._reader, self._source, self._recipe = reader, source, recipe
        self.remember(recipe.average, recipe.share)

    def losses(self, step: int) -> Iterable[torch.Tensor]:
        """The loss of the step's lists."""
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel

        recipe, reader = self._recipe, self._reader
        drawn = self._source.draw(step)
        encoder = reader.encoder
        ids = encoder.tokens(drawn.items, recipe.item_tokens)
        ids += encoder.tokens(drawn.nodes, recipe.node_tokens)
        rows, columns = np.nonzero(drawn.lists >= 0)
        nodes = drawn.lists[rows, columns] + len(drawn.items)
        half = recipe.half and precision_dtype("auto", self._device).itemsize < 4
        weights = encoder.weights
        with autocast(self._device) if half else nullcontext(), sdpa_kernel(SDPBackend.MATH):
            states, starts, lengths = reader.texts(weights, ids)
            found = reader.pairs(
                weights, states, (starts[rows], lengths[rows]), (starts[nodes], lengths[nodes])
            )
        scores = torch.from_numpy(drawn.cosine * recipe.scale).to(found.device)
        places = (torch.from_numpy(rows), torch.from_numpy(columns))
        scores = scores.index_put(places, found, accumulate=True)
        yield tree_loss(
            scores, drawn.gold, drawn.wrong, drawn.shared, scale=1, upper=recipe.upper, back=0
        )
