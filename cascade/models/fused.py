"""Fewer passes over memory for the small layers of a LLaMA on a CPU, where they cost most.

Root mean square norms are read and written three times in place of six, and the gate of a
feed-forward layer is applied inside the matrix product, by oneDNN, as torch's own compiler does.
"""

from __future__ import annotations

from functools import cache
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def fuse(model: Any) -> None:
    """Replace the norms and feed-forward layers that are of the known form; for inference only.

    Parameters
    ----------
    model
        A causal language model of transformers, in bfloat16 on a CPU; others stay as they are.
    """
    import torch

    if model.device.type != "cpu" or model.dtype is not torch.bfloat16 or not _has_onednn():
        return
    for module in model.modules():
        kind = type(module).__name__
        if kind.endswith(NORMS) and hasattr(module, "variance_epsilon"):
            module.forward = MethodType(_norm, module)
        elif kind.endswith(GATED) and _is_gated(module):
            module.forward = MethodType(_gated, module)


NORMS = ("LlamaRMSNorm", "MistralRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm", "SmolLM3RMSNorm")
GATED = ("LlamaMLP", "MistralMLP", "Qwen2MLP", "Qwen3MLP", "SmolLM3MLP")


@cache
def _has_onednn() -> bool:
    """Whether this build of torch multiplies bfloat16 with a gate inside."""
    import torch

    try:
        x, w = torch.ones(2, 32, dtype=torch.bfloat16), torch.ones(32, 32, dtype=torch.bfloat16)
        gate = torch.ops.mkldnn._linear_pointwise(x, w, None, "swish", [], "")
        torch.ops.mkldnn._linear_pointwise.binary(x, gate, w, None, "mul")
    except (AttributeError, RuntimeError, TypeError):
        return False
    return True


def _is_gated(module: Any) -> bool:
    """Whether a layer is `down(silu(gate(x)) * up(x))`, of plain weights."""
    import torch

    parts = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    return (
        all(type(part) is torch.nn.Linear and part.bias is None for part in parts)
        and getattr(module.config, "hidden_act", None) == "silu"
    )


def _norm(self: Any, hidden_states: torch.Tensor) -> torch.Tensor:
    """x / rms(x) * weight, the mean in float32."""
    import torch

    length = torch.linalg.vector_norm(hidden_states, dim=-1, keepdim=True, dtype=torch.float32)
    scale = torch.rsqrt(length.square_() / hidden_states.shape[-1] + self.variance_epsilon)
    return (hidden_states * scale).to(hidden_states.dtype).mul_(self.weight)


def _gated(self: Any, x: torch.Tensor) -> torch.Tensor:
    """down(silu(gate(x)) * up(x)) with the activation and the product inside the multiplication."""
    import torch

    linear = torch.ops.mkldnn._linear_pointwise
    gate = linear(x, self.gate_proj.weight, None, "swish", [], "")
    return self.down_proj(linear.binary(x, gate, self.up_proj.weight, None, "mul"))  # type: ignore[no-any-return]
