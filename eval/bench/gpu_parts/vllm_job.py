"""A job for vLLM, in a process and an environment of its own: questions in, items a second out."""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
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


if __name__ == "__main__":
    main()
