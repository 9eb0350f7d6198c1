"""What `--first-pass` saves, and what it costs: rows a second, and hierarchical F1.

For each set with labels, which nothing learns from: the encoder answers rows drawn from it, the
first pass learns from a part of them, and both answer all others, once. Then rows are given to the
first pass, those that it doubts least first: for each share that it may answer, hF1 of the mixture
against that of the encoder alone, on the same rows, with a 95% interval by paired resampling. `own`
is the share that the first pass chooses itself, with what it expected to lose.

Speed is that of rows from file to file (CSV, in this process, one thread), in processor seconds, in
turns, medians. The file is composed of real rows of many sets, no text twice, in an order drawn at
random; it is filed under the taxonomy of offers. With `--whole` the command is run once more over
all of it, with what it needs to learn.

    OMP_NUM_THREADS=1 python eval/bench/static_pass.py --out eval/results/static_pass.json --whole
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recording import command, record

import cascade
from cascade.config import Columns
from cascade.io import open_output, open_table
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.doors import hastening
from cascade.pipeline.runs import table as runs
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.scoring.first_pass.choosing import Choosing
from cascade.scoring.first_pass.deciding import FirstPass
from cascade.taxonomy import Taxonomy

DATA = Path(os.environ.get("CASCADE_DATA", "../shared/data"))
CHOSEN_ON = ("instacart", "amazon_uk_toys", "naics2022_index", "noc2016_titles", "fashion_myntra")
REPORTED = ("gpc", "wholefoods_us", "mind_news", "trec_questions", "hwu64", "onet_occupations")
COMPOSED = (
    *("gpc", "instacart", "wholefoods_us", "flipkart20k", "amazon_uk_toys", "fashion_myntra"),
    *("shopify_to_google", "hs_subheadings", "onet_occupations", "noc2016_titles"),
)
SHARES = (0.5, 0.75, 0.9, 0.95, 1.0)
ALL: dict[str, Any] = {"most": 2.0, "lowest": -1.0, "share": 1.0}  # of a first pass sure of all
Floats = NDArray[np.float64]


def rows_of(name: str) -> tuple[list[tuple[str, str]], Path]:
    """Text and label of each row of a set, no text twice, drawn at random; and its taxonomy."""
    folder = DATA / ("gpc_offers" if name == "gpc" else f"pairs/{name}")
    found: dict[str, tuple[str, str]] = {}
    files = ("train.csv", "validation.csv") if name == "gpc" else ("items.csv",)
    for file in files:
        with (folder / file).open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                text = row["name" if name == "gpc" else "text"]
                key = " ".join(text.casefold().split())
                if key:
                    found.setdefault(key, (" ".join(text.split()), row["label"]))
    rows = list(found.values())
    order = np.random.default_rng(0).permutation(len(rows))
    return [rows[at] for at in order.tolist()], folder / "taxonomy.csv"


def hf1(taxonomy: Taxonomy, codes: list[str | None], golds: list[int]) -> Floats:
    """Hierarchical F1 of each row."""
    out = np.zeros(len(codes))
    for row, (code, gold) in enumerate(zip(codes, golds, strict=True)):
        if code is not None:
            own = set(taxonomy.path_nodes(taxonomy.index(code)).tolist())
            right = set(taxonomy.path_nodes(gold).tolist())
            out[row] = 2 * len(own & right) / (len(own) + len(right))
    return out


def quality(name: str, most: int) -> dict[str, Any]:
    """What the first pass loses on one set."""
    rows, source = rows_of(name)
    taxonomy = Taxonomy.load(source)
    known = {taxonomy.path(node): node for node in range(len(taxonomy))}
    rows = [row for row in rows if row[1] in known][:most]
    taught = rows[: max(len(rows) // 3, min(6000, len(rows) // 2))]
    asked = rows[len(taught) :]
    texts, golds = [text for text, _ in asked], [known[label] for _, label in asked]
    clf = cascade.load(taxonomy, method="retrieval")
    by_encoder = hf1(taxonomy, [p.code for p in clf.classify_many(texts)], golds)
    started = time.process_time()
    hastening.PART = 1  # all of them, not a quarter: no other rows are there
    learnt = clf.learn_first_pass([text for text, _ in taught])
    took = time.process_time() - started
    clf.first_pass = replace(learnt, **ALL)
    by_first = hf1(taxonomy, [p.code for p in clf.classify_many(texts)], golds)
    doubt, sure = judged(learnt, taxonomy, texts)
    order = np.lexsort((doubt, ~sure))
    lost = (by_encoder - by_first)[order]
    own = int(sure.sum())
    found = {"set": name, "chosen_on": name in CHOSEN_ON, "nodes": len(taxonomy)}
    found |= {"rows": len(asked), "taught": learnt.items, "seconds_to_learn": round(took, 1)}
    found |= {"hf1_encoder": round(by_encoder.mean(), 4), "own": part(lost, own)}
    found["own"]["expected"] = round(learnt.loss, 4)
    found["shares"] = {str(s): part(lost, round(s * len(lost))) for s in SHARES}
    print(found, flush=True)
    return found


def judged(
    learnt: FirstPass, taxonomy: Taxonomy, texts: list[str]
) -> tuple[Floats, NDArray[np.bool_]]:
    """The doubt of the first pass in its answer to each text, and of which it is sure."""
    assert learnt.doubt is not None
    p, readable = learnt.probabilities(texts)
    _, signs = Choosing(taxonomy).of(p)
    doubt = np.where(readable, learnt.doubt.of(signs).astype(np.float64), 2)
    return doubt, readable & learnt.is_sure(signs)


def part(lost: Floats, n: int) -> dict[str, Any]:
    """Share, mean loss over all rows, and its 95% interval, where the first n are answered."""
    held = np.where(np.arange(len(lost)) < n, lost, 0.0)
    rng = np.random.default_rng(0)
    means = [held[rng.integers(len(held), size=len(held))].mean() for _ in range(1000)]
    low, high = np.percentile(means, [2.5, 97.5])
    return {
        "share": round(n / len(lost), 3),
        "lost": round(float(held.mean()), 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
    }


def compose(path: Path) -> list[str]:
    """Write a file of real rows, no text twice; its texts."""
    found: dict[str, str] = {}
    for name in COMPOSED:
        for text, _ in rows_of(name)[0]:
            found.setdefault(text.casefold(), text)
    texts = list(found.values())
    texts = [texts[at] for at in np.random.default_rng(1).permutation(len(texts)).tolist()]
    write(path, texts)
    return texts


def write(path: Path, texts: list[str]) -> None:
    """Write texts as a CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["name"], *([text] for text in texts)])


