"""A pack for FoodEx2: what tells in which facet categories a description says something."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from cascade.config import BaseTermConfig
from cascade.errors import OutputError
from cascade.foodex2.format import CATALOGUE, PROCESSES
from cascade.foodex2.rules import Checker, worst
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.io.files import write_json, write_text
from cascade.items import Item
from cascade.pipeline.facets.base import BaseTerms
from cascade.pipeline.facets.categories import CLASSIFIER
from cascade.pipeline.facets.evidence import EvidenceFinder
from cascade.pipeline.facets.features import FacetFeatures
from cascade.pipeline.load import CONFIG_NAME
from cascade.pipeline.pack import SEAL, seal
from cascade.retrieval.encoder import Encoder
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.training.foodex2.categories import fit_classifier, fit_pairs, gathered
from cascade.training.foodex2.composing import Composer, Described
from cascade.version import __version__

NETWORK, ENCODER = "network.safetensors", "encoder"
SHARES = {"train": 0.7, "held out": 0.1, "test": 0.2}  # of the base terms
HELD = 1000  # descriptions that thresholds are chosen on, and as many to measure

Told = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and how much there is."""


@dataclass(frozen=True)
class _Gathered:
    """Descriptions of a split, with their features and the categories of their codes."""

    texts: list[str]
    features: NDArray[np.float32]
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class _Searched:
    """What descriptions are searched among."""

    features: FacetFeatures
    bases: BaseTerms


