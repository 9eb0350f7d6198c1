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

    if model.device.type != "cpu" or model.dtype is not torch.bfloat16 or not has_fused_product():
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
def has_fused_product() -> bool:
    """Whether this build of torch multiplies bfloat16 with a gate inside."""
    import torch

    try:
        x, w = torch.ones(2, 32, dtype=torch.bfloat16), torch.ones(32, 32, dtype=torch.bfloat16)
        gate = torch.ops.mkldnn._linear_pointwise(x, w, None, "swish", [], "")
        torch.ops.mkldnn._linear_pointwise.binary(x, gate, w, None, "mul")
        product(x, packed(w))
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


def root_mean_square_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """x / rms(x) * weight, the mean in float32."""
    import torch

    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    scale = torch.rsqrt(length.square_() / x.shape[-1] + epsilon)
    return (x * scale).to(x.dtype).mul_(weight)


def packed(weight: torch.Tensor) -> torch.Tensor:
    """A weight [n_out, n_in] laid out as oneDNN multiplies by it, for `product`."""
    import torch

    found: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())
    return found


def product(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """[..., n_out], as a linear layer of a weight that was packed."""
    import torch

    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return found


def gated_product(x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """silu(gate(x)) * up(x), the activation and the product inside the multiplications."""
    import torch

    linear = torch.ops.mkldnn._linear_pointwise
    gated = linear(x, gate, None, "swish", [], "")
    return linear.binary(x, gated, up, None, "mul")  # type: ignore[no-any-return]


def _norm(self: Any, hidden_states: torch.Tensor) -> torch.Tensor:
    return root_mean_square_norm(hidden_states, self.weight, self.variance_epsilon)


def _gated(self: Any, x: torch.Tensor) -> torch.Tensor:
    inner = gated_product(x, self.gate_proj.weight, self.up_proj.weight)
    return self.down_proj(inner)  # type: ignore[no-any-return]
