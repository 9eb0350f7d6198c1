"""What experiments of `cascade finetune` share: the rows, and the folder of the result."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from cascade.config import Columns
from cascade.errors import CascadeError, InputError, OutputError, TaxonomyError, UsageError
from cascade.io.tables.opening import TableFile
from cascade.models.weights import Weights
from cascade.pipeline.load import load_taxonomy
from cascade.pipeline.runs.labels import taxonomy_of_labels
from cascade.taxonomy import Taxonomy
from cascade.training.finetune_recipe import FinetuneRecipe
from cascade.training.labelled import Labelled, Progress, read_labelled, readable, settled_columns
from cascade.training.sampling import balanced, hold_out_groups
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
    @abstractmethod
    def _in_use(self) -> tuple[str, dict[str, str]]:
        """Method and settings that classify with the result."""

    @property
    def result(self) -> Path:
        """What is named in settings to use the result."""
        return self.folder

    def usage(self) -> str:
        """The command that classifies with the result."""
        method, settings = self._in_use
        taxonomy = self.recipe.data.taxonomy or "TAXONOMY"
        words = ["cascade", "classify", "items.csv", "-t", taxonomy]
        words += [word for column in self.columns.text for word in ("--text", column)]
        words += ["--method", method]
        words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        return shlex.join([*words, "-o", "out.csv"])

    @property
    def work(self) -> Path:
        """Where checkpoints are until there is a result."""
        return self.folder / WORK

    @cached_property
    def source(self) -> TableFile:
        """The rows to learn from."""
        data = self.recipe.data
        return TableFile(_existing("data.file", data.file), self.limit, data.encoding, data.sheet)

    @cached_property
    def validation(self) -> TableFile | None:
        """The rows to validate on, where they are in a file of their own."""
        data, file = self.recipe.data, self.recipe.validation.file
        if file is None:
            return None
        return TableFile(_existing("validation.file", file), None, data.encoding, data.sheet)

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy that the recipe names, or one of the labels."""
        data = self.recipe.data
        if data.taxonomy is not None:
            try:
                return load_taxonomy(data.taxonomy)
            except TaxonomyError as error:
                raise InputError(f"data.taxonomy: {error}") from error
        with _in_words_of_recipes():
            return taxonomy_of_labels([self.source, *filter(None, [self.validation])], data.label)

    @cached_property
    def columns(self) -> Columns:
        """Text and label; the text guessed where none is named."""
        data = self.recipe.data
        columns = Columns(text=data.text, image=getattr(data, "image", None), label=data.label)
        with _in_words_of_recipes():
            return settled_columns(self.source, columns)

    @cached_property
    def identity(self) -> str:
        """A hash of all that the trained weights depend on."""
        recipe = self.recipe.model_dump(
            exclude={"about": True, "training": {"checkpoint_every"}, "data": {"file"}}
        )
        rows = [
            self.source.sha256,
            self.source.limit,
            self.validation and self.validation.sha256,
            self.taxonomy.fingerprint,
        ]
        depends = [__version__, recipe, rows, *(w.identity for w in self._weights)]
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
        _ = self.source, self.validation, self.columns, self.identity
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

    def _rows(self) -> tuple[Labelled, Labelled, dict[str, Any]]:
        """The rows to learn from, those to validate on, and how many of what there are.

        Raises
        ------
        InputError
            A column is not there, or there is nothing to learn from.
        """
        recipe, seed = self.recipe, self.recipe.seed
        share, most = recipe.validation.share, recipe.validation.most_rows
        self.progress("reading rows", 0, None)
        with _in_words_of_recipes():
            read = self._read(self.source)
            if read.unread[0]:
                self.notify(f"{read.unread[0]:,} pictures cannot be used (first: {read.unread[1]})")
            for reason, (count, line) in read.skipped.items():
                self.notify(f"{count:,} rows are left out: {reason} (first: line {line})")
            if self.validation is not None:
                train, kept = read, self._read(self.validation)
            else:
                out = hold_out_groups(read.comparable_texts, share, most, seed)
                train, kept = read.part(~out), read.part(out)
        if not len(train):
            raise InputError(
                f"all of its {len(read)} rows are held out for validation; lower validation.share",
                file=self.source.file,
            )
        chosen = balanced(train.nodes, recipe.data.rows_per_class, seed)
        subset = train.part(np.isin(np.arange(len(train)), chosen))
        order = np.random.default_rng((seed, 1)).permutation(len(kept))
        kept = kept.part(np.isin(np.arange(len(kept)), order[:most]))
        counts = {
            "read": len(read),
            "left_out": {reason: count for reason, (count, _) in read.skipped.items()},
            "train": len(subset),
            "validation": len(kept),
            "classes": len(np.unique(subset.nodes)),
        }
        return subset, kept, counts

    def _read(self, source: TableFile) -> Labelled:
        """The rows of a file, without pictures that cannot be read."""
        found = read_labelled(
            source,
            self.columns,
            self.taxonomy,
            lambda rows: self.progress("reading rows", rows, None, f"{rows:,} rows"),
        )
        return found if self.columns.image is None else readable(found)

    def _finish(self, metrics: dict[str, Any]) -> dict[str, Any]:
        """Write README and metrics, which make the result whole; returns the metrics."""
        (self.folder / README).write_text(self.readme(metrics), "utf-8")
        (self.folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", "utf-8")
        shutil.rmtree(self.work)
        return metrics


def _existing(field: str, file: str) -> str:
    if not Path(file).is_file():
        raise InputError(
            f"{field}: there is no file {file}; files are relative to the recipe, and in --set to "
            "the working folder"
        )
    return file


_OPTIONS = {"--label": "data.label", "--text": "data.text", "with -t": "with data.taxonomy"}


@contextmanager
def _in_words_of_recipes() -> Iterator[None]:
    """Errors that name options of other commands name fields of the recipe."""
    try:
        yield
    except CascadeError as error:
        message = str(error)
        for option, name in _OPTIONS.items():
            message = message.replace(option, name)
        raise InputError(message) from error
