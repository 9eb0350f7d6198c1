"""A sweep: one experiment for every combination of some fields' values, each in its own folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from cascade.config import parse_yaml
from cascade.errors import CascadeError, ConfigError, OutputError, UsageError, unwritable
from cascade.io.files import read_json, write_json, write_text
from cascade.tracking.provenance import MANIFEST
from cascade.tracking.run_catalogue import is_lower_better
from cascade.training.experiment import METRICS, Experiment
from cascade.training.finetune_kinds import AnyRecipe, load_recipe
from cascade.training.markdown import table

MOST = 500  # runs of a sweep
LONG = 120  # characters of a folder's name
TABLE, FIGURES = "sweep.md", "sweep.json"

Point = tuple[tuple[str, Any], ...]
"""Fields with the value that each has."""

Make = Callable[[AnyRecipe, Path], Experiment[Any]]


@dataclass(frozen=True)
class SweptField:
    """A field by its dotted key, and the values that it takes one after another."""

    key: str
    values: tuple[Any, ...]

    @classmethod
    def parse(cls, text: str) -> SweptField:
        """The field in `lora.rank=4,8,16`; values are YAML, lists in brackets.

        Raises
        ------
        UsageError
            It has no key, or fewer than two values, or one twice.
        """
        key, equals, given = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--sweep {text!r}: expected KEY=VALUE,VALUE, as in lora.rank=4,8,16")
        try:
            values = parse_yaml(f"[{given}]", f"--sweep {key}")
        except ConfigError:
            values = [part.strip() for part in given.split(",")]
        shown = [json.dumps(value, default=str) for value in values]
        if len(set(shown)) < max(2, len(shown)):
            raise UsageError(
                f"--sweep {text!r}: expected two or more different values, found {given or 'none'}"
            )
        return cls(key.strip(), tuple(values))


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep, and what became of it.

    Parameters
    ----------
    figure
        Name and value of what tells the runs apart; None where nothing was measured.
    problem
        Why it failed; empty if it did not.
    """

    point: Point
    folder: Path
    figure: tuple[str, float] | None = None
    seconds: float | None = None
    problem: str = ""


