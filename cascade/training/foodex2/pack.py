"""Fits a pack for FoodEx2 to composed descriptions: what classifies facet categories."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from cascade.config import FITTED_ENCODER, BaseTermConfig
from cascade.errors import OutputError
from cascade.foodex2.format import CATALOGUE
from cascade.foodex2.parsed_code import PROCESSES
from cascade.foodex2.rules import Checker
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.io.files import write_json, write_text
from cascade.items import Item
from cascade.pipeline.facets.categories import CLASSIFIER_FILE
from cascade.pipeline.facets.evidence import EvidenceFinder, FacetFeatureExtractor
from cascade.pipeline.facets.ranking import BaseTermRanker
from cascade.pipeline.load import CONFIG_NAME
from cascade.pipeline.pack import SEAL, seal
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.encoder_prompts import Prompts
from cascade.training.foodex2.categories import (
    category_figures,
    features_and_labels,
    fit_network,
    fit_text_classifier,
)
from cascade.training.foodex2.synthetic import Composer, Words, split_bases
from cascade.training.markdown import table
from cascade.version import __version__

NETWORK, ENCODER = "network.safetensors", "encoder"
HELD_OUT = 1000  # descriptions that thresholds are chosen on, and as many to measure

Report = Callable[[str, int, int], None]
"""Called with a step, how much of it is done, and how much there is."""


class _Search(NamedTuple):
    """A taxonomy that descriptions are searched in, and how to compose them.

    Parameters
    ----------
    words
        Of descriptors; see `Composer`.
    share
        Of the descriptions, relative to other searches.
    """

    extractor: FacetFeatureExtractor
    bases: BaseTermRanker
    words: Words
    share: int


class _Split(NamedTuple):
    """Descriptions with features float32 [n, n_categories, n_features] and labels."""

    texts: list[str]
    features: NDArray[np.float32]
    labels: NDArray[np.bool_]


def fit_pack(
    checker: Checker,
    folder: Path,
    *,
    encoder: str = FITTED_ENCODER,
    rows: int = 6000,
    seed: int = 0,
    overwrite: bool = False,
    command: str = "",
    report: Report = lambda *_: None,
) -> dict[str, dict[str, float]]:
    """Fit, measure, and write a pack.

    Half of the descriptions have descriptors in our own wording and are searched in the catalogue's
    names alone, so that similarity counts; the others are searched as in use. Base terms are found,
    not given, so that what is left over counts where one is wrong.

    Parameters
    ----------
    encoder
        Built-in name, or a folder that is copied into the pack.
    rows
        Descriptions to learn from.
    command
        That made the pack, for its README.

    Returns
    -------
    Precision, recall and F1 by method, on descriptions of other base terms.

    Raises
    ------
    OutputError
        The folder exists, and is not to be replaced or is no pack.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder with --out")
    if folder.exists() and not overwrite:
        raise OutputError(f"{folder} exists; replace it with --overwrite, or name another")
    if folder.exists() and any(folder.iterdir()) and not (folder / SEAL).is_file():
        raise OutputError(f"{folder} is no pack, so it is not replaced; name another folder")
    started = time.perf_counter()
    loaded = Encoder.load(encoder)
    full = FoodEx2Taxonomy.from_catalogue(checker.catalogue)
    bare = FoodEx2Taxonomy.from_catalogue(checker.catalogue, names_only=True)
    names, usual = (_stages(tree, loaded, checker, report) for tree in (bare, full))
    searches = [
        _Search(*names, "ours", 2),
        _Search(*usual, "ours", 1),
        _Search(*usual, "catalogue", 1),
    ]
    bases = split_bases([code for code in full.codes if not checker.refusal(code)], seed)
    sizes = {"train": rows, "validation": HELD_OUT, "test": HELD_OUT}
    train, held_out, test = (
        _compose(checker, searches, bases[split], split, size, seed + 100 * at, report)
        for at, (split, size) in enumerate(sizes.items())
    )
    codes = usual[0].codes
    network = fit_network(
        train.features, train.labels, held_out.features, held_out.labels, codes, seed=seed
    )
    partial = folder.with_name(f".{folder.name}.partial")  # the old pack stays until this is whole
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    network.save(partial / NETWORK)
    classifier = fit_text_classifier(
        train.texts, train.labels, held_out.texts, held_out.labels, codes, loaded, partial
    )
    likely = classifier.of([Item({"text": text}) for text in test.texts])
    figures = {
        "pairs": category_figures(network.of(test.features) >= network.thresholds, test.labels),
        "classifier": category_figures(likely >= classifier.thresholds, test.labels),
    }
    _copy(checker, encoder, loaded.prompts, partial)
    seconds = round(time.perf_counter() - started)
    write_json(partial / "metrics.json", {"figures": figures, "seconds": seconds})
    about = (
        f"A pack of cascade {__version__} for {checker.catalogue.code} "
        f"{checker.catalogue.version}, fitted in {seconds:,} s to {rows:,} descriptions "
        "that were composed of the catalogue by phrases of our own; no description of anybody "
        f"was seen. Encoder {Path(encoder).name}, seed {seed}."
    )
    write_text(partial / "README.md", _readme(folder.name, about, command, figures))
    seal(partial)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    return figures


