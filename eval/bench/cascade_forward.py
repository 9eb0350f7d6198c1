r"""The language model's share of a cascade, against bare forward passes over the same new tokens.

`--method llm` walks items of the shipped example down the shipped store taxonomy, level by level,
with the beam of the defaults. What is timed are the calls that score candidates, whole: encoding
prompts, tries, masks, forward passes, reading. (What kind of thing an item is, which its prompt
shows, is written before; priors are known from a first run.) All times are of the processor, but
that of `items_per_second`. The bare passes have the plain model
of transformers, in the same precision, over as many new tokens as ours: sorted by length, padded,
in batches of 16, 64 or 256, whichever is quickest, without the shared instructions, without what is
kept of an item, and without the output layer, which the global reading needs at every token.
`asked_singly` is what the same questions would cost if each were a prompt of its own: the tokens
that keeping an item's prompt for all its levels and its beam saves.

python eval/bench/cascade_forward.py --out eval/results/cascade_forward.json
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
BATCHES = (16, 64, 256)


def items(n: int) -> list[dict[str, str]]:
    """Texts of the first n items."""
    with (ROOT / "examples/products.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:n]
    return [{"name": row["name"], "description": row["description"]} for row in rows]


class Watched:
    """The calls of an engine that score, with their time, their questions and their tokens."""

    def __init__(self, engine: Any) -> None:
        self.seconds = self.beside = self.wall = 0.0
        self.asked: list[Any] = []
        self.rows: list[int] = []
        self._score, self._forward = engine.score, engine._prefixes._forward
        engine.score = self.score
        engine._prefixes._forward = self.forward

    def score(self, questions: Any, *how: Any) -> Any:
        """As the engine's."""
        started, wall = time.process_time(), time.perf_counter()
        found = self._score(questions, *how)
        self.seconds += time.process_time() - started
        self.wall += time.perf_counter() - wall
        self.asked += questions
        return found

    def forward(self, shared: Any, offset: int, rows: Any, *how: Any) -> Any:
        """As the prefix cache's."""
        self.rows += map(len, rows)
        started = time.process_time()
        found = self._forward(shared, offset, rows, *how)
        self.beside -= time.process_time() - started
        return found


def bare(model: Any, lengths: list[int]) -> tuple[Callable[[], float], int]:
    """Forward passes over rows of these lengths, timed, and the rows of each: as is quickest."""
    runs = {size: _bare(model, lengths, size) for size in BATCHES}
    for run in runs.values():
        run()
    best = min(runs, key=lambda size: min(runs[size]() for _ in range(2)))
    return runs[best], best


def _bare(model: Any, lengths: list[int], size: int) -> Callable[[], float]:
    import torch

    rng = np.random.default_rng(0)
    ordered = sorted(lengths)
    batches = []
    for start in range(0, len(ordered), size):
        part = ordered[start : start + size]
        batches.append(torch.from_numpy(rng.integers(100, 40_000, (len(part), part[-1]))))

    def run() -> float:
        started = time.process_time()
        with torch.inference_mode():
            for ids in batches:
                model.base_model(input_ids=ids, use_cache=False)
        return time.process_time() - started

    return run


def measure(n: int, repeats: int, reading: str) -> dict[str, Any]:
    """Seconds of both, and their ratio."""
    import torch

    import cascade
    from cascade.items import Batch, Item
    from cascade.models.language_models import load_llm
    from cascade.models.weights import find_weights

    loaded = cascade.load("store", method="llm")
    loaded.config.llm.reading = reading
    clf = type(loaded)(loaded.taxonomy, loaded.config)
    engine, walk = clf._components.engine, clf._walker._descent
    scorer, typer = clf._components.scorer("llm"), clf._components.rewriter
    plain, _ = load_llm(find_weights("smollm2-135m"), "auto", "auto")
    wanted = [Item(fields) for fields in items(n)]
    types = typer.types(Batch(wanted))
    typer.types = lambda batch: types  # written once
    walk.walk(Batch(wanted), scorer)
    watched = Watched(engine)

    def ours() -> float:
        watched.seconds = watched.beside = watched.wall = 0.0
        watched.asked, watched.rows = [], []
        engine._encoder.forget()  # new items are not known
        engine._tries.clear()
        walk.walk(Batch(wanted), scorer)
        beside.append(watched.seconds + watched.beside)
        walls.append(watched.wall)
        return watched.seconds

    beside: list[float] = []
    walls: list[float] = []
    ours()
    encoder = engine._encoder
    singly = [
        len(encoder.prompt(question.prompt)[1]) + len(trie.plan(reading).nodes)
        for question, trie in zip(watched.asked, engine._tries.of(watched.asked), strict=True)
    ]
    run, size = bare(plain, watched.rows)
    pairs = [(ours(), run()) for _ in range(repeats)]
    one = _bare(plain, singly, size)
    ratios = sorted(limit / own for own, limit in pairs)
    own, limit = (float(np.median(column)) for column in zip(*pairs, strict=True))
    return {
        "items": n,
        "questions": len(watched.asked),
        "new_tokens": sum(watched.rows),
        "new_tokens_if_asked_singly": sum(singly),
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "scoring_s": round(own, 3),
        "beside_forward_passes_s": round(float(np.median(beside)), 3),
        "bare_s": round(limit, 3),
        "bare_rows_in_a_batch": size,
        "bare_if_asked_singly_s": round(min(one() for _ in range(2)), 3),
        "items_per_second": round(n / float(np.median(walls)), 1),
        "ratio": round(float(np.median(ratios)), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--reading", choices=("local", "global"), default="local")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    command = f"python eval/bench/cascade_forward.py --items {args.items} --repeats {args.repeats}"
    command += f" --reading {args.reading}"
    record = {"command": command, **measure(args.items, args.repeats, args.reading)}
    print(json.dumps(record, indent=1))
    if args.out:
        args.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
