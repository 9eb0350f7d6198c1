r"""One GPU, checked and measured in about 12 minutes: every part that may run on one.

Each part first checks that the card gives the answers of the processor, both in float32 (TF32
off), to 1e-4; then it measures. What is found is written after each part, so a run that is cut
keeps what it has, and parts that fail say why and do not stop the others.

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
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from choice import of_outlines
from product_rows import rows
from recording import command, record

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-4
RECIPE = "finetune/lora-products.yaml"
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


def of_encoder(bench: Bench) -> dict[str, Any]:
    """Vectors as on the processor; texts a second, to the bare passes over the same tokens."""
    import torch

    from cascade.config import ENCODER
    from cascade.models.sentence_encoder import load_sentence_encoder, load_sentence_transformer
    from cascade.models.weights import find_weights

    weights = find_weights(ENCODER)
    made = rows(bench.of(65_536, 64))
    texts = [f"{row['name']} {row['description']}" for row in made]
    few = texts[: bench.of(256, 8)]
    encoder = load_sentence_encoder(weights, bench.device)
    check = compared(encoder.encode(few), load_sentence_encoder(weights, "cpu").encode(few))
    taken = bench.seconds(lambda: encoder.encode(texts, half=True))
    model = load_sentence_transformer(weights, bench.device)
    body = model[0].auto_model.to(bench.dtype)
    ids = sorted((model.tokenizer(text, truncation=True)["input_ids"] for text in texts), key=len)
    batches = [_padded(ids[start : start + 512], bench.device) for start in range(0, len(ids), 512)]

    def bare() -> None:
        with torch.inference_mode():
            for batch in batches:
                body(input_ids=batch)

    limit = bench.seconds(bare)
    inner = sum(p.numel() for name, p in body.named_parameters() if "embeddings" not in name)
    tokens = sum(map(len, ids))
    return {
        "check": check,
        "texts": len(texts),
        "texts_per_second": round(len(texts) / taken),
        "to_bare_passes": round(limit / taken, 3),
        "share_of_limit": round(2.0 * inner * tokens / taken / bench.flops, 4),
    }


def _padded(lists: Sequence[Sequence[int]], device: str) -> Any:
    import torch

    width = max(map(len, lists))
    return torch.tensor([[*own, *[0] * (width - len(own))] for own in lists], device=device)


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
    rivals["vllm"] = _tried(lambda: _vllm(bench, folder, questions))
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
    batches = [_padded(own[start : start + 64], bench.device) for start in range(0, len(own), 64)]

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
        "outlines": _tried(lambda: _outlines(bench, plain, folder, questions)),
        "questions": questions,
    }


def _tried(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a rival does, or why it did not run."""
    try:
        return work()
    except Exception as error:  # a rival that does not run says so, and stops nothing
        return {"not_run": f"{type(error).__name__}: {error}"[:300]}


def _outlines(bench: Bench, plain: Any, folder: Path, questions: Sequence[Any]) -> dict[str, Any]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", trust_remote_code=False)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    some = list(questions[: bench.of(64, 2)])
    run = of_outlines(plain, tokenizer, some, bench.of(32, 2))
    return {"items": len(some), "items_per_second": round(len(some) / bench.seconds(run), 2)}


def _vllm(bench: Bench, folder: Path, questions: Sequence[Any]) -> dict[str, Any]:
    """vLLM in a process of its own."""
    if bench.vllm is None and importlib.util.find_spec("vllm") is None:
        return {"not_run": "no vLLM here; name an interpreter that has it with --vllm"}
    job = {
        "model": str(folder),
        "prompts": [question.prompt.shared + question.prompt.start for question in questions],
        "answers": [answer + (questions[0].prompt.end or "") for answer in questions[0].answers],
    }
    done = subprocess.run(
        [bench.vllm or sys.executable, __file__, "--inside-vllm"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=240,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"items')]
    if not lines:
        raise RuntimeError(done.stderr[-250:])
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def inside_vllm() -> None:
    """Answer a job by vLLM, and print how many items a second that was."""
    os.environ |= {"VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1"}
    from vllm import LLM, SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    job = json.loads(sys.stdin.read())
    llm = LLM(
        model=job["model"],
        dtype="bfloat16",
        enable_prefix_caching=True,
        structured_outputs_config={"backend": "xgrammar"},
        max_model_len=1024,
        gpu_memory_utilization=0.6,
    )
    chosen = StructuredOutputsParams(choice=job["answers"])
    how = SamplingParams(temperature=0, max_tokens=24, structured_outputs=chosen)
    prompts = job["prompts"]
    llm.generate(prompts[:2], how, use_tqdm=False)
    started = time.perf_counter()
    llm.generate(prompts, how, use_tqdm=False)
    rate = len(prompts) / (time.perf_counter() - started)
    print(json.dumps({"items": len(prompts), "items_per_second": round(rate, 2)}), flush=True)


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
    from cascade.training.packs.backbones import TrainableEncoder
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


def of_faiss(bench: Bench) -> dict[str, Any]:
    """An exact search on the card, with the hits of the processor."""
    import faiss
    from synthetic import WIDTH, node_vectors

    from cascade.retrieval.faiss_index import Searcher, n_gpus

    n, items, k = bench.of(1_000_000, 2_000), bench.of(2_048, 16), 256
    vectors = node_vectors(n)
    index = faiss.IndexFlatIP(WIDTH)
    index.add(vectors)
    wanted = vectors[:: max(1, n // items)][:items]
    searcher = Searcher(lambda: index, "flat")
    taken = bench.seconds(lambda: searcher.search(wanted, k))
    few = wanted[: bench.of(64, 4)]
    check = compared(searcher.search(few, k)[0], index.search(few, k)[0])
    found = {"check": check, "vectors": n, "items_per_second": round(len(wanted) / taken)}
    return found if n_gpus() else found | {"note": "faiss-gpu is not here: on the processor"}


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
    parser.add_argument("--inside-vllm", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside_vllm:
        inside_vllm()
        return
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
