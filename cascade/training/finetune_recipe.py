"""What recipes of `cascade finetune` share, and where recipe files are found."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import yaml
from pydantic import Field, ValidationError, field_validator

from cascade.config import (
    NAMED,
    Section,
    TaxonomySource,
    check_name,
    describe_problems,
    is_file_name,
    read_yaml,
)
from cascade.errors import ConfigError, did_you_mean
from cascade.resources import shipped_file, shipped_names
from cascade.tracking.trackers import TrackerName

FOLDER = "finetune"


class DataRecipe(TaxonomySource):
    """The labelled rows."""

    file: Annotated[str, NAMED] = Field(description="Labelled rows, relative to the recipe.")
    label: str = Field(description="Column of the right answer: a code or a path.")
    text: list[str] = Field(
        default_factory=list, description="Text columns, in this order; guessed if empty."
    )
    taxonomy: Annotated[str | None, NAMED] = Field(
        None, description="Shipped name, or file relative to the recipe; null: made of the labels."
    )
    rows_per_class: int | None = Field(
        20, ge=1, le=10**9, description="Rows of each label, drawn by the seed; null for all."
    )
    max_chars: int = Field(
        200, ge=16, le=10**7, description="Characters of each column that are read."
    )
    encoding: str | None = Field(None, description="Of a text file; guessed if null.")
    sheet: str | None = Field(None, description="Sheet of a workbook; null for the first.")


class PictureDataRecipe(DataRecipe):
    """The labelled rows, with pictures for a model that reads them."""

    image: str | None = Field(
        None, description="Column of pictures, for a model that reads them; null for none."
    )


class ValidationRecipe(Section):
    """The rows that the loss is measured on, and that decide when to stop."""

    file: Annotated[str | None, NAMED] = Field(
        None, description="Labelled rows; null: a share of the others."
    )
    share: float = Field(
        0.1, ge=0, lt=1, description="Share of the rows that is held out; 0 for no validation."
    )
    most_rows: int = Field(200, ge=1, le=10**9, description="Rows at the most, drawn by the seed.")


class FinetuneRecipe(Section):
    """A file in finetune/, or your own; each kind of recipe adds what it needs."""

    FILES: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Section and field of what is a file; a section may be a list."""

    NAMES: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Section and field of what is a name or a file."""

    about: str = Field("", description="One line on what it is for.")
    if TYPE_CHECKING:
        kind: str  # which each kind has, with its own values

    seed: int = Field(0, ge=0, le=2**32 - 1, description="Of all that is drawn.")
    report_to: list[TrackerName] = Field(
        default_factory=list,
        description="Trackers that are told each step too: tensorboard, mlflow, wandb, trackio; "
        "what they keep lies beside the run's folder.",
    )

    @field_validator("report_to", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

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
        if not isinstance(data, dict):
            raise ConfigError(f"{path}: expected fields such as `data: {{file: rows.csv, ...}}`")
        try:
            placed = cls._with_files(
                data, path.parent, lambda file: os.path.normpath(path.parent / file)
            )
            return cls.model_validate(replaced(placed, over or {}))
        except ValidationError as error:
            raise ConfigError(f"{path}: {describe_problems(error, cls)}") from None

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
        data = {section: _copied(part) for section, part in data.items()}
        for section, key in (*cls.FILES, *cls.NAMES):
            found = data.get(section)
            for part in found if isinstance(found, list) else [found]:
                if not isinstance(part, dict) or not isinstance(part.get(key), str):
                    continue
                name = part[key]
                named = (section, key) in cls.FILES
                if named or (is_file_name(name) and (folder / name).exists()):
                    part[key] = change(name)
        return data


class LabelledRecipe(FinetuneRecipe):
    """A recipe whose rows are of one file, over one taxonomy."""

    FILES = (("data", "file"), ("validation", "file"))
    NAMES: ClassVar[tuple[tuple[str, str], ...]] = (("data", "taxonomy"),)

    data: DataRecipe = Field(description="The labelled rows.")
    validation: ValidationRecipe = Field(
        default_factory=ValidationRecipe, description="What is held out."
    )


def read_recipe(name: str, folder: str = FOLDER) -> tuple[Path, Any]:
    """The recipe in a YAML file, or the shipped one of that name in `folder`, as plain values.

    Raises
    ------
    ConfigError
        There is no such file, or it is not YAML.
    """
    check_name("recipe", name)
    path = Path(name)
    if not path.is_file():
        shipped = shipped_file(folder, name, ".yaml")
        if shipped is None:
            known = ", ".join(shipped_names(folder, ".yaml")) or "none"
            raise ConfigError(
                f"no recipe {name!r}: it is neither a file nor shipped (shipped are: {known})"
                f"{did_you_mean(name, shipped_names(folder, '.yaml'))}"
            )
        path = shipped
    return path, read_yaml(path)


def _copied(part: Any) -> Any:
    """A section, or a list of sections, that may be changed."""
    if isinstance(part, list):
        return [_copied(each) for each in part]
    return dict(part) if isinstance(part, dict) else part


def replaced(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, section by section; None is a value too."""
    both = dict(base)
    for key, value in over.items():
        inner = both.get(key)
        if isinstance(value, dict) and isinstance(inner, dict):
            both[key] = replaced(inner, value)
        else:
            both[key] = value
    return both
