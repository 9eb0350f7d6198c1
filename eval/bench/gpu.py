r"""One GPU, checked and measured in about 12 minutes: every part that may run on one.

Each part, see `gpu_parts/`, first checks that the card gives the answers of the processor, both in
float32 (TF32 off), to 1e-4; then it measures. What is found is written after each part, so a run
that is cut keeps what it has, and parts that fail say why and do not stop the others.

- limit: a bare matrix product in the precision of use, which all shares below refer to;
- encoder: the default sentence encoder, products that ship, against its own bare passes;
- tree-135m, tree-1b: a LLaMA of random weights (a choice of it means nothing, its time does)
  scores the nodes of the top of the shipped taxonomy for each product, as `--method llm` does;
  beside it the bare passes over the items' own tokens, transformers with outlines, and vLLM;
- lora: a step of `cascade finetune finetune/lora-products.yaml` on each of them;
- heads: the encoder and the heads of TTC trained together, as the recipe `strong` does;
- faiss: an exact search among vectors that lie as those of a taxonomy do.

Nothing is downloaded: weights are random or come with the package. `--small` runs all of it in
miniature, also where there is no GPU (the device is then the processor, and the comparison with
the processor one with itself), so that minutes on a card are not spent on mistakes.

python eval/bench/gpu.py --out eval/results/gpu.json
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpu_parts.card import Bench, of_limit
from gpu_parts.encoders import of_encoder, of_faiss
from gpu_parts.training import of_heads, of_lora
from gpu_parts.trees import of_tree
from recording import command, record

PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "limit": of_limit,
    "encoder": of_encoder,
    "tree-135m": lambda bench: of_tree(bench, "135m"),
    "tree-1b": lambda bench: of_tree(bench, "1b"),
    "lora": of_lora,
    "heads": of_heads,
    "faiss": of_faiss,
}


def faults(parts: dict[str, Any]) -> list[str]:
    """Parts that failed, or that answer otherwise than the processor."""

    def wrong(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        return value.get("same") is False or any(map(wrong, value.values()))

    return [name for name, found in parts.items() if "error" in found or wrong(found)]


def page(result: dict[str, Any]) -> str:
    """The figures as a page."""
    lines = ["# gpu\n", f"`{command()}`\n", "| part | seconds | found |", "| --- | --- | --- |"]
    for name, found in result["parts"].items():
        told = json.dumps({key: value for key, value in found.items() if key != "seconds_in_all"})
        lines.append(f"| {name} | {found.get('seconds_in_all', '')} | `{told}` |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the parts, record each as it is done, and end with 1 where one is wrong."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="all in miniature")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=12, help="no part begins after them")
    parser.add_argument("--vllm", metavar="PYTHON", help="interpreter that has vLLM")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    began = time.perf_counter()
    result: dict[str, Any] = {"device": args.device, "torch": torch.__version__, "parts": {}}
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(args.device, args.small, Path(name), args.repeats, args.vllm)
        for part in args.parts:
            started = time.perf_counter()
            if started - began > 60 * args.minutes:
                result["parts"][part] = {"error": "no time was left"}
                continue
            try:
                found = PARTS[part](bench)
            except Exception:  # what failed is told, the other parts still run
                found = {"error": traceback.format_exc()[-1500:]}
            found["seconds_in_all"] = round(time.perf_counter() - started, 1)
            result["parts"][part] = found
            print(part, json.dumps(found), flush=True)
            if args.out:
                record(args.out, copy.deepcopy(result), page(result))
    if wrong := faults(result["parts"]):
        raise SystemExit(f"wrong: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
