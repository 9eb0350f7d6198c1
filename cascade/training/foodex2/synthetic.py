"""Training data from a catalogue alone: other names of base terms, and composed descriptions.

Labelled descriptions of foods are private data. The catalogue tells what terms are called and what
may stand together; phrases of our own make descriptions of that.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import yaml

from cascade.errors import UsageError
from cascade.foodex2.catalogue import COMMON_NAMES, SCIENTIFIC_NAMES, Catalogue
from cascade.foodex2.code import FoodCode
from cascade.foodex2.rules import Checker
from cascade.foodex2.taxonomy import wording
from cascade.io.files import write_text
from cascade.retrieval.words.overlap import words_of
from cascade.taxonomy.facets import Facet, FacetedTaxonomy
from cascade.taxonomy.names import clean

SOURCE = "F01"
MAX_SHARED = 3  # base terms that may have the same source and still get its names
RECIPES = ("retriever.yaml", "reranker.yaml")
SPLITS = {"train": 0.7, "validation": 0.1, "test": 0.2}

ASIDE = re.compile(r"\s*\((?:as|generic|feed|dry|deprecated)\b[^)]*\)|-$")
ASIDE_SHARE = 0.2  # of descriptions that mention something else besides
TRIES = 20  # to find a facet that the rules accept

Kind = Literal["common", "scientific", "source"]
Words = Literal["catalogue", "ours"]
"""Whose words descriptors are told in."""


@dataclass(frozen=True, slots=True)
class OtherName:
    """A name of a base term besides its own; `source`: of the plant or animal it comes from."""

    text: str
    code: str
    kind: Kind


def other_names(catalogue: Catalogue, allowed: Collection[str]) -> list[OtherName]:
    """The other names of base terms, without those that have the same words as the own name.

    Parameters
    ----------
    allowed
        Codes of base terms.
    """
    found: dict[tuple[str, str], OtherName] = {}
    own = {code: _word_key(catalogue.terms[code].name) for code in allowed}
    with_source: dict[str, list[str]] = {}
    for code in own:
        for descriptor in catalogue.terms[code].implied(SOURCE):
            with_source.setdefault(descriptor, []).append(code)

    def add(code: str, term: str, attribute: str, kind: Kind) -> None:
        for text in map(clean, catalogue.terms[term].attributes.get(attribute, ())):
            key = _word_key(text)
            if key and key != own[code]:
                found.setdefault((key, code), OtherName(text, code, kind))

    for code in own:
        add(code, code, COMMON_NAMES, "common")
        add(code, code, SCIENTIFIC_NAMES, "scientific")
    for descriptor, codes in with_source.items():
        if len(codes) <= MAX_SHARED and descriptor in catalogue.terms:
            for code in codes:
                add(code, descriptor, COMMON_NAMES, "source")
                add(code, descriptor, SCIENTIFIC_NAMES, "source")
    return list(found.values())


def split_names(names: Sequence[OtherName], seed: int = 0) -> Mapping[str, list[OtherName]]:
    """The names in `SPLITS`; names of the same words are in the same split.

    Only common and scientific names are held out.
    """
    keys = sorted({_word_key(name.text) for name in names if name.kind != "source"})
    random.Random(seed).shuffle(keys)
    ends, at = {}, 0.0
    for part, share in SPLITS.items():
        at += share
        ends[part] = round(at * len(keys))
    part_of = {key: next(p for p, end in ends.items() if i < end) for i, key in enumerate(keys)}
    parts: dict[str, list[OtherName]] = {part: [] for part in SPLITS}
    for name in names:
        part = part_of.get(_word_key(name.text), "train")
        if part == "train" or name.kind != "source":
            parts[part].append(name)
    return parts


def write_rows(
    catalogue: Catalogue, allowed: Collection[str], folder: Path, seed: int = 0
) -> dict[str, int]:
    """Write other names as `train.csv`, `validation.csv` and `test.csv`: name, code and kind.

    Also writes recipes for `cascade finetune` that learn from them.

    Returns
    -------
    Rows by split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for part, names in split_names(other_names(catalogue, allowed), seed).items():
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["name", "code", "kind"])
        writer.writerows([name.text, name.code, name.kind] for name in names)
        write_text(folder / f"{part}.csv", text.getvalue())
        counts[part] = len(names)
    file = json.dumps(os.path.relpath(catalogue.file, folder))
    for recipe in RECIPES:
        write_text(folder / recipe, _shipped(recipe).replace("$CATALOGUE", file))
    return counts


