"""Fits a pack for FoodEx2 to an institution's coded descriptions."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cascade.config import FITTED_ENCODER, Columns
from cascade.errors import CascadeError, InputError, UsageError
from cascade.foodex2.checking import make_checker
from cascade.foodex2.code import FoodCode
from cascade.foodex2.format import CATALOGUE
from cascade.foodex2.parsed_code import PROCESSES
from cascade.foodex2.rules import Checker
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.io.files import write_json, write_text
from cascade.io.tables.opening import TableFile
from cascade.pipeline.facets.categories import NetworkClassifier, shipped_network
from cascade.pipeline.facets.evidence import EvidenceFinder
from cascade.pipeline.facets.own.codes import LEARNT
from cascade.pipeline.facets.own.rows import CodedRows, read_coded_rows
from cascade.pipeline.load import CONFIG_NAME
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.encoder_prompts import Prompts
from cascade.training.foodex2.own.choosing import kept_lines
from cascade.training.foodex2.own.codes import OwnCodesLearner
from cascade.training.foodex2.pack import fit_pack
from cascade.training.labelled import Progress
from cascade.training.markdown import table
from cascade.training.packs.making import PackInTheMaking
from cascade.version import __version__

FEWEST = 20  # rows that can be learnt from
FEW = 200  # rows below which little is learnt
SELDOM = 0.01  # share of facets that is no habit
OWN_CODES = "foodex2"
"""What a fit of own codes is called among the recipes of `cascade fit`."""


def most_descriptors(codes: Sequence[FoodCode]) -> int:
    """How many descriptors of a category are given at the most, but for one code in a hundred."""
    counts = [
        n for code in codes for n in Counter(facet.category for facet in code.facets).values()
    ]
    if not counts:
        return 1
    return max(n for n in set(counts) if sum(c >= n for c in counts) >= SELDOM * len(counts))


@dataclass(frozen=True)
class OwnCodesFit:
    """What is learnt from, and where the pack goes.

    Parameters
    ----------
    columns
        The text columns, and as the label that of the codes.
    processes
        File of EFSA's table of processes; the one beside the catalogue if None.
    encoder
        Built-in name, or a folder that is copied into the pack; for another than the default what
        the catalogue teaches of categories is learnt anew.
    notify
        Called with each sentence that a user should know.
    """

    source: TableFile
    taxonomy: FoodEx2Taxonomy
    columns: Columns
    folder: Path
    processes: str | None = None
    encoder: str = FITTED_ENCODER
    seed: int = 0
    command: str = ""
    notify: Callable[[str], None] = field(default=lambda _: None, repr=False)

    @property
    def _making(self) -> PackInTheMaking:
        identity = {
            "version": __version__,
            "rows": self.source.sha256,
            "limit": self.source.limit,
            "read_as": [self.source.encoding, self.source.sheet],
            "taxonomy": self.taxonomy.fingerprint,
            "columns": self.columns.model_dump(),
            "recipe": OWN_CODES,
            "encoder": self.encoder,
            "seed": self.seed,
        }
        return PackInTheMaking(self.folder, json.loads(json.dumps(identity)))

    @cached_property
    def _checker(self) -> Checker:
        checker = make_checker(self.taxonomy, self.processes)
        assert checker is not None
        return checker

    def prepare(self, *, resume: bool = False, overwrite: bool = False) -> None:
        """Make the folder of the work, unless something is in the way.

        Raises
        ------
        UsageError, OutputError
            The pack exists, or another fit is under way.
        """
        if resume and overwrite:
            raise UsageError("--resume and --overwrite exclude each other; choose one")
        self._making.prepare(resume=resume, overwrite=overwrite)

    def run(self, progress: Progress = lambda *_: None) -> dict[str, Any]:
        """Learn, and put the pack where it belongs; call `prepare` first.

        Returns
        -------
        What was measured on rows as if they were new, as it stands in the pack's metrics.json.

        Raises
        ------
        CascadeError
            The rows cannot be learnt from; nothing is left behind.
        """
        with self._making.alone():
            try:
                return self._run(progress)
            except CascadeError:
                shutil.rmtree(self._making.whole, ignore_errors=True)
                self._making.tidy()
                raise

    def _run(self, progress: Progress) -> dict[str, Any]:
        started = time.perf_counter()
        rows = read_coded_rows(
            self.source,
            self.columns,
            self.taxonomy,
            progress=lambda n: progress("reading", n, None),
        )
        for warning in rows.warnings():
            self.notify(warning)
        if (texts := len({text.casefold() for text in rows.texts})) < FEWEST:
            raise InputError(
                f"{texts} different descriptions with codes are too few to learn from; give at "
                f"least {FEWEST}, better some hundreds",
                file=self.source.file,
            )
        if len(rows) < FEW:
            self.notify(
                f"{len(rows)} coded descriptions teach little; some hundreds are better. The "
                "catalogue's own way stays where they show no gain"
            )
        whole = self._making.whole
        shutil.rmtree(whole, ignore_errors=True)
        network = self._begin(whole, progress)
        encoder = Encoder.load(self.encoder)

        def reading(done: int, of: int) -> None:
            progress("reading names", done, of)

        finder = EvidenceFinder(self.taxonomy, encoder, progress=reading)
        refusal = self._checker.refusal
        accepted = np.array([not refusal(code) for code in self.taxonomy.codes])
        learner = OwnCodesLearner(
            self.taxonomy,
            finder,
            NetworkClassifier.load(network, list(self.taxonomy.categories)),
            self.taxonomy.reportable & accepted,
            refusal,
            seed=self.seed,
            report=lambda what, done, of: progress(what, done, of),
        )
        learnt, figures = learner.learn(rows.texts, rows.codes)
        learnt.save(whole)
        report = self._report(rows, figures, started)
        with self._making.finished() as folder:
            by_words = learnt.kept.facets == "catalogue"
            most = None if by_words else most_descriptors(rows.codes)
            self._write_config(folder, rows.columns, most)
            write_json(folder / "metrics.json", report)
            write_text(folder / "README.md", self._readme(report))
        for line in kept_lines(report):
            self.notify(line)
        return report

    def _begin(self, folder: Path, progress: Progress) -> Path:
        """What the catalogue teaches, in the folder of the pack; returns the file of the network.

        The network that ships is of the default encoder.
        """
        if self.encoder == FITTED_ENCODER:
            folder.mkdir(parents=True)
            shutil.copyfile(self._checker.catalogue.file, folder / CATALOGUE)
            if (processes := self._checker.processes.file) and Path(processes).is_file():
                shutil.copyfile(processes, folder / PROCESSES)
            return shipped_network()
        fit_pack(
            self._checker,
            folder,
            encoder=self.encoder,
            seed=self.seed,
            report=lambda what, done, of: progress(what, done, of),
        )
        return folder / "network.safetensors"

    def _write_config(self, folder: Path, columns: Columns, most: int | None) -> None:
        """The config of the start, with what was learnt beside it.

        Parameters
        ----------
        most
            Descriptors of a category; None for as many as the catalogue alone gives.
        """
        file = folder / CONFIG_NAME
        config: dict[str, Any] = {"taxonomy": CATALOGUE, "retrieval": {"encoder": self.encoder}}
        if file.is_file():
            config = yaml.safe_load(file.read_text("utf-8"))
        elif (prompts := Encoder.load(self.encoder).prompts) != Prompts():
            told = {"query_prompt": prompts.query, "document_prompt": prompts.document}
            config["retrieval"] |= told
        config["columns"] = {"text": list(columns.text), "label": columns.label}
        facets = config.setdefault("facets", {})
        facets["learnt"] = LEARNT
        for stage in ("base", "descriptors"):  # learnt scores are log-odds already
            facets[stage] = {"temperature": 1.0}
        if most is not None:
            facets["descriptors"]["most"] = most
        write_text(file, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))

    def _report(self, rows: CodedRows, figures: dict[str, Any], started: float) -> dict[str, Any]:
        categories = figures.pop("categories")
        shares = {"base terms": figures.pop("base_shares"), "facets": figures.pop("facet_shares")}
        return {
            "kept": figures.pop("kept"),
            "out_of_fold": shares,
            "pack": {
                **{f"category_{name}": value for name, value in categories.items()},
                **figures,
            },
            "rows": {
                "fitted": len(rows),
                "held_out": len(rows),
                "dropped": {reason: len(lines) for reason, lines in rows.dropped.items()},
                "repaired": len(rows.repaired),
                "base_terms": len({code.base for code in rows.codes}),
            },
            "scorers": {},
            "seconds": round(time.perf_counter() - started),
        }

    def _readme(self, report: dict[str, Any]) -> str:
        name, rows, found = self.folder.name, report["rows"], report["pack"]
        catalogue = self.taxonomy.catalogue
        use = f"cascade foodex2 encode foods.csv --text description -c {name} -o coded.csv"
        meanings = {
            "base_accuracy": "base term right",
            "base_accuracy_unseen": "the same, where no other row has this base term",
            "category_precision_micro": "precision of facet categories",
            "category_recall_micro": "recall of facet categories",
            "descriptor_accuracy": "descriptor right, of the categories of the right code",
            "whole_code": "whole code right",
        }
        lines = [
            f"# {name}",
            "",
            f"A pack of cascade {__version__} for {catalogue.code} {catalogue.version}, fitted in "
            f"{report['seconds']:,} s on {rows['fitted']:,} coded descriptions of "
            f"{rows['base_terms']:,} base terms. It holds vectors of their texts, and words of "
            "theirs that name terms: pass it on only to those who may read them.",
            "",
            "```sh",
            use,
            *filter(None, [self.command]),
            "```",
            "",
            "On rows as if they were new, what is learnt from other rows: a little flattering, "
            "since weights were chosen on them. `cascade foodex2 eval` measures on rows of your "
            "own.",
            "",
            table(["", "share"], [[meanings[key], found[key]] for key in meanings]),
            "",
            *kept_lines(report),
            "",
        ]
        return "\n".join(lines)
