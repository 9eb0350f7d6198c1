"""Settings of a model that its GGUF file tells and transformers does not take from it.

Without them a model would answer, and wrongly: with another scale of its attention, without the
caps of its logits, or with positions that it was not trained on.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cascade.errors import WeightsError
from cascade.models.gguf.header import SAFETENSORS, SERVE, Header

TOLD = {
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
}
"""Settings as llama.cpp calls them, and their names in the configs that have them."""
HEAD_SIZE_ELSEWHERE = ("gemma4", "qwen35", "qwen35moe")  # of which transformers reads it itself
BY_WIDTH = {"gemma2": 46, "gemma3": 62}
"""Layers of the Gemma models whose attention is scaled by the width of a head's part of the hidden
state; the others are scaled by the head's own. llama.cpp tells them apart in the same way."""
ORIGINAL = 8192  # tokens that LLaMA 3 was first trained on


def mend(config: Any, header: Header) -> None:
    """Set in a config of transformers what the file tells beyond what transformers took.

    Raises
    ------
    WeightsError
        The file's model stretches its positions in a way that transformers does not take from GGUF.
    """
    values = header.values
    unused = {
        "head_dim": header.architecture in HEAD_SIZE_ELSEWHERE,
        "sliding_window": not getattr(config, "use_sliding_window", True),
    }
    for told, name in TOLD.items():
        if told in values and hasattr(config, name) and not unused.get(name):
            setattr(config, name, values[told])
    if hasattr(config, "query_pre_attn_scalar"):
        wide = config.num_hidden_layers == BY_WIDTH.get(header.architecture)
        per_head = config.hidden_size // config.num_attention_heads
        config.query_pre_attn_scalar = per_head if wide else config.head_dim
    _mend_positions(config, header)


def _mend_positions(config: Any, header: Header) -> None:
    """Rotary embeddings that are stretched, or that turn a part of each head only."""
    rope = getattr(config, "rope_parameters", None)
    if not isinstance(rope, dict):
        return
    own = rope.get("full_attention", rope)  # Gemma 3 stretches these alone
    turned = header.values.get("rope.dimension_count")
    if (
        turned
        and own.get("partial_rotary_factor")
        and header.architecture not in HEAD_SIZE_ELSEWHERE
    ):
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        own["partial_rotary_factor"] = turned / head
    kind = header.values.get("rope.scaling.type", "none")
    factor = header.values.get("rope.scaling.factor")
    before = header.values.get("rope.scaling.original_context_length")
    if header.factors is not None:
        own |= _stretched(header)
    elif kind == "linear" and factor:
        own |= {"rope_type": "linear", "factor": float(factor)}
    elif kind == "yarn" and factor and header.architecture not in ("gpt-oss", "gpt_oss"):
        original = before or round(config.max_position_embeddings / float(factor))
        own |= {
            "rope_type": "yarn",
            "factor": float(factor),
            "original_max_position_embeddings": int(original),
        }
    elif any(name.startswith("rope_factors") for name in header.sizes) or (
        kind not in ("none", "linear", "yarn")
    ):
        raise WeightsError(
            f"{header.file}: stretches its positions in the way {kind!r} of the architecture "
            f"{header.architecture!r}, which is not read from GGUF; {SAFETENSORS}, or {SERVE}"
        )


def _stretched(header: Header) -> dict[str, Any]:
    """The settings that make the factors of wavelengths that a file of LLaMA 3 holds."""
    factors = np.asarray(header.factors, dtype=np.float64).ravel()
    base = float(header.values.get("rope.freq_base", 10_000.0))
    factor = float(factors.max())
    made = {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": ORIGINAL,
    }
    wavelengths = 2 * math.pi * base ** (np.arange(len(factors)) / len(factors))
    smooth = np.clip((ORIGINAL / wavelengths - 1.0) / (4.0 - 1.0), 0, 1)
    expected = 1 / ((1 - smooth) / factor + smooth)
    if not np.allclose(factors, expected, rtol=1e-3):
        raise WeightsError(
            f"{header.file}: stretches its positions by factors of its own, which transformers has "
            f"no settings for; {SAFETENSORS}, or {SERVE}"
        )
    return made
