"""Fine-tuning a backbone together with TTC heads: an encoder, a LLaMA through LoRA, a vision model.

An item becomes a unit vector, linear heads of a form of TTC stand on it, and the loss of all levels
goes down into the backbone. The heads come out fitted with it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cascade.config import Section
from cascade.items import Item
from cascade.models.runtime import autocast
from cascade.scoring.ttc_heads import Form, Heads
from cascade.taxonomy import Taxonomy
from cascade.training.level_loss import TorchForms, level_loss, outputs
from cascade.training.loop import CHECKPOINT, Loop, LoopSettings, Tick

if TYPE_CHECKING:
    import torch


WATCHED = 256  # items that are not learnt, whose loss is told
LOOKS = 6  # times in a run


class TuningRecipe(Section):
    """How a backbone and its heads are trained."""

    form: Form = Field("leaf", description="How levels are tied; see scoring.ttc_heads.")
    importance: list[Annotated[float, Field(ge=0, le=1e6)]] = Field(
        min_length=1,
        default_factory=lambda: [0.5, 0.5, 1.0],
        description="Weight of each level's loss from the top; the last holds for all below.",
    )
    epochs: float = Field(2.0, gt=0, le=1000, description="Times that all rows are seen.")
    least_steps: int = Field(
        300,
        ge=1,
        le=10**8,
        description="Steps that are made at the least, however few the rows are.",
    )
    batch_size: int = Field(32, ge=1, le=10**5, description="Rows of one step.")
    learning_rate: float = Field(1e-4, gt=0, le=10, description="Of the backbone, at its highest.")
    head_learning_rate: float = Field(2e-3, gt=0, le=10, description="Of the heads.")
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of the steps in which rates rise.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Of the vectors that heads see.")
    smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of a label that is spread over all of its level."
    )
    checkpoint_every: int = Field(50, ge=1, le=10**8, description="Steps between two checkpoints.")


class TrainableBackbone(Protocol):
    """A backbone as it is trained."""

    @property
    def width(self) -> int:
        """Numbers in a vector."""

    def inputs(self, item: Item) -> list[Any]:
        """What is read of an item; the longer, the longer a step takes."""

    def vectors(self, inputs: Sequence[list[Any]]) -> torch.Tensor:
        """Unit vectors float32 [n, width] that gradients flow through."""

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, by name."""

    def save(self, folder: Path) -> None:
        """Write what `features` can load."""


def fine_tune(
    backbone: TrainableBackbone,
    items: Sequence[Item],
    nodes: NDArray[np.int32],
    taxonomy: Taxonomy,
    recipe: TuningRecipe,
    folder: Path,
    *,
    start: Heads | None = None,
    seed: int = 0,
    held: tuple[Sequence[Item], NDArray[np.int32]] | None = None,
    progress: Callable[[Tick], None] | None = None,
) -> Heads:
    """Train, and leave the backbone in `folder/model` and `heads.safetensors` beside it.

    A run that was killed goes on from its last checkpoint when it is called again with the same
    arguments; one that had finished returns at once.

    Parameters
    ----------
    nodes
        int32 [n_items].
    start
        Heads that go on learning beside a backbone that was trained with them, in place of new
        ones; their form is the recipe's.
    held
        Items that are not learnt, with their nodes; the loss on some of them is told now and then.
        Nothing depends on it.
    progress
        Called after each step.
    """
    done = folder / "heads.safetensors"
    if done.is_file():
        return Heads.load(done, taxonomy)
    loop = _BackboneLoop(backbone, items, nodes, taxonomy, recipe, folder, start, seed)
    if held is not None:
        loop.watch(*held)
    loop.run(resume=True, progress=progress)
    heads = loop.heads()
    backbone.save(folder / "model")
    (folder / CHECKPOINT).unlink(missing_ok=True)
    heads.save(done, taxonomy)
    return heads


