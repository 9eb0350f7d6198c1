r"""The agent against retrieval alone, on the rows of a set that retrieval doubts most.

Draws rows of some sets of pairs as `zero_shot_domains.py` does, keeps those of the least certain
fifth, and answers the first of them both ways. Prints for each set and for all hF1, exact, gains
with 95% intervals over the same rows, model calls an item, seconds an item, and how walks ended.

python eval/bench/agent.py --pairs pairs --set foods --set jobs --rows 60 \
    --model smollm2-135m --out runs/agent.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from zero_shot_domains import Domain, all_domains, counted, figures, gain

from cascade.config import CascadeConfig
from cascade.items import Item
from cascade.pipeline.classifier import Classifier

SHARE = 0.2  # of the rows, those that retrieval doubts most


def doubted(domain: Domain, rows: int) -> tuple[list[tuple[Any, list[int]]], float]:
    """Parts with the rows of the least certain fifth, `rows` in all, and the fifth's confidence."""
    sure: list[tuple[float, int, int]] = []
    for at, part in enumerate(domain.parts):
        plain = Classifier(part.taxonomy, CascadeConfig(method="retrieval"))
        found = plain.classify_many([Item({"text": text}) for text in part.texts])
        sure += [(p.confidence, at, row) for row, p in enumerate(found)]
    sure.sort()
    fifth = sure[: max(1, round(SHARE * len(sure)))]
    drawn = np.random.default_rng(20).permutation(len(fifth))[:rows]
    chosen = [fifth[i] for i in sorted(drawn.tolist())]
    parts = [
        (part, [row for _, own, row in chosen if own == at]) for at, part in enumerate(domain.parts)
    ]
    return [(part, own) for part, own in parts if own], fifth[-1][0]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--rows", type=int, default=60, help="Doubted rows of each set.")
    parser.add_argument("--most", type=int, default=300, help="Rows of a set, before the fifth.")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--adapter")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--work", type=Path, default=Path("runs/agent"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    before, after = {}, {}
    told: dict[str, Any] = {"model": arguments.model, "adapter": arguments.adapter, "sets": {}}
    for domain in all_domains(arguments.pairs, arguments.most, arguments.work, arguments.set):
        parts, edge = doubted(domain, arguments.rows)
        plain, walked, ends = [], [], Counter[str]()
        seconds, calls, n, kept = 0.0, 0, 0, []
        for part, rows in parts:
            settings = {
                "method": "agent",
                "llm": {"model": arguments.model, "adapter": arguments.adapter},
                "agent": {"threshold": 1.0, "steps": arguments.steps, "seconds": 86_400},
            }
            classifier = Classifier(part.taxonomy, CascadeConfig.parse(settings))
            items = [Item({"text": part.texts[row]}) for row in rows]
            first = Classifier(part.taxonomy, CascadeConfig(method="retrieval"))
            nodes = [[], []]
            found = [list(first.classify_many(items))]
            started = time.perf_counter()
            found.append(list(classifier.classify_many(items, batch_size=8)))
            seconds += time.perf_counter() - started
            for own, answers in zip(nodes, found, strict=True):
                own += [part.taxonomy.index(p.code or "") for p in answers]
            for row, (a, b) in zip(rows, zip(*found, strict=True), strict=True):
                steps = [step.action for step in b.steps]
                ends[steps[-1].split()[0] if b.status != "partial" else b.failure] += 1
                calls += len(steps)
                n += 1
                kept.append([part.texts[row], int(part.gold[row]), a.code, b.code, steps])
            gold = part.gold[rows]
            for side, own in zip((plain, walked), nodes, strict=True):
                sub = type(part)(part.taxonomy, [], gold, part.answers)
                side.append(counted(sub, np.array(own, np.int32)))
            print(domain.name, n, "rows", f"{seconds / n:.1f} s an item", flush=True)
        before[domain.name], after[domain.name] = np.concatenate(plain), np.concatenate(walked)
        told["sets"][domain.name] = {
            "rows": n,
            "fifth below": edge,
            "retrieval": figures(plain),
            "agent": figures(walked),
            "gain": gain({domain.name: before[domain.name]}, {domain.name: after[domain.name]}),
            "calls an item": calls / n,
            "seconds an item": seconds / n,
            "ends": dict(ends),
            "walks": kept,
        }
        told["gain"] = gain(before, after)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
        shown = {k: v for k, v in told["sets"][domain.name].items() if k != "walks"}
        print(domain.name, shown, flush=True)
    print(arguments.model, "gain", told["gain"])


if __name__ == "__main__":
    main()
