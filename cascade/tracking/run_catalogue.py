"""Folders of runs of every kind: found, told apart, and read as far as they can be read.

A run is known by its files: `manifest.json` of `eval`, `recipe.yaml` of `finetune`, `pack.json` of
`fit`. Folders of versions that wrote no manifest for the latter two are read as well. What is
damaged is a run too, with the reason why nothing more is known of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from cascade.config import read_yaml
from cascade.errors import CascadeError, ConfigError, InputError, did_you_mean
from cascade.io.files import read_json
from cascade.tracking.curves import LINES, Line, is_number, read_lines
from cascade.tracking.provenance import MANIFEST
from cascade.tracking.trackers import flat_settings
from cascade.values import printable

METRICS, RECIPE, CONFIG, SEAL, FITTING = (
    *("metrics.json", "recipe.yaml", "cascade.yaml", "pack.json", "fit.json"),
)
DEEP = 6  # folders below one another that are looked through
MOST_FOLDERS = 50_000
LOWER_IS_BETTER = ("loss", "ece", "brier", "aurc", "severity", "distance", "seconds")
FIRST = {  # figures that tell runs of a kind apart, the first that is there
    "eval": ("hf1_micro", "exact_match"),
    "adapter": ("validation_loss",),
    "retriever": ("after.accuracy_at_1",),
    "reranker": ("after.accuracy_at_1",),
    "encoder": ("after.hf1",),
    "pack": ("pack.exact", "pack.accuracy_l1", "f1_micro"),
}
Status = Literal["finished", "unfinished", "broken"]
Told = TypeVar("Told")


@dataclass(frozen=True)
class RunEntry:
    """A run as far as it could be read.

    Parameters
    ----------
    kind
        `eval`, `pack`, or what `finetune` made: `adapter`, `retriever`, ...
    problem
        Why it is broken; empty if it is not.
    data
        The file that it was measured on or learnt from.
    data_sha256
        Hash of that; None where an older version noted none.
    settings
        By dotted keys.
    figures
        Every number of its metrics, by dotted keys.
    manifest
        As it was read; empty where there is none.
    """

    path: Path
    kind: str
    status: Status
    problem: str = ""
    started: str | None = None
    finished: str | None = None
    command: str = ""
    seed: int | None = None
    data: str = ""
    data_sha256: str | None = None
    taxonomy: str = ""
    taxonomy_sha256: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    figures: Mapping[str, float] = field(default_factory=dict, repr=False)
    manifest: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def headline(self) -> tuple[str, float] | None:
        """The figure that tells runs of its kind apart, if it is known."""
        told = self.manifest.get("headline")
        if isinstance(told, list) and len(told) == 2 and told[0] in list(self.figures):
            return told[0], self.figures[told[0]]
        names = FIRST.get(self.kind, ())
        return next(((name, self.figures[name]) for name in names if name in self.figures), None)

    @property
    def curves(self) -> list[Line]:
        """The lines of its `metrics.jsonl`."""
        return read_lines(self.path / LINES)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {**asdict(self), "path": str(self.path), "headline": self.headline}


def find_runs(folder: Path) -> list[RunEntry]:
    """The run in a folder, or all runs below it, in the order of their paths.

    Raises
    ------
    InputError
        There is no such folder.
    """
    if not folder.is_dir():
        raise InputError("there is no such folder of runs; name another", file=folder)
    return [read_run(path) for path in _run_folders(folder)]


def read_run(folder: Path) -> RunEntry:
    """The run in a folder; what cannot be read of it is told in its `problem`.

    Raises
    ------
    InputError
        There is no run in it.
    """
    kind = _kind(folder)
    if kind is None:
        raise InputError(
            "holds no run; expected a folder that cascade eval, finetune or fit wrote", file=folder
        )
    try:
        return _READERS[kind](folder)
    except (CascadeError, OSError) as error:
        return RunEntry(folder, kind, "broken", str(error))
    except (
        TypeError,
        ValueError,
        LookupError,
        ArithmeticError,
        AttributeError,
        RecursionError,
    ) as error:
        why = f"holds what no run writes ({type(error).__name__}: {error})"
        return RunEntry(folder, kind, "broken", f"{folder}: {why}")


def is_lower_better(figure: str) -> bool:
    """Whether a lower value of a figure is the better one, by its name."""
    words = figure.replace(".", "_").split("_")
    return any(word in words for word in LOWER_IS_BETTER)


def best_of(runs: Sequence[RunEntry], by: str | None) -> list[tuple[str, list[RunEntry]]]:
    """Finished runs that can be compared, group by group, each the best first.

    A group has one kind, the same data and the same taxonomy, as far as these are known.

    Parameters
    ----------
    by
        The figure, which may be given by its end (`accuracy_l1`); None for the headline of each
        kind.

    Returns
    -------
    The figure of each group, and its runs.

    Raises
    ------
    ConfigError
        No run has the figure.
    """
    groups: dict[tuple[Any, ...], list[tuple[float, RunEntry]]] = {}
    for run in runs:
        name = _figure_name(run, by)
        if run.status != "finished" or name is None:
            continue
        key = (run.kind, run.data_sha256 or run.data, run.taxonomy_sha256, name)
        groups.setdefault(key, []).append((run.figures[name], run))
    if not groups and by is not None:
        known = sorted({name for run in runs for name in run.figures})
        raise ConfigError(f"no finished run has a figure {by!r}{did_you_mean(by, known)}")
    return [
        (key[-1], [run for _, run in _sorted(members, is_lower_better(key[-1]))])
        for key, members in groups.items()
    ]


def value_of(run: RunEntry, by: str) -> float | None:
    """A figure of a run by its name or by the end of it."""
    name = _figure_name(run, by)
    return None if name is None else run.figures[name]


def differing_settings(runs: Sequence[RunEntry]) -> dict[str, list[Any]]:
    """Settings that are not the same in all runs, each with its value in each, None if absent."""
    keys = list(dict.fromkeys(key for run in runs for key in run.settings))
    table = {key: [run.settings.get(key) for run in runs] for key in keys}
    return {key: row for key, row in table.items() if any(cell != row[0] for cell in row)}


def _sorted(members: list[tuple[float, RunEntry]], lower: bool) -> list[tuple[float, RunEntry]]:
    return sorted(members, key=lambda each: each[0] if lower else -each[0])


def _figure_name(run: RunEntry, by: str | None) -> str | None:
    if by is None:
        return run.headline[0] if run.headline else None
    if by in run.figures:
        return by
    ends = [name for name in run.figures if name.endswith(f".{by}")]
    return ends[0] if len(ends) == 1 or (ends and ends[0] == f"after.{by}") else None


def _run_folders(folder: Path) -> Iterator[Path]:
    seen = 0
    for place, inner, _ in os.walk(folder):
        seen += 1
        path = Path(place)
        if _kind(path) is not None:
            yield path
            inner.clear()
            continue
        if seen > MOST_FOLDERS or len(path.relative_to(folder).parts) >= DEEP:
            inner.clear()
        inner[:] = sorted(name for name in inner if not name.startswith("."))


def _kind(folder: Path) -> str | None:
    """What kind of run lies in a folder, by the files that are there."""
    there = {name for name in (MANIFEST, RECIPE, SEAL, FITTING) if (folder / name).is_file()}
    if RECIPE in there:
        return "finetune"
    if SEAL in there or (FITTING in there and folder.name.endswith(".fitting")):
        return "pack"
    return "eval" if MANIFEST in there else None


def _read_eval(folder: Path) -> RunEntry:
    manifest = _object(folder / MANIFEST)
    if "data" not in manifest:
        raise ConfigError(f"{folder / MANIFEST}: is no manifest of a run")
    entry = _entry(folder, "eval", manifest, bool(manifest.get("finished")))
    if entry["status"] == "finished":
        metrics = _object(folder / METRICS)
        for part in ("figures", "ranking"):
            entry["figures"] |= {
                name: float(interval["value"])
                for name, interval in metrics[part].items()
                if interval["value"] is not None
            }
        rate = metrics["time"]["rows_per_second"]
        entry["figures"] |= {} if rate is None else {"rows_per_second": float(rate)}
    config = folder / "config.yaml"
    if config.is_file():
        entry["settings"] = flat_settings({"method": manifest.get("method"), **_yaml(config)})
    return RunEntry(**entry)


def _read_finetune(folder: Path) -> RunEntry:
    recipe = _yaml(folder / RECIPE)
    kind = recipe.get("kind", "adapter")
    if not isinstance(kind, str) or not kind.isidentifier():
        raise ConfigError(f"{folder / RECIPE}: kind: expected a word, found {kind!r}")
    manifest = _object(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    done = (folder / METRICS).is_file()
    entry = _entry(folder, kind, manifest, done)
    if not manifest:  # of a version that wrote none
        data = recipe.get("data")
        sets = recipe.get("sets") or []
        file = data.get("file", "") if isinstance(data, dict) else f"{len(sets)} sets"
        entry |= {"data": Path(str(file)).name, "seed": recipe.get("seed")}
    if done:
        metrics = _object(folder / METRICS)
        entry["figures"] = _numbers(metrics)
        if kind == "encoder" and not manifest:
            best = [_hf1(held) for held in metrics["after"].values()]
            entry["figures"] |= {"after.hf1": sum(best) / len(best)} if best else {}
    told = manifest.get("headline")
    if done and isinstance(told, list) and len(told) == 2 and is_number(told[1]):
        entry["figures"] = {str(told[0]): float(told[1])} | entry["figures"]
    entry["settings"] = flat_settings(recipe)
    return RunEntry(**entry)


def _hf1(held: Any) -> float:
    """hF1 of a held set: `[hF1, exact]`, or the best of several texts of nodes."""
    both = held.values() if isinstance(held, Mapping) else [held]
    return float(max(hf1 for hf1, _ in both))


def _read_pack(folder: Path) -> RunEntry:
    done = (folder / SEAL).is_file()
    manifest = _object(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    entry = _entry(folder, "pack", manifest, done)
    if done and not (folder / CONFIG).is_file():
        raise ConfigError(f"{folder / CONFIG}: is missing from the pack")
    if (folder / METRICS).is_file():
        entry["figures"] = _numbers(_object(folder / METRICS))
    settings = manifest.get("recipe") or (_object(folder / FITTING) if not done else {})
    entry["settings"] = flat_settings(settings) if isinstance(settings, dict) else {}
    return RunEntry(**entry)


_READERS = {"eval": _read_eval, "finetune": _read_finetune, "pack": _read_pack}


def _entry(folder: Path, kind: str, manifest: Mapping[str, Any], done: bool) -> dict[str, Any]:
    """What a manifest tells of any run, as parameters of `RunEntry`."""
    data, taxonomy = (_told(manifest, name, dict) or {} for name in ("data", "taxonomy"))
    for name in ("git", "machine", "versions", "bootstrap"):
        _told(manifest, name, dict)
    _told(manifest.get("git") or {}, "commit", str)
    return {
        "path": folder,
        "kind": kind,
        "status": "finished" if done else "unfinished",
        "started": _told(manifest, "started", str),
        "finished": _told(manifest, "finished", str),
        "command": printable(_told(manifest, "command", str) or ""),
        "seed": _told({**(manifest.get("bootstrap") or {}), **manifest}, "seed", int),
        "data": printable(Path(str(data.get("file", ""))).name),
        "data_sha256": _told(data, "sha256", str),
        "taxonomy": printable(str(taxonomy.get("name", ""))),
        "taxonomy_sha256": _told(taxonomy, "sha256", str),
        "figures": {},
        "manifest": manifest,
    }


def _told(values: Mapping[str, Any], name: str, kind: type[Told]) -> Told | None:
    """A value of a manifest; TypeError where it is not of its kind."""
    value = values.get(name)
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} of {MANIFEST} is {json.dumps(value):.40}")
    return value


def _numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Every number in nested values, by dotted keys; of an interval the value itself."""
    found: dict[str, float] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if not key.endswith("_by_step"):
                found |= _numbers(value, f"{name}.")
        elif isinstance(value, list):
            if len(value) == 3 and all(map(is_number, value)):
                found[name] = float(value[0])
        elif is_number(value):
            found[name] = float(value)
    return found


def _object(file: Path) -> dict[str, Any]:
    values = read_json(file)
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: expected a JSON object, found {json.dumps(values)[:40]}")
    return values


def _yaml(file: Path) -> dict[str, Any]:
    values = read_yaml(file)
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: expected fields, found something else")
    return values
