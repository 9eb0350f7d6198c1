"""The training loop of adapters and packs: checkpoints, early stopping, the best weights.

A run is a function of its batches, its settings and its seed. Random numbers of a step follow from
the seed and the number of the step, so a run that was killed goes on from its last checkpoint with
the same steps and ends in the same weights. Checkpoints are safetensors with JSON beside them.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cascade.errors import OutputError, UsageError
from cascade.io.files import read_tensors, write_tensors

if TYPE_CHECKING:
    import torch

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"
Decay = Literal["linear", "cosine", "constant"]
STATE = ("step", "exp_avg", "exp_avg_sq")  # what AdamW remembers of a weight


@dataclass(frozen=True)
class LoopSettings:
    """How many steps a run has, at what rates, and how often it is evaluated.

    Parameters
    ----------
    warmup
        Share of the steps in which the rates rise; then they fall to zero or stay, see `decay`.
    clip
        Longest gradient of the optimizer's first group.
    evaluate_every
        Steps between two evaluations; there is also one after the last step. None for none.
    patience
        Evaluations without a lower validation loss after which training ends.
    """

    steps: int
    warmup: float
    decay: Decay
    checkpoint_every: int
    clip: float = 1.0
    evaluate_every: int | None = None
    patience: int = 1


@dataclass(frozen=True)
class Tick:
    """Progress of a run, after a step.

    `loss` is the mean of the last ten steps, since tasks take turns, `own_loss` that of this one;
    `validation` the last validation loss, if there was one; `evaluated` says whether an evaluation
    was due; `learning_rate` is that of the step, of the optimizer's first group; `observed` has
    the last other figures, and `observes` says whether they are of this step.
    """

    step: int
    steps: int
    loss: float
    validation: float | None
    evaluated: bool
    seconds_left: float
    own_loss: float = math.nan
    learning_rate: float = math.nan
    observed: Mapping[str, float] = field(default_factory=dict)
    observes: bool = False

    @property
    def words(self) -> str:
        """`loss 1.234, validation 1.301; 5 min left`."""
        shown = [f"loss {self.loss:.3f}"]
        if self.validation is not None:
            shown.append(f"validation {self.validation:.3f}")
        shown += [f"{name.replace('_', ' ')} {v:.3f}" for name, v in self.observed.items()]
        return f"{', '.join(shown)}; {in_words(self.seconds_left)} left"

    @property
    def figures(self) -> dict[str, float | None]:
        """What the curves of a run have of this step."""
        measured = self.validation if self.evaluated else None
        return {
            "loss": self.own_loss,
            "learning_rate": self.learning_rate,
            "validation_loss": measured,
            **(self.observed if self.observes else {}),
        }


def in_words(seconds: float) -> str:
    """A time span as `45 s`, `12 min` or `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@dataclass
class History:
    """Losses of a run.

    `losses` has one for each step, `validation` step and loss of each evaluation. The weights of
    `best_step` were kept; it is 0 before the first evaluation. `seconds` are those of all attempts.
    """

    losses: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    stopped_early: bool = False
    seconds: float = 0.0

    @property
    def best(self) -> float:
        """The lowest validation loss; infinite where there was none."""
        return min((loss for _, loss in self.validation), default=math.inf)

    @property
    def evaluations_since_best(self) -> int:
        """Evaluations after the one with the lowest loss."""
        return sum(step > self.best_step for step, _ in self.validation)


class Loop(ABC):
    """A run of training; a subclass has the losses.

    Parameters
    ----------
    weights
        What is trained, by name.
    optimizer
        AdamW over these weights; the rates of its groups are the highest.
    folder
        Where checkpoints are kept.
    identity
        What a checkpoint must have been made with for the run to go on from it.
    """

    def __init__(
        self,
        weights: Mapping[str, torch.nn.Parameter],
        optimizer: torch.optim.AdamW,
        settings: LoopSettings,
        folder: Path,
        *,
        seed: int = 0,
        identity: str = "",
    ) -> None:
        self.history = History()
        self.settings = settings
        self._weights, self._optimizer = weights, optimizer
        self._folder, self._seed, self._identity = folder, seed, identity

    @abstractmethod
    def losses(self, step: int) -> Iterable[torch.Tensor]:
        """The losses of a step's forward passes, which are added up; steps count from 0."""

    def validation_loss(self) -> float | None:
        """The loss on rows that are not learnt; None where there are none."""
        return None

    def observe(self, step: int) -> dict[str, float]:
        """Figures that are due after a step, by name; nothing is decided by them."""
        return {}

    def run(
        self, *, resume: bool = False, progress: Callable[[Tick], None] | None = None
    ) -> History:
        """Train; the weights are the best in the end, or the last without validation.

        With `resume` it goes on from the last checkpoint, if there is one.

        Raises
        ------
        OutputError
            The checkpoint is of another run.
        UsageError
            The loss is no number any more.
        """
        import torch

        settings, steps = self.settings, self.settings.steps
        with torch.random.fork_rng(), torch.enable_grad():
            first = self._restore() if resume else 0
            history, schedule = self.history, self._schedule(first)
            started, before = time.perf_counter(), history.seconds
            observed: Mapping[str, float] = {}
            for step in range(first, steps):
                if history.stopped_early:
                    break
                torch.manual_seed(self._seed * 1_000_003 + step)
                rate = float(self._optimizer.param_groups[0]["lr"])
                history.losses.append(self._step(step))
                schedule.step()
                done = step + 1
                every = settings.evaluate_every
                evaluated = every is not None and (done % every == 0 or done == steps)
                if evaluated:
                    self._evaluate(done)
                seen = self.observe(done) if progress is not None else {}
                observed = seen or observed
                spent = time.perf_counter() - started
                history.seconds = before + spent
                ended = history.stopped_early or done == steps
                if ended or done % settings.checkpoint_every == 0:
                    self._write(CHECKPOINT, self._arrays() | self._memory(), step=done)
                if progress is not None:
                    last = history.validation[-1][1] if history.validation else None
                    recent = float(np.mean(history.losses[-10:]))
                    left = spent / (done - first) * (steps - done)
                    own = history.losses[-1]
                    shown = (done, steps, recent, last, evaluated, left, own, rate)
                    progress(Tick(*shown, observed, bool(seen)))
        if history.best_step:
            self._take(read_tensors(self._folder / BEST)[1])
        else:  # without validation
            history.best_step = len(history.losses)
        return history

    def _schedule(self, first: int) -> torch.optim.lr_scheduler.LRScheduler:
        """Rates from a step on; counted from one, so that no step has a rate of zero."""
        from transformers.optimization import (
            get_constant_schedule_with_warmup,
            get_cosine_schedule_with_warmup,
            get_linear_schedule_with_warmup,
        )

        settings = self.settings
        for group in self._optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        warmup = math.ceil(settings.warmup * settings.steps)
        schedule: torch.optim.lr_scheduler.LRScheduler
        if settings.decay == "constant":
            schedule = get_constant_schedule_with_warmup(self._optimizer, warmup, last_epoch=first)
            return schedule
        linear = settings.decay == "linear"
        make: Any = get_linear_schedule_with_warmup if linear else get_cosine_schedule_with_warmup
        schedule = make(self._optimizer, warmup, settings.steps + 1, last_epoch=first)
        return schedule

    def _step(self, step: int) -> float:
        """One step of the optimizer; returns its loss."""
        import torch

        self._optimizer.zero_grad()
        total = 0.0
        for loss in self.losses(step):
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        if not math.isfinite(total):
            raise UsageError(
                f"the loss of step {step + 1} is {total}; lower learning_rate in the recipe, or "
                "set its precision, if it has one, to float32"
            )
        clipped = self._optimizer.param_groups[0]["params"]
        torch.nn.utils.clip_grad_norm_(clipped, self.settings.clip)
        self._optimizer.step()
        return total

    def _evaluate(self, step: int) -> None:
        """Note the validation loss; keep the weights if it is the lowest, else perhaps end."""
        loss = self.validation_loss()
        if loss is None:
            return
        history, best = self.history, self.history.best
        history.validation.append((step, loss))
        if loss < best:
            history.best_step = step
            self._write(BEST, self._arrays())
        history.stopped_early = history.evaluations_since_best >= self.settings.patience

    def _arrays(self) -> dict[str, Any]:
        return {name: p.detach().float().cpu().numpy() for name, p in self._weights.items()}

    def _memory(self) -> dict[str, Any]:
        """What the optimizer remembers; nothing of weights that no gradient ever reached."""
        return {
            f"{name}|{key}": value.float().cpu().numpy()
            for name, parameter in self._weights.items()
            for key, value in self._optimizer.state.get(parameter, {}).items()
        }

    def _take(self, arrays: Mapping[str, Any]) -> None:
        """Put weights from a file into the model."""
        import torch

        with torch.no_grad():
            for name, parameter in self._weights.items():
                parameter.copy_(torch.from_numpy(arrays[name]))

    def _write(self, name: str, arrays: Mapping[str, Any], **about: Any) -> None:
        about |= {"identity": self._identity, "history": asdict(self.history)}
        try:
            write_tensors(self._folder / name, about, arrays)
        except OSError as error:
            raise OutputError(f"{self._folder / name}: cannot be written: {error}") from None

    def _restore(self) -> int:
        """The step to go on from; 0 where there is no checkpoint."""
        path = self._folder / CHECKPOINT
        if not path.is_file():
            return 0
        about, arrays = read_tensors(path)
        if about.get("identity") != self._identity:
            raise OutputError(
                f"{path}: is of a run with other data or another recipe, or of another version of "
                "cascade; go on with those, or begin anew with --overwrite"
            )
        self._recall(arrays)
        history = about["history"]
        history["validation"] = [(step, loss) for step, loss in history["validation"]]
        self.history = History(**{k: v for k, v in history.items() if k != "tokens"})
        return int(about["step"])

    def _recall(self, arrays: Mapping[str, Any]) -> None:
        """Take up weights and what the optimizer remembers of them from a checkpoint."""
        import torch

        self._take(arrays)
        for name, parameter in self._weights.items():
            state = {k: arrays[f"{name}|{k}"] for k in STATE if f"{name}|{k}" in arrays}
            if state:
                self._optimizer.state[parameter] = {
                    key: torch.from_numpy(value).to("cpu" if key == "step" else parameter.device)
                    for key, value in state.items()
                }
