"""Training on a card: LoRA, and the encoder with heads of TTC."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from product_rows import rows

from gpu_parts.card import ROOT, Bench, compared

RECIPE = "finetune/lora-products.yaml"


def of_lora(bench: Bench) -> dict[str, Any]:
    """Steps of the shipped recipe on each LLaMA, as the command makes them."""
    found = {}
    for shape in ("135m",) if bench.small else ("135m", "1b"):
        out = bench.folder / f"lora-{shape}"
        settings = {
            "model.weights": str(bench.llama(shape)),
            "training.device": bench.device,
            "training.most_steps": bench.of(60, 2),
            "training.batch_tokens": bench.of(8192, 512),
            "training.evaluate_every": 1000,
            "tasks": "[child]",
            "validation.share": 0,
            "data.rows_per_class": bench.of(20, 1),
        }
        done = subprocess.run(
            [
                *(sys.executable, "-m", "cascade", "finetune", str(ROOT / RECIPE), "-o", str(out)),
                *(
                    part
                    for name, value in settings.items()
                    for part in ("--set", f"{name}={value}")
                ),
            ],
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-300:])
        metrics = json.loads((out / "metrics.json").read_text("utf-8"))
        keys = ("steps", "seconds", "tokens_per_second", "device", "precision", "trained_weights")
        found[shape] = {key: metrics[key] for key in keys if key in metrics}
    return found


def of_heads(bench: Bench) -> dict[str, Any]:
    """Steps of the encoder with heads of TTC, with the gradients of the processor."""
    import torch

    from cascade.items import Item
    from cascade.models.runtime import autocast
    from cascade.models.weights import find_weights
    from cascade.training.packs.backbones.encoders import TrainableEncoder
    from cascade.training.packs.recipe import TunedStage

    made = TrainableEncoder(find_weights("minilm"), ["name", "description"], TunedStage())

    items = [Item({key: row[key] for key in ("name", "description")}) for row in rows(256)]
    read = [made.inputs(item) for item in items[: bench.of(256, 8)]]
    heads = torch.randn(made.width, 300, generator=torch.Generator().manual_seed(0)) * 0.02

    def gradient(part: Any, device: str, some: list[list[int]]) -> Any:
        part._model.to(device)
        part._model.zero_grad()
        loss = (part.vectors(some) @ heads.to(device)).logsumexp(1).mean()
        loss.backward()
        gradients = [p.grad.flatten() for p in part.parameters().values() if p.grad is not None]
        return torch.cat([loss.detach().reshape(1), *gradients[-20:]]).cpu().numpy()

    own = read[: bench.of(16, 2)]
    exact = gradient(made, "cpu", own)
    check = compared(gradient(made, bench.device, own), exact)
    weights = torch.nn.Parameter(heads.to(bench.device))
    optimizer = torch.optim.AdamW([*made.parameters().values(), weights], lr=1e-5, fused=True)
    size = bench.of(64, 4)
    made._model.train()

    def steps() -> None:
        for start in range(0, len(read), size):
            optimizer.zero_grad()
            with autocast(bench.device):
                vectors = made.vectors(read[start : start + size])
            (vectors.float() @ weights).logsumexp(1).mean().backward()
            optimizer.step()

    taken = bench.seconds(steps)
    return {"check": check, "rows_per_second": round(len(read) / taken), "batch": size}
