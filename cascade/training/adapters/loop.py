"""The training loop of a language model: loss on answers, checkpoints, early stopping.

A run is a function of its examples, its recipe and its seed: which examples meet in a step is
planned before the first one, so a run that was killed goes on with the same steps, optimizer and
random numbers. All that is kept lies in safetensors with JSON beside it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cascade.errors import OutputError, UsageError
from cascade.io.files import read_tensors, write_tensors
from cascade.training.adapters.answer_loss import answer_loss
from cascade.training.adapters.batches import batches_of, learning_rate, plan
from cascade.training.adapters.instructions import Example
from cascade.training.adapters.recipe import LoopRecipe

if TYPE_CHECKING:
    import torch

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"


@dataclass(frozen=True)
class Tick:
    """Where a run is.

    Parameters
    ----------
    loss
        Mean of the last ten steps, since tasks take turns.
    validation
        The last validation loss; None before the first.
    looked
        Whether validation was looked at after this step, or would have been.
    seconds_left
        By the speed so far.
    """

    step: int
    steps: int
    loss: float
    validation: float | None
    looked: bool
    seconds_left: float


@dataclass
class History:
    """What became of a run; losses are means over answer tokens, in nats.

    Parameters
    ----------
    losses
        Of each step, in order.
    validation
        Step and loss of each look at the validation examples.
    best_step
        The step after which the weights were kept; 0 before the first look.
    stopped_early
        Whether the patience ran out.
    seconds, tokens
        Time spent, and tokens that went through the model, without padding and shared prefixes.
    """

    losses: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    stopped_early: bool = False
    seconds: float = 0.0
    tokens: int = 0

    @property
    def best(self) -> float:
        """The lowest validation loss; infinite where there was none."""
        return min((loss for _, loss in self.validation), default=math.inf)

    @property
    def looks_since_best(self) -> int:
        """Looks at the validation loss after the lowest."""
        return sum(step > self.best_step for step, _ in self.validation)


def training_precision(recipe: LoopRecipe, device: str) -> Literal["float32", "bfloat16"]:
    """The number type of the model's own weights while LoRA is learnt."""
    import torch

    from cascade.models.runtime import precision_dtype

    # Not float16, whose small gradients vanish.
    return "bfloat16" if precision_dtype(recipe.precision, device) is torch.bfloat16 else "float32"