def _stages(
    taxonomy: FoodEx2Taxonomy, encoder: Encoder, checker: Checker, report: Report
) -> tuple[FacetFeatureExtractor, BaseTermRanker]:
    def progress(done: int, total: int) -> None:
        report("reading names", done, total)

    finder = EvidenceFinder(taxonomy, encoder, progress=progress)
    accepted = np.array([not checker.refusal(code) for code in taxonomy.codes])
    bases = BaseTermRanker(taxonomy, finder, BaseTermConfig(), taxonomy.reportable & accepted)
    return FacetFeatureExtractor(taxonomy, finder), bases


def _compose(
    checker: Checker,
    searches: Sequence[_Search],
    bases: Sequence[str],
    split: str,
    size: int,
    seed: int,
    report: Report,
) -> _Split:
    texts: list[str] = []
    features, labels = [], []
    total = sum(search.share for search in searches)
    for at, search in enumerate(searches):
        composer = Composer(
            search.extractor.taxonomy,
            checker.catalogue,
            checker,
            words=search.words,
            seed=seed + at,
        )
        descriptions = list(composer.compose(bases, size * search.share // total))
        report(f"reading descriptions ({split})", len(texts), size)
        values, truth = features_and_labels(search.extractor, descriptions, search.bases)
        texts += [one.text for one in descriptions]
        features.append(values)
        labels.append(truth)
    return _Split(texts, np.concatenate(features), np.concatenate(labels))


def _copy(checker: Checker, encoder: str, prompts: Prompts, folder: Path) -> None:
    """Write the config, and copies of the files that it names.

    With the prompts, which the name of a copy does not tell.
    """
    shutil.copyfile(checker.catalogue.file, folder / CATALOGUE)
    shutil.copyfile(checker.processes.file, folder / PROCESSES)
    config: dict[str, Any] = {
        "taxonomy": CATALOGUE,
        "retrieval": {"encoder": encoder},
        "facets": {"categories": {"network": NETWORK, "classifier": CLASSIFIER_FILE}},
    }
    if Path(encoder).is_dir():
        shutil.copytree(encoder, folder / ENCODER)
        config["retrieval"] = {"encoder": ENCODER}
    if prompts != Prompts():
        told = {"query_prompt": prompts.query, "document_prompt": prompts.document}
        config["retrieval"] |= told
    write_text(folder / CONFIG_NAME, yaml.safe_dump(config, sort_keys=False))


def _readme(name: str, about: str, command: str, figures: dict[str, dict[str, float]]) -> str:
    columns = list(next(iter(figures.values())))
    lines = [
        f"# {name}",
        "",
        about,
        "",
        "```sh",
        f'cascade foodex2 encode "smoked salmon, vacuum packed" -c {name}',
        *([command] if command else []),
        "```",
        "",
        f"In which facet categories {HELD_OUT:,} composed descriptions of other base terms say "
        "something:",
        "",
        table(["", *columns], [[method, *own.values()] for method, own in figures.items()]),
        "",
    ]
    return "\n".join(lines)
