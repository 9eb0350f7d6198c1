"""What backbones of texts share while they are trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def padded(rows: Sequence[torch.Tensor], value: float = 0) -> torch.Tensor:
    """Rows of different length as one tensor, with padding behind them."""
    import torch

    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def with_plain_attention(model: Any) -> None:
    """On a CPU, have attention computed step by step: its backward pass is faster there."""
    if model is not None and model.device.type == "cpu":
        model.set_attn_implementation("eager")
