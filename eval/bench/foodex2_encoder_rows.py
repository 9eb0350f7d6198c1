r"""Rows to train FoodEx2's encoder on: what the catalogue and WordNet say terms are called.

Base terms with their other names, the plants and animals they are from, sentences of scope notes
and composed descriptions; descriptors of each facet category in phrases as people say them; plants
and animals by their scientific names; synonyms of WordNet. Names of `test.csv` and `validation.csv`
of `cascade foodex2 rows` are in none, nor are foods of FoodEx1, `examples/foods.csv` and our own
wording, so all of these stay fit to measure on. Writes the rows, taxonomies and a recipe:

cascade foodex2 rows -t MTX.ecf -o rows
python eval/bench/foodex2_encoder_rows.py --catalogue MTX.ecf --rows rows --out train
cascade finetune train/recipe.yaml -o encoder
"""

from __future__ import annotations

import argparse
import csv
import random
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml
from foodex2_rows import key, read_names
from foodex2_terms import without_names

from cascade.foodex2.catalogue import COMMON_NAMES, SCIENTIFIC_NAMES
from cascade.foodex2.checking import make_checker
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.taxonomy import wording
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import clean, join_synonyms
from cascade.training.foodex2.synthetic import Composer, everyday_name

SENTENCE = re.compile(r"(?<=[.;])\s+")
GENUS = re.compile(r"[A-Z][a-z]{2,}")
FILES = {"05", "13", "20"}  # lexicographer files of WordNet: animals, food, plants
MOST = 5000  # rows of a set, but for those of base terms
NATURAL = 3500
COMPOSED = 2500
STEPS = 450