def split_bases(codes: Sequence[str], seed: int = 0) -> Mapping[str, list[str]]:
    """Base terms in `SPLITS`, so that descriptions of one are in no other split."""
    shuffled = list(codes)
    random.Random(seed).shuffle(shuffled)
    n = len(shuffled)
    return {
        "test": shuffled[: n // 5],
        "validation": shuffled[n // 5 : 3 * n // 10],
        "train": shuffled[3 * n // 10 :],
    }


@dataclass(frozen=True, slots=True)
class Description:
    """A description of a food with its code."""

    text: str
    code: FoodCode


class Composer:
    """Composes descriptions: a base term in everyday words, and descriptors in any order.

    Their codes pass EFSA's rules.

    Parameters
    ----------
    words
        For descriptors: names of the `catalogue`, or `ours`, so that descriptions have words that a
        search among the names of the catalogue does not see.
    """

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        catalogue: Catalogue,
        checker: Checker,
        *,
        words: Words = "catalogue",
        seed: int = 0,
    ) -> None:
        self._recipe = yaml.safe_load(_shipped("descriptions.yaml"))
        self._random = random.Random(seed)
        self._catalogue, self._checker = catalogue, checker
        self._words = words
        self._descriptors = {}
        for code in self._recipe["categories"]:
            if category := taxonomy.categories.get(code):
                reportable = zip(category.tree.codes, category.reportable, strict=True)
                self._descriptors[code] = [
                    c for c, may in reportable if may and self._names_of_descriptor(c)
                ]
        self._categories = {
            code: own
            for code, own in self._recipe["categories"].items()
            if self._descriptors.get(code)
        }

    def compose(self, bases: Sequence[str], n: int) -> Iterator[Description]:
        """n descriptions of foods, whose base terms are drawn from `bases`.

        Raises
        ------
        UsageError
            There is no base term to draw from.
        """
        if not bases:
            raise UsageError("there is no base term to compose descriptions of")
        counts = self._recipe["counts"]
        for _ in range(n):
            base = self._random.choice(bases)
            wanted = self._random.choices(range(len(counts)), counts)[0]
            code = FoodCode(base)
            for _ in range(wanted):
                code = self._with_facet(code)
            yield Description(self._text(code), code)

    def _with_facet(self, code: FoodCode) -> FoodCode:
        """The code with one more facet that the rules accept; as it is if none is found."""
        codes = list(self._categories)
        weights = [self._categories[c]["weight"] for c in codes]
        taken = {facet.category for facet in code.facets}
        for _ in range(TRIES):
            category = self._random.choices(codes, weights)[0]
            facet = Facet(category, self._random.choice(self._descriptors[category]))
            if category in taken or facet.descriptor == code.base:
                continue
            extended = FoodCode(code.base, (*code.facets, facet))
            if not self._checker.refusal(str(extended)):
                return extended
        return code

    def _text(self, code: FoodCode) -> str:
        parts = [self._random.choice(self._names(code.base))]
        for facet in self._random.sample(code.facets, len(code.facets)):
            phrase = self._random.choice(self._categories[facet.category]["phrases"])
            part = phrase.format(d=self._random.choice(self._names_of_descriptor(facet.descriptor)))
            if phrase == "{d}" and self._random.random() < 0.3:
                parts.insert(0, part)
            else:
                parts.append(part)
        if self._random.random() < ASIDE_SHARE:
            parts.append(self._random.choice(self._recipe["asides"]))
        text = parts[0]
        for part in parts[1:]:
            text += self._random.choice(self._recipe["joins"]) + part
        return text.lower() if self._random.random() < 0.7 else text[:1].upper() + text[1:]

    def _names_of_descriptor(self, descriptor: str) -> Sequence[str]:
        if self._words == "ours":
            return wording().get(descriptor, ())
        return self._names(descriptor)

    def _names(self, code: str) -> list[str]:
        term = self._catalogue.terms[code]
        return list(map(everyday_name, [term.name, *term.attributes.get(COMMON_NAMES, ())]))


def everyday_name(name: str) -> str:
    """A name without what only the catalogue says: `(as animal)`, a dash at the end."""
    return " ".join(ASIDE.sub("", name).split()) or name


def composed_categories() -> Collection[str]:
    """Codes of the categories that descriptions are composed of, where a catalogue has them."""
    categories: Mapping[str, object] = yaml.safe_load(_shipped("descriptions.yaml"))["categories"]
    return categories.keys()


def _shipped(recipe: str) -> str:
    return (resources.files("cascade.foodex2") / "data" / recipe).read_text("utf-8")


def _word_key(text: str) -> str:
    return " ".join(sorted(set(words_of(text))))
