"""Fine-tuning a backbone together with TTC heads: a sentence encoder, or a LLaMA through LoRA.

The text of an item becomes a unit vector, linear heads of a form of TTC stand on it, and the loss
of all levels goes down into the backbone. The heads come out fitted with it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cascade.config import Section
from cascade.io.files import read_tensors, write_tensors
from cascade.items import Item
from cascade.models.runtime import autocast
from cascade.scoring.ttc_forms import Form
from cascade.scoring.ttc_heads import Heads, HeadsFile
from cascade.taxonomy import Taxonomy
from cascade.training.level_loss import TorchForms, level_loss, outputs

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int], None]

CHECKPOINT = "checkpoint.safetensors"


class TuningRecipe(Section):
    """How a backbone and its heads are trained."""

    form: Form = Field("leaf", description="How levels are tied; see scoring.forms.")
    importance: list[float] = Field(
        default_factory=lambda: [0.5, 0.5, 1.0],
        description="Weight of each level's loss from the top; the last holds for all below.",
    )
    epochs: float = Field(2.0, gt=0, description="Times that all rows are seen.")
    least_steps: int = Field(
        300, ge=1, description="Steps that are made at the least, however few the rows are."
    )
    batch_size: int = Field(32, ge=1, description="Rows of one step.")
    learning_rate: float = Field(1e-4, gt=0, description="Of the backbone, at its highest.")
    head_learning_rate: float = Field(2e-3, gt=0, description="Of the heads.")
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of the steps in which rates rise.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Of the vectors that heads see.")
    smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of a label that is spread over all of its level."
    )
    checkpoint_every: int = Field(50, ge=1, description="Steps between two checkpoints.")


class Tunable(Protocol):
    """A backbone as it is trained."""

    @property
    def width(self) -> int:
        """Numbers in a vector."""

    def tokens(self, item: Item) -> list[Any]:
        """What is read of an item; the longer, the longer a step takes."""

    def vectors(self, tokens: Sequence[list[Any]]) -> torch.Tensor:
        """Unit vectors float32 [n, width] that gradients flow through."""

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, by name."""

    def save(self, folder: Path) -> None:
        """Write what `features` can load."""


