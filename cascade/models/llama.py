"""LLaMA (Touvron et al., arXiv 2302.13971) in plain torch, for inference on a CPU.

The same operations as in transformers, in the same order, so that the answers are the same; but
transformers' own takes longer to import than to score a file of a few rows. Models of another form,
such as those with scaled rotary embeddings, run in transformers.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from cascade.models.fused import (
    gated_product,
    has_fused_product,
    packed,
    product,
    root_mean_square_norm,
)

PLAIN = {
    "model_type": "llama",
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "quantization_config": None,
    "rope_scaling": None,
}
"""Settings of a config, and the value each must have, where it is there."""


class Llama:
    """A causal language model, with what engines use of one of transformers.

    Parameters
    ----------
    weights
        By their names in the files of transformers, all of one number type.
    config
        What `config.json` says.
    rope_base
        Of the rotary embeddings.

    Attributes
    ----------
    attention
        Called as transformers calls one; see `generation.tree_scoring.shared_prefix_attention`.
    """

    device = torch.device("cpu")

    def __init__(
        self, weights: dict[str, torch.Tensor], config: dict[str, Any], rope_base: float
    ) -> None:
        self.config = SimpleNamespace(**config)
        self.attention: Any = None
        self._weights = weights
        embedding = weights["model.embed_tokens.weight"]
        self.dtype = embedding.dtype
        tied = config.get("tie_word_embeddings") or "lm_head.weight" not in weights
        vocabulary, hidden = embedding.shape
        self._head = nn.Linear(hidden, vocabulary, bias=False, device="meta")
        head = embedding if tied else weights["lm_head.weight"]
        self._head.weight = nn.Parameter(head, requires_grad=False)
        heads = int(config["num_attention_heads"])
        self._head_size = int(config.get("head_dim") or config["hidden_size"] // heads)
        self._fused = self.dtype is torch.bfloat16 and has_fused_product()
        half = torch.arange(0, self._head_size, 2, dtype=torch.float) / self._head_size
        self._frequencies = 1.0 / (rope_base**half)
        self._layers = [
            SimpleNamespace(layer_idx=number) for number in range(config["num_hidden_layers"])
        ]
        groups = int(config.get("num_key_value_heads") or heads)
        self._divided = heads, groups, groups  # of queries, keys and values
        self._packed = False

    def pack(self) -> Llama:
        """Lay the weights of layers out as they are multiplied by, where that is known.

        It takes their copies for few tokens half of the time, and for many a twentieth.
        """
        if self._fused and not self._packed:
            for layer in self._layers:
                name = f"model.layers.{layer.layer_idx}"
                parts = [f"{name}.self_attn.{part}_proj.weight" for part in "qkv"]
                joined = torch.cat([self._weights.pop(part) for part in parts])
                self._weights[f"{name}.self_attn.qkv.weight"] = packed(joined)
                for part in ("self_attn.o", "mlp.gate", "mlp.up", "mlp.down"):
                    key = f"{name}.{part}_proj.weight"
                    self._weights[key] = packed(self._weights[key])
            self._packed = True
        return self

    @classmethod
    def open(cls, folder: Path, dtype: torch.dtype) -> Llama | None:
        """The model in a folder of transformers; None where it is of another form."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            config = json.loads((folder / "config.json").read_text("utf-8"))
            if any(config.get(name, value) != value for name, value in PLAIN.items()):
                return None
            if "model_type" not in config or (rope_base := _rope_base(config)) is None:
                return None
            stored = load_file(folder / "model.safetensors")
            model = cls(
                {name: value.to(dtype) for name, value in stored.items()}, config, rope_base
            )
            shapes = {name: tuple(value.shape) for name, value in stored.items()}
            head = shapes.pop("lm_head.weight", None)
            expected = model._expected()
            whole = head in (None, expected["model.embed_tokens.weight"])
            return model.pack() if whole and shapes == expected else None
        except (OSError, ValueError, LookupError, TypeError, ArithmeticError, SafetensorError):
            return None  # transformers may know the form, or says what is wrong

    def _expected(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the weights, without the output head."""
        config = vars(self.config)
        vocabulary, hidden = self._weights["model.embed_tokens.weight"].shape
        inner, heads = config["intermediate_size"], config["num_attention_heads"]
        queries = heads * self._head_size
        keys = (config.get("num_key_value_heads") or heads) * self._head_size
        layer: dict[str, tuple[int, ...]] = {
            "input_layernorm": (hidden,),
            "post_attention_layernorm": (hidden,),
            "self_attn.q_proj": (queries, hidden),
            "self_attn.k_proj": (keys, hidden),
            "self_attn.v_proj": (keys, hidden),
            "self_attn.o_proj": (hidden, queries),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
        }
        shapes = {
            f"model.layers.{number}.{part}.weight": shape
            for number in range(len(self._layers))
            for part, shape in layer.items()
        }
        return shapes | {
            "model.embed_tokens.weight": (vocabulary, hidden),
            "model.norm.weight": (hidden,),
        }

    @property
    def base_model(self) -> Llama:
        """The model without its output head: what is called for hidden states."""
        return self

    def get_input_embeddings(self) -> torch.Tensor:
        """The embeddings [vocabulary, hidden] of tokens."""
        return self._weights["model.embed_tokens.weight"]

    def get_output_embeddings(self) -> nn.Linear:
        """The output head: hidden states to logits."""
        return self._head

    def states(
        self,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        needed: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Hidden states of tokens in the last layer.

        Parameters
        ----------
        input_ids, position_ids
            int64 [n_tokens]
        needed
            int64 [n_needed], places of the tokens whose states are asked for; None is all.

        Returns
        -------
        [n_needed, hidden]
        """
        angles = position_ids[:, None].float() * self._frequencies
        angles = torch.cat([angles, angles], dim=-1)[:, None]
        rotation = angles.cos().to(self.dtype), angles.sin().to(self.dtype)
        x = self._weights["model.embed_tokens.weight"].index_select(0, input_ids)
        for layer in self._layers:
            name = f"model.layers.{layer.layer_idx}"
            attended = self._attended(layer, self._norm(x, f"{name}.input_layernorm"), rotation)
            if needed is not None and layer is self._layers[-1]:
                # What comes now is of each token alone.
                x, attended = (part.index_select(0, needed) for part in (x, attended))
            x = x + self._linear(attended, f"{name}.self_attn.o_proj")
            x = x + self._feed_forward(self._norm(x, f"{name}.post_attention_layernorm"), name)
        return self._norm(x, "model.norm")

    def _attended(
        self, layer: Any, x: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """What states [n_tokens, hidden] attend to, [n_tokens, heads x head size]."""
        q, k, v = self._heads(x, f"model.layers.{layer.layer_idx}.self_attn", rotation)
        attended, _ = self.attention(
            layer,
            *(part.transpose(0, 1)[None] for part in (q, k, v)),
            None,
            scaling=self._head_size**-0.5,
        )
        found: torch.Tensor = attended[0].flatten(1)
        return found

    def _heads(
        self, x: torch.Tensor, name: str, rotation: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values [n_tokens, heads or groups, head size]."""
        size = (-1, self._head_size)
        if self._packed:
            both = self._linear(x, f"{name}.qkv").unflatten(-1, size)
            turned = _rotated(both[:, : -self._divided[2]], rotation)
            q, k = turned.split(self._divided[:2], 1)
            return q, k, both[:, -self._divided[2] :]
        q, k, v = (self._linear(x, f"{name}.{part}_proj").unflatten(-1, size) for part in "qkv")
        return _rotated(q, rotation), _rotated(k, rotation), v

    def _feed_forward(self, x: torch.Tensor, name: str) -> torch.Tensor:
        gate, up = (self._weights[f"{name}.mlp.{part}_proj.weight"] for part in ("gate", "up"))
        if self._fused:
            inner = gated_product(x, gate, up)
        else:
            linear = nn.functional.linear
            inner = nn.functional.silu(linear(x, gate)) * linear(x, up)
        return self._linear(inner, f"{name}.mlp.down_proj")

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        weight = self._weights[f"{name}.weight"]
        return product(x, weight) if self._packed else nn.functional.linear(x, weight)

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        weight, epsilon = self._weights[f"{name}.weight"], self.config.rms_norm_eps
        if self._fused:
            return root_mean_square_norm(x, weight, epsilon)
        exact = x.float()
        scaled = exact * torch.rsqrt(exact.pow(2).mean(-1, keepdim=True) + epsilon)
        return weight * scaled.to(x.dtype)


def _rotated(x: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Heads [n_tokens, n, head size], turned by their positions."""
    cos, sin = rotation
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def _rope_base(config: dict[str, Any]) -> float | None:
    """The base of plain rotary embeddings; None of scaled ones."""
    told = config.get("rope_parameters") or {}
    if told.get("rope_type", "default") != "default" or told.get("partial_rotary_factor", 1) != 1:
        return None
    return float(told.get("rope_theta") or config.get("rope_theta") or 10_000.0)