class _BackboneLoop(Loop):
    """A run that trains a backbone and its heads."""

    def __init__(
        self,
        backbone: TrainableBackbone,
        items: Sequence[Item],
        nodes: NDArray[np.int32],
        taxonomy: Taxonomy,
        recipe: TuningRecipe,
        folder: Path,
        start: Heads | None,
        seed: int,
    ) -> None:
        import torch

        self._backbone, self._recipe, self._taxonomy = backbone, recipe, taxonomy
        self._held: list[list[Any]] = []
        self._inputs = [backbone.inputs(item) for item in items]
        self._nodes = outputs(nodes, taxonomy, recipe.form) if start is None else start.nodes
        self._forms = TorchForms(taxonomy, recipe.form, self._nodes)
        self._targets = self._forms.targets(nodes, taxonomy)
        if start is None:
            generator = torch.Generator().manual_seed(seed)
            weights = torch.randn(backbone.width, len(self._nodes), generator=generator) * 0.02
            bias = torch.zeros(len(self._nodes))
        else:
            weights = torch.from_numpy(np.array(start.weights, dtype=np.float32))
            bias = torch.from_numpy(np.array(start.bias, dtype=np.float32))
        self._weights_of_heads = torch.nn.Parameter(weights)
        self._bias = torch.nn.Parameter(bias)
        self._scale = math.sqrt(backbone.width)
        own = backbone.parameters()
        heads = {"heads.weights": self._weights_of_heads, "heads.bias": self._bias}
        optimizer = torch.optim.AdamW(
            [
                {"params": list(own.values()), "lr": recipe.learning_rate},
                {"params": list(heads.values()), "lr": recipe.head_learning_rate},
            ],
            weight_decay=0.01,
            fused=True,  # much faster than the plain loop, on CPUs too
        )
        per_epoch = math.ceil(len(items) / recipe.batch_size)
        steps = max(math.ceil(recipe.epochs * per_epoch), recipe.least_steps)
        self._batches = batches_by_length(
            [len(read) for read in self._inputs], recipe.batch_size, steps, seed
        )
        super().__init__(
            {**own, **heads},
            optimizer,
            LoopSettings(steps, recipe.warmup, "linear", recipe.checkpoint_every),
            folder,
            seed=seed,
            identity=json.dumps({"recipe": recipe.model_dump(), "seed": seed, "of": sorted(own)}),
        )

    def watch(self, items: Sequence[Item], nodes: NDArray[np.int32]) -> None:
        """Observe the loss on items that are not learnt, of those whose answer heads know."""
        known = np.flatnonzero(np.isin(nodes, self._nodes))[:WATCHED]
        self._held = [self._backbone.inputs(items[row]) for row in known.tolist()]
        self._held_targets = self._forms.targets(nodes[known], self._taxonomy)

    def observe(self, step: int) -> dict[str, float]:
        """The loss on what is watched, some times in a run."""
        import torch

        steps = self.settings.steps
        if not self._held or (step != steps and step % max(1, steps // LOOKS)):
            return {}
        size, total = self._recipe.batch_size, 0.0
        with torch.no_grad():
            for start in range(0, len(self._held), size):
                some = self._held[start : start + size]
                with autocast():
                    vectors = self._backbone.vectors(some)
                logits = self._scale * vectors.float().cpu() @ self._weights_of_heads + self._bias
                total += len(some) * float(
                    level_loss(
                        self._forms.log_probabilities(logits),
                        self._held_targets[start : start + size],
                        self._recipe.importance,
                    )
                )
        return {"validation_loss": total / len(self._held)}

    def losses(self, step: int) -> Iterator[torch.Tensor]:
        """The loss of all levels for the rows of a step."""
        import torch

        some = self._batches[step]
        with autocast():
            vectors = self._backbone.vectors([self._inputs[at] for at in some.tolist()])
        # Heads are small: they stay on the CPU, and so do the levels' losses.
        vectors = torch.nn.functional.dropout(vectors.float().cpu(), self._recipe.dropout)
        logits = self._scale * vectors @ self._weights_of_heads + self._bias
        yield level_loss(
            self._forms.log_probabilities(logits),
            self._targets[some],
            self._recipe.importance,
            self._recipe.smoothing,
        )

    def heads(self) -> Heads:
        """The heads as they are now."""
        width = self._backbone.width
        return Heads(
            self._recipe.form,
            self._weights_of_heads.detach().float().cpu().numpy(),
            self._bias.detach().float().cpu().numpy(),
            self._nodes,
            mean=np.zeros(width, dtype=np.float32),
            scale=np.full(width, self._scale, dtype=np.float32),
        )


def batches_by_length(
    lengths: Sequence[int], size: int, steps: int, seed: int
) -> list[NDArray[np.int64]]:
    """Rows of each step: of like length, in an order that the seed draws anew for each epoch."""
    rng, length = np.random.default_rng(seed), np.array(lengths)
    found: list[NDArray[np.int64]] = []
    while len(found) < steps:
        order = rng.permutation(len(length))
        batches = []
        for start in range(0, len(length), size * 16):
            some = order[start : start + size * 16]
            some = some[np.argsort(length[some], kind="stable")]
            batches += [some[at : at + size] for at in range(0, len(some), size)]
        found += [batches[at] for at in rng.permutation(len(batches))]
    return found[:steps]
