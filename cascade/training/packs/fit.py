"""`cascade fit`: labelled rows in, a pack out.

Parts are fitted to the rows that are not held out; on the held-out rows weights, routing and
calibration are chosen; then the parts are fitted to all rows. Rows of a validation file take the
place of held-out ones.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from cascade.config import Columns
from cascade.errors import CascadeError, OutputError, UsageError
from cascade.io.files import write_text
from cascade.io.pictures import PicturePlaces
from cascade.io.tables.opening import TableFile
from cascade.models.language_models import is_vision_language
from cascade.models.weights import find_weights
from cascade.pipeline.acceptance import Calibration
from cascade.pipeline.load import CONFIG_NAME
from cascade.pipeline.pack import SEAL, seal, work_folder
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.taxonomy.staying import places, staying
from cascade.training.labelled import (
    Labelled,
    Progress,
    read_labelled,
    readable,
    settled_columns,
)
from cascade.training.packs.assembly import CALIBRATION, TAXONOMY, Assembly
from cascade.training.packs.fine_tuned_parts import FineTunedPart, FineTunedPicturePart
from cascade.training.packs.parts import (
    FitContext,
    FrozenPicturePart,
    LexicalPart,
    Part,
    PartConfig,
    TextAndPicturePart,
)
from cascade.training.packs.recipe import Recipe, TunedStage
from cascade.training.sampling import hold_out_stratified, near_duplicate_groups
from cascade.version import __version__

STATE = "fit.json"
LOCK = "lock"
REPLACES = "replaces"  # there if the pack in the way may be replaced
METRICS = "metrics.json"


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
    notify: Callable[[str], None] = field(default=lambda _: None, repr=False)

    @property
    def work(self) -> Path:
        """Where everything is until the pack is whole."""
        return work_folder(self.folder)

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
        if not self.folder.name:
            raise OutputError(f"{str(self.folder)!r} names no folder to write; name a new one")
        identity, agreed = self.identity, self.work / REPLACES
        if self.folder.exists() and not (self.folder / SEAL).is_file():
            raise OutputError(f"{self.folder} is there and is no pack; name another folder")
        if self.folder.exists() and not (overwrite or (resume and agreed.is_file())):
            raise OutputError(f"{self.folder} exists; replace it with --overwrite")
        state = self.work / STATE
        if self.work.exists() and not state.is_file():
            raise OutputError(f"{self.work} is in the way and is not ours; move it")
        if self.work.exists() and not overwrite:
            if not resume:
                raise OutputError(
                    f"{self.work} has an interrupted fit; go on with --resume, or begin anew with "
                    "--overwrite"
                )
            if json.loads(state.read_text("utf-8")) != identity:
                raise OutputError(
                    f"{self.work} has an interrupted fit of other rows, columns or settings; go on "
                    "with those, or begin anew with --overwrite"
                )
            return
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            if not state.is_file():  # first, so that what a kill leaves here is known as ours
                write_text(state, json.dumps(identity))
            with self._alone():
                write_text(state, json.dumps(identity))
                for path in self.work.iterdir():
                    if path.is_dir():
                        shutil.rmtree(path)
                    elif path not in (state, self.work / LOCK):
                        path.unlink()
                if self.folder.exists():
                    agreed.touch()
        except OSError as error:
            raise OutputError(
                f"{self.work}: cannot be written: {error.strerror}; solve that (free space, "
                "permissions), or name another --out"
            ) from None

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
        self._check_begun()  # before, since a lock makes its folder
        with self._alone():
            self._check_begun()
            return self._run_or_tidy(progress)

    def _check_begun(self) -> None:
        """Raise OutputError unless the work folder is there and is of this fit."""
        try:
            found = json.loads((self.work / STATE).read_text("utf-8"))
        except (OSError, ValueError):
            found = None
        if found != self.identity:
            raise OutputError(
                f"{self.folder}: another process began or ended a fit of it meanwhile; see what "
                "is there, then begin again with --overwrite, or name another --out"
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from fitting the same pack."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.work / LOCK, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(
                f"another process is fitting {self.folder}; wait for it to end, or name another "
                "--out"
            ) from None
        except OSError as error:
            raise OutputError(
                f"{self.work}: cannot be written: {error.strerror}; begin again"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _run_or_tidy(self, progress: Progress) -> dict[str, Any]:
        try:
            return self._run(progress)
        except CascadeError:
            if self.work.is_dir() and not any(path.is_dir() for path in self.work.iterdir()):
                shutil.rmtree(self.work)
            raise

    def _run(self, progress: Progress) -> dict[str, Any]:
        started = time.perf_counter()
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
        part, whole = self.work / "part", self.work / "pack"
        context = FitContext(tree, self.columns.text, self.seed, self.allow_download, progress)
        parts, config = self._parts(context), PartConfig()
        for each in parts:
            each.fit(fitted.with_pictures() if each.needs_picture else fitted, part)
            config.add(each.config(part))
        settings, report, calibration = Assembly(
            base, stays, self.columns, self.recipe, config, part, rows, held, progress
        ).settings()
        for each in parts:
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
        self._write(whole, settings, report, calibration)
        return report

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
        whole: Path,
        settings: dict[str, Any],
        report: dict[str, Any],
        calibration: Calibration,
    ) -> None:
        """Make the pack whole, and put it in its place."""
        try:
            self.taxonomy.to_yaml(whole / TAXONOMY)
            calibration.save(whole / CALIBRATION)
            text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
            (whole / CONFIG_NAME).write_text(text, "utf-8")
            (whole / "README.md").write_text(self._readme(report), "utf-8")
            (whole / METRICS).write_text(json.dumps(report, indent=2) + "\n", "utf-8")
            seal(whole, own=True)
            old = self.work / "old"
            shutil.rmtree(old, ignore_errors=True)
            if self.folder.exists():
                self.folder.rename(old)
            whole.rename(self.folder)
            shutil.rmtree(self.work)
        except OSError as error:
            raise OutputError(
                f"{self.folder}: cannot be written: {error.strerror}; solve that (free space, "
                "permissions) and go on with --resume"
            ) from None

    def _readme(self, report: Mapping[str, Any]) -> str:
        """What the pack was fitted on, how it measured, and how it is used; Markdown."""
        rows, name = report["rows"], self.folder.name
        held = "held out, near duplicates together"
        if rows["validation_file"]:
            held = "a validation file"
        read = ", ".join([*self.columns.text, *filter(None, [self.columns.image])])
        columns = list(report["pack"])
        figures = {**report["scorers"], "this pack": report["pack"]}
        blocks = [
            f"# {name}",
            f"A pack of cascade {__version__}, fitted in {report['seconds']:,} s on "
            f"{rows['fitted']:,} rows of {rows['labels']:,} labels from "
            f"`{Path(self.source.file).name}` (SHA-256 {self.source.sha256[:16]}...), columns "
            f"{read}, seed {self.seed}.",
            "\n".join(
                [
                    "```sh",
                    f"cascade classify items.csv -c {name} -o out.csv",
                    *filter(None, [self.command]),
                    "```",
                ]
            ),
            f"Measured on {rows['held_out']:,} rows ({held}) on which weights and routing were "
            "chosen, so that figures are a little flattering; parts of the pack had not seen them:",
            _table(
                ["", *columns], [[n, *(f.get(c, "") for c in columns)] for n, f in figures.items()]
            ),
        ]
        if curve := report["curve"]:
            points = [list(point.values()) for point in curve[:: max(1, len(curve) // 12)]]
            blocks += [
                "Routing: what the fast path answers alone at a threshold.",
                _table(["threshold", "fast", "exact", "rows/s"], points),
            ]
        if report["risk"]:
            blocks += [
                "What `--max-risk` accepts; the rest is marked `review`.",
                _table(
                    ["max risk", "from confidence", "share accepted"],
                    [list(row.values()) for row in report["risk"]],
                ),
            ]
        recipe = json.dumps(self.identity["recipe"], indent=1)
        return "\n\n".join([*blocks, "Recipe:", f"```json\n{recipe}\n```"]) + "\n"


def _table(header: list[str], rows: list[list[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