def tune(
    backbone: Tunable,
    items: Sequence[Item],
    nodes: NDArray[np.int32],
    taxonomy: Taxonomy,
    recipe: TuningRecipe,
    folder: Path,
    *,
    start: Heads | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Heads:
    """Train, and leave the backbone and `heads.safetensors` in `folder`.

    A run that was killed goes on from its last checkpoint when it is called again with the same
    arguments, and sees the rows that it would have seen; one that had finished returns at once.

    Parameters
    ----------
    nodes
        int32 [n_items].
    start
        Heads that go on learning beside a backbone that was trained with them, in place of new
        ones; their form is the recipe's.
    progress
        Called with the steps that are done and all.
    """
    done = folder / "heads.safetensors"
    if done.is_file():
        return HeadsFile.load(done, taxonomy).heads
    run = _Run(backbone, items, nodes, taxonomy, recipe, folder, start, seed)
    heads = run.finish(progress)
    backbone.save(folder / "model")
    (folder / CHECKPOINT).unlink(missing_ok=True)
    HeadsFile(heads, taxonomy.fingerprint).save(done)
    return heads


class _Run:
    """One training with its state, which a checkpoint holds."""

    def __init__(
        self,
        backbone: Tunable,
        items: Sequence[Item],
        nodes: NDArray[np.int32],
        taxonomy: Taxonomy,
        recipe: TuningRecipe,
        folder: Path,
        start: Heads | None,
        seed: int,
    ) -> None:
        import torch

        self._backbone, self._recipe, self._folder, self._seed = backbone, recipe, folder, seed
        self._tokens = [backbone.tokens(item) for item in items]
        has = outputs(nodes, taxonomy, recipe.form) if start is None else start.nodes
        self._nodes = has
        self._forms = TorchForms(taxonomy, recipe.form, has)
        self._targets = self._forms.targets(nodes, taxonomy)
        per_epoch = math.ceil(len(items) / recipe.batch_size)
        self._steps = max(math.ceil(recipe.epochs * per_epoch), recipe.least_steps)
        torch.manual_seed(seed)
        weights = torch.randn(backbone.width, len(has)) * 0.02
        bias = torch.zeros(len(has))
        if start is not None:
            weights = torch.from_numpy(np.array(start.weights, dtype=np.float32))
            bias = torch.from_numpy(np.array(start.bias, dtype=np.float32))
        self._weights, self._bias = torch.nn.Parameter(weights), torch.nn.Parameter(bias)
        self._scale = math.sqrt(backbone.width)
        own = backbone.parameters()
        self._parameters = {**own, "heads.weights": self._weights, "heads.bias": self._bias}
        self._optimizer = torch.optim.AdamW(
            [
                {"params": list(own.values()), "peak": recipe.learning_rate},
                {"params": [self._weights, self._bias], "peak": recipe.head_learning_rate},
            ],
            lr=recipe.learning_rate,
            weight_decay=0.01,
            fused=True,  # much faster than the plain loop, on CPUs too
        )

    def finish(self, progress: Progress | None) -> Heads:
        """Go on from the last checkpoint to the end."""
        import torch

        begun = self._restore()
        with torch.enable_grad():
            for step, some in enumerate(self._batches(), start=0):
                if step < begun:
                    continue
                torch.manual_seed(self._seed * 1_000_003 + step)  # dropout, whoever resumes
                self._step(step, some)
                if (step + 1) % self._recipe.checkpoint_every == 0 and step + 1 < self._steps:
                    self._keep(step + 1)
                if progress is not None:
                    progress(step + 1, self._steps)
        return Heads(
            self._recipe.form,
            self._weights.detach().float().cpu().numpy(),
            self._bias.detach().float().cpu().numpy(),
            self._nodes,
            mean=np.zeros(self._backbone.width, dtype=np.float32),
            scale=np.full(self._backbone.width, self._scale, dtype=np.float32),
        )

    def _step(self, step: int, some: NDArray[np.int64]) -> None:
        import torch

        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * self._rate(step)
        with autocast():
            vectors = self._backbone.vectors([self._tokens[at] for at in some.tolist()])
        # Heads are small: they stay on the CPU, and so do the levels' losses.
        vectors = torch.nn.functional.dropout(vectors.float().cpu(), self._recipe.dropout)
        logits = self._scale * vectors @ self._weights + self._bias
        loss = level_loss(
            self._forms.log_probabilities(logits),
            self._targets[some],
            self._recipe.importance,
            self._recipe.smoothing,
        )
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(list(self._backbone.parameters().values()), 1.0)
        self._optimizer.step()

    def _rate(self, step: int) -> float:
        """Rises linearly, then falls to zero linearly."""
        rising = max(1.0, self._recipe.warmup * self._steps)
        return min((step + 1) / rising, (self._steps - step) / max(1.0, self._steps - rising))

    def _batches(self) -> Iterator[NDArray[np.int64]]:
        """Rows of each step: of like length, in an order that the seed draws."""
        rng = np.random.default_rng(self._seed)
        size, n = self._recipe.batch_size, len(self._tokens)
        length = np.array([len(tokens) for tokens in self._tokens])
        left = self._steps
        while left > 0:
            order = rng.permutation(n)
            batches = []
            for start in range(0, n, size * 16):
                some = order[start : start + size * 16]
                some = some[np.argsort(length[some], kind="stable")]
                batches += [some[at : at + size] for at in range(0, len(some), size)]
            for at in rng.permutation(len(batches))[:left]:
                yield batches[at]
            left -= len(batches)

    def _keep(self, step: int) -> None:
        """Write a checkpoint: weights and what the optimizer remembers."""
        arrays = {f"value.{n}": p.detach().cpu().numpy() for n, p in self._parameters.items()}
        for name, parameter in self._parameters.items():
            if state := self._optimizer.state[parameter]:  # none where no gradient ever came
                arrays[f"mean.{name}"] = state["exp_avg"].cpu().numpy()
                arrays[f"square.{name}"] = state["exp_avg_sq"].cpu().numpy()
        about = {"step": step, "recipe": self._recipe.model_dump(), "seed": self._seed}
        write_tensors(self._folder / CHECKPOINT, about, arrays)

    def _restore(self) -> int:
        """The step to go on from; 0 where there is no checkpoint of this run."""
        import torch

        path = self._folder / CHECKPOINT
        if not path.is_file():
            return 0
        about, arrays = read_tensors(path)
        mine = json.loads(json.dumps({"recipe": self._recipe.model_dump(), "seed": self._seed}))
        if {key: about.get(key) for key in mine} != mine:
            return 0
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(torch.from_numpy(arrays[f"value.{name}"]))
                if f"mean.{name}" not in arrays:
                    continue
                self._optimizer.state[parameter] = {
                    "step": torch.tensor(float(about["step"]), device=parameter.device),
                    "exp_avg": torch.from_numpy(arrays[f"mean.{name}"]).to(parameter.device),
                    "exp_avg_sq": torch.from_numpy(arrays[f"square.{name}"]).to(parameter.device),
                }
        return int(about["step"])