class FoodFit:
    """Fits a pack to descriptions that are composed of a catalogue.

    Half of the descriptions say descriptors in our own wording and are searched among the
    catalogue's names alone, so that likeness counts; the others are searched as in use. Base terms
    are found, not told, so that it is learnt what is left over where one is wrong.

    Parameters
    ----------
    encoder
        Built-in name, or a folder, which the pack gets a copy of.
    rows
        Descriptions to learn from.
    """

    def __init__(
        self,
        checker: Checker,
        processes: Path,
        folder: Path,
        *,
        encoder: str = "minilm",
        rows: int = 6000,
        seed: int = 0,
        told: Told = lambda *_: None,
    ) -> None:
        self._checker, self._catalogue = checker, checker.catalogue
        self._processes, self._folder = processes, folder
        self._encoder_name, self._rows, self._seed, self._told = encoder, rows, seed, told

    def run(self, *, overwrite: bool = False, command: str = "") -> dict[str, Any]:
        """Fit, measure, and write the pack.

        Returns
        -------
        Precision, recall and F1 by method, on descriptions of base terms that nothing was fitted
        to.

        Raises
        ------
        OutputError
            The folder exists, and is not to be replaced or is no pack.
        """
        folder = self._folder
        if folder.exists() and not overwrite:
            raise OutputError(f"{folder} exists; replace it with --overwrite, or name another")
        if folder.exists() and any(folder.iterdir()) and not (folder / SEAL).is_file():
            raise OutputError(f"{folder} is no pack, so it is not replaced; name another folder")
        started = time.perf_counter()
        encoder = Encoder.load(self._encoder_name)
        full = FoodEx2Taxonomy.from_catalogue(self._catalogue)
        bare = FoodEx2Taxonomy.from_catalogue(self._catalogue, names_only=True)
        names, searched = self._searched(bare, encoder), self._searched(full, encoder)
        ways = [(names, "ours", 2), (searched, "ours", 1), (searched, "catalogue", 1)]
        codes = searched.features.codes
        bases = self._split([c for c in full.codes if self._clean(c)])
        sizes = {"train": self._rows, "held out": HELD, "test": HELD}
        parts = {
            split: self._gather(ways, bases[split], split, size, at)
            for at, (split, size) in enumerate(sizes.items())
        }
        train, held, test = parts.values()
        pairs = fit_pairs(
            train.features, train.right, held.features, held.right, codes, seed=self._seed
        )
        made = folder.with_name(f".{folder.name}.partial")  # the old pack stays until there is one
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        classifier = fit_classifier(
            train.texts, train.right, held.texts, held.right, codes, encoder, made
        )
        likely = classifier.of([Item({"text": text}) for text in test.texts])
        figures = {
            "pairs": f1(pairs.of(test.features) >= pairs.thresholds, test.right),
            "classifier": f1(likely >= classifier.thresholds, test.right),
        }
        pairs.save(made / NETWORK)
        self._write(made, figures, round(time.perf_counter() - started), command)
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
        return figures

    def _searched(self, tree: FacetedTaxonomy, encoder: Encoder) -> _Searched:
        def progress(done: int, of: int) -> None:
            self._told("reading names", done, of)

        finder = EvidenceFinder(tree, encoder, progress=progress)
        allowed = tree.reportable & np.array([self._clean(code) for code in tree.codes])
        bases = BaseTerms(tree, finder, BaseTermConfig(), allowed)
        return _Searched(FacetFeatures(tree, finder), bases)

    def _clean(self, code: str) -> bool:
        return worst(self._checker.check(code)) in (None, "LOW")

    def _split(self, codes: Sequence[str]) -> dict[str, list[str]]:
        """Base terms of each split."""
        shuffled = random.Random(self._seed).sample(codes, len(codes))
        found, at = {}, 0
        for split, share in SHARES.items():
            size = round(share * len(codes))
            found[split] = shuffled[at : at + size]
            at += size
        return found

    def _gather(
        self,
        ways: Sequence[tuple[_Searched, str, int]],
        bases: Sequence[str],
        split: str,
        size: int,
        at: int,
    ) -> _Gathered:
        texts: list[str] = []
        features, right = [], []
        total = sum(share for _, _, share in ways)
        for way, (searched, said, share) in enumerate(ways):
            composer = Composer(
                searched.features.taxonomy,
                self._catalogue,
                self._checker,
                said=said,
                seed=self._seed + 100 * at + way,
            )
            described: list[Described] = list(composer.compose(bases, size * share // total))
            self._told(f"reading descriptions ({split})", len(texts), size)
            own, truth = gathered(searched.features, described, searched.bases)
            texts += [one.text for one in described]
            features.append(own)
            right.append(truth)
        return _Gathered(texts, np.concatenate(features), np.concatenate(right))

    def _write(self, folder: Path, figures: dict[str, Any], seconds: int, command: str) -> None:
        """Config, catalogue, encoder, README and seal."""
        name = self._folder.name
        shutil.copyfile(self._catalogue.file, folder / CATALOGUE)
        shutil.copyfile(self._processes, folder / PROCESSES)
        config: dict[str, Any] = {
            "taxonomy": CATALOGUE,
            "facets": {"categories": {"network": NETWORK, "classifier": CLASSIFIER}},
        }
        if Path(self._encoder_name).is_dir():
            shutil.copytree(self._encoder_name, folder / ENCODER)
            config["retrieval"] = {"encoder": ENCODER}
        write_text(folder / CONFIG_NAME, yaml.safe_dump(config, sort_keys=False))
        write_json(folder / "metrics.json", {"figures": figures, "seconds": seconds})
        columns = list(next(iter(figures.values())))
        lines = [
            f"# {name}",
            "",
            f"A pack of cascade {__version__} for {self._catalogue.code} "
            f"{self._catalogue.version}, fitted in {seconds:,} s to {self._rows:,} descriptions "
            "that were composed of the catalogue by phrases of our own; no description of anybody "
            f"was seen. Encoder {Path(self._encoder_name).name}, seed {self._seed}.",
            "",
            "```sh",
            f'cascade foodex2 encode "smoked salmon, vacuum packed" -c {name}',
            *([command] if command else []),
            "```",
            "",
            f"In which facet categories {HELD:,} composed descriptions of other base terms say "
            "something:",
            "",
            f"| | {' | '.join(columns)} |",
            f"| --- |{' --- |' * len(columns)}",
            *(
                f"| {way} | {' | '.join(str(own[column]) for column in columns)} |"
                for way, own in figures.items()
            ),
            "",
        ]
        write_text(folder / "README.md", "\n".join(lines))
        seal(folder)


def f1(taken: NDArray[np.bool_], right: NDArray[np.bool_]) -> dict[str, float]:
    """Precision, recall and F1 of yes-or-no answers, over all (micro) and of categories (macro).

    Parameters
    ----------
    taken, right
        bool [n, n_categories]; a category that no row has counts for no mean over categories.
    """
    hits, said, true = (taken & right).sum(0), taken.sum(0), right.sum(0)
    seen = true > 0
    each = 2 * hits / np.maximum(said + true, 1)
    found = {
        "precision_micro": hits.sum() / max(said.sum(), 1),
        "recall_micro": hits.sum() / max(true.sum(), 1),
        "f1_micro": 2 * hits.sum() / max(said.sum() + true.sum(), 1),
        "precision_macro": (hits / np.maximum(said, 1))[seen].mean(),
        "recall_macro": (hits / np.maximum(true, 1))[seen].mean(),
        "f1_macro": each[seen].mean(),
    }
    return {name: round(float(value), 4) for name, value in found.items()}
