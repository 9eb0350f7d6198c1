r"""How fast runtimes make the sentence encoder on a CPU, and how near they stay to its vectors.

The default encoder, from texts to unit vectors: PyTorch in float32, under autocast, and with
weights in half precision; PyTorch compiled; ONNX Runtime in float32 and with weights of 8 bits;
OpenVINO in float32 and in bfloat16. Tokenizer, order and batches are the same for all of these, and
each takes its quickest size of batches. Beside them stands what cascade does, weights in half
precision over texts without padding. Runs take turns, the figure is the median.
Runtimes that are not installed are left out and named.

pip install onnx onnxruntime openvino
python eval/bench/encoder_runtimes.py --out eval/results/encoder_runtimes.json
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from product_rows import COLUMNS, MAX_CHARS, rows
from recording import command, record

from cascade.models.runtime import autocast
from cascade.models.sentence_encoder import load_sentence_transformer
from cascade.models.weights import find_weights

SIZES = (16, 64)
OURS = "cascade: weights in bfloat16, without padding"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
Tokens = dict[str, "np.ndarray[Any, np.dtype[np.int64]]"]
Vectors = np.ndarray[Any, np.dtype[np.float32]]
Way = Callable[[Tokens], Vectors]


class Pooled(torch.nn.Module):
    """The transformer, the mean of its tokens in float32, unit length."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
        """float32 [n_texts, width]"""
        states = self.transformer(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state.float()
        kept = attention_mask[..., None].float()
        return torch.nn.functional.normalize((states * kept).sum(1) / kept.sum(1), dim=1)


def by_torch(model: Any, cast: bool = False) -> Way:
    """PyTorch as it is, or under autocast."""

    def run(tokens: Tokens) -> Vectors:
        given = [torch.from_numpy(tokens[name]) for name in INPUTS]
        with torch.inference_mode():
            if not cast:
                found: Vectors = model(*given).numpy()
                return found
            with autocast("cpu"):
                return np.asarray(model(*given).float())

    return run


def ways(model: Any, folder: Path, threads: int) -> tuple[dict[str, Way], dict[str, str]]:
    """The runtimes that are here, and why others are not."""
    pooled = Pooled(deepcopy(model[0].auto_model)).eval()
    halved = Pooled(deepcopy(model[0].auto_model).to(torch.bfloat16)).eval()
    example = model.tokenizer(["straw hat", "oak"], padding=True, return_tensors="pt")
    given = tuple(example[name] for name in INPUTS)
    found = {
        "PyTorch, float32": by_torch(pooled),
        "PyTorch, autocast": by_torch(pooled, cast=True),
        "PyTorch, weights in bfloat16": by_torch(halved),
    }
    missing: dict[str, str] = {}
    for name, add in (
        ("PyTorch, compiled, weights in bfloat16", lambda: _compiled(halved, given)),
        ("ONNX Runtime", lambda: _onnx(pooled, given, folder, threads)),
        ("OpenVINO", lambda: _openvino(pooled, dict(example), threads)),
    ):
        try:
            made = add()
        except Exception as error:  # whatever a runtime does not like is told
            missing[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]:.150}"
        else:
            found |= made if isinstance(made, dict) else {name: made}
    return found, missing


def _compiled(model: Any, given: Any) -> Way:
    way = by_torch(torch.compile(model, dynamic=True))
    way({name: value.numpy() for name, value in zip(INPUTS, given, strict=True)})
    return way


