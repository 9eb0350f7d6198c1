"""Labelled rows from a catalogue: other names of base terms, with the term's code.

Common and scientific names, and those of the plant or animal that a raw commodity is from. A share
of the names is held out: none of them, in whatever spelling, stands in the other rows.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from cascade.foodex2.catalogue import COMMON_NAMES, SCIENTIFIC_NAMES, Catalogue
from cascade.io.files import write_text
from cascade.retrieval.word_overlap import words_of
from cascade.taxonomy.names import clean

SOURCE = "F01"
SHARED = 3  # base terms that a plant or animal may be the source of, to lend them its names
RECIPES = ("retriever.yaml", "reranker.yaml")
SPLITS = {"train": 0.7, "validation": 0.1, "test": 0.2}

Kind = Literal["common", "scientific", "source"]


@dataclass(frozen=True, slots=True)
class OtherName:
    """A name that a base term has beside its own."""

    text: str
    code: str
    kind: Kind


def other_names(catalogue: Catalogue, allowed: Collection[str]) -> list[OtherName]:
    """The other names of base terms, each once, but for those of the same words as the term's own.

    Parameters
    ----------
    allowed
        Codes of base terms.
    """
    found: dict[tuple[str, str], OtherName] = {}
    own = {code: _key(catalogue.terms[code].name) for code in allowed}
    sources: dict[str, list[str]] = {}
    for code in own:
        for descriptor in catalogue.terms[code].implied(SOURCE):
            sources.setdefault(descriptor, []).append(code)

    def add(code: str, of: str, attribute: str, kind: Kind) -> None:
        for text in map(clean, catalogue.terms[of].attributes.get(attribute, ())):
            key = _key(text)
            if key and key != own[code]:
                found.setdefault((key, code), OtherName(text, code, kind))

    for code in own:
        add(code, code, COMMON_NAMES, "common")
        add(code, code, SCIENTIFIC_NAMES, "scientific")
    for descriptor, codes in sources.items():
        if len(codes) <= SHARED and descriptor in catalogue.terms:
            for code in codes:
                add(code, descriptor, COMMON_NAMES, "source")
                add(code, descriptor, SCIENTIFIC_NAMES, "source")
    return list(found.values())


def split(names: Sequence[OtherName], seed: int = 0) -> Mapping[str, list[OtherName]]:
    """The names in `SPLITS`, those that are the same words together.

    Only common and scientific names of terms themselves are held out.
    """
    keys = sorted({_key(name.text) for name in names if name.kind != "source"})
    random.Random(seed).shuffle(keys)
    ends, at = {}, 0.0
    for part, share in SPLITS.items():
        at += share
        ends[part] = round(at * len(keys))
    place = {key: next(p for p, end in ends.items() if i < end) for i, key in enumerate(keys)}
    parts: dict[str, list[OtherName]] = {part: [] for part in SPLITS}
    for name in names:
        part = place.get(_key(name.text), "train")
        if part == "train" or name.kind != "source":
            parts[part].append(name)
    return parts


def write_rows(
    catalogue: Catalogue, allowed: Collection[str], folder: Path, seed: int = 0
) -> dict[str, int]:
    """Write `train.csv`, `validation.csv` and `test.csv`, with columns name, code and kind.

    Beside them come the recipes that learn of them, for `cascade finetune`.

    Returns
    -------
    Rows by split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for part, rows in split(other_names(catalogue, allowed), seed).items():
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["name", "code", "kind"])
        writer.writerows([row.text, row.code, row.kind] for row in rows)
        write_text(folder / f"{part}.csv", text.getvalue())
        counts[part] = len(rows)
    recipes = resources.files("cascade.foodex2") / "recipes"
    at = os.path.relpath(catalogue.file, folder)
    for recipe in RECIPES:
        text_of = (recipes / recipe).read_text("utf-8").replace("$CATALOGUE", json.dumps(at))
        write_text(folder / recipe, text_of)
    return counts


def _key(text: str) -> str:
    return " ".join(sorted(set(words_of(text))))
