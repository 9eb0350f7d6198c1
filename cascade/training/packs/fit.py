"""`cascade fit`: labelled rows in, a pack out.

Parts are fitted to the rows that are not held out; on the held-out rows weights, routing and
calibration are chosen; then the parts are fitted to all rows. Rows of a validation file take the
place of held-out ones.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from cascade.confidence.calibration import Calibration
from cascade.confidence.shift import Reference
from cascade.config import Columns
from cascade.errors import CascadeError, UsageError
from cascade.io.files import write_json
from cascade.io.pictures import PicturePlaces
from cascade.io.tables.opening import TableFile
from cascade.models.language_models import is_vision_language
from cascade.models.weights import find_weights
from cascade.pipeline.load import CONFIG_NAME
from cascade.pipeline.pack import work_folder
from cascade.progress import Stages
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.taxonomy.staying import places, staying
from cascade.tracking.curves import LINES, PICTURE, CurveLog
from cascade.tracking.provenance import MANIFEST, now, provenance, relative
from cascade.tracking.trackers import check_trackers, make_trackers
from cascade.training.labelled import (
    Labelled,
    Progress,
    read_labelled,
    readable,
    settled_columns,
)
from cascade.training.packs.assembly import CALIBRATION, TAXONOMY, Assembly
from cascade.training.packs.fine_tuned_parts import FineTunedPart, FineTunedPicturePart
from cascade.training.packs.making import PackInTheMaking
from cascade.training.packs.parts import (
    FitContext,
    FrozenPicturePart,
    LexicalPart,
    Part,
    PartConfig,
    TextAndPicturePart,
)
from cascade.training.packs.prototypes_part import PrototypesPart
from cascade.training.packs.readme import readme
from cascade.training.packs.recalibration import REFERENCE
from cascade.training.packs.recipe import Recipe, TunedStage
from cascade.training.sampling import hold_out_stratified, near_duplicate_groups
from cascade.version import __version__

METRICS = "metrics.json"
CHOOSING = "choosing"  # the stage in which held-out rows are asked
Notify = Callable[[str], None]


@dataclass(frozen=True)
class Fit:
    """What is fitted, to what, and where the pack goes.

    Parameters
    ----------
    source, validation
        Labelled rows; without a validation file a part of the rows is held out.
    columns
        Text, picture and label, settled.
    places
        Where pictures may come from.
    report_to
        Trackers that are told each step of training; see `tracking.trackers`.
    notify
        Called with each sentence that a user should know.
    """

    source: TableFile
    taxonomy: Taxonomy
    columns: Columns
    recipe: Recipe
    folder: Path
    validation: TableFile | None = None
    seed: int = 0
    allow_download: bool = False
    places: PicturePlaces = field(default_factory=PicturePlaces)
    command: str = ""
    report_to: Sequence[str] = ()
    notify: Notify = field(default=lambda _: None, repr=False)

    @property
    def work(self) -> Path:
        """Where everything is until the pack is whole."""
        return work_folder(self.folder)

    @property
    def _making(self) -> PackInTheMaking:
        return PackInTheMaking(self.folder, self.identity)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that the pack depends on, as plain values."""
        found = {
            "version": __version__,
            "rows": self.source.sha256,
            "limit": self.source.limit,
            "read_as": [self.source.encoding, self.source.sheet],
            "validation": self.validation.sha256 if self.validation else None,
            "taxonomy": self.taxonomy.fingerprint,
            "columns": self.columns.model_dump(),
            "recipe": self.recipe.model_dump(),
            "seed": self.seed,
        }
        plain: dict[str, Any] = json.loads(json.dumps(found))
        return plain

    def prepare(self, *, resume: bool = False, overwrite: bool = False) -> None:
        """Make the work folder, unless something is in the way.

        Raises
        ------
        UsageError, OutputError
            The pack exists, another fit was interrupted there, or one is under way.
        InputError
            The validation file cannot be read, or lacks a column.
        """
        if resume and overwrite:
            raise UsageError("--resume and --overwrite exclude each other; choose one")
        if self.validation is not None:
            settled_columns(self.validation, self.columns)
        check_trackers(self.report_to)
        self._making.prepare(resume=resume, overwrite=overwrite)

    def run(self, progress: Progress = lambda *_: None) -> dict[str, Any]:
        """Fit, and put the pack where it belongs; call `prepare` first.

        Returns
        -------
        What was measured on the held-out rows, as it stands in the pack's README and, with the
        weights of other fusions, in its metrics.json.

        Raises
        ------
        CascadeError
            The rows cannot be learnt from; where nothing was fitted yet, nothing is left behind.
        """
        with self._making.alone():
            try:
                with closing(self.curves):
                    return self._run(progress)
            except CascadeError:
                self._making.tidy()
                raise

    @cached_property
    def curves(self) -> CurveLog:
        """Where figures of steps go until the pack is whole."""
        settings = {"recipe": self.recipe.model_dump(), "seed": self.seed}
        trackers = make_trackers(self.report_to, self.folder, settings)
        return CurveLog(self.work / LINES, trackers)

    def _run(self, progress: Progress) -> dict[str, Any]:
        started, began = time.perf_counter(), now()
        rows = self._read(self.source, progress)
        for warning in rows.warnings(self.taxonomy):
            self.notify(warning)
        fitted, held, new = self._divided(rows, progress)
        base = self.taxonomy  # a pack has no facets, so that it is measured without them
        base = base.base_terms if isinstance(base, FacetedTaxonomy) else base
        stays = rows.stays(base)
        if stays:
            first = base.path(base.index(stays[0]))
            self.notify(
                f"{len(stays):,} inner nodes have rows of their own and can be answers (first: "
                f"{first!r})"
            )
        tree = staying(base, stays)
        placed, fitted = (replace(r, nodes=places(tree, r.nodes)) for r in (rows, fitted))
        part, whole = self._making.part, self._making.whole
        seen = replace(held, nodes=places(tree, held.nodes))
        stages = Stages(progress)
        context = FitContext(
            *(tree, self.columns.text, self.seed, self.allow_download, stages.show),
            curves=self.curves,
            held=seen,
        )
        parts, config = self._parts(context), PartConfig()
        stages.expect(_expected(parts, fitted, held, placed))
        for each in parts:
            stages.begin(each.name)
            each.fit(fitted.with_pictures() if each.needs_picture else fitted, part)
            config.add(each.config(part))
        stages.begin(CHOOSING)
        settings, report, calibration, reference = Assembly(
            *(base, stays, self.columns, self.recipe, config, part, rows, held, stages.show),
            apart=self.validation is not None,
        ).settings()
        for each in parts:
            stages.begin(f"{each.name}, all rows")
            if each.needs_picture:
                each.refit(placed.with_pictures(), new[rows.has_picture], part, whole)
            else:
                each.refit(placed, new, part, whole)
        report["rows"] = {
            "fitted": len(rows),
            "held_out": len(held),
            "validation_file": self.validation is not None,
            "labels": len(np.unique(rows.nodes)),
            "left_out": {reason: count for reason, (count, _) in rows.skipped.items()},
        }
        report["seconds"] = round(time.perf_counter() - started, 1)
        self._write(settings, report, calibration, reference, self._manifest(began))
        return report

    def _manifest(self, began: str) -> dict[str, Any]:
        """What the pack was made of, and where."""
        named = {"data": self.source, "validation": self.validation}
        files: dict[str, Any] = {
            name: {"file": relative(source.file), "sha256": source.sha256, "limit": source.limit}
            for name, source in named.items()
            if source is not None
        }
        files["data"]["columns"] = self.columns.model_dump(exclude_defaults=True)
        tree = self.taxonomy
        return {
            "kind": "pack",
            "command": self.command,
            "started": began,
            "finished": now(),
            "seed": self.seed,
            **files,
            "taxonomy": {"name": tree.name, "nodes": len(tree), "sha256": tree.fingerprint},
            "recipe": self.identity["recipe"],
            **provenance(),
        }

    def _read(self, source: TableFile, progress: Progress = lambda *_: None) -> Labelled:
        """The rows of a file, without pictures that cannot be read."""
        rows = read_labelled(
            source,
            self.columns,
            self.taxonomy,
            lambda n: progress("reading", n, n),
            self.places,
        )
        return readable(rows, progress) if self.columns.image is not None else rows

    def _divided(
        self, rows: Labelled, progress: Progress
    ) -> tuple[Labelled, Labelled, NDArray[np.bool_]]:
        """Rows to fit to, rows to choose on, and which of all rows are held out for that."""
        if self.validation is not None:
            held = self._read(self.validation)
            for reason, (count, line) in held.skipped.items():
                self.notify(
                    f"{self.validation.file}: {count:,} rows are left out: {reason} "
                    f"(first: line {line})"
                )
            return self._apart(rows, held)
        progress("looking for near duplicates", 0, len(rows))
        texts = rows.comparable_texts
        groups = near_duplicate_groups(texts)
        out = hold_out_stratified(texts, rows.nodes, groups, self.recipe.validation, self.seed)
        if not out.any():
            raise UsageError(
                f"{len(rows):,} rows of {len(np.unique(rows.nodes)):,} labels: none can be held "
                "out, since each label keeps a row and near duplicates stay together; give more "
                "rows, other columns with --text, or a file with --validation"
            )
        return rows.part(~out), rows.part(out), out

    def _apart(
        self, rows: Labelled, held: Labelled
    ) -> tuple[Labelled, Labelled, NDArray[np.bool_]]:
        """Rows without the near duplicates of validation rows; those are learnt at last."""
        texts = [*rows.comparable_texts, *held.comparable_texts]
        groups = near_duplicate_groups(texts)
        known = np.isin(groups[: len(rows)], groups[len(rows) :])
        assert self.validation is not None
        if known.all():
            raise UsageError(
                f"all {len(rows):,} rows are near duplicates of rows of {self.validation.file}, "
                "which therefore tell nothing; leave out --validation, or name other rows"
            )
        if known.any():
            self.notify(
                f"{known.sum():,} of {len(rows):,} rows are near duplicates of rows of "
                f"{self.validation.file}; they are learnt after the others were measured"
            )
        return rows.part(~known), held, known

    def _parts(self, context: FitContext) -> list[Part]:
        recipe, text = self.recipe, bool(self.columns.text)
        found: list[Part] = []
        if recipe.lexical and text:
            found.append(LexicalPart(recipe.lexical, context))
        if recipe.prototypes and text:
            found.append(PrototypesPart(recipe.prototypes, context))
        if recipe.sentence and text:
            found.append(FineTunedPart("sentence", recipe.sentence, context))
        if recipe.llama and (text or self._reads_pictures(recipe.llama)):
            found.append(FineTunedPart("llama", recipe.llama, context))
        if self.columns.image is None:
            return found
        if recipe.picture:
            kind = FrozenPicturePart if recipe.picture.frozen else FineTunedPicturePart
            found.append(kind(recipe.picture, context))
        if recipe.both and text:
            found.append(TextAndPicturePart(recipe.both, context))
        return found

    def _reads_pictures(self, llama: TunedStage) -> bool:
        """Whether a language model reads pictures itself, so that it needs no text."""
        if self.columns.image is None or llama.model is None:
            return False
        weights = find_weights(llama.model, allow_download=self.allow_download)
        return weights.path.is_dir() and is_vision_language(weights.path)

    def _write(
        self,
        settings: dict[str, Any],
        report: dict[str, Any],
        calibration: Calibration,
        reference: Reference | None,
        manifest: dict[str, Any],
    ) -> None:
        """Make the pack whole, and put it in its place."""
        with self._making.finished() as folder:
            self.taxonomy.to_yaml(folder / TAXONOMY)
            calibration.save(folder / CALIBRATION)
            if reference is not None:
                reference.save(folder / REFERENCE)
            text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
            (folder / CONFIG_NAME).write_text(text, "utf-8")
            (folder / "README.md").write_text(self._readme(report), "utf-8")
            (folder / METRICS).write_text(json.dumps(report, indent=2) + "\n", "utf-8")
            write_json(folder / MANIFEST, manifest)
            self.curves.finish(self.folder.resolve().name, report["pack"])
            for name in (LINES, PICTURE):
                if (self.work / name).is_file():
                    (self.work / name).replace(folder / name)

    def _readme(self, report: Mapping[str, Any]) -> str:
        read = ", ".join([*self.columns.text, *filter(None, [self.columns.image])])
        source = (
            f"`{Path(self.source.file).name}` (SHA-256 {self.source.sha256[:16]}...), columns "
            f"{read}, seed {self.seed}"
        )
        return readme(self.folder.name, source, self.command, self.identity["recipe"], report)


def _expected(
    parts: Sequence[Part], fitted: Labelled, held: Labelled, rows: Labelled
) -> dict[str, float]:
    """About how many seconds each stage takes on one core, in order."""
    n, labels = len(fitted), len(np.unique(rows.nodes))
    asked = sum(part.seconds_to_ask(len(held)) for part in parts)
    return {
        **{part.name: part.seconds(n, labels) for part in parts},
        CHOOSING: 1 + 4 * asked,
        **{f"{p.name}, all rows": p.seconds_again(len(rows), len(held), labels) for p in parts},
    }