def write(folder: Path, name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """Write a CSV file; returns how many rows it has."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(rows)
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return len(rows)


def write_tree(folder: Path, tree: Taxonomy, unsaid: set[str]) -> None:
    """A taxonomy as CSV, without our own wording."""
    rows = []
    for node, code in enumerate(tree.codes):
        parent = int(tree.parent[node])
        ours = {key(word) for word in wording().get(code, ())}
        names = [name for name in tree.synonyms(node) if key(name) not in ours | unsaid]
        above = tree.codes[parent] if parent >= 0 else ""
        rows.append((code, tree.names[node], above, join_synonyms(names)))
    write(folder, "taxonomy.csv", ["code", "name", "parent", "synonyms"], rows)


def wordnet(file: Path, unsaid: set[str]) -> tuple[list[Sequence[str]], list[Sequence[str]]]:
    """Synsets of food, plants and animals as nodes, and their other words as rows."""
    synsets: dict[str, tuple[list[str], str]] = {}
    for line in file.read_text("latin-1").splitlines():
        part = line.partition(" | ")[0].split()
        if len(part) < 5 or part[1] not in FILES:
            continue
        count = int(part[3], 16)
        words = [part[4 + 2 * at].replace("_", " ") for at in range(count)]
        rest = part[5 + 2 * count :]
        above = next((rest[at + 1] for at, own in enumerate(rest) if own in ("@", "@i")), "")
        synsets[part[0]] = (words, above)
    nodes: list[Sequence[str]] = []
    rows: list[Sequence[str]] = []
    taken: set[tuple[str, str]] = set()
    for code, (words, above) in synsets.items():
        kept = [word for word in words if key(word) not in unsaid] or words
        parent = f"w{above}" if above in synsets else ""
        name = next((word for word in kept if (parent, word.casefold()) not in taken), "")
        name = name or f"{kept[0]} {code}"
        taken.add((parent, name.casefold()))
        others = [word for word in kept if word != name]
        nodes.append((f"w{code}", name, parent, join_synonyms(others)))
        rows += [(word, f"w{code}") for word in others]
    return nodes, rows


def main() -> None:
    """Write rows and recipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogue", required=True)
    parser.add_argument("--rows", required=True, type=Path, help="folder of `cascade foodex2 rows`")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet/data.noun"))
    parser.add_argument("--out", required=True, type=Path)
    arguments = parser.parse_args()
    out, draw = arguments.out, random.Random(0)
    catalogue = load_catalogue(arguments.catalogue)
    left_out = [
        name
        for split in ("test", "validation")
        for name, _ in read_names(arguments.rows / f"{split}.csv")
    ]
    unsaid = {key(name) for name in left_out}
    tree = without_names(catalogue, left_out)
    catalogue = tree.catalogue
    sets = []

    def add(name: str, rows: Iterable[Sequence[str]], weight: float) -> None:
        rows = [row for row in rows if row[0] and key(row[0]) not in unsaid]
        if name != "terms" and len(rows) > MOST:
            rows = draw.sample(rows, MOST)
        if len({row[1] for row in rows}) > 1:
            write(out / name, "rows.csv", ["text", "label"], rows)
            own = {"name": name, "file": f"{name}/rows.csv", "weight": weight}
            sets.append(own | {"taxonomy": f"{name}/taxonomy.csv"})
            print(name, len(rows), "rows")

    write_tree(out / "terms", tree, unsaid)
    rows = [own for own in read_names(arguments.rows / "train.csv") if own[1] in tree]
    for node, code in enumerate(tree.codes):
        sentences = [own[:160] for own in SENTENCE.split(tree.description(node)) if len(own) > 20]
        rows += [(sentence, code) for sentence in sentences[:2]]
    checker = make_checker(tree)
    assert checker is not None
    reportable = [c for c, may in zip(tree.codes, tree.reportable, strict=True) if may]
    composer = Composer(tree, catalogue, checker, words="catalogue", seed=5)
    rows += [(own.text, own.code.base) for own in composer.compose(reportable, COMPOSED)]
    add("terms", rows, 2.5)

    recipe = yaml.safe_load(
        (Path(__file__).parents[2] / "cascade/foodex2/data/descriptions.yaml").read_text("utf-8")
    )["categories"]
    for code, own in recipe.items():
        category = tree.categories.get(code)
        if category is None:
            continue
        rows = []
        for node, descriptor in enumerate(category.tree.codes):
            names = [category.tree.names[node], *category.tree.synonyms(node)]
            ours = {key(word) for word in wording().get(descriptor, ())}
            for name in map(everyday_name, names):
                if key(name) not in ours:
                    rows.append((name, descriptor))
                    rows.append((draw.choice(own["phrases"]).format(d=name), descriptor))
        write_tree(out / code, category.tree, unsaid)
        add(code, rows, 1.0)

    sources = tree.categories["F01"].tree
    near = {
        name.split()[0]
        for code in tree.codes
        for name in catalogue.terms[code].attributes.get(SCIENTIFIC_NAMES, ())
        if GENUS.match(name)
    }
    implied = {d for code in tree.codes for d in catalogue.terms[code].implied("F01")}
    chosen, others = [], []
    for code in sources.codes:
        names = list(map(clean, catalogue.terms[code].attributes.get(SCIENTIFIC_NAMES, ())))
        genera = {name.partition(" ")[0] for name in names}
        close = code in implied or not genera.isdisjoint(near)
        (chosen if close else others).append(code)
    others = draw.sample(others, max(NATURAL - len(chosen), 0))
    rows = []
    for code in chosen + others:
        term = catalogue.terms[code]
        for attribute in (SCIENTIFIC_NAMES, COMMON_NAMES):
            names = map(clean, term.attributes.get(attribute, ()))
            rows += [(name, code) for name in names if key(name) != key(term.name)]
    write_tree(out / "natural", sources, unsaid)
    add("natural", rows, 0.7)

    nodes, rows = wordnet(arguments.wordnet, unsaid)
    write(out / "wordnet", "taxonomy.csv", ["code", "name", "parent", "synonyms"], nodes)
    add("wordnet", rows, 0.7)
    training = {
        "steps": STEPS, "items": 56, "candidates": 72, "layers": 3,
        "learning_rate": 1e-4, "share": 1.0, "average": 0.98,
        "upper_rows": 0.1, "upper": 0.3, "refresh": 2000, "checkpoint_every": 50,
        "forms": {"leaf": 4, "parent": 3, "path": 0.5, "upward": 0, "more": 3},
    }  # fmt: skip
    made = {
        "kind": "encoder",
        "about": "Find the term of FoodEx2 that a food, a plant, an animal or a process is.",
        "sets": sets,
        "training": training,
    }
    (out / "recipe.yaml").write_text(yaml.safe_dump(made, sort_keys=False), "utf-8")


if __name__ == "__main__":
    main()
