r"""What 8 bits would gain and cost the language model on this processor.

The matrix products of SmolLM2-135M in processor seconds: bfloat16 against int8 by oneDNN, which has
instructions for it where the processor has VNNI or AMX. Weights have a scale for each output,
activations one for each token, as in LLM.int8() (Dettmers et al., arXiv 2208.07339) without its
outliers. `bare` is the product alone, `whole` includes making activations int8 and scaling back.

With `--items` rows of the shipped example walk down the store taxonomy by `--method llm` (local
reading) with bfloat16, float32 and int8: how often answers are those of bfloat16.

python eval/bench/int8_products.py --items 48 --out eval/results/int8_products.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cascade_forward import items
from torch.nn.functional import linear, silu

SHAPES = {"query and output": (576, 576), "gate or up": (576, 1536), "down": (1536, 576)}
TOKENS = (64, 400, 1400)
PARTS = [f"self_attn.{part}_proj" for part in "qkvo"]
PARTS += [f"mlp.{part}_proj" for part in ("gate", "up", "down")]


class Int8Linear:
    """A linear layer of int8 weights."""

    def __init__(self, weight: torch.Tensor) -> None:
        scale = weight.float().abs().amax(1) / 127
        rounded = (weight.float() / scale[:, None]).round().to(torch.int8)
        self._packed = torch.ops.onednn.qlinear_prepack(rounded, None)
        self._scale, self._zero = scale, torch.zeros(len(scale), dtype=torch.int32)

    def quantised(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """uint8 around 128, and what one step is [n_tokens, 1]."""
        step = x.abs().amax(-1, keepdim=True).float().clamp_min(1e-6) / 127
        return (x / step).add_(128.5).to(torch.uint8), step

    def bare(self, x: torch.Tensor) -> torch.Tensor:
        """The product of uint8 activations."""
        of_x, of_out = (1.0, 128), (1.0, 0, torch.bfloat16, "none", [], "")
        found: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            x, *of_x, self._packed, self._scale, self._zero, None, *of_out
        )
        return found

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """As the layer of bfloat16, [..., n_out]."""
        whole, step = self.quantised(x.reshape(-1, x.shape[-1]))
        return self.bare(whole).mul_(step.to(torch.bfloat16)).view(*x.shape[:-1], -1)


def seconds(run: Callable[[], Any], repeats: int) -> float:
    """The least processor seconds of some runs."""
    run()
    found = []
    for _ in range(repeats):
        started = time.process_time()
        run()
        found.append(time.process_time() - started)
    return min(found)


def products(repeats: int) -> list[dict[str, Any]]:
    """How many times as fast as bfloat16, for each layer and number of tokens."""
    found = []
    for tokens in TOKENS:
        for name, (n_in, n_out) in SHAPES.items():
            weight = torch.randn(n_out, n_in).bfloat16()
            x, layer = torch.randn(tokens, n_in).bfloat16(), Int8Linear(weight)
            whole, _ = layer.quantised(x)
            plain = seconds(lambda x=x, weight=weight: linear(x, weight), repeats)
            bare = seconds(lambda layer=layer, whole=whole: layer.bare(whole), repeats)
            all_of_it = seconds(lambda layer=layer, x=x: layer(x), repeats)
            found.append(
                {
                    "layer": name,
                    "tokens": tokens,
                    "bare": round(plain / bare, 2),
                    "whole": round(plain / all_of_it, 2),
                }
            )
    return found


def in_int8(model: Any) -> None:
    """Let a `models.llama.Llama` multiply in int8."""
    layers = {
        f"model.layers.{number}.{part}": Int8Linear(
            model._weights[f"model.layers.{number}.{part}.weight"]
        )
        for number in range(len(model._layers))
        for part in PARTS
    }

    def feed_forward(x: torch.Tensor, name: str) -> torch.Tensor:
        gate, up, down = (layers[f"{name}.mlp.{part}_proj"] for part in ("gate", "up", "down"))
        return down(silu(gate(x)) * up(x))

    model._linear = lambda x, name: layers[name](x)
    model._feed_forward = feed_forward


def answers(n: int, kinds: tuple[str, ...]) -> dict[str, list[Any]]:
    """The paths of n items by each kind of weights; all see the same kinds of things."""
    import cascade
    from cascade.items import Batch, Item
    from cascade.models.llama import Llama

    Llama.pack = lambda self: self  # what is packed cannot be made int8; products are the same
    wanted, types, found = [Item(fields) for fields in items(n)], None, {}
    for kind in kinds:
        loaded = cascade.load("store", method="llm")
        loaded.config.llm.reading = "local"
        loaded.config.llm.precision = "float32" if kind == "float32" else "bfloat16"
        classifier = type(loaded)(loaded.taxonomy, loaded.config)
        rewriter = classifier._components.rewriter
        types = rewriter.types(Batch(wanted)) if types is None else types
        rewriter.types = lambda _, types=types: types
        scorer = classifier._components.scorer("llm")
        if kind == "int8":
            in_int8(classifier._components.engine.model)
            scorer._kept, scorer._prior = None, np.full_like(scorer._prior, np.nan)
        walked = classifier._walker._descent.walk(Batch(wanted), scorer)
        found[kind] = [tuple(prediction.path) for prediction in walked]
    return found


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--items", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    command = f"python eval/bench/int8_products.py --repeats {args.repeats} --items {args.items}"
    record: dict[str, Any] = {"command": command, "threads": torch.get_num_threads()}
    record["cpu"] = torch.backends.cpu.get_cpu_capability()
    with torch.inference_mode():
        record["times_as_fast_as_bfloat16"] = products(args.repeats)
    if args.items:
        paths = answers(args.items, ("bfloat16", "float32", "int8"))
        plain = paths.pop("bfloat16")
        record["as_bfloat16"] = {
            kind: {
                "first level": float(
                    np.mean([a[:1] == b[:1] for a, b in zip(plain, own, strict=True)])
                ),
                "answer": float(np.mean([a == b for a, b in zip(plain, own, strict=True)])),
            }
            for kind, own in paths.items()
        }
    print(json.dumps(record, indent=1))
    if args.out:
        args.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
