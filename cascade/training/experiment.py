"""What experiments of `cascade finetune` share: the rows, and the folder of the result."""

from __future__ import annotations

import hashlib
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from cascade.errors import OutputError, UsageError
from cascade.models.weights import Weights
from cascade.training.finetune_recipe import FinetuneRecipe
from cascade.training.labelled import Progress
from cascade.version import __version__

WORK, IDENTITY = "checkpoints", "identity.json"
RECIPE, METRICS, README = "recipe.yaml", "metrics.json", "README.md"

R = TypeVar("R", bound=FinetuneRecipe)


@dataclass(frozen=True)
class Experiment(ABC, Generic[R]):
    """One experiment and where its result goes.

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
            exclude={"about": True, "training": {"checkpoint_every"}, **self._places}
        )
        depends = [__version__, recipe, self._contents, *(w.identity for w in self._weights)]
        return hashlib.sha256(json.dumps(depends).encode()).hexdigest()

    def prepare(self, *, resume: bool = False, overwrite: bool = False) -> None:
        """Make the folder, unless something is in the way.

        Raises
        ------
        UsageError, OutputError
            It holds a result, an interrupted run, or something else.
        CascadeError
            Data, weights or prompts are not there; then nothing is replaced.
        """
        self._check_folder(resume=resume, overwrite=overwrite)
        _ = self.identity
        self._check_resources()
        kept = self.work / IDENTITY
        if resume and kept.is_file() and json.loads(kept.read_text("utf-8")) != self.identity:
            raise OutputError(
                f"{self.folder} has an interrupted run with other data or another recipe; go on "
                "with those, or begin anew with --overwrite"
            )
        text = f"# {self.command}\n{self.recipe.to_yaml(self.folder)}"
        try:
            if overwrite and self.folder.is_dir():
                shutil.rmtree(self.folder)
            self.work.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(self.identity), "utf-8")
            if not resume or not (self.folder / RECIPE).is_file():
                (self.folder / RECIPE).write_text(text, "utf-8")
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written: {error.strerror}") from None

    def _check_resources(self) -> None:
        """Load what is small and may be missing, besides rows and weights."""

    def _check_folder(self, *, resume: bool, overwrite: bool) -> None:
        if resume and overwrite:
            raise UsageError("--resume and --overwrite exclude each other; choose one")
        folder = self.folder
        there = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
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
        (self.folder / README).write_text(self.readme(metrics), "utf-8")
        (self.folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", "utf-8")
        shutil.rmtree(self.work)
        return metrics