class Loop:
    """A run of training.

    Parameters
    ----------
    model
        A causal language model; what requires a gradient is trained, and is float32.
    examples, validation
        What is learnt, and what the loss is looked at on; validation may be empty.
    folder
        Where checkpoints lie while the run goes on.
    identity
        Plain values that a checkpoint must have been made with to be gone on with.
    """

    def __init__(
        self,
        model: Any,
        examples: Sequence[Example],
        recipe: LoopRecipe,
        folder: Path,
        *,
        validation: Sequence[Example] = (),
        seed: int = 0,
        identity: str = "",
    ) -> None:
        import torch

        if not examples:
            raise UsageError("there are no examples to train on")
        self.model = model
        self.history = History()
        self.steps = plan(examples, recipe, seed)
        self._examples, self._validation = examples, validation
        self._recipe, self._folder = recipe, folder
        self._seed, self._identity = seed, identity
        self._weights = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._optimizer = torch.optim.AdamW(
            self._weights.values(), weight_decay=recipe.weight_decay
        )

    def run(
        self, *, resume: bool = False, progress: Callable[[Tick], None] | None = None
    ) -> History:
        """Train; the model has the best weights in the end, or the last without validation.

        Parameters
        ----------
        resume
            Go on from the last checkpoint, if there is one.

        Raises
        ------
        OutputError
            The checkpoint is of another run.
        UsageError
            The loss is no number any more.
        """
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(self._seed)
            first = self._restore() if resume else 0
            history = self.history
            started, before = time.perf_counter(), history.seconds
            for step in range(first, len(self.steps)):
                if history.stopped_early:
                    break
                history.losses.append(self._step(step))
                done = step + 1
                looked = done % self._recipe.evaluate_every == 0 or done == len(self.steps)
                if looked:
                    self._look(done)
                spent = time.perf_counter() - started
                history.seconds = before + spent
                ended = history.stopped_early or done == len(self.steps)
                if ended or done % self._recipe.checkpoint_every == 0:
                    self._keep(done)
                if progress is not None:
                    left = spent / (done - first) * (len(self.steps) - done)
                    last = history.validation[-1][1] if history.validation else None
                    recent = float(np.mean(history.losses[-10:]))
                    progress(Tick(done, len(self.steps), recent, last, looked, left))
        if history.best_step:
            self._take(read_tensors(self._folder / BEST)[1])
        else:  # without validation
            history.best_step = len(history.losses)
        self.model.eval()
        return history

    def loss(self, examples: Sequence[Example]) -> float:
        """Mean loss over the answer tokens of examples, in nats, without dropout."""
        import torch

        self.model.eval()
        total, tokens = 0.0, 0
        with torch.no_grad():
            for batch in batches_of(examples, self._recipe.batch_tokens):
                some = [examples[at] for at in batch]
                with self._autocast():
                    total += float(answer_loss(self.model, some))
                tokens += sum(len(example.answer) for example in some)
        return total / tokens

    def _step(self, step: int) -> float:
        """One step; returns its mean loss over answer tokens."""
        import torch

        self.model.train()
        rate = learning_rate(step, len(self.steps), self._recipe)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        batches = [[self._examples[at] for at in batch] for batch in self.steps[step]]
        tokens = sum(len(example.answer) for batch in batches for example in batch)
        self._optimizer.zero_grad()
        total = 0.0
        for batch in batches:
            with self._autocast():
                loss = answer_loss(self.model, batch) / tokens
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
            self.history.tokens += sum(map(len, batch))
        if not math.isfinite(total):
            raise UsageError(
                f"the loss of step {step + 1} is {total}; lower training.learning_rate (it is "
                f"{self._recipe.learning_rate:g}), or set training.precision to float32"
            )
        torch.nn.utils.clip_grad_norm_(list(self._weights.values()), self._recipe.clip)
        self._optimizer.step()
        return total

    def _look(self, step: int) -> None:
        """Note the validation loss, keep the weights if it is the lowest, or end."""
        if not self._validation:
            return
        history, best = self.history, self.history.best
        history.validation.append((step, self.loss(self._validation)))
        if history.best < best:
            history.best_step = step
            self._write(BEST, self._arrays())
        history.stopped_early = history.looks_since_best >= self._recipe.patience

    def _autocast(self) -> torch.autocast:
        import torch

        wanted = training_precision(self._recipe, self._device.type)
        return torch.autocast(self._device.type, torch.bfloat16, enabled=wanted == "bfloat16")

    @property
    def _device(self) -> torch.device:
        device: torch.device = next(iter(self._weights.values())).device
        return device

    def _arrays(self) -> dict[str, Any]:
        return {name: p.detach().float().cpu().numpy() for name, p in self._weights.items()}

    def _take(self, arrays: dict[str, Any]) -> None:
        """Put weights from a file into the model."""
        import torch

        with torch.no_grad():
            for name, parameter in self._weights.items():
                parameter.copy_(torch.from_numpy(arrays[name]))

    def _keep(self, step: int) -> None:
        """Write a checkpoint: weights, what the optimizer remembers, and the random state."""
        import torch

        arrays = self._arrays()
        for name, parameter in self._weights.items():
            # None where no gradient ever came.
            for key, value in self._optimizer.state.get(parameter, {}).items():
                arrays[f"{name}|{key}"] = value.float().cpu().numpy()
        arrays["|cpu"] = torch.get_rng_state().numpy()
        if self._device.type == "cuda":
            arrays["|cuda"] = torch.cuda.get_rng_state(self._device).numpy()
        self._write(CHECKPOINT, arrays, step=step)

    def _write(self, name: str, arrays: dict[str, Any], **about: Any) -> None:
        try:
            write_tensors(
                self._folder / name,
                {"identity": self._identity, "history": asdict(self.history), **about},
                arrays,
            )
        except OSError as error:
            raise OutputError(f"{self._folder / name}: cannot be written: {error}") from None

    def _restore(self) -> int:
        """The step to go on from; 0 where there is no checkpoint."""
        import torch

        path = self._folder / CHECKPOINT
        if not path.is_file():
            return 0
        about, arrays = read_tensors(path)
        if about.get("identity") != self._identity:
            raise OutputError(
                f"{path}: is of a run with other data or another recipe; go on with those, or "
                "begin anew with --overwrite"
            )
        self._take(arrays)
        for name, parameter in self._weights.items():
            state = {
                key: torch.from_numpy(arrays[f"{name}|{key}"])
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"{name}|{key}" in arrays
            }
            if state:
                self._optimizer.state[parameter] = {
                    key: value if key == "step" else value.to(parameter.device)
                    for key, value in state.items()
                }
        torch.set_rng_state(torch.from_numpy(arrays["|cpu"]))
        if "|cuda" in arrays and self._device.type == "cuda":
            torch.cuda.set_rng_state(torch.from_numpy(arrays["|cuda"]), self._device)
        history = about["history"]
        history["validation"] = [(step, loss) for step, loss in history["validation"]]
        self.history = History(**history)
        return int(about["step"])
