r"""What the first hour brings: right answers by the number of labels that the program asked for.

Rows of a training file are taken as unlabelled; what `cascade start` asks for is answered by their
labels, round by round; each pack answers a validation file. Beside it as many labels of rows that
are drawn at random, with logistic regression over vectors of either encoder that ships. Prints hF1
and exact for each number of labels, differences with 95% intervals over rows (paired; of all seeds
together), and whether what was told to expect was true.

python eval/bench/first_hour.py --train gpc_offers/train.csv --test gpc_offers/validation.csv \
    --taxonomy gpc_offers/taxonomy.csv --text name --label label
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import cascade
from cascade.config import CascadeConfig, Columns
from cascade.io.tables.opening import TableFile
from cascade.labelling.first_hour import FirstHour
from cascade.labelling.telling import Told
from cascade.retrieval.encoder import Encoder
from cascade.scoring.components import settle_defaults
from cascade.taxonomy import Taxonomy

csv.field_size_limit(10**9)
LABELS = (0, 50, 100, 200, 500)
ENCODERS = ("minilm", "cascade-minilm-1")
RESAMPLES = 1000
Counts = NDArray[np.float64]
"""float64 [n_rows, 3]: twice the nodes that paths share, nodes of both, whether right."""


class Rows:
    """Rows of a file with text and a known label."""

    def __init__(self, path: Path, tree: Taxonomy, text: str, label: str) -> None:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        found = [(row[text], tree.find(row[label])) for row in rows if row[text].strip()]
        self.texts = [text for text, node in found if node is not None]
        self.nodes = np.array([node for _, node in found if node is not None], np.int32)

    def part(self, rows: NDArray[np.int64]) -> Rows:
        """Some of them."""
        made = object.__new__(Rows)
        made.texts, made.nodes = [self.texts[row] for row in rows.tolist()], self.nodes[rows]
        return made


def counted(tree: Taxonomy, gold: NDArray[np.int32], answers: list[int]) -> Counts:
    """What hF1 and exact are made of."""
    found = np.empty((len(gold), 3))
    for row, (node, answer) in enumerate(zip(gold.tolist(), answers, strict=True)):
        one, other = set(tree.path_nodes(node).tolist()), set(tree.path_nodes(answer).tolist())
        found[row] = 2 * len(one & other), len(one) + len(other), node == answer
    return found


def figures(counts: Counts) -> tuple[float, float]:
    """hF1 and exact."""
    over, under, right = counts.sum(axis=0)
    return float(over / under), float(right / len(counts))


def gain(first: Counts, second: Counts) -> str:
    """By how much the second is better in hF1 and in exact, with 95% intervals."""
    rng, n = np.random.default_rng(0), len(first)
    times = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(float)
    one, other = times @ first, times @ second
    spread = (
        other[:, 0] / other[:, 1] - one[:, 0] / one[:, 1],
        (other[:, 2] - one[:, 2]) / n,
    )
    values = np.subtract(figures(second), figures(first))
    cells = []
    for value, drawn in zip(values, spread, strict=True):
        low, high = np.quantile(drawn, [0.025, 0.975])
        cells.append(f"{value:+.3f} ({low:+.3f} to {high:+.3f})")
    return ", ".join(cells)


def answered(classifier: Any, tree: Taxonomy, rows: Rows) -> Counts:
    """What a classifier answers, down to a leaf."""
    whole = [
        tree.index(p.code) if p.code is not None else int(tree.leaves[0])
        for p in classifier.classify_many(rows.texts)
    ]
    return counted(tree, rows.nodes, whole)


def hour(pool: Rows, test: Rows, tree: Taxonomy, seed: int, work: Path) -> dict[str, Counts]:
    """Answers after each number of labels."""
    file = work / f"rows-{seed}.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["name"])
        writer.writerows([text] for text in pool.texts)
    config = CascadeConfig()
    config.columns = Columns(text=["name"])
    settle_defaults(config, tree)
    made = FirstHour(work / f"hour-{seed}", TableFile(str(file)), tree, config, seed=seed)
    made.begin(overwrite=True)
    found: dict[str, Counts] = {}
    told: dict[int, Told] = {}
    for labels, after in zip(LABELS, (*LABELS[1:], LABELS[-1] + 1), strict=True):
        made.count = after - labels
        if labels:
            rows = told[max(told)].asked
            made.take_labels({row: tree.codes[pool.nodes[row - 1]] for row in rows})
        began = time.perf_counter()
        told[labels] = made.run()
        took = time.perf_counter() - began
        pack = cascade.load(made.pack, calibration={"least": 0.0})
        found[f"start {labels}"] = answered(pack, tree, test)
        _compare_expected(made, told[labels], answered(pack, tree, pool))
        cells = "{:.3f} / {:.3f}".format(*figures(found[f"start {labels}"]))
        print(f"seed {seed}, {labels} labels: {cells}, {took:.0f} s", flush=True)
    return found


def at_random(pool: Rows, test: Rows, tree: Taxonomy, seed: int) -> dict[str, Counts]:
    """Answers of logistic regression on rows that are drawn at random."""
    from sklearn.linear_model import LogisticRegression

    order, found = np.random.default_rng(seed).permutation(len(pool.texts)), {}
    for name in ENCODERS:
        encoder = Encoder.load(name)
        x, y = encoder.encode(pool.texts), encoder.encode(test.texts)
        for labels in (*LABELS[1:], 2 * LABELS[-2], 2 * LABELS[-1]):
            rows = order[:labels]
            model = LogisticRegression(C=10, max_iter=1000).fit(x[rows], pool.nodes[rows])
            answers = [int(node) for node in model.predict(y)]
            found[f"random {name} {labels}"] = counted(tree, test.nodes, answers)
    return found


def remember_vectors() -> None:
    """Encode each text once with each encoder, however often it is asked for."""
    encode, kept = Encoder.encode, dict[Any, Any]()

    def once(self: Encoder, texts: Any, **options: Any) -> Any:
        texts, how = list(texts), (self.identity, *sorted(options.items()))
        new = list(dict.fromkeys(t for t in texts if (t, how) not in kept))
        if new:
            kept.update(zip([(t, how) for t in new], encode(self, new, **options), strict=True))
        return np.stack([kept[t, how] for t in texts])

    Encoder.encode = once  # type: ignore[method-assign, assignment]


def main() -> None:
    """Print a table, differences and what was expected."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("train", "test", "taxonomy"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--text", default="name")
    parser.add_argument("--label", default="label")
    parser.add_argument("--rows", type=int, default=3000, help="unlabelled rows")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="folder that is kept; a temporary one if None")
    arguments = parser.parse_args()
    remember_vectors()
    tree = Taxonomy.load(arguments.taxonomy)
    train = Rows(arguments.train, tree, arguments.text, arguments.label)
    test = Rows(arguments.test, tree, arguments.text, arguments.label)
    by_name: dict[str, list[Counts]] = {}
    zero = answered(cascade.load(tree, calibration={"least": 0.0}), tree, test)
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for seed in range(arguments.seeds):
            rows = np.random.default_rng(seed).permutation(len(train.texts))[: arguments.rows]
            pool = train.part(np.sort(rows))
            found = hour(pool, test, tree, seed, work)
            found |= at_random(pool, test, tree, seed) | {"names": zero}
            for name, counts in found.items():
                by_name.setdefault(name, []).append(counts)
    _print(by_name)


