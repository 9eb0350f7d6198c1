"""The training of an encoder over many taxonomies."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.models.runtime import autocast, best_device, precision_dtype
from cascade.models.sentence_encoder import PackedEncoder
from cascade.training.encoders.batches import BatchSource, neighbours_of
from cascade.training.encoders.recipe import EncoderLoopRecipe
from cascade.training.encoders.sets import EncoderSet
from cascade.training.encoders.tree_loss import tree_loss
from cascade.training.loop import Loop, LoopSettings

if TYPE_CHECKING:
    import torch

AVERAGE, NEAR = "average|", "near|"
logger = logging.getLogger(__name__)


class AveragedLoop(Loop):
    """A run whose result lies between the weights at its beginning and the average of those learnt.

    A subclass calls `remember` when its weights are there.
    """

    def remember(self, average: float, share: float) -> None:
        """Keep the weights of the beginning, and an average of those that come.

        Parameters
        ----------
        average
            Decay of the running average; 0 for none.
        share
            How far `settle` goes from the first weights to those.
        """
        self._average, self._share = average, share
        self._start = {name: p.detach().clone() for name, p in self._weights.items()}
        self.averages = {name: p.detach().clone() for name, p in self._weights.items()}

    def settle(self) -> None:
        """Put in the place of the weights those of the result.

        They lie between the weights that training began with and the average of those learnt
        (WiSE-FT, Wortsman et al., arXiv 2109.01903): what was known before helps with taxonomies
        that no set is like.
        """
        import torch

        learnt = self.averages if self._average else self._weights
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(torch.lerp(self._start[name], learnt[name], self._share))

    def _step(self, step: int) -> float:
        import torch

        loss = super()._step(step)
        # As long as few steps are made, the average forgets sooner.
        decay = min(self._average, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, average in self.averages.items():
                average.lerp_(self._weights[name], 1 - decay)
        return loss

    def _memory(self) -> dict[str, Any]:
        averages = {AVERAGE + name: value.cpu().numpy() for name, value in self.averages.items()}
        return super()._memory() | averages

    def _recall(self, arrays: Mapping[str, Any]) -> None:
        import torch

        super()._recall(arrays)
        for name, average in self.averages.items():
            average.copy_(torch.from_numpy(arrays[AVERAGE + name]))


class EncoderLoop(AveragedLoop):
    """Trains a packed encoder; `settle` gives it the weights of the result."""

    def __init__(
        self,
        encoder: PackedEncoder,
        source: BatchSource,
        recipe: EncoderLoopRecipe,
        folder: Path,
        *,
        seed: int = 0,
        identity: str = "",
    ) -> None:
        import torch

        encoder.to(best_device(recipe.device))
        weights = learnt(encoder, recipe.layers, words=recipe.words)
        plain = [p for name, p in weights.items() if p.ndim < 2]
        others = [p for name, p in weights.items() if p.ndim >= 2]
        optimizer = torch.optim.AdamW(
            [
                {"params": others, "weight_decay": recipe.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
            fused=True,
        )
        settings = LoopSettings(
            recipe.steps, recipe.warmup, recipe.decay, checkpoint_every=recipe.checkpoint_every
        )
        super().__init__(weights, optimizer, settings, folder, seed=seed, identity=identity)
        self._encoder, self._source, self._recipe = encoder, source, recipe
        self._device = best_device(recipe.device)
        self.remember(recipe.average, recipe.share)

    def losses(self, step: int) -> Iterable[torch.Tensor]:
        """The loss of the step's batch."""
        recipe = self._recipe
        if step % recipe.refresh == 0 or not self._source.neighbours:
            self._source.neighbours = self._neighbours()
        batch = self._source.draw(step)
        encoder = self._encoder
        ids = encoder.tokens(batch.items, recipe.item_tokens)
        ids += encoder.tokens(batch.candidates, recipe.node_tokens)
        half = recipe.half and precision_dtype("auto", self._device).itemsize < 4
        with autocast(self._device) if half else nullcontext():
            vectors = encoder.forward(ids)
        vectors = vectors.float()
        n = len(batch.items)
        yield tree_loss(
            vectors[:n] @ vectors[n:].T,
            batch.gold,
            batch.wrong,
            batch.shared,
            scale=recipe.scale,
            upper=recipe.upper,
            back=recipe.back,
        )

    def _neighbours(self) -> dict[str, Any]:
        started = time.perf_counter()
        found = {chosen.name: self._neighbours_of(chosen) for chosen in self._source.sets}
        logger.info("neighbours found anew in %.0f s", time.perf_counter() - started)
        return found

    def _neighbours_of(self, chosen: EncoderSet) -> Any:
        rng = np.random.default_rng(0)
        texts = [chosen.forms.text(int(node), "parent", rng) for node in chosen.labelled]
        return neighbours_of(chosen, self._encoder.encode(texts, half=self._recipe.half))

    def _memory(self) -> dict[str, Any]:
        near = {NEAR + name: value for name, value in self._source.neighbours.items()}
        return super()._memory() | near

    def _recall(self, arrays: Mapping[str, Any]) -> None:
        super()._recall(arrays)
        self._source.neighbours = {
            name.removeprefix(NEAR): value
            for name, value in arrays.items()
            if name.startswith(NEAR)
        }


def learnt(
    encoder: PackedEncoder, layers: int | None, *, words: bool
) -> dict[str, torch.nn.Parameter]:
    """The weights of an encoder that are trained, which become parameters of it.

    The vectors of words, half of all numbers, stay as they were unless asked for: what is learnt
    then is small, and words that no set has keep their place among the others.

    Parameters
    ----------
    layers
        How many of the upper layers; None for all.
    """
    import torch

    first = 0 if layers is None else max(encoder.transformer.n_layers - layers, 0)
    starts = tuple(
        f"encoder.layer.{number}." for number in range(first, encoder.transformer.n_layers)
    )
    if words:
        starts += ("embeddings.word_embeddings.",)
    found = {}
    for name in [name for name in encoder.weights if name.startswith(starts)]:
        found[name] = torch.nn.Parameter(encoder.weights[name].detach().clone())
        encoder.weights[name] = found[name]
    return found
