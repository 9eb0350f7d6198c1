"""What all recipes of `cascade finetune` share: the rows, and where their files are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import yaml
from pydantic import Field, ValidationError

from cascade.config import Columns, Section, describe_problems
from cascade.errors import (
    CascadeError,
    ConfigError,
    InputError,
    OutputError,
    TaxonomyError,
    UsageError,
)
from cascade.io.tables.opening import TableFile
from cascade.pipeline.load import load_taxonomy
from cascade.pipeline.runs.labels import taxonomy_of_labels
from cascade.resources import shipped_file, shipped_names
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import Labelled, read_labelled, readable, settled_columns
from cascade.training.sampling import balanced, hold_out_groups

FOLDER = "finetune"


class DataRecipe(Section):
    """The labelled rows."""

    file: str = Field(description="Labelled rows, relative to the recipe.")
    label: str = Field(description="Column of the right answer: a code or a path.")
    text: list[str] = Field(
        default_factory=list, description="Text columns, in this order; guessed if empty."
    )
    taxonomy: str | None = Field(
        None, description="Shipped name, or file relative to the recipe; null: made of the labels."
    )
    rows_per_class: int | None = Field(
        20, ge=1, description="Rows of each label, drawn by the seed; null for all."
    )
    max_chars: int = Field(200, ge=16, description="Characters of each column that are read.")
    encoding: str | None = Field(None, description="Of a text file, where it is not told apart.")
    sheet: str | None = Field(None, description="Sheet of a workbook; null for the first.")


class SeenDataRecipe(DataRecipe):
    """The labelled rows, with pictures for a model that reads them."""

    image: str | None = Field(
        None, description="Column of pictures, for a model that sees; null for none."
    )


class ValidationRecipe(Section):
    """The rows that the loss is looked at on, and that decide when to stop."""

    file: str | None = Field(None, description="Labelled rows; null: a share of the others.")
    share: float = Field(
        0.1, ge=0, lt=1, description="Share of the rows that is held out; 0 for no validation."
    )
    most_rows: int = Field(200, ge=1, description="Rows at the most, drawn by the seed.")


class FinetuneRecipe(Section):
    """A file in finetune/, or your own; each kind of recipe adds what it needs."""

    NAMES: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Section and field of what is a name or a file."""

    about: str = Field("", description="One line on what it is for.")
    data: DataRecipe = Field(description="The labelled rows.")
    validation: ValidationRecipe = Field(
        default_factory=ValidationRecipe, description="What is held out."
    )
    seed: int = Field(0, ge=0, description="Of all that is drawn.")

    @classmethod
    def load(cls, name: str, over: Mapping[str, Any] | None = None) -> Self:
        """The recipe in a YAML file, or the shipped one of that name, with some values replaced.

        Parameters
        ----------
        over
            Nested values; their files are relative to the working folder, those of the recipe to
            the recipe.

        Raises
        ------
        ConfigError
            There is no such file, or it holds no recipe of this kind; the field is named.
        """
        path, data = read_recipe(name)
        try:
            placed = cls._with_files(
                data, path.parent, lambda file: os.path.normpath(path.parent / file)
            )
            return cls.model_validate(_replaced(placed, over or {}))
        except ValidationError as error:
            raise ConfigError(f"{path}: {describe_problems(error)}") from None

    def to_yaml(self, folder: Path) -> str:
        """All fields as YAML, with files relative to the folder that it will lie in."""
        moved = self._with_files(
            self.model_dump(), Path(), lambda file: os.path.relpath(file, folder)
        )
        return yaml.safe_dump(moved, sort_keys=False, allow_unicode=True)

    @classmethod
    def _with_files(
        cls, data: dict[str, Any], folder: Path, change: Callable[[str], str]
    ) -> dict[str, Any]:
        """Fields with each file's name changed; what is no file in `folder` keeps its name."""
        data = {k: dict(value) if isinstance(value, dict) else value for k, value in data.items()}
        for section, key in (*_FILES, ("data", "taxonomy"), *cls.NAMES):
            part = data.get(section)
            if not isinstance(part, dict) or not isinstance(part.get(key), str):
                continue
            if (section, key) in _FILES or (folder / part[key]).exists():
                part[key] = change(part[key])
        return data


def read_recipe(name: str) -> tuple[Path, dict[str, Any]]:
    """Where a recipe is, and its fields as they stand there.

    Raises
    ------
    ConfigError
        There is no such file, or it is no YAML mapping.
    """
    path = Path(name)
    if not path.is_file():
        shipped = shipped_file(FOLDER, name, ".yaml")
        if shipped is None:
            known = ", ".join(shipped_names(FOLDER, ".yaml"))
            raise ConfigError(
                f"no recipe {name!r}: it is neither a file nor shipped (shipped are: "
                f"{known or 'none'})"
            )
        path = shipped
    try:
        data: Any = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected fields such as `data: {{file: rows.csv, ...}}`")
    return path, data


_FILES = (("data", "file"), ("validation", "file"))