def _compare_expected(made: FirstHour, told: Told, counts: Counts) -> None:
    """Print what was told to expect beside what is true of the rows that have no label."""
    if told.expected is not None:
        values = ", ".join(f"{n} {getattr(told.expected, n)}" for n in ("exact", "hf1", "more"))
        labelled = np.array(list(made.state.labels)) - 1
        hf1, exact = figures(np.delete(counts, labelled, axis=0))
        print(f"  expected: {values}; true: exact {exact:.3f}, hf1 {hf1:.3f}", flush=True)


def _print(by_name: dict[str, list[Counts]]) -> None:
    # Seeds have the same test rows, so that a row stands for itself under all of them.
    whole = {name: np.mean(counts, axis=0) for name, counts in by_name.items()}
    for name, counts in whole.items():
        each = ", ".join("{:.3f} / {:.3f}".format(*figures(one)) for one in by_name[name])
        print(f"| {name} | {'{:.3f} / {:.3f}'.format(*figures(counts))} | {each} |")
    print("start 0 over names:", gain(whole["names"], whole["start 0"]))
    for labels in LABELS[1:]:
        for encoder in ENCODERS:
            for times in (1, 2):
                other = whole.get(f"random {encoder} {times * labels}")
                if other is not None:
                    text = gain(other, whole[f"start {labels}"])
                    print(f"start {labels} over random {encoder} {times * labels}: {text}")


if __name__ == "__main__":
    main()
