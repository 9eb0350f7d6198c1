r"""How near classifying pictures comes to the vision model alone, and whether memory stays flat.

A pack of pictures reads a file of many pictures from start to end: rows, decoding, model, heads,
descent, rows out. Against it stand, in the same process and in turns, a plain loop of forward
passes in batches of 32 over tensors that are ready, with all threads (`ratio`), and the model alone
in the way that the pipeline runs it, small blocks for each core (`ratio_to_spread`). Memory is the
peak of a process of its own for few and for many pictures. Pictures are made here: photographs in
size and grain, 480 x 360 JPEG.

python eval/bench/pictures_per_second.py --pictures 512 --repeats 5 \
    --out eval/results/pictures_per_second.json
python eval/bench/pictures_per_second.py --many 20000 --out eval/results/pictures_memory.json
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 32
KINDS = 512  # different pictures; a file of many names them again and again


def make(folder: Path) -> None:
    """Write pictures with the grain of photographs."""
    from PIL import Image, ImageFilter

    rng = np.random.default_rng(0)
    for at in range(KINDS):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        photo = coarse.resize((480, 360), Image.Resampling.BICUBIC)
        noise = rng.normal(0, 8, (360, 480, 3))
        pixels = (np.asarray(photo) + noise).clip(0, 255).astype(np.uint8)
        made = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(0.7))
        made.save(folder / f"{at}.jpg", quality=85)


def rows(folder: Path, n: int) -> Path:
    """A file that names n pictures."""
    path = folder / f"rows-{n}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["photo", "label"])
        writer.writerows(
            [f"{at % KINDS}.jpg", f"group {at % 4} > kind {at % 20}"] for at in range(n)
        )
    return path


def pack(folder: Path) -> Any:
    """A pack that was fitted to the pictures, whatever it learnt; its features are not kept."""
    import cascade
    from cascade.config import Columns
    from cascade.io.tables.opening import TableFile
    from cascade.pipeline.labels.making import taxonomy_of_labels
    from cascade.training.packs.fit import Fit
    from cascade.training.packs.recipe import Recipe

    out = folder / "pack"
    if not out.is_dir():
        source = TableFile(str(rows(folder, KINDS)))
        columns = Columns(image="photo", label="label")
        recipe = {"lexical": None, "sentence": None, "both": None, "routing": None}
        tree = taxonomy_of_labels([source], "label")
        job = Fit(source, tree, columns, Recipe.parse(recipe), out)
        job.prepare()
        job.run(lambda *_: None)
    clf = cascade.load(out)
    features(clf)._kept = None  # every picture is looked at
    return clf


def features(clf: Any) -> Any:
    """The features of pictures in a pack."""
    return clf._components.backbone("picture")


def classify(clf: Any, path: Path) -> float:
    """Seconds for a file, from its rows to rows with answers."""
    from cascade.config import Columns
    from cascade.io import open_output, open_table
    from cascade.pipeline.runs.answer_form import AnswerForm
    from cascade.pipeline.runs.table import classify_table

    started = time.perf_counter()
    out, form = path.with_suffix(".out.csv"), AnswerForm()
    columns = Columns(image="photo")
    with (
        open_table(path) as table,
        open_output(out, table, form.columns, source=path, overwrite=True) as sink,
    ):
        counts = classify_table(clf, table, sink, columns, form)
    assert counts.status == {"ok": counts.rows}, counts.status
    return time.perf_counter() - started


def bare(clf: Any, squares: list[Any]) -> float:
    """Seconds of a plain loop of forward passes over prepared pictures, with all threads."""
    found = features(clf)
    started = time.perf_counter()
    for at in range(0, len(squares), BATCH):
        found.vectors(squares[at : at + BATCH])
    return time.perf_counter() - started


def spread(clf: Any, squares: list[Any]) -> float:
    """Seconds of the model alone as the pipeline runs it: small blocks, one for each core."""
    from cascade.features.pictures import BLOCK, _model_threads

    found = features(clf)
    blocks = [squares[at : at + BLOCK] for at in range(0, len(squares), BLOCK)]
    started = time.perf_counter()
    list(_model_threads().map(found.vectors, blocks))
    return time.perf_counter() - started


def most() -> float:
    """Peak memory of this process in MiB; not of getrusage, which counts who started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(int(next(ln for ln in lines if ln.startswith("VmHWM:")).split()[1]) / 1024, 1)


def peak(folder: Path, n: int) -> dict[str, float]:
    """Peak memory and seconds of a process that classifies n pictures."""
    command = [sys.executable, __file__, "--inside", str(folder), "--pictures", str(n)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(told.splitlines()[-1])
    return found


def memory(folder: Path, many: int) -> dict[str, Any]:
    """Peak memory for many pictures and for a tenth of them."""
    found = [peak(folder, n) for n in (many // 10, many)]
    growth = found[1]["peak_mib"] / found[0]["peak_mib"]
    return {"memory": found, "ratio": round(growth, 3)}


def speed(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Pictures a second of the whole and of the bare model, in turns."""
    import torch

    from cascade.io.pictures import open_picture

    clf, path = pack(folder), rows(folder, args.pictures)
    prepare = features(clf)._model.preparation
    kinds = [prepare.square(open_picture(folder / f"{at}.jpg")) for at in range(KINDS)]
    squares = [kinds[at % KINDS] for at in range(args.pictures)]
    bare(clf, squares[:64])
    classify(clf, rows(folder, 64))
    times = [
        (bare(clf, squares), spread(clf, squares), classify(clf, path)) for _ in range(args.repeats)
    ]
    ratios = sorted(alone / whole for alone, _, whole in times)
    to_spread = float(np.median([alone / whole for _, alone, whole in times]))
    alone, parts, whole = (float(np.median(column)) for column in zip(*times, strict=True))
    return {
        "threads": torch.get_num_threads(),
        "repeats": args.repeats,
        "pictures_per_second": round(args.pictures / whole, 1),
        "bare_pictures_per_second": round(args.pictures / alone, 1),
        "spread_pictures_per_second": round(args.pictures / parts, 1),
        "ratio": round(float(np.median(ratios)), 3),
        "ratio_to_spread": round(to_spread, 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--many", type=int, help="measure memory for so many, and a tenth of them")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        took = classify(pack(args.inside), rows(args.inside, args.pictures))
        print(
            json.dumps({"pictures": args.pictures, "seconds": round(took, 1), "peak_mib": most()})
        )
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        pack(folder)
        found = memory(folder, args.many) if args.many else speed(folder, args)
    record = {"command": "python " + " ".join(sys.argv), "cores": os.cpu_count(), **found}
    print(json.dumps(record, indent=1))
    if args.out:
        args.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