def file_to_file(clf: Classifier, source: Path) -> float:
    """Processor seconds from a file to its output."""
    columns, form = Columns(text=["name"]), AnswerForm()
    out = source.with_suffix(".out.csv")
    started = time.process_time()
    with (
        open_table(source) as table,
        open_output(str(out), table, form.columns, overwrite=True) as output,
    ):
        runs.classify_table(clf, table, output, columns, form)
    return time.process_time() - started


def speed(folder: Path, texts: list[str], rows: int, repeats: int) -> dict[str, Any]:
    """Rows a second of the encoder, and with shares of the rows answered by the first pass."""
    source = DATA / "gpc_offers/taxonomy.csv"
    clf = cascade.load(str(source), method="retrieval")
    quick = cascade.load(str(source), method="retrieval", retrieval={"first_pass": True})
    learnt = quick.learn_first_pass(texts)
    few, many = folder / "few.csv", folder / "many.csv"
    asked = texts[-rows:]
    write(few, asked[:1024])
    write(many, asked)
    doubt, sure = judged(learnt, quick.taxonomy, asked)
    rising = np.sort(doubt)
    most = {s: float(rising[min(round(s * rows), rows - 1)]) for s in SHARES}
    alone: list[float] = []
    seconds: dict[float, list[float]] = {s: [] for s in SHARES}

    def given(first: FirstPass) -> None:
        # What was learnt is given to each run, so that answering alone is measured.
        runs.learn_first_pass = lambda *_: first  # type: ignore[attr-defined]
        quick.first_pass = first

    for turn in range(repeats + 1):
        took = file_to_file(clf, few)
        for share in SHARES:
            given(replace(learnt, **ALL | {"most": most[share]}))
            seconds[share].append(file_to_file(quick, many))
        alone.append(took)
        if turn == 0:  # warm
            alone.clear()
            seconds = {s: [] for s in SHARES}
        print("turn", turn, flush=True)
    encoder = 1024 / median(alone)
    found = {s: rows / median(each) for s, each in seconds.items()}
    return {
        "rows": rows,
        "encoder_rows_per_second": round(encoder, 1),
        "own_share": round(float(sure.mean()), 3),
        "rows_per_second": {str(s): round(rate) for s, rate in found.items()},
        "times_the_encoder": {str(s): round(rate / encoder, 1) for s, rate in found.items()},
        "load": round(os.getloadavg()[0], 1),
    }


