"""What all parts share: the device, timing, a LLaMA of random weights, the processor's answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[3]
TOLERANCE = 1e-4
SHAPES: dict[str, dict[str, int]] = {
    "135m": {  # of SmolLM2-135M
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
    },
    "1b": {  # of LLaMA 3.2 1B
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "small": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}


@dataclass
class Bench:
    """What all parts share.

    Parameters
    ----------
    device
        `cuda`, or `cpu` where there is none.
    small
        Whether all is in miniature.
    folder
        For models and runs; deleted at the end.
    repeats
        Of each timing; medians are told.
    vllm
        Interpreter of an environment with vLLM; None for this one, where it has it.
    """

    device: str
    small: bool
    folder: Path
    repeats: int
    vllm: str | None

    def of(self, large: int, small: int) -> int:
        """A size."""
        return small if self.small else large

    def seconds(self, work: Callable[[], Any]) -> float:
        """Median seconds of some work, after a first run, until the card is done with it."""
        work()
        taken = []
        for _ in range(self.repeats):
            self.wait()
            started = time.perf_counter()
            work()
            self.wait()
            taken.append(time.perf_counter() - started)
        return float(np.median(taken))

    def wait(self) -> None:
        """Wait until the card has done all that it was given."""
        import torch

        if self.device == "cuda":
            torch.cuda.synchronize()

    @property
    def dtype(self) -> Any:
        """The precision of use."""
        from cascade.models.runtime import precision_dtype

        return precision_dtype("auto", self.device)

    @cached_property
    def flops(self) -> float:
        """Floating-point operations a second of a large matrix product in the precision of use."""
        import torch

        n = self.of(8192, 512)
        one, other = (torch.randn(n, n, device=self.device).to(self.dtype) for _ in range(2))
        times = self.of(20, 2)

        def work() -> None:
            for _ in range(times):
                torch.mm(one, other)

        return 2.0 * n**3 * times / self.seconds(work)

    def llama(self, shape: str) -> Path:
        """The folder of a LLaMA of random weights with the tokenizer of the default model."""
        import torch
        from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

        from cascade.models.language_models import safetensors_folder
        from cascade.models.weights import find_weights

        folder = self.folder / f"llama-{shape}"
        if folder.exists():
            return folder
        source = safetensors_folder(find_weights("smollm2-135m"))
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        config = LlamaConfig(
            **SHAPES["small" if self.small else shape],
            vocab_size=len(tokenizer),
            max_position_embeddings=2048,
            initializer_range=0.05,  # so that answers differ
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        torch.manual_seed(0)
        LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder


def compared(ours: Any, reference: Any) -> dict[str, Any]:
    """How far the card's figures are from the processor's, to the larger of 1 and the figure."""
    found, wanted = np.asarray(ours, np.float64), np.asarray(reference, np.float64)
    apart = np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))
    worst = float(apart.max())
    return {"worst": float(f"{worst:.2g}"), "numbers": found.size, "same": worst <= TOLERANCE}


def of_limit(bench: Bench) -> dict[str, Any]:
    """What the card multiplies."""
    import torch

    found = {"tflops": round(bench.flops / 1e12, 2), "precision": str(bench.dtype)}
    if bench.device == "cuda":
        card = torch.cuda.get_device_properties(0)
        found |= {"card": card.name, "memory_gib": round(card.total_memory / 2**30, 1)}
    return found


def padded(lists: Sequence[Sequence[int]], device: str) -> Any:
    """Token lists as one tensor, with zeros behind the shorter ones."""
    import torch

    width = max(map(len, lists))
    return torch.tensor([[*own, *[0] * (width - len(own))] for own in lists], device=device)
