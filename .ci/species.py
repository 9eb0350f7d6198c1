"""Make `cascade/foodex2/data/species.csv`: scientific names of plants and animals, and common ones.

    apt-get install wordnet-base
    python .ci/species.py            # tells what would be written
    python .ci/species.py --write    # and writes it

From WordNet 3.0 come plants, and animals that people eat, with scientific and common names, and
foods with several names; nothing is chosen by what the catalogue of FoodEx2 says. What WordNet does
not know we wrote ourselves, in `species_ours.csv` beside it, which is not changed.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
OUT = ROOT / "cascade" / "foodex2" / "data" / "species.csv"
ANIMALS, FOODS, PLANTS = "05", "13", "20"  # lexicographer files
EATEN = (  # animals, by words of a synset that stands above them, in WordNet
    "fish", "crustacean", "mollusk", "shellfish", "bovid", "swine", "equine", "leporid", "deer",
    "gallinaceous bird", "anseriform bird", "columbiform bird", "ratite", "frog", "turtle",
    "crocodilian reptile", "echinoderm", "camel", "llama", "even-toed ungulate", "snail", "rodent",
    "seal", "whale", "honeybee", "coelenterate", "domestic animal",
)  # fmt: skip
HIGHER = ("genus ", "family ", "order ", "class ", "phylum ", "division ", "suborder ", "kingdom ")
MANY = 12  # names of a row


class Synset(NamedTuple):
    """What WordNet says of one sense."""

    file: str
    words: list[str]
    above: list[str]
    groups: list[str]


def synsets(file: Path) -> dict[str, Synset]:
    """The synsets of `data.noun`, by their offset; see wndb(5WN)."""
    found = {}
    for line in file.read_text("latin-1").splitlines():
        part = line.partition(" | ")[0].split()
        if line.startswith(" ") or len(part) < 5:
            continue
        end = 4 + 2 * int(part[3], 16)
        words = [word.replace("_", " ") for word in part[4:end:2]]
        pointers = list(zip(part[end + 1 :: 4], part[end + 2 :: 4], strict=False))
        above = [to for kind, to in pointers if kind in ("@", "@i")]
        groups = [to for kind, to in pointers if kind == "#m"]
        found[part[0]] = Synset(part[1], words, above, groups)
    return found


def table(known: dict[str, Synset]) -> Iterator[tuple[str, str, str]]:
    """Rows of scientific names, common names and family."""
    genera = {
        w.removeprefix("genus ") for own in known.values() for w in own.words if "genus " in w
    }

    def closure(at: str) -> Iterator[Synset]:
        for above in known[at].above:
            yield known[above]
            yield from closure(above)

    def family(own: Synset) -> str:
        for group in own.groups:
            for word in known[group].words:
                if word.startswith("family "):
                    return word.removeprefix("family ")
            if (found := family(known[group])) and known[group].words[0].startswith("genus "):
                return found
            if found and any(word.startswith("genus ") for word in known[group].words):
                return found
        return ""

    for at, own in known.items():
        if own.file not in (ANIMALS, FOODS, PLANTS):
            continue
        if own.file == ANIMALS:
            words = {word for above in closure(at) for word in above.words} | set(own.words)
            if words.isdisjoint(EATEN):
                continue
        plain = [word for word in own.words if not word.startswith(HIGHER)]
        latin = [w for w in plain if re.match(r"[A-Z][a-z]+ [a-z-]+", w) and w.split()[0] in genera]
        names = [word for word in plain if word not in latin and word not in genera]
        if not names or not (latin or (own.file == FOODS and len(names) > 1)):
            continue
        if any(word.endswith(("idae", "aceae", "ales", "formes")) for word in names):
            continue
        yield "|".join(latin), "|".join(names[:MANY]), family(own) if latin else ""


def main() -> None:
    """Tell how large the table would be, or write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet/data.noun"))
    parser.add_argument("--write", action="store_true", help="replace the file")
    arguments = parser.parse_args()
    rows = sorted(set(table(synsets(arguments.wordnet))))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["scientific", "names", "family"])
    writer.writerows(rows)
    print(f"{len(rows):,} rows, {len(text.getvalue()) / 2**10:.0f} KiB")
    if arguments.write:
        OUT.write_text(text.getvalue(), "utf-8")


if __name__ == "__main__":
    main()