def whole(source: Path, n: int) -> dict[str, Any]:
    """The command over all rows, as users run it: processor seconds, with start and learning."""
    words = [sys.executable, "-m", "cascade", "classify", str(source), "--text", "name"]
    words += ["-t", str(DATA / "gpc_offers/taxonomy.csv"), "--first-pass", "--overwrite"]
    out = source.with_suffix(".whole.csv")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*words, "-o", str(out)], check=False, capture_output=True, text=True)
    if done.returncode not in (0, 3):  # 3: some rows cannot be read
        raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with out.open(encoding="utf-8", newline="") as stream:
        by_first = sum(row["cascade_source"] == "first_pass" for row in csv.DictReader(stream))
    return {
        "rows": n,
        "share": round(by_first / n, 3),
        "processor_seconds": round(seconds, 1),
        "rows_per_second": round(n / seconds),
        "peak_memory_mib": round(after.ru_maxrss / 1024),
    }


def page(result: dict[str, Any]) -> str:
    """The figures as Markdown."""
    heads = " | ".join(f"{float(s):.0%}" for s in SHARES)
    lines = ["# A static first pass", "", (__doc__ or "").split("\n\n    ")[0], ""]
    if rate := result.get("speed"):
        times = " | ".join(f"{t:.1f}" for t in rate["times_the_encoder"].values())
        rates = " | ".join(f"{r:,}" for r in rate["rows_per_second"].values())
        lines += [f"## Rows a second, {rate['rows']:,} rows from file to file", ""]
        lines += [f"The encoder alone: {rate['encoder_rows_per_second']:,.0f} rows/s.", ""]
        lines += [f"| answered by the first pass | {heads} |", "| --- |" + " --- |" * len(SHARES)]
        lines += [f"| rows/s | {rates} |", f"| times the encoder | {times} |", ""]
    if all_rows := result.get("whole"):
        lines += [
            f"The command over all {all_rows['rows']:,} rows, with start and learning: "
            f"{all_rows['processor_seconds']:,.0f} processor seconds "
            f"({all_rows['rows_per_second']:,} rows/s), {all_rows['share']:.0%} of the rows "
            f"answered by the first pass, at most {all_rows['peak_memory_mib']:,} MiB.",
            "",
        ]
    lines += ["## hF1 lost to the encoder alone, over all rows", ""]
    lines += [
        f"| set | nodes | rows | taught by | hF1 of the encoder | {heads} | own share | own |"
    ]
    lines += ["| --- |" + " --- |" * (6 + len(SHARES))]
    for each in result.get("quality", []):
        cells = [each["set"] + (" (chosen on)" if each["chosen_on"] else ""), each["nodes"]]
        cells += [f"{each['rows']:,}", f"{each['taught']:,}", f"{each['hf1_encoder']:.3f}"]
        cells += [shown(own) for own in each["shares"].values()]
        own = each["own"]
        cells += [f"{own['share']:.0%}", f"{shown(own)}; expected {own['expected']:.4f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += [
        "",
        "Negative: the mixture is better than the encoder. In brackets 95% intervals.",
        "",
    ]
    own = dict.fromkeys(result["commands"].values())
    return "\n".join([*lines, *(f"    {each}" for each in own), ""])


def shown(own: dict[str, Any]) -> str:
    """A loss with its interval."""
    low, high = own["interval"]
    return f"{own['lost']:+.4f} [{low:+.4f}, {high:+.4f}]"


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sets", nargs="*", default=[*REPORTED, *CHOSEN_ON])
    parser.add_argument("--most", type=int, default=12_000, help="rows of a set")
    parser.add_argument("--rows", type=int, default=8192, help="rows of the file for speed")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="what --out has and is not measured")
    parser.add_argument("--whole", action="store_true", help="run the command over all rows too")
    args = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.repeats:
            texts = compose(folder / "all.csv")
            print(f"{len(texts):,} different texts", flush=True)
            result["speed"] = speed(folder, texts, args.rows, args.repeats)
            print(result["speed"], flush=True)
            if args.whole:
                result["whole"] = whole(folder / "all.csv", len(texts))
                print(result["whole"], flush=True)
    found = [quality(each, args.most) for each in args.sets]
    if found:
        result["quality"] = found
    if args.out is not None:
        told = {part: command() for part in result}
        if args.keep:
            earlier = json.loads(args.out.read_text("utf-8"))
            earlier.pop("command", None)
            told, result = earlier.get("commands", {}) | told, earlier | result
        result["commands"] = told
        record(args.out, result, page(result))


if __name__ == "__main__":
    main()
