"""Make the vectors of the FoodEx2 catalogue's texts that ship.

    python .ci/ship_vectors.py MTX.ecf            # tells what would ship
    python .ci/ship_vectors.py MTX.ecf --write    # and writes it
    python .ci/ship_vectors.py MTX.ecf --supplement    # writes what came later beside it

They are those of the default encoder of FoodEx2, so they are made again when that changes; where
only some texts of the catalogue change, what ships serves the others, and the rest is encoded at
the first use. The file is replaced, and so is its hash, `SHA256` in `shipped_vectors.py`. A
supplement of some KiB has the texts that came since then, as after a change of `wording.yaml`; it
is replaced by the next, and no more needed once the whole file is written.
The vectors are computed in parts that are kept in the user's cache: what was interrupted goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from pathlib import Path

import numpy as np

from cascade.config import FITTED_ENCODER
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.io.files import cache_folder
from cascade.pipeline.facets import shipped_vectors
from cascade.pipeline.facets.evidence import category_texts
from cascade.pipeline.facets.shipped_vectors import (
    FILE,
    SUPPLEMENT,
    write_shipped,
    write_supplement,
)
from cascade.resources import shipped_folder
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.node_texts import node_texts
from cascade.retrieval.text_vectors import text_vectors

PINNED = Path(shipped_vectors.__file__)
MOST_BYTES = 15 * 2**20
FINE, COARSE = 6, 3  # bits of a number


def groups_of(tree: FoodEx2Taxonomy) -> tuple[list[str], list[str]]:
    """Texts to be told finely, and those that only plants and animals have."""
    terms, catalogue = tree.terms, tree.catalogue
    texts, node = node_texts(terms, "full")
    natural = np.array([catalogue.terms[code].kind == "n" for code in terms.codes])[node]
    fine = [text for text, coarse in zip(texts, natural, strict=True) if not coarse]
    fine = list(dict.fromkeys([*fine, *category_texts(tree.categories.values())]))
    known = set(fine)
    return fine, [text for text in dict.fromkeys(texts) if text not in known]


def supplement(encoder: Encoder, texts: list[str]) -> None:
    """Write the vectors of texts that the file does not have."""
    shipped_vectors.SUPPLEMENT_SHA256 = ""
    known = shipped_vectors.shipped_vectors(encoder)
    if known is None:
        sys.exit("there is no file of this encoder that could be supplemented; use --write")
    left = np.setdiff1d(np.arange(len(texts)), known.of(texts)[0])
    file = shipped_folder("weights") / SUPPLEMENT
    if not len(left):
        sys.exit("the file has all texts")
    some = [texts[at] for at in left.tolist()]
    write_supplement(file, known, some, encoder.encode_documents(some))
    file.chmod(0o644)
    data = file.read_bytes()
    print(f"{file}: {len(some):,} texts, {len(data) / 2**10:.0f} KiB")
    pin("SUPPLEMENT_SHA256", data)


def pin(name: str, data: bytes) -> str:
    """Write the hash of a file into the module that reads it; empty where there is none."""
    found = hashlib.sha256(data).hexdigest() if data else ""
    code = re.sub(
        rf'^{name} = "[^"]*"', f'{name} = "{found}"', PINNED.read_text("utf-8"), flags=re.M
    )
    PINNED.write_text(code, "utf-8")
    return found


def main() -> None:
    """Tell what would ship, or write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("catalogue", type=Path, help="MTX.ecf")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--write", action="store_true", help="replace the file and its hash")
    how.add_argument("--supplement", action="store_true", help="write only what it does not have")
    arguments = parser.parse_args()
    tree = FoodEx2Taxonomy.from_catalogue(load_catalogue(arguments.catalogue))
    encoder = Encoder.load(FITTED_ENCODER)
    fine, coarse = groups_of(tree)
    print(f"{len(fine):,} texts with {FINE} bits a number, {len(coarse):,} with {COARSE}")
    if arguments.supplement:
        supplement(encoder, [*fine, *coarse])
        return
    told = hashlib.sha256("\0".join([encoder.identity, *fine, *coarse]).encode()).hexdigest()[:16]
    vectors = text_vectors(
        [(text,) for text in (*fine, *coarse)],
        encoder,
        cache_folder() / "indexes" / f"shipped-{told}",
        lambda done, n: print(f"\r{done:,} of {n:,}", end="", file=sys.stderr, flush=True),
    )
    file = shipped_folder("weights") / FILE
    if not arguments.write:
        return
    file.parent.mkdir(exist_ok=True)
    groups = [(fine, vectors[: len(fine)], FINE), (coarse, vectors[len(fine) :], COARSE)]
    write_shipped(file, encoder.identity, groups)
    file.chmod(0o644)
    data = file.read_bytes()
    if len(data) > MOST_BYTES:
        sys.exit(f"{file} has {len(data) / 2**20:.1f} MiB, of {MOST_BYTES / 2**20:.0f} at the most")
    print(f"{file}: {len(data) / 2**20:.1f} MiB, SHA-256 {pin('SHA256', data)}")
    pin("SUPPLEMENT_SHA256", b"")
    (shipped_folder("weights") / SUPPLEMENT).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
