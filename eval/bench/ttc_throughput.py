r"""How near `--method ttc` on text comes to the sentence encoder alone.

A pack whose only heads read the sentence encoder classifies a file, from rows to rows with answers.
Against it stands, in the same process and in turns, `SentenceTransformer.encode` of the same texts
in one call, with the same weights, in the quickest of several sizes of batches. What other runtimes
make of the encoder is measured by `encoder_runtimes.py`. Ratios are of wall times; those of
processor times, which other work on the machine changes less, stand beside them (with one thread,
since idle threads spin). Texts are drawn from the products that ship, in two lengths: their names,
and names with the description.

python eval/bench/ttc_throughput.py --out eval/results/ttc_throughput.json
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from product_rows import COLUMNS, MAX_CHARS, rows, write
from recording import command, record

from cascade.models.runtime import precision_dtype
from cascade.models.sentence_encoder import load_sentence_transformer
from cascade.models.weights import find_weights

SIZES = (16, 32, 64, 128)
TARGET = 0.95
Vectors = np.ndarray[Any, np.dtype[np.float32]]


def pack(folder: Path, source: Path, text: list[str]) -> Any:
    """A pack with heads over the sentence encoder alone, whatever it learnt in a few steps."""
    import cascade
    from cascade.config import Columns
    from cascade.io.tables.opening import TableFile
    from cascade.pipeline.labels.making import taxonomy_of_labels
    from cascade.training.packs.fit import Fit
    from cascade.training.packs.recipe import Recipe

    read = TableFile(str(source), limit=400)
    recipe = {
        "lexical": None,
        "both": None,
        "routing": None,
        "sentence": {
            "columns": text,
            "max_chars": MAX_CHARS,
            "again_below": 0,
            "again_epochs": 0,
            "tuning": {"epochs": 0.1, "least_steps": 2},
        },
    }
    columns = Columns(text=text, label="label")
    job = Fit(read, taxonomy_of_labels([read], "label"), columns, Recipe.parse(recipe), folder)
    job.prepare()
    job.run(lambda *_: None)
    found = cascade.load(folder)
    found.config.method = "ttc"
    return type(found)(found.taxonomy, found.config)


def classify(clf: Any, path: Path, text: list[str]) -> None:
    """A file from its rows to rows with answers."""
    from cascade.config import Columns
    from cascade.io import open_output, open_table
    from cascade.pipeline.runs.answer_form import AnswerForm
    from cascade.pipeline.runs.table import classify_table

    form = AnswerForm()
    with (
        open_table(path) as table,
        open_output(path.with_suffix(".out.csv"), table, form.columns, overwrite=True) as sink,
    ):
        counts = classify_table(clf, table, sink, Columns(text=text), form)
    assert "error" not in counts.status, counts.status


def halved(model: Any) -> Any:
    """The model with weights in half precision where the hardware has it, averaged in float32."""
    model = deepcopy(model)
    model[0].to(precision_dtype("auto", "cpu")).register_forward_hook(_widen)
    return model


def _widen(module: Any, inputs: Any, output: dict[str, Any]) -> dict[str, Any]:
    return output | {"token_embeddings": output["token_embeddings"].float()}


def bare(model: Any, texts: list[str], size: int) -> Vectors:
    """All texts by sentence-transformers in one call, which sorts them by length."""
    found: Vectors = model.encode(
        texts, batch_size=size, normalize_embeddings=True, show_progress_bar=False
    )
    return found


def seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """How long something takes: by the clock, and of the processor."""
    started, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - cpu


def stages(clf: Any, path: Path, text: list[str]) -> dict[str, float]:
    """What the time of classifying goes into, in shares of the whole."""
    before = dict(clf.seconds)
    whole, _ = seconds(lambda: classify(clf, path, text))
    spent = {name: value - before.get(name, 0.0) for name, value in clf.seconds.items()}
    spent["rows in and out"] = whole - sum(spent.values())
    return {name: round(value / whole, 3) for name, value in spent.items()}


def measure(folder: Path, what: str, args: argparse.Namespace) -> dict[str, Any]:
    """Items a second of the pack and of the ways of encoding, in turns."""
    text, made = COLUMNS[what], rows(args.rows)
    path = write(folder / f"{what}.csv", made)
    clf = pack(folder / f"pack of {what}", path, text)
    features = clf._components.backbone("sentence")
    items = [{column: row[column] for column in text} for row in made]
    texts = [features.text(clf._item(item)) for item in items]
    model = halved(load_sentence_transformer(find_weights("minilm"), "cpu"))
    ways = {f"batches of {n}": lambda n=n: bare(model, texts, n) for n in SIZES}
    ways["ttc"] = lambda: classify(clf, path, text)
    runs: dict[str, list[tuple[float, float]]] = {}
    for way in ways.values():
        way()
    for _ in range(args.repeats):
        for name, way in ways.items():
            runs.setdefault(name, []).append(seconds(way))
    best = min(SIZES, key=lambda n: median(wall for wall, _ in runs[f"batches of {n}"]))
    ratios = {name: ratio(runs[f"batches of {best}"], taken) for name, taken in runs.items()}
    return {
        "texts": what,
        "mean_chars": round(sum(map(len, texts)) / len(texts), 1),
        "best_batches": best,
        "ratio": ratios["ttc"][0],
        "cpu_ratio": ratios["ttc"][1],
        "stages": stages(clf, path, text),
        "ways": [
            {
                "way": name,
                "items_per_second": round(len(texts) / median(wall for wall, _ in taken)),
                "items_per_cpu_second": round(len(texts) / median(cpu for _, cpu in taken)),
                "to_bare": ratios[name][0],
                "cpu_to_bare": ratios[name][1],
            }
            for name, taken in runs.items()
        ],
    }


def ratio(bare: list[tuple[float, float]], taken: list[tuple[float, float]]) -> list[float]:
    """How near one comes to the bare encoder: medians by the clock, and of the processor."""
    pairs = list(zip(bare, taken, strict=True))
    return [round(median(b[at] / t[at] for b, t in pairs), 3) for at in (0, 1)]


def markdown(command: str, result: dict[str, Any]) -> str:
    """The figures as tables, and the command that made them."""
    parts = ["# ttc_throughput\n"]
    for found in result["found"]:
        parts.append(
            f"{found['texts'].capitalize()}, {found['mean_chars']} characters on average: all of "
            f"`--method ttc` reaches **{found['ratio']:.3f}** of the bare encoder in its quickest "
            f"batches ({found['best_batches']}) by the clock, {found['cpu_ratio']:.3f} of the "
            f"processor (medians of {result['repeats']}; wanted: {TARGET}). Shares of its time: "
            + ", ".join(f"{name} {share:.1%}" for name, share in found["stages"].items())
            + ".\n\n| way | items/s | items per processor second | to bare | of the processor |\n"
            "| --- | --- | --- | --- | --- |"
        )
        parts += [
            f"| {way['way']} | {way['items_per_second']:,} | {way['items_per_cpu_second']:,} "
            f"| {way['to_bare']:.3f} | {way['cpu_to_bare']:.3f} |"
            for way in found["ways"]
        ]
        parts.append("")
    parts.append(
        f"{result['rows']:,} rows, {result['cores']} cores, {result['threads']} threads, load "
        f"average {result['load_average_before']} before, torch {result['torch']}, "
        f"sentence-transformers {result['sentence_transformers']}. Made by:\n\n"
        f"```sh\n{command}\n```\n"
    )
    return "\n".join(parts)


def main() -> None:
    """Measure and record; the exit status is 1 where what is wanted is not reached."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--texts", nargs="+", choices=list(COLUMNS), default=list(COLUMNS))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        found = [measure(Path(folder), what, args) for what in args.texts]
    result = {
        "rows": args.rows,
        "repeats": args.repeats,
        "load_average_before": load,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "sentence_transformers": version("sentence-transformers"),
        "found": found,
    }
    page = markdown(command(), result)
    print(page)
    if args.out:
        record(args.out, result, page)
    if min(each["ratio"] for each in found) < TARGET:
        sys.exit(1)


if __name__ == "__main__":
    main()
