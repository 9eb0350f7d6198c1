"""What a pack remembers of labelled rows beside its parts, and how it learns it anew.

`Recalibration` makes a pack of another one: parts and weights stay, while confidences, the risks
that they keep, and what rows look like are those of rows as they come now.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from cascade.confidence.calibration import Calibration
from cascade.confidence.climbing import paths_of
from cascade.confidence.references import Groups, fit_reference, frequent
from cascade.confidence.shift import Reference
from cascade.config import CascadeConfig
from cascade.errors import ConfigError, InputError, OutputError, UsageError, unwritable
from cascade.evaluation.metrics.calibration import BINS, ece
from cascade.io.tables.opening import TableFile
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.load import CONFIG_NAME, load_config, load_taxonomy
from cascade.pipeline.pack import SEAL, is_own, seal, work_folder
from cascade.pipeline.runs.columns import picture_places
from cascade.pipeline.watching import Values
from cascade.predictions import Prediction
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import Labelled, Progress, read_labelled, readable
from cascade.training.packs.validation import Trial

REFERENCE = "shift.safetensors"
MOST = 5000  # rows of a reference; more tell nothing that counts, see `confidence.shift.TRUSTED`
LEAST = 50  # rows that a pack is calibrated on again
FOLDS = 5


def usual_classes(taxonomy: Taxonomy, rows: Labelled) -> dict[str, tuple[str, ...]]:
    """The classes that a reference tells apart, by stream: those that many rows have."""
    nodes = rows.nodes.tolist()
    tops = {node: taxonomy.codes[int(taxonomy.path_nodes(node)[0])] for node in set(nodes)}
    return {
        "answer": frequent([taxonomy.codes[node] for node in nodes]),
        "level 1": frequent([tops[node] for node in nodes]),
    }


def reference_of(
    classifier: Classifier,
    rows: Labelled,
    groups: Groups,
    classes: Mapping[str, Sequence[str]],
) -> Reference | None:
    """What rows look like that a classifier was not fitted to; None of too few.

    Parameters
    ----------
    classifier
        Its answers are raw and whole.
    classes
        As `usual_classes` finds them, in other rows than these.
    """
    if len(rows) > MOST:
        some = np.random.default_rng(0).permutation(len(rows)) < MOST
        rows, groups = rows.part(some), replace(groups, of=groups.of[some])
    predictions, seen = answered(classifier, rows)
    kept = np.array([prediction.code is not None for prediction in predictions], dtype=bool)
    return _reference(classifier.taxonomy, seen, replace(groups, of=groups.of[kept]), classes)


def _reference(
    taxonomy: Taxonomy, seen: Values, groups: Groups, classes: Mapping[str, Sequence[str]]
) -> Reference | None:
    def named(code: str) -> str:
        return taxonomy.path(taxonomy.index(code))

    found = fit_reference(seen, groups, classes, named) if len(groups.of) else None
    return found if found is not None and found.streams else None


def _tried(classifier: Classifier, rows: Labelled) -> tuple[Trial, Values]:
    """The rows that have an answer, with what is seen of them."""
    before, found = classifier.sentinel, Values()
    classifier.sentinel = recorder = before.recorder()
    classifier.classify_batch(rows.items[:1])
    twice = len(recorder.seen)  # a trial answers the first item once more
    recorder.seen.clear()
    trial = Trial.run(classifier, rows, classifier.taxonomy)
    classifier.sentinel = before
    _append(found, recorder.seen[twice:])
    has_answer = [prediction.code is not None for prediction in trial.predictions]
    kept = np.array(has_answer, dtype=bool)
    some = [prediction for prediction in trial.predictions if prediction.code is not None]
    comes_in = trial.comes_in
    if comes_in is not None:
        comes_in = comes_in[0][kept], comes_in[1][kept]
    evidence = None if trial.evidence is None else trial.evidence[kept]
    answered_rows = rows.part(kept)
    tried = replace(
        trial, rows=answered_rows, predictions=some, comes_in=comes_in, evidence=evidence
    )
    return tried, found


def answered(classifier: Classifier, rows: Labelled) -> tuple[list[Prediction], Values]:
    """The answers for rows, and what is seen of those rows that have one."""
    predictions: list[Prediction] = []
    found: Values = {}
    size = classifier.config.batch
    before = classifier.sentinel
    classifier.sentinel = recorder = before.recorder()
    for start in range(0, len(rows), size):
        recorder.seen.clear()
        new = classifier.classify_batch(rows.items[start : start + size])
        _append(found, recorder.seen)
        predictions += new
    classifier.sentinel = before
    return predictions, found


def _append(found: Values, seen: Sequence[Values]) -> None:
    """Add what was seen of rows that have an answer, in order."""
    for part in seen:
        has_answer = [code != "" for code in part["answer"][1]]
        for name, (kind, own) in part.items():
            values = [value for value, there in zip(own, has_answer, strict=True) if there]
            found.setdefault(name, (kind, []))[1].extend(values)


@dataclass(frozen=True)
class Recalibration:
    """A pack that is made of another one, and of labelled rows that it was not fitted to.

    Parameters
    ----------
    pack, folder
        The pack, and where the new one goes.
    label
        Column of the answers; that of the pack if None.
    """

    pack: Path
    source: TableFile
    folder: Path
    label: str | None = None

    def run(
        self, progress: Progress = lambda *_: None, *, overwrite: bool = False
    ) -> dict[str, Any]:
        """Fit confidences, risks and reference to the rows, and write the new pack.

        Returns
        -------
        Rows that were used and left out, the share that is right, and the expected calibration
        error of whole answers as it was before and, of rows that took no part, as it is now.

        Raises
        ------
        ConfigError
            It is no pack, or one without calibration.
        InputError
            A column is not there, or there are too few rows.
        OutputError
            The new pack is there already, or cannot be written.
        """
        self._check_target(overwrite=overwrite)
        config, taxonomy = self._config, self._taxonomy
        assert config.calibration.file is not None
        before = Calibration.load(Path(config.calibration.file))
        rows = self._rows(progress)
        progress("asking the rows", 0, len(rows))
        classifier = Classifier(taxonomy, _raw(config))
        if before.nowhere is not None:
            classifier.judge_by(before.nowhere.scorer)
        trial, seen = _tried(classifier, rows)
        self._check_enough(len(trial.rows), rows)
        progress("fitting confidences", 0, 1)
        groups = Groups.single(len(trial.rows))
        reference = _reference(taxonomy, seen, groups, self._classes())
        report = {
            "rows": len(trial.rows),
            "left_out": {reason: count for reason, (count, _) in rows.skipped.items()},
            "exact": round(trial.exact, 4),
            "ece_before": round(_ece(trial, before), 4),
            "ece_now": round(_ece_of_others(trial, before), 4),
        }
        self._write(trial.fit_calibration(before), reference, report)
        return report

    @cached_property
    def _config(self) -> CascadeConfig:
        """The config of the pack, which is checked."""
        config, folder = load_config(self.pack)
        if folder is None or not self.pack.is_dir() or not (self.pack / SEAL).is_file():
            raise ConfigError(f"{self.pack}: is no pack; name the folder that cascade fit wrote")
        if config.calibration.file is None or config.taxonomy is None:
            raise ConfigError(
                f"{self.pack}: has no calibration that could be fitted again; make a pack with "
                "cascade fit"
            )
        return config

    @cached_property
    def _taxonomy(self) -> Taxonomy:
        config = self._config
        assert config.taxonomy is not None
        return load_taxonomy(config.taxonomy, self.pack, **config.taxonomy_reading)

    def _rows(self, progress: Progress) -> Labelled:
        config = self._config
        columns = config.columns.model_copy(update={"label": self.label or config.columns.label})
        if columns.label is None:
            raise UsageError("say which column holds the known answers with --label")
        rows = read_labelled(
            self.source,
            columns,
            self._taxonomy,
            lambda n: progress("reading", n, n),
            picture_places(config),
        )
        return readable(rows, progress) if columns.image is not None else rows

    def _check_enough(self, n: int, rows: Labelled) -> None:
        if n >= LEAST:
            return
        out = "".join(
            f"; {count:,} are left out: {reason} (first: line {line})"
            for reason, (count, line) in rows.skipped.items()
        )
        raise InputError(
            f"{self.source.file}: {n:,} labelled rows can be used, and {LEAST} are needed to "
            f"calibrate a pack on{out}"
        )

    def _classes(self) -> Mapping[str, Sequence[str]]:
        """Those of the pack's own reference; of an older pack all of level 1."""
        own, tree = self._config.calibration.reference, self._taxonomy
        if own is not None:
            return {stream.name: stream.classes for stream in Reference.load(Path(own)).streams}
        return {"level 1": [tree.codes[node] for node in tree.level_nodes(1).tolist()][:128]}

    def _check_target(self, *, overwrite: bool) -> None:
        own, target = self.pack.resolve(), self.folder.resolve()
        if own == target or own in target.parents or target in own.parents:
            where = "is" if own == target else "lies inside" if own in target.parents else "holds"
            raise UsageError(
                f"{self.folder}: {where} the pack itself, which stays as it is; name another --out"
            )
        if self.folder.exists() and not overwrite:
            raise OutputError(
                f"{self.folder}: is there already; name another --out, or --overwrite"
            )
        if self.folder.exists() and not (self.folder / SEAL).is_file():
            raise OutputError(f"{self.folder}: is no pack, and is not replaced; name another --out")

    def _write(
        self, calibration: Calibration, reference: Reference | None, report: Mapping[str, Any]
    ) -> None:
        """Write the new pack beside its place, seal it, and put it there."""
        making = work_folder(self.folder)
        own = is_own(self.pack)
        try:
            shutil.rmtree(making, ignore_errors=True)
            shutil.copytree(self.pack, making)
            path = making / CONFIG_NAME
            settings = yaml.safe_load(path.read_text("utf-8"))
            kept = settings["calibration"]
            calibration.save(making / str(kept["file"]))
            kept.pop("reference", None)
            if reference is not None:
                kept["reference"] = REFERENCE
                reference.save(making / REFERENCE)
            path.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), "utf-8")
            with (making / "README.md").open("a", encoding="utf-8") as file:
                file.write(self._told(report))
            seal(making, own=own)
            if self.folder.exists():
                shutil.rmtree(self.folder)
            making.rename(self.folder)
        except OSError as error:
            raise unwritable(self.folder, error) from None

    def _told(self, report: Mapping[str, Any]) -> str:
        """What the README says of it."""
        source = self.source
        return (
            "\nLater its confidences, the risks that it keeps and what it takes for usual rows "
            f"were fitted again, to {report['rows']:,} rows of `{Path(source.file).name}` "
            f"(SHA-256 {source.sha256[:16]}...), of which {report['exact']:.1%} were answered "
            "right. Their "
            f"expected calibration error was {report['ece_before']:.3f} before and is "
            f"{report['ece_now']:.3f} (measured on rows that took no part). The tables above are "
            "of the pack as it was.\n"
        )


