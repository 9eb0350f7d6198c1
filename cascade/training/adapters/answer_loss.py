"""The loss of answers, with the prefix that prompts share computed once for a batch.

Instructions with examples are often ten times as long as an item. Here they go through the model
once for each batch, with gradients, and the rows attend to their keys and values.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cascade.training.adapters.instructions import Example

if TYPE_CHECKING:
    import torch


def answer_loss(model: Any, examples: Sequence[Example]) -> torch.Tensor:
    """Sum over all answer tokens of `-log p(token | what stands before it)`.

    Parameters
    ----------
    model
        A causal language model of transformers, perhaps with LoRA.
    examples
        At least one, all with the same shared prefix.

    Returns
    -------
    float32, a scalar that gradients flow from
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
    logits = causal.get_output_embeddings()(states[rows, places])
    return torch.nn.functional.cross_entropy(
        logits.float(), torch.tensor(wanted, device=logits.device), reduction="sum"
    )


def _states(body: Any, shared: tuple[int, ...], ids: torch.Tensor) -> torch.Tensor:
    """Hidden states [n, width, hidden] of rows of tokens that continue a shared prefix."""
    import torch
    from transformers import DynamicCache

    if not shared:
        alone: torch.Tensor = body(input_ids=ids, use_cache=False).last_hidden_state
        return alone
    # Called `cache` from transformers 5.24 on.
    taken = inspect.signature(body.forward).parameters
    name = "cache" if "cache" in taken else "past_key_values"
    held = DynamicCache()
    body(input_ids=torch.tensor([shared], device=ids.device), use_cache=True, **{name: held})
    held.batch_repeat_interleave(len(ids))
    states: torch.Tensor = body(input_ids=ids, use_cache=True, **{name: held}).last_hidden_state
    return states