@dataclass
class Sweep:
    """Experiments over a grid of fields of a recipe.

    Parameters
    ----------
    recipe
        Name or file.
    over
        Nested values that replace some of the recipe in every run.
    make
        Makes the experiment of a recipe in a folder.
    """

    recipe: str
    over: Mapping[str, Any]
    fields: Sequence[SweptField]
    folder: Path
    make: Make = field(repr=False)

    def experiments(self) -> list[tuple[Point, Experiment[Any]]]:
        """Every experiment, its recipe and its data checked, and nothing begun.

        Raises
        ------
        CascadeError
            A field is none, a value does not fit it, or data or weights are not there.
        """
        keys = [swept.key for swept in self.fields]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise UsageError(f"--sweep {twice}: stands twice; give all its values at once")
        if fixed := next((key for key in keys if _holds(self.over, key)), None):
            raise UsageError(f"{fixed} is in --sweep and in --set; leave out one of them")
        count = 1
        for swept in self.fields:
            count *= len(swept.values)
        if count > MOST:
            raise UsageError(f"the sweep has {count:,} runs, at most {MOST} are made; sweep less")
        found, names = [], set[str]()
        for values in product(*(swept.values for swept in self.fields)):
            point: Point = tuple(zip(keys, values, strict=True))
            name = folder_name(point)
            if name in names:
                name = f"{name}~{len(names)}"
            names.add(name)
            recipe = load_recipe(self.recipe, _with(self.over, point))
            experiment = self.make(recipe, self.folder / name)
            experiment.check()
            found.append((point, experiment))
        return found

    def run(
        self,
        *,
        resume: bool = False,
        overwrite: bool = False,
        begins: Callable[[int, int, Point], None] = lambda *_: None,
    ) -> list[SweepRun]:
        """Run all of them in turn, the best known in the end; writes `sweep.json` and `sweep.md`.

        With `resume` what is finished is not run again. An experiment that fails does not stop the
        others.

        Parameters
        ----------
        begins
            Called with the number of each run, that of all, and its point.

        Raises
        ------
        CascadeError
            See `experiments`; or the folder holds a sweep and may neither be gone on with nor
            replaced.
        """
        experiments = self.experiments()
        if resume and overwrite:
            raise UsageError("--resume and --overwrite exclude each other; choose one")
        there = [e.folder for _, e in experiments if e.folder.exists()]
        if there and not (resume or overwrite):
            raise OutputError(
                f"{there[0]} exists; go on with --resume, begin anew with --overwrite, or name "
                "another folder with --out"
            )
        done: list[SweepRun] = []
        for number, (point, experiment) in enumerate(experiments, 1):
            begins(number, len(experiments), point)
            done.append(_ran(point, experiment, resume=resume, overwrite=overwrite))
            self._write(done)  # also of a sweep that is interrupted
        return done

    def _write(self, runs: Sequence[SweepRun]) -> None:
        heading, rows = table_of(runs)
        plain = {
            "recipe": self.recipe,
            "runs": [
                {
                    "settings": dict(run.point),
                    "folder": run.folder.name,
                    "figure": run.figure,
                    "seconds": run.seconds,
                    "problem": run.problem or None,
                }
                for run in runs
            ],
            "best": best.folder.name if (best := best_of(runs)) else None,
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from None
        write_json(self.folder / FIGURES, plain)
        write_text(self.folder / TABLE, f"# Sweep of {self.recipe}\n\n{table(heading, rows)}\n")


def best_of(runs: Sequence[SweepRun]) -> SweepRun | None:
    """The run with the best figure, if there is any."""
    measured = [run for run in runs if run.figure is not None]
    if not measured:
        return None

    def worth(run: SweepRun) -> float:
        assert run.figure is not None
        name, value = run.figure
        return -value if is_lower_better(name) else value

    return max(measured, key=worth)


def table_of(runs: Sequence[SweepRun]) -> tuple[list[str], list[list[str]]]:
    """Heading and a row for each run, the best marked."""
    best = best_of(runs)
    figure = best.figure[0] if best and best.figure else "figure"
    heading = [*(key for key, _ in runs[0].point), figure, "seconds", ""]
    rows = []
    for run in runs:
        shown = [_text(value) for _, value in run.point]
        shown.append("" if run.figure is None else f"{run.figure[1]:.4f}")
        shown.append("" if run.seconds is None else f"{run.seconds:,.0f}")
        shown.append(f"failed: {run.problem}" if run.problem else "best" if run is best else "")
        rows.append(shown)
    return heading, rows


def folder_name(point: Point) -> str:
    """A name that a folder can have: `lora.rank=4,seed=1`."""
    name = ",".join(f"{key}={_text(value)}" for key, value in point)
    plain = re.sub(r"[^\w.=,+-]+", "_", name)
    return plain[:LONG].strip(".")


def _ran(point: Point, experiment: Experiment[Any], *, resume: bool, overwrite: bool) -> SweepRun:
    folder = experiment.folder
    try:
        metrics = _finished(experiment) if resume else None
        if metrics is None:
            with experiment:
                experiment.prepare(resume=resume and folder.exists(), overwrite=overwrite)
                metrics = experiment.run(resume=resume)
    except CascadeError as error:
        return SweepRun(point, folder, problem=str(error))
    try:
        seconds = metrics.get("seconds")
        figure = experiment.headline(metrics)
        told = None if figure is None else (figure[0], float(figure[1]))
        return SweepRun(point, folder, told, None if seconds is None else float(seconds))
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError):
        problem = f"{folder / METRICS}: is damaged; begin anew with --overwrite"
        return SweepRun(point, folder, problem=problem)


def _finished(experiment: Experiment[Any]) -> dict[str, Any] | None:
    """The metrics of a run that is whole; None where there is none.

    Raises
    ------
    OutputError
        It is of other data or another recipe.
    """
    folder = experiment.folder
    if not (folder / METRICS).is_file():
        return None
    manifest, metrics = read_json(folder / MANIFEST), read_json(folder / METRICS)
    if not isinstance(manifest, dict) or not isinstance(metrics, dict):
        raise OutputError(f"{folder}: its files are damaged; begin anew with --overwrite")
    if manifest.get("fingerprint") != experiment.identity:
        raise OutputError(
            f"{folder} has a run with other data or another recipe; begin anew with --overwrite"
        )
    return metrics


def _with(over: Mapping[str, Any], point: Point) -> dict[str, Any]:
    """Nested values with those of a point."""
    nested: dict[str, Any] = json.loads(json.dumps(over, default=str))
    for key, value in point:
        *sections, last = key.split(".")
        place = nested
        for section in sections:
            inner = place.setdefault(section, {})
            if not isinstance(inner, dict):
                raise UsageError(f"--sweep {key}: {section} has a value, and no fields, in --set")
            place = inner
        place[last] = value
    return nested


def _holds(over: Mapping[str, Any], key: str) -> bool:
    place: Any = over
    for part in key.split("."):
        if not isinstance(place, Mapping) or part not in place:
            return False
        place = place[part]
    return True


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(_text, value))
    return "null" if value is None else str(value)
