r"""What a forward pass of the default language model costs in each way that torch offers on a CPU.

The body of SmolLM2-135M reads a batch of 64 sequences of 45 tokens: as transformers loads it in
float32 and in bfloat16, with norms and gates fused (`models/fused.py`, what the engine uses),
compiled by torch (which needs a C++ compiler, and a while the first time), with weights in int8.
The error is that of log-probabilities of the next token against float32, over the likeliest 20.

python eval/bench/forward.py --out eval/results/forward.json
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROWS, WIDTH = 64, 45


def models() -> dict[str, Callable[[], Any]]:
    """How each is made."""
    import torch

    from cascade.models.fused import fuse
    from cascade.models.language_models import load_llm
    from cascade.models.weights import find_weights

    def loaded(precision: Any) -> Any:
        model = load_llm(find_weights("smollm2-135m"), "cpu", precision)[0]
        model.set_attn_implementation("sdpa")
        return model

    def fused() -> Any:
        model = loaded("bfloat16")
        fuse(model)
        return model

    def compiled() -> Any:
        model = loaded("bfloat16")
        model.model = torch.compile(model.model)
        return model

    def quantised() -> Any:
        model = loaded("float32")
        model.model = torch.ao.quantization.quantize_dynamic(model.model, {torch.nn.Linear})
        return model

    return {
        "float32": lambda: loaded("float32"),
        "bfloat16": lambda: loaded("bfloat16"),
        "bfloat16, fused": fused,
        "bfloat16, compiled": compiled,
        "int8, dynamic": quantised,
    }


def measure(repeats: int) -> dict[str, Any]:
    """Tokens a second, seconds until ready, and error of each."""
    import torch

    ids = torch.from_numpy(np.random.default_rng(0).integers(100, 40_000, (ROWS, WIDTH)))
    runs: dict[str, Any] = {}
    ready: dict[str, float] = {}
    errors: dict[str, float] = {}
    exact: Any = None
    for name, make in models().items():
        model = make()

        def run(model: Any = model) -> Any:
            with torch.inference_mode():
                return model.model(input_ids=ids, use_cache=False).last_hidden_state

        started = time.perf_counter()
        try:
            states = run()
        except Exception as error:
            print(f"{name}: {error}")
            continue
        ready[name] = time.perf_counter() - started
        with torch.inference_mode():
            logits = model.get_output_embeddings()(states[:, -1].to(model.lm_head.weight.dtype))
        logprobs = logits.float().log_softmax(-1)
        exact = logprobs if exact is None else exact
        top = exact.topk(20).indices
        errors[name] = float((logprobs - exact).gather(1, top).abs().mean())
        runs[name] = run
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    plain = np.array(seconds["bfloat16"])
    return {
        name: {
            "tokens_per_second": round(ROWS * WIDTH / float(np.median(own))),
            "to_plain_bfloat16": round(float(np.median(plain / np.array(own))), 2),
            "first_pass_s": round(ready[name], 1),
            "error": round(errors[name], 4),
        }
        for name, own in seconds.items()
    }


def main() -> None:
    """Measure, print and record."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    import torch

    record = {
        "command": f"python eval/bench/forward.py --repeats {args.repeats}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "repeats": args.repeats,
        "ways": measure(args.repeats),
    }
    print(json.dumps(record, indent=1))
    if args.out:
        args.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