def _onnx(model: Any, given: Any, folder: Path, threads: int) -> dict[str, Way]:
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = folder / "encoder.onnx"
    torch.onnx.export(
        model,
        given,
        str(path),
        input_names=list(INPUTS),
        output_names=["vectors"],
        dynamic_axes={name: {0: "texts", 1: "tokens"} for name in INPUTS},
        dynamo=False,
    )
    small = folder / "encoder-8.onnx"
    quantize_dynamic(str(path), str(small), weight_type=QuantType.QInt8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads

    def session(file: Path) -> Way:
        made = onnxruntime.InferenceSession(str(file), options)
        return lambda tokens: made.run(None, tokens)[0]

    return {"ONNX Runtime, float32": session(path), "ONNX Runtime, 8 bits": session(small)}


def _openvino(model: Any, example: dict[str, Any], threads: int) -> dict[str, Way]:
    import openvino

    with torch.no_grad():
        graph = openvino.convert_model(
            model, example_input=example, input=[(name, [-1, -1]) for name in INPUTS]
        )

    def request(precision: str) -> Way:
        hints = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        made = openvino.Core().compile_model(graph, "CPU", hints).create_infer_request()
        return lambda tokens: made.infer(tokens)[0].copy()

    return {"OpenVINO, float32": request("f32"), "OpenVINO, bfloat16": request("bf16")}


def encoded(way: Way, tokenizer: Any, texts: list[str], size: int) -> Vectors:
    """Vectors of texts, those of one length together."""
    order = np.argsort([-len(text) for text in texts], kind="stable")
    parts = []
    for start in range(0, len(order), size):
        read = tokenizer(
            [texts[at] for at in order[start : start + size].tolist()],
            padding=True,
            truncation=True,
            max_length=256,
            return_tensors="np",
        )
        parts.append(way({name: read[name].astype(np.int64) for name in INPUTS}))
    out = np.empty_like(found := np.vstack(parts))
    out[order] = found
    return out


def measure(
    what: str, made: dict[str, Way], encoder: Any, tokenizer: Any, args: Any
) -> dict[str, Any]:
    """Texts a second of each runtime in its quickest batches, and of cascade."""
    columns = COLUMNS[what]
    texts = ["\n".join(row[name][:MAX_CHARS] for name in columns) for row in rows(args.rows)]
    runs: dict[tuple[str, int], Callable[[], Vectors]] = {
        (name, size): lambda way=way, size=size: encoded(way, tokenizer, texts, size)
        for name, way in made.items()
        for size in SIZES
    }
    runs[OURS, 0] = lambda: encoder.encode(texts, half=True)
    exact = encoder.encode(texts)
    likeness = {of: float((run() * exact).sum(axis=1).min()) for of, run in runs.items()}
    taken: dict[tuple[str, int], list[float]] = {of: [] for of in runs}
    for _ in range(args.repeats):
        for of, run in runs.items():
            started = time.perf_counter()
            run()
            taken[of].append(time.perf_counter() - started)
    ours = median(taken[OURS, 0])
    table = []
    for name in (*made, OURS):
        best = min((of for of in runs if of[0] == name), key=lambda of: median(taken[of]))
        table.append(
            {
                "way": name,
                "batches": best[1] or None,
                "texts_per_second": round(len(texts) / median(taken[best])),
                "to_ours": round(ours / median(taken[best]), 2),
                "least_cosine": round(likeness[best], 5),
            }
        )
    mean = sum(map(len, texts)) / len(texts)
    return {"texts": what, "mean_chars": round(mean, 1), "table": table}


def markdown(result: dict[str, Any]) -> str:
    """The figures as tables, and the command that made them."""
    parts = ["# encoder_runtimes\n"]
    for found in result["found"]:
        parts.append(
            f"{found['texts'].capitalize()}, {found['mean_chars']} characters on average:\n\n"
            "| way | texts/s | to cascade | best batches | least cosine to float32 |\n"
            "| --- | --- | --- | --- | --- |"
        )
        parts += [
            f"| {row['way']} | {row['texts_per_second']:,} | {row['to_ours']:.2f} "
            f"| {row['batches'] or ''} | {row['least_cosine']:.5f} |"
            for row in found["table"]
        ]
        parts.append("")
    parts += [f"Left out: {name} ({why}).\n" for name, why in result["missing"].items()]
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    parts.append(
        f"{result['rows']:,} texts, medians of {result['repeats']} runs in turns, "
        f"{result['threads']} threads, load average {result['load_average_before']} before, "
        f"{versions}. Made by:\n\n```sh\n{result['command']}\n```\n"
    )
    return "\n".join(parts)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def main() -> None:
    """Measure and record."""
    from cascade.retrieval.encoder import Encoder

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    load = round(os.getloadavg()[0], 1)
    encoder = Encoder.load("minilm", device="cpu")
    model = load_sentence_transformer(find_weights("minilm"), "cpu")
    model.tokenizer.split_special_tokens = True
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        made, missing = ways(model, Path(folder), threads)
        found = [measure(what, made, encoder, model.tokenizer, args) for what in COLUMNS]
    result = {
        "command": command(),
        "rows": args.rows,
        "repeats": args.repeats,
        "load_average_before": load,
        "threads": threads,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("torch", "onnxruntime", "openvino")},
        "found": found,
        "missing": missing,
    }
    page = markdown(result)
    print(page)
    if args.out:
        record(args.out, result, page)


if __name__ == "__main__":
    main()
