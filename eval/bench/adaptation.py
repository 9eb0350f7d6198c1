r"""What `--adapt` gains in the whole program: answers of a classifier without and with it.

A fixed sample of each set (see `zero_shot_domains.py`), with both objectives. Prints hF1 and exact
of each set, and gains with 95% intervals over rows; nothing was chosen on GPC and Flipkart.

python eval/bench/adaptation.py --pairs pairs --rows 1000 --only SETS
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from zero_shot_domains import Floats, Part, all_domains, counted, figures, gain
from zero_shot_walk import REPORTED

import cascade
from cascade.retrieval.encoder import Encoder

OBJECTIVES = ("leaf", "hf1")


def answers(part: Part) -> dict[str, list[Floats]]:
    """Counts of rows for each objective: without, and with what was learnt of these rows."""
    found: dict[str, list[Floats]] = {}
    for objective in OBJECTIVES:
        classifier = cascade.load(part.taxonomy, descent={"objective": objective})
        for adapts in (False, True):
            if adapts:
                classifier.adapt(part.texts)
            nodes = [
                part.taxonomy.index(p.code) if p.code is not None else -1
                for p in classifier.classify_many(part.texts)
            ]
            counts = counted(part, np.array(nodes, np.int32))
            found.setdefault(objective, []).append(counts)
    return found


def remember_vectors() -> None:
    """Encode each text once, however often it is asked for."""
    encode, kept = Encoder.encode, dict[Any, Any]()

    def once(self: Encoder, texts: Any, **options: Any) -> Any:
        texts, how = list(texts), tuple(sorted(options.items()))
        new = list(dict.fromkeys(t for t in texts if (t, how) not in kept))
        if new:
            kept.update(zip([(t, how) for t in new], encode(self, new, **options), strict=True))
        return np.stack([kept[t, how] for t in texts])

    Encoder.encode = once  # type: ignore[method-assign, assignment]


def main() -> None:
    """Print a line for each set and objective, then gains."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--work", type=Path, default=Path("runs/zero_shot_domains"))
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    remember_vectors()
    rows: dict[str, dict[str, list[Floats]]] = {name: {} for name in OBJECTIVES}
    for domain in all_domains(arguments.pairs, arguments.rows, arguments.work, arguments.only):
        parts = [answers(part) for part in domain.parts]
        for objective in OBJECTIVES:
            both = [np.concatenate([part[objective][at] for part in parts]) for at in (0, 1)]
            rows[objective][domain.name] = both
            cells = " -> ".join("{:.3f} / {:.3f}".format(*figures([counts])) for counts in both)
            single = gain({"": both[0]}, {"": both[1]})
            print(f"{domain.name} {objective}: {cells} {single}", flush=True)
    for objective, by_set in rows.items():
        chosen = {name: both for name, both in by_set.items() if name not in REPORTED}
        for title, some in (("chosen", chosen), ("all", by_set)):
            if some:
                first, second = ({name: both[at] for name, both in some.items()} for at in (0, 1))
                print(f"{title}, {objective}: {gain(first, second)}")


if __name__ == "__main__":
    main()