def _raw(config: CascadeConfig) -> CascadeConfig:
    """The config of a pack whose answers are raw and whole."""
    found = config.model_copy(deep=True)
    found.calibration = type(found.calibration)(least=0.0)
    return found


def _ece(trial: Trial, calibration: Calibration) -> float:
    """The expected calibration error of whole answers."""
    return _ece_of(_sure(calibration, trial.predictions), trial.right)


def _sure(calibration: Calibration, predictions: Sequence[Prediction]) -> NDArray[np.float64]:
    """float64 [n], calibrated confidences of whole answers that are raw."""
    return np.asarray(np.nanmin(calibration.of_paths(paths_of(predictions)), axis=1))


def _ece_of(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    at = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
    sums = [np.bincount(at, w, BINS) for w in (np.ones(len(at)), sure, right)]
    bins = np.array(sums, dtype=np.float64)
    return float(ece(bins[:, :, None])[0])


def _ece_of_others(trial: Trial, before: Calibration) -> float:
    """As `_ece`, of calibrations that were fitted to the other rows."""
    fold = np.random.default_rng(0).permutation(len(trial.rows)) % FOLDS
    sure = np.empty(len(fold))
    for out in range(FOLDS):
        others = np.flatnonzero(fold != out)
        known = [trial.predictions[row] for row in others.tolist()]
        fitted = Trial(trial.rows.part(fold != out), trial.taxonomy, known).fit_calibration(before)
        own = np.flatnonzero(fold == out)
        sure[own] = _sure(fitted, [trial.predictions[row] for row in own.tolist()])
    return _ece_of(sure, trial.right)
