"""`eval/bench/gpu.py` in miniature, so that minutes on a card are not spent on mistakes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.weights
def test_every_part_of_the_gpu_bench_runs_and_answers_as_the_processor(tmp_path):
    script = ROOT / "eval/bench/gpu.py"
    out = tmp_path / "gpu.json"
    done = subprocess.run(
        [sys.executable, script, "--small", "--device", "cpu", "--repeats", "1", "--out", out],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    parts = json.loads(out.read_text("utf-8"))["parts"]
    wanted = ("limit", "encoder", "tree-135m", "tree-1b", "lora", "heads", "faiss")
    assert tuple(parts) == wanted
    assert all(parts["tree-1b"]["check"][way]["same"] for way in ("global", "local"))
    assert "items_per_second" in parts["tree-135m"]["rivals"]["outlines"]
    assert parts["lora"]["135m"]["steps"] == 2
    assert "| heads |" in out.with_suffix(".md").read_text("utf-8")
