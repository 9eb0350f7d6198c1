"""Fuzz one reader for some seconds, or make one input again; prints what was found as JSON.

PYTHONPATH=.:eval/soak python -m fuzz "tables of rows" --seconds 600
PYTHONPATH=.:eval/soak python -m fuzz configs --again cascade.yaml 17 4 --keep input.yaml
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from fuzz.guard import attempt, limit_memory
from fuzz.targets import TARGETS, Target


def fuzz(
    target: Target, seconds: float, seed: int, folder: Path, engine: str = "hypothesis"
) -> dict[str, Any]:
    """What came of all inputs that there was time for; each fault once, with how to make it."""
    import hypothesis
    from hypothesis import strategies as st

    found: dict[str, Any] = {"tries": 0, "refused": 0, "longest_s": 0.0, "faults": {}}
    end = time.monotonic() + seconds + (600 if engine == "atheris" else 0)
    changes = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4)

    def one(name: str, changed: list[int]) -> None:
        if time.monotonic() > end:
            return
        outcome = attempt(target, name, changed, folder)
        found["tries"] += 1
        found["refused"] += outcome.refusal is not None
        found["longest_s"] = max(found["longest_s"], round(outcome.seconds, 2))
        if outcome.fault is not None:
            again = [name, *map(str, changed)]
            found["faults"].setdefault(outcome.fault, again)

    if engine == "atheris":
        _by_coverage(target, one, found, seconds, folder)
    given = hypothesis.given(st.sampled_from(sorted(target.seeds())), changes)
    turn = 0
    while time.monotonic() < end:
        settings = hypothesis.settings(
            max_examples=200,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        hypothesis.seed(seed * 1_000_003 + turn)(settings(given(one)))()
        turn += 1
    return found


def _by_coverage(
    target: Target,
    one: Callable[[str, list[int]], None],
    found: dict[str, Any],
    seconds: float,
    folder: Path,
) -> NoReturn:
    """Let atheris choose the inputs by the lines of cascade that they reach; ends the process."""
    import atheris

    with atheris.instrument_imports(include=["cascade"]):
        for seed in target.seeds():
            attempt(target, seed, [], folder)
    end, names = time.monotonic() + seconds, sorted(target.seeds())

    def until_the_end(data: bytes) -> None:
        pieces = [data[at : at + 4] for at in range(1, min(len(data), 17), 4)] or [b"\0"]
        one(names[data[0] % len(names) if data else 0], [int.from_bytes(p) for p in pieces])
        if time.monotonic() > end:  # libFuzzer would not return
            print(json.dumps(found), flush=True)
            os._exit(0)

    atheris.Setup([sys.argv[0], "-max_len=17", "-verbosity=0"], until_the_end)
    atheris.Fuzz()
    raise AssertionError


def main() -> None:
    """Fuzz, or make one input again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--engine",
        choices=("hypothesis", "atheris"),
        default="hypothesis",
        help="atheris, where it is installed, looks for inputs that reach other lines",
    )
    parser.add_argument("--again", nargs="+", metavar="SEED CHANGE", help="one input again")
    parser.add_argument("--keep", type=Path, help="where --again puts the input")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    target = TARGETS[args.target]
    if args.engine == "hypothesis":
        target.seeds()
    limit_memory()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as made:
        if args.again:
            name, *changes = args.again
            path = target.make(name, list(map(int, changes)), Path(made))
            if args.keep:
                shutil.copy(path, args.keep)
            target.read(path)
            return
        print(json.dumps(fuzz(target, args.seconds, args.seed, Path(made), args.engine)))


if __name__ == "__main__":
    main()
