"""Tree scoring on a card, as `--method llm` does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from product_rows import rows

from gpu_parts.card import Bench, compared, padded
from gpu_parts.rivals import outlines, tried, vllm


def asked(engine: Any, n: int) -> list[Any]:
    """A question about the top of the shipped taxonomy for each of n products."""
    import cascade
    from cascade.generation.prompts import PromptTemplate
    from cascade.items import Item
    from cascade.scoring.item_prompts import make_question, one_line_text

    taxonomy = cascade.load("store", method="retrieval").taxonomy
    template, top = PromptTemplate.load("file-under"), taxonomy.children(-1)
    items = [Item({key: row[key] for key in ("name", "description")}) for row in rows(n)]
    return [
        make_question(template, taxonomy, one_line_text(item, 200), "product", -1, top)
        for item in items
    ]


def of_tree(bench: Bench, shape: str) -> dict[str, Any]:
    """Log-probabilities as on the processor; items a second beside bare passes and rivals."""
    import torch

    from cascade.generation.engines.transformers_engine import TransformersEngine

    folder = bench.llama(shape)
    exact, held = (
        TransformersEngine.load(str(folder), device=device, precision="float32")
        for device in ("cpu", bench.device)
    )
    few = asked(exact, bench.of(16, 2))
    check = {
        reading: compared(
            np.concatenate(held.score(few, reading)), np.concatenate(exact.score(few, reading))
        )
        for reading in ("global", "local")
    }
    del exact, held
    rate, found = _scored(bench, folder)
    if bench.device == "cuda":
        torch.cuda.empty_cache()
    questions = found.pop("questions")
    rivals = {"outlines": found.pop("outlines")}
    rivals["vllm"] = tried(lambda: vllm(bench, folder, questions))
    for own in rivals.values():
        if "items_per_second" in own:
            own["times_slower"] = round(rate / own["items_per_second"], 2)
    return {"check": check, **found, "rivals": rivals}


def _scored(bench: Bench, folder: Path) -> tuple[float, dict[str, Any]]:
    """Items a second of our engine, beside bare passes and outlines over the plain model."""
    import torch
    from transformers import AutoModelForCausalLM

    from cascade.generation.engines.transformers_engine import TransformersEngine

    size = bench.of(16_384, 2_048)
    engine = TransformersEngine.load(str(folder), device=bench.device, batch_tokens=size)
    questions = asked(engine, bench.of(2_048, 4))
    taken = bench.seconds(lambda: engine.score(questions, "local"))
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=bench.dtype, trust_remote_code=False)
    plain = plain.to(bench.device).eval()
    own = sorted((engine._encoder.prompt(question.prompt)[1] for question in questions), key=len)
    batches = [padded(own[start : start + 64], bench.device) for start in range(0, len(own), 64)]

    def bare() -> None:
        with torch.inference_mode():
            for batch in batches:
                plain.base_model(input_ids=batch, use_cache=False)

    limit = bench.seconds(bare)
    inner = sum(p.numel() for name, p in plain.named_parameters() if "embed" not in name)
    rate = len(questions) / taken
    return rate, {
        "items": len(questions),
        "candidates": len(questions[0].answers),
        "items_per_second": round(rate, 1),
        "to_bare_passes": round(limit / taken, 3),
        "share_of_limit": round(2.0 * inner * sum(map(len, own)) / taken / bench.flops, 4),
        "outlines": tried(lambda: outlines(bench, plain, folder, questions)),
        "questions": questions,
    }
