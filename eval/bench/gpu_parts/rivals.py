"""What else answers the same questions: transformers with outlines, and vLLM."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from choice import of_outlines

from gpu_parts.card import Bench


def tried(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a rival does, or why it did not run."""
    try:
        return work()
    except Exception as error:  # a rival that does not run says so, and stops nothing
        return {"not_run": f"{type(error).__name__}: {error}"[:300]}


def outlines(bench: Bench, plain: Any, folder: Path, questions: Sequence[Any]) -> dict[str, Any]:
    """Transformers with outlines over the plain model."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", trust_remote_code=False)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    some = list(questions[: bench.of(64, 2)])
    run = of_outlines(plain, tokenizer, some, bench.of(32, 2))
    return {"items": len(some), "items_per_second": round(len(some) / bench.seconds(run), 2)}


def vllm(bench: Bench, folder: Path, questions: Sequence[Any]) -> dict[str, Any]:
    """vLLM in a process of its own."""
    if bench.vllm is None and importlib.util.find_spec("vllm") is None:
        return {"not_run": "no vLLM here; name an interpreter that has it with --vllm"}
    job = {
        "model": str(folder),
        "prompts": [question.prompt.shared + question.prompt.start for question in questions],
        "answers": [answer + (questions[0].prompt.end or "") for answer in questions[0].answers],
    }
    done = subprocess.run(
        [bench.vllm or sys.executable, str(Path(__file__).with_name("vllm_job.py"))],
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