def _replaced(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, section by section; None is a value too."""
    both = dict(base)
    for key, value in over.items():
        inner = both.get(key)
        if isinstance(value, dict) and isinstance(inner, dict):
            both[key] = _replaced(inner, value)
        else:
            both[key] = value
    return both


WORK = "checkpoints"
RECIPE, METRICS, README = "recipe.yaml", "metrics.json", "README.md"


@dataclass(frozen=True)
class ResultFolder:
    """A folder that is empty, has an interrupted run, or has a result.

    Parameters
    ----------
    made
        What a result is, for messages: `an adapter`.
    """

    path: Path
    made: str

    @property
    def work(self) -> Path:
        """Where checkpoints are until there is a result."""
        return self.path / WORK

    def _there(self) -> set[str]:
        return {file.name for file in self.path.iterdir()} if self.path.is_dir() else set()

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Make sure that nothing is in the way, and change nothing.

        Raises
        ------
        UsageError, OutputError
            It holds a result, an interrupted run, or something else.
        """
        if resume and overwrite:
            raise UsageError("--resume and --overwrite exclude each other; choose one")
        there = self._there()
        if self.path.is_file() or (there and RECIPE not in there):
            raise OutputError(
                f"{self.path} exists and is no result of `cascade finetune`; name another folder "
                "with --out"
            )
        if METRICS in there and not overwrite:
            raise OutputError(
                f"{self.path} has {self.made} already; replace it with --overwrite, or name "
                "another folder with --out"
            )
        begun = WORK in there and any(self.work.iterdir())
        if begun and not (resume or overwrite):
            raise OutputError(
                f"{self.path} has an interrupted run; go on with --resume, or begin anew with "
                "--overwrite"
            )

    def begin(self, recipe: str, *, resume: bool, overwrite: bool) -> None:
        """Make the folder, with the text of the recipe in it.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        there = self._there()
        try:
            if overwrite and there:
                shutil.rmtree(self.path)
            self.work.mkdir(parents=True, exist_ok=True)
            if not resume or RECIPE not in there:
                (self.path / RECIPE).write_text(recipe, "utf-8")
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from None


_OPTIONS = {"--label": "data.label", "--text": "data.text", "with -t": "with data.taxonomy"}


class ExperimentData:
    """What a recipe learns from.

    Parameters
    ----------
    limit
        Rows of the data file that are read.

    Raises
    ------
    InputError
        A file is not there.
    """

    def __init__(self, recipe: FinetuneRecipe, limit: int | None = None) -> None:
        self._recipe = recipe
        data, file = recipe.data, recipe.validation.file
        for name, named in (("data.file", data.file), ("validation.file", file)):
            if named is not None and not Path(named).is_file():
                raise InputError(
                    f"{name}: there is no file {named}; files are relative to the recipe, and in "
                    "--set to the working folder"
                )
        self.source = TableFile(data.file, limit, data.encoding, data.sheet)
        self.validation = None if file is None else TableFile(file, None, data.encoding, data.sheet)

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy that the recipe names, or one of the labels."""
        data = self._recipe.data
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
        data = self._recipe.data
        image = data.image if isinstance(data, SeenDataRecipe) else None
        with _in_words_of_recipes():
            return settled_columns(
                self.source, Columns(text=data.text, image=image, label=data.label)
            )

    @property
    def identity(self) -> list[Any]:
        """All that the rows depend on, as plain values."""
        return [
            self.source.sha256,
            self.source.limit,
            self.validation and self.validation.sha256,
            self.taxonomy.fingerprint,
        ]

    def rows(
        self, said: Callable[[str], None], progress: Callable[[int], None]
    ) -> tuple[Labelled, Labelled, dict[str, Any]]:
        """The rows to learn from, those to look at, and how many of what there are.

        Parameters
        ----------
        said
            Called with what a user should know about the rows.
        progress
            Called with the rows that are read.

        Raises
        ------
        InputError
            A column is not there, or there is nothing to learn from.
        """
        recipe, seed = self._recipe, self._recipe.seed
        with _in_words_of_recipes():
            read = self._read(self.source, progress)
            if read.unread[0]:
                said(f"{read.unread[0]:,} pictures cannot be used (first: {read.unread[1]})")
            for reason, (count, line) in read.skipped.items():
                said(f"{count:,} rows are left out: {reason} (first: line {line})")
            if self.validation is not None:
                train = read
                kept = self._read(self.validation, progress)
            else:
                out = hold_out_groups(
                    read.told_by, recipe.validation.share, recipe.validation.most_rows, seed
                )
                train, kept = read.part(~out), read.part(out)
        if not len(train):
            raise InputError(
                f"all of its {len(read)} rows are held out for validation; lower validation.share",
                file=self.source.file,
            )
        chosen = balanced(train.nodes, recipe.data.rows_per_class, seed)
        subset = train.part(np.isin(np.arange(len(train)), chosen))
        order = np.random.default_rng((seed, 1)).permutation(len(kept))
        kept = kept.part(np.isin(np.arange(len(kept)), order[: recipe.validation.most_rows]))
        counts = {
            "read": len(read),
            "left_out": {reason: count for reason, (count, _) in read.skipped.items()},
            "train": len(subset),
            "validation": len(kept),
            "classes": len(np.unique(subset.nodes)),
        }
        return subset, kept, counts

    def _read(self, source: TableFile, progress: Callable[[int], None]) -> Labelled:
        """The rows of a file, without pictures that cannot be read."""
        found = read_labelled(source, self.columns, self.taxonomy, progress)
        return found if self.columns.image is None else readable(found, lambda *_: None)


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
