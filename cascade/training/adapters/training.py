"""Learning the answers of instructions: batches by length, and the loss on answer tokens.

Instructions with examples are often ten times as long as an item. What prompts share goes through
the model once for a batch, with gradients, and the rows attend to its keys and values.
"""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

import numpy as np

from cascade.errors import UsageError
from cascade.generation.tree_scoring.output_head import OutputHead
from cascade.models.language_models import keeps_keys
from cascade.models.runtime import precision_dtype
from cascade.training.adapters.instructions import Example
from cascade.training.adapters.lora import trained
from cascade.training.adapters.recipe import LoopRecipe
from cascade.training.loop import Loop, LoopSettings

if TYPE_CHECKING:
    import torch

POOL = 512  # examples that are sorted by length together


class Learnt(Protocol):
    """What a batch is made of."""

    @property
    def shared(self) -> tuple[int, ...]:
        """Token ids that prompts of one kind begin with."""
        ...

    def __len__(self) -> int:
        """Tokens that it takes in a batch, without the shared ones."""
        ...


E = TypeVar("E", bound=Learnt)


class AdapterLoop(Loop, Generic[E]):
    """A run that trains what LoRA added to a model; a subclass says what the loss is.

    Parameters
    ----------
    model
        A causal language model; what requires a gradient is trained, and is float32.
    examples, validation
        What is learnt, and what the validation loss is measured on, which may be empty.
    """

    def __init__(
        self,
        model: Any,
        examples: Sequence[E],
        recipe: LoopRecipe,
        folder: Path,
        *,
        validation: Sequence[E] = (),
        seed: int = 0,
        identity: str = "",
    ) -> None:
        import torch

        if not examples:
            raise UsageError("there are no examples to train on")
        self.model = model
        self.steps = plan(examples, recipe, seed)
        self._examples, self._validation, self._recipe = examples, validation, recipe
        weights = trained(model)
        optimizer = torch.optim.AdamW(
            weights.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        settings = LoopSettings(
            len(self.steps),
            recipe.warmup,
            "cosine",
            recipe.checkpoint_every,
            recipe.clip,
            recipe.evaluate_every,
            recipe.patience,
        )
        super().__init__(weights, optimizer, settings, folder, seed=seed, identity=identity)

    @property
    def tokens(self) -> int:
        """Tokens of the steps that are done, without padding and shared prefixes."""
        done = self.steps[: len(self.history.losses)]
        return sum(len(self._examples[at]) for step in done for batch in step for at in batch)

    @abstractmethod
    def summed(self, examples: Sequence[E]) -> torch.Tensor:
        """The loss of examples with the same shared prefix: a scalar that gradients flow from."""

    @abstractmethod
    def counted(self, examples: Sequence[E]) -> int:
        """What a mean loss is over: so many of the examples' parts."""

    def losses(self, step: int) -> Iterator[torch.Tensor]:
        """Of each forward pass its part of the mean loss of the step."""
        self.model.train()
        batches = [[self._examples[at] for at in batch] for batch in self.steps[step]]
        count = sum(map(self.counted, batches))
        for batch in batches:
            with self._autocast():
                loss = self.summed(batch) / count
            yield loss

    def validation_loss(self) -> float | None:
        """The loss on the validation examples, if there are any."""
        return self.loss(self._validation) if self._validation else None

    def loss(self, examples: Sequence[E]) -> float:
        """Mean loss of examples, in nats, without dropout."""
        import torch

        self.model.eval()
        total = 0.0
        with torch.no_grad():
            for batch in batches_of(examples, self._recipe.batch_tokens):
                with self._autocast():
                    total += float(self.summed([examples[at] for at in batch]))
        return total / self.counted(examples)

    def _autocast(self) -> torch.autocast:
        import torch

        device = self.model.device.type
        wanted = training_precision(self._recipe, device)
        return torch.autocast(device, torch.bfloat16, enabled=wanted == "bfloat16")


class AnswerLoop(AdapterLoop[Example]):
    """A run that learns to write the answers of instructions; losses are for each token of them."""

    def summed(self, examples: Sequence[Example]) -> torch.Tensor:
        """See `answer_loss`."""
        return answer_loss(self.model, examples)

    def counted(self, examples: Sequence[Example]) -> int:
        """Tokens of the answers."""
        return sum(len(example.answer) for example in examples)


def training_precision(recipe: LoopRecipe, device: str) -> Literal["float32", "bfloat16"]:
    """The number type of the model's own weights while LoRA is learnt."""
    import torch

    # Not float16, whose small gradients vanish.
    return "bfloat16" if precision_dtype(recipe.precision, device) is torch.bfloat16 else "float32"


def plan(examples: Sequence[Learnt], recipe: LoopRecipe, seed: int) -> list[list[list[int]]]:
    """The batches of each step of a whole run, as places of examples."""
    batches: list[list[int]] = []
    for epoch in range(math.ceil(recipe.epochs)):
        own = batches_of(examples, recipe.batch_tokens, np.random.default_rng((seed, epoch)))
        share = min(1.0, recipe.epochs - epoch)
        batches += own[: max(1, math.ceil(share * len(own)))]
    size = recipe.accumulate
    steps = [batches[at : at + size] for at in range(0, len(batches), size)]
    return steps[: recipe.most_steps]


def batches_of(
    examples: Sequence[Learnt], batch_tokens: int, rng: np.random.Generator | None = None
) -> list[list[int]]:
    """Places of examples in batches of like length, each within a budget of padded tokens.

    The examples of a batch have the same shared prefix, which counts once, and for no more than
    half of the budget. An example that is longer than what is left has a batch of its own.

    Parameters
    ----------
    rng
        Draws the batches and their order; without it all are sorted by length.
    """
    n = len(examples)
    order = list(range(n)) if rng is None else rng.permutation(n).tolist()
    groups: dict[tuple[int, ...], list[int]] = {}
    for at in order:
        groups.setdefault(examples[at].shared, []).append(at)
    batches: list[list[int]] = []
    for shared, members in groups.items():
        pool = len(members) if rng is None else POOL
        budget = max(batch_tokens - len(shared), batch_tokens // 2)
        for start in range(0, len(members), pool):
            batch: list[int] = []
            for at in sorted(members[start : start + pool], key=lambda at: len(examples[at])):
                if batch and (len(batch) + 1) * len(examples[at]) > budget:
                    batches.append(batch)
                    batch = []
                batch.append(at)
            batches.append(batch)
    return batches if rng is None else [batches[at] for at in rng.permutation(len(batches))]


def answer_loss(model: Any, examples: Sequence[Example]) -> torch.Tensor:
    """Sum over all answer tokens of `-log p(token | what stands before it)`.

    A float32 scalar that gradients flow from; for the parameters see `answer_log_probs`.
    """
    return -answer_log_probs(model, examples).sum()


def answer_log_probs(model: Any, examples: Sequence[Example]) -> torch.Tensor:
    """Log-probability of each example's answer after its prompt.

    Parameters
    ----------
    model
        A causal language model of transformers, perhaps with LoRA.
    examples
        At least one, all with the same shared prefix.

    Returns
    -------
    float32 [n_examples], that gradients flow from
    """
    import torch

    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    width = max(map(len, examples)) - 1  # nothing is read off the last token
    ids = torch.zeros(len(examples), width, dtype=torch.long)
    rows: list[int] = []
    places: list[int] = []
    wanted: list[int] = []
    for row, example in enumerate(examples):
        own = [*example.prompt, *example.answer]
        ids[row, : len(own) - 1] = torch.tensor(own[:-1])
        rows += [row] * len(example.answer)
        places += range(len(example.prompt) - 1, len(own) - 1)
        wanted += example.answer
    # Padding stands behind, where a causal model cannot see it.
    states = _states(causal.base_model, examples[0].shared, ids.to(causal.device))
    logits = OutputHead(causal).logits(states[rows, places])
    targets = torch.tensor(wanted, device=logits.device)
    losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    of = torch.tensor(rows, device=logits.device)
    return -torch.zeros(len(examples), device=logits.device).index_add(0, of, losses)


def _states(body: Any, shared: tuple[int, ...], ids: torch.Tensor) -> torch.Tensor:
    """Hidden states [n, width, hidden] of rows of tokens that continue a shared prefix."""
    import torch
    from transformers import DynamicCache

    if not shared:
        alone: torch.Tensor = body(input_ids=ids, use_cache=False).last_hidden_state
        return alone
    if not keeps_keys(body.config):
        before = torch.tensor([shared], device=ids.device).expand(len(ids), -1)
        whole = body(input_ids=torch.cat([before, ids], dim=1), use_cache=False).last_hidden_state
        return whole[:, len(shared) :]  # type: ignore[no-any-return]
    # Called `cache` from transformers 5.24 on.
    taken = inspect.signature(body.forward).parameters
    name = "cache" if "cache" in taken else "past_key_values"
    held = DynamicCache()
    body(input_ids=torch.tensor([shared], device=ids.device), use_cache=True, **{name: held})
    held.batch_repeat_interleave(len(ids))
    states: torch.Tensor = body(input_ids=ids, use_cache=True, **{name: held}).last_hidden_state
    return states
