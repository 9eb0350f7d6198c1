"""The pack of a first hour: what names say, what rows taught on top of it, and its calibration."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from cascade.confidence.calibration import Calibration
from cascade.confidence.maps import BetaCalibration
from cascade.confidence.risk import RiskTable
from cascade.config import CascadeConfig
from cascade.errors import unwritable
from cascade.io.files import write_json
from cascade.labelling.expecting import Expectation
from cascade.labelling.sample import TAUGHT, WORDS, Sample
from cascade.pipeline.load import CONFIG_NAME
from cascade.pipeline.pack import seal
from cascade.retrieval.all_children import max_children
from cascade.scoring.corrections import Corrections
from cascade.tracking.provenance import MANIFEST, now, provenance
from cascade.training.packs.assembly import CALIBRATION, TAXONOMY
from cascade.training.packs.fit import METRICS
from cascade.version import __version__


def calibration_of(found: Expectation) -> Calibration:
    """What labelled rows tell about confidences, each answered by what the others taught."""
    return Calibration.fit(found.raw, found.right, found.whole)


def calibration_without_labels(raw: NDArray[np.float64], told: NDArray[np.float64]) -> Calibration:
    """Confidences that agree with what names alone are worth.

    Parameters
    ----------
    raw
        float64 [n, depth], confidences down the paths of answers, NaN below their ends.
    told
        float64 [n, depth], the probability of the same nodes by names alone, calibrated over many
        taxonomies (`confidence.unlabelled`).
    """
    maps = []
    for own, known in zip(raw.T, told.T, strict=True):
        used = ~np.isnan(own)
        share: Any = known[used]
        maps.append(BetaCalibration.fit(own[used], share))
    none = RiskTable((), (), ())
    return Calibration(maps, none, none)


def write_pack(
    folder: Path,
    sample: Sample,
    corrections: Corrections,
    calibration: Calibration,
    config: CascadeConfig,
    report: Mapping[str, Any],
) -> None:
    """Write a pack in the place of the one before, whole or not at all.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    part, old = folder.with_name(f"{folder.name}.part"), folder.with_name(f"{folder.name}.old")
    try:
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)
        part.mkdir(parents=True)
        sample.save(corrections, part)
        sample.taxonomy.to_yaml(part / TAXONOMY)
        calibration.save(part / CALIBRATION)
        settings = yaml.safe_dump(_settings(sample, config), sort_keys=False, allow_unicode=True)
        (part / CONFIG_NAME).write_text(settings, "utf-8")
        (part / "README.md").write_text(_readme(folder.name, report), "utf-8")
        (part / METRICS).write_text(json.dumps(report, indent=2) + "\n", "utf-8")
        write_json(part / MANIFEST, {"kind": "pack", "finished": now(), **provenance()})
        seal(part, own=True)
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise unwritable(folder, error, "run the same command again") from None


def _settings(sample: Sample, config: CascadeConfig) -> dict[str, Any]:
    """A cascade.yaml."""
    retrieval = config.retrieval.model_dump(exclude_none=True)
    retrieval["candidates"] = max(config.retrieval.candidates, max_children(sample.taxonomy))
    taught = {"file": TAUGHT, **({} if sample.words is None else {"words": WORDS})}
    return {
        "taxonomy": TAXONOMY,
        "method": "cascade",
        "columns": {"text": list(config.columns.text)},
        "reads": list(config.columns.text),
        "retrieval": retrieval,
        "taught": taught,
        "fusion": {"weights": {"taught": 1.0}},
        "descent": {"stop": 0.0, "answer": "likeliest"},
        "calibration": {"file": CALIBRATION},
    }


def _readme(name: str, report: Mapping[str, Any]) -> str:
    labels = report["labels"]
    told = "No row had a label: nothing is measured, and confidences are those of many taxonomies."
    if labels:
        told = f"{labels:,} labelled rows; too few to measure anything."
    if report.get("expected"):
        exact = report["expected"]["exact"]
        told = (
            f"{labels:,} labelled rows. Cross-validated on them, and weighed back to the file, "
            f"{exact['value']:.1%} of answers are exactly right (95% interval {exact['low']:.1%} "
            f"to {exact['high']:.1%})."
        )
    return (
        f"# {name}\n\nA pack of cascade {__version__}, made by `cascade start` of "
        f"{report['rows']:,} rows.\n\n{told}\n\n```sh\ncascade classify items.csv -c {name} "
        "-o out.csv\n```\n"
    )
