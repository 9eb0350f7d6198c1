"""What experiments of `cascade finetune` share: the rows, and the folder of the result."""

from __future__ import annotations

import hashlib
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from cascade.errors import ConfigError, OutputError, UsageError, unwritable
from cascade.io.files import alone, read_json, readable_by_others, write_json, write_text
from cascade.models.weights import Weights
from cascade.tracking.curves import LINES, PICTURE, CurveLog
from cascade.tracking.provenance import MANIFEST, now, provenance
from cascade.tracking.trackers import check_trackers, make_trackers
from cascade.training.finetune_recipe import FinetuneRecipe
from cascade.training.labelled import Progress
from cascade.training.loop import Tick
from cascade.training.markdown import table
from cascade.version import __version__

WORK, IDENTITY, LOCK = "checkpoints", "identity.json", "lock"
RECIPE, METRICS, README = "recipe.yaml", "metrics.json", "README.md"

R = TypeVar("R", bound=FinetuneRecipe)


@dataclass(frozen=True)
class Experiment(ABC, Generic[R]):
    """One experiment and where its result goes; a context manager.

    Parameters
    ----------
    limit
        Rows of the data file that are read.
    command
        What was typed, for the README.
    progress, notify
        Called with signs of progress, and with whole sentences.
    """

    recipe: R
    folder: Path
    limit: int | None = None
    command: str = ""
    progress: Progress = field(default=lambda *_: None, repr=False)
    notify: Callable[[str], None] = field(default=lambda _: None, repr=False)
    _held: ExitStack = field(default_factory=ExitStack, init=False, repr=False, compare=False)

    @abstractmethod
    def run(self, *, resume: bool = False) -> dict[str, Any]:
        """Train, and write the result; call `prepare` first.

        Returns
        -------
        The contents of metrics.json.

        Raises
        ------
        CascadeError
            The data, the model or the recipe cannot be used; says where and what to do.
        """

    def page(self, title: str, told: str, facts: Mapping[str, Any], more: str = "") -> str:
        """A README as all kinds have it.

        Parameters
        ----------
        told
            What was measured.
        facts
            What it was made of, and how; the command and the seed stand around them.
        more
            Sentences for the end.
        """
        made = {"made by": f"`{self.command}`", **facts, "seed": self.recipe.seed}
        kind = self.made.split()[-1]
        again = f"`recipe.yaml` has every setting; the same command on it makes the {kind} again."
        parts = [
            f"# {title}",
            self.recipe.about or "Made by `cascade finetune`.",
            "Use it:",
            f"    {self.usage()}",
            *([told] if told else []),
            table(("", ""), made.items()),
            f"{again} {more}".strip(),
        ]
        return "\n\n".join(parts) + "\n"

    @abstractmethod
    def readme(self, metrics: Mapping[str, Any]) -> str:
        """The README of the result, as Markdown."""

    @abstractmethod
    def summary(self, metrics: Mapping[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
        """What is shown when it is done: the header of a table, which may be empty, and rows."""

    @property
    @abstractmethod
    def made(self) -> str:
        """What a result is, for messages: `an adapter`."""

    @property
    @abstractmethod
    def data(self) -> dict[str, Any]:
        """What is learnt, for the manifest: files with their hashes, columns, the taxonomy."""

    def headline(self, metrics: Mapping[str, Any]) -> tuple[str, float] | None:
        """Name and value of the figure that tells results apart; None where none was measured."""
        return None

    @property
    @abstractmethod
    def _weights(self) -> list[Weights]:
        """The weights that the result depends on, those that are trained first."""

    @property
    def result(self) -> Path:
        """What is named in settings to use the result."""
        return self.folder

    @abstractmethod
    def usage(self) -> str:
        """The command that classifies with the result."""

    @property
    def work(self) -> Path:
        """Where checkpoints are until there is a result."""
        return self.folder / WORK

    @property
    @abstractmethod
    def _contents(self) -> Any:
        """What data and taxonomies hold, as JSON: hashes."""

    @property
    @abstractmethod
    def _places(self) -> dict[str, Any]:
        """Fields of the recipe that say only where data lie, as `model_dump` excludes them."""

    @cached_property
    def identity(self) -> str:
        """A hash of all that the trained weights depend on."""
        recipe = self.recipe.model_dump(
            exclude={
                "about": True,
                "report_to": True,
                "training": {"checkpoint_every"},
                **self._places,
            }
        )
        depends = [__version__, recipe, self._contents, *(w.identity for w in self._weights)]
        return hashlib.sha256(json.dumps(depends).encode()).hexdigest()

    def check(self) -> None:
        """Raise CascadeError where data, weights, prompts or trackers are not there."""
        check_trackers(self.recipe.report_to)
        _ = self.identity
        self._check_resources()

    def prepare(self, *, resume: bool = False, overwrite: bool = False) -> None:
        """Make the folder and lock it until the end of `with`, unless something is in the way.

        Raises
        ------
        UsageError, OutputError
            It holds a result, an interrupted run, or something else.
        CascadeError
            Data, weights or prompts are not there; then nothing is replaced.
        """
        self._check_folder(resume=resume, overwrite=overwrite)
        self.check()
        kept = self.work / IDENTITY
        if resume and kept.is_file() and _text_in(kept) != json.dumps(self.identity):
            raise OutputError(
                f"{self.folder} has an interrupted run with other data or another recipe; go on "
                "with those, or begin anew with --overwrite"
            )
        if overwrite:
            self._check_inputs()
        text = f"# {self.command}\n{self.recipe.to_yaml(self.folder)}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock()
            self._check_folder(resume=resume, overwrite=overwrite)  # another may just have ended
            if overwrite:
                self._clear()
            self.work.mkdir(exist_ok=True)
            write_text(kept, json.dumps(self.identity))
            if not resume or not (self.folder / RECIPE).is_file():
                write_text(self.folder / RECIPE, text)
            self._begin_manifest(resume=resume)
        except OSError as error:
            raise unwritable(self.folder, error) from None
        self._held.callback(self.curves.close)

    @cached_property
    def curves(self) -> CurveLog:
        """Where figures of steps go."""
        recipe = self.recipe
        trackers = make_trackers(recipe.report_to, self.folder, recipe.model_dump())
        return CurveLog(self.folder / LINES, trackers)

    def _begin_manifest(self, *, resume: bool) -> None:
        before = _values_in(self.folder / MANIFEST) if resume else {}
        manifest = {
            "kind": self.recipe.kind,
            "command": self.command,
            "started": before.get("started") or now(),
            "finished": None,
            "fingerprint": self.identity,
            "seed": self.recipe.seed,
            **self.data,
            **provenance(),
        }
        write_json(self.folder / MANIFEST, manifest)

    def _on_tick(self, tick: Tick) -> None:
        """Show a step of training, and add it to the curves."""
        self.curves.write(tick.step, tick.figures)
        self.progress("training", tick.step, tick.steps, tick.words)
        if tick.evaluated:
            self.notify(f"step {tick.step:,} of {tick.steps:,}: {tick.words}")

    def __enter__(self) -> Self:
        """Work that `prepare` keeps other processes from; at its end they may begin."""
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    def _lock(self) -> None:
        lock = self.folder / LOCK
        self._held.enter_context(
            alone(
                lock,
                f"another process is training in {self.folder}; wait for it to end, or name "
                "another folder with --out",
            )
        )
        self._held.callback(lock.unlink, missing_ok=True)

    def _clear(self) -> None:
        # First what says that the result is whole. The recipe, which says what this is, stays.
        (self.folder / METRICS).unlink(missing_ok=True)
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name not in (LOCK, RECIPE):
                path.unlink()

    def _check_inputs(self) -> None:
        """Raise UsageError where what is learnt from lies in the folder that is to be replaced."""
        found = [weights.path for weights in self._weights]

        def note(file: str) -> str:
            found.append(Path(file))
            return file

        self.recipe._with_files(self.recipe.model_dump(), Path(), note)
        for path in found:
            if path.resolve().is_relative_to(self.folder.resolve()):
                raise UsageError(
                    f"{path} lies in {self.folder}, which --overwrite would empty; name another "
                    "folder with --out"
                )

    def _check_resources(self) -> None:
        """Load what is small and may be missing, besides rows and weights."""

    def _check_folder(self, *, resume: bool, overwrite: bool) -> None:
        if resume and overwrite:
            raise UsageError("--resume and --overwrite exclude each other; choose one")
        folder = self.folder
        there = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
        there -= {LOCK}
        if folder.is_file() or (there and RECIPE not in there):
            raise OutputError(
                f"{folder} exists and is no result of `cascade finetune`; name another folder "
                "with --out"
            )
        if METRICS in there and not overwrite:
            raise OutputError(
                f"{folder} has {self.made} already; replace it with --overwrite, or name another "
                "folder with --out"
            )
        begun = WORK in there and any(f.name != IDENTITY for f in self.work.iterdir())
        if begun and not (resume or overwrite):
            raise OutputError(
                f"{folder} has an interrupted run; go on with --resume, or begin anew with "
                "--overwrite"
            )

    def _finish(self, metrics: dict[str, Any]) -> dict[str, Any]:
        """Write README and metrics, which make the result whole; returns the metrics."""
        told = self.headline(metrics)
        self.curves.finish(self.folder.resolve().name, dict([told]) if told else {})
        drawn = "\n![Figures by step](curves.png)\n" if (self.folder / PICTURE).is_file() else ""
        write_text(self.folder / README, self.readme(metrics) + drawn)
        manifest = _values_in(self.folder / MANIFEST)
        write_json(self.folder / MANIFEST, {**manifest, "finished": now(), "headline": told})
        readable_by_others(self.folder, self.folder / MANIFEST)
        write_text(self.folder / METRICS, json.dumps(metrics, indent=2) + "\n")
        shutil.rmtree(self.work)
        return metrics


def _values_in(file: Path) -> dict[str, Any]:
    """The values of a small JSON file; none where it cannot be read."""
    with suppress(ConfigError):
        values = read_json(file)
        if isinstance(values, dict):
            return values
    return {}


def _text_in(file: Path) -> str:
    """The text in a small file; nothing of one that cannot be read."""
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError):
        return ""
