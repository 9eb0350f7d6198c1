"""Recipes of `cascade finetune`: data, model, tasks, LoRA and optimisation of one experiment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator

from cascade.config import Recipe as Texts
from cascade.config import Section, describe_problems
from cascade.errors import ConfigError
from cascade.shipped import shipped_file, shipped_names
from cascade.training.instructions import Task
from cascade.training.lora import LoraRecipe
from cascade.training.schedule import LoopRecipe

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


class ValidationRecipe(Section):
    """The rows that the loss is looked at on, and that decide when to stop."""

    file: str | None = Field(None, description="Labelled rows; null: a share of the others.")
    share: float = Field(
        0.1, ge=0, lt=1, description="Share of the rows that is held out; 0 for no validation."
    )
    most_rows: int = Field(200, ge=1, description="Rows at the most, drawn by the seed.")


class ModelRecipe(Section):
    """The language model that the adapter is for."""

    weights: str = Field("smollm2-135m", description="Built-in name, folder, GGUF or hub.")
    allow_download: bool = Field(False, description="Weights may be fetched from the hub.")


class PromptsRecipe(Section):
    """In which words each task is asked; those that will be used."""

    child: str = Field("file-under", description="Choose a child: a shipped prompt, or a file.")
    path: str = Field("write-path", description="Write the path.")
    type: str = Field("item-type", description="Say what kind of thing an item is.")


class CandidatesRecipe(Section):
    """What a child is chosen among, by prompts that show candidates."""

    shown: int = Field(10, ge=2, description="Candidates, as retrieval.candidates in use.")
    hard: int = Field(2, ge=0, description="Of these, siblings whose names are like the right one.")
    encoder: str = Field("minilm", description="Sentence encoder, as retrieval.encoder in use.")
    texts: Texts = Field("full", description="What is embedded, as retrieval.texts in use.")


class ExperimentRecipe(Section):
    """A file in finetune/, or your own."""

    about: str = Field("", description="One line on what it is for.")
    data: DataRecipe = Field(description="The labelled rows.")
    validation: ValidationRecipe = Field(
        default_factory=ValidationRecipe, description="What decides when to stop."
    )
    model: ModelRecipe = Field(default_factory=ModelRecipe, description="The language model.")
    tasks: list[Task] = Field(
        default_factory=lambda: list[Task](("child", "type")),
        description="What is learnt: child (choose among candidates, at each level), path (write "
        "all names), type (go on saying what the model itself says of an item, which prompts of "
        "the task child and retrieval by `rewrite` rely on).",
    )
    prompts: PromptsRecipe = Field(default_factory=PromptsRecipe, description="The words.")
    candidates: CandidatesRecipe = Field(
        default_factory=CandidatesRecipe, description="What is chosen among."
    )
    lora: LoraRecipe = Field(default_factory=LoraRecipe, description="What is added to the model.")
    training: LoopRecipe = Field(default_factory=LoopRecipe, description="How it is learnt.")
    seed: int = Field(0, ge=0, description="Of all that is drawn.")

    @field_validator("tasks")
    @classmethod
    def _has_a_task(cls, tasks: list[Task]) -> list[Task]:
        if not tasks:
            raise ValueError("expected at least one of child, path, type")
        return list(dict.fromkeys(tasks))

    @classmethod
    def load(cls, name: str, over: dict[str, Any] | None = None) -> ExperimentRecipe:
        """The recipe in a YAML file, or the shipped one of that name, with some values replaced.

        Parameters
        ----------
        over
            Nested values; their files are relative to the working folder, those of the recipe to
            the recipe.

        Raises
        ------
        ConfigError
            There is no such file, or it holds no recipe; the field is named.
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
        try:
            placed = _with_files(
                data, path.parent, lambda file: os.path.normpath(path.parent / file)
            )
            return cls.model_validate(_replaced(placed, over or {}))
        except ValidationError as error:
            raise ConfigError(f"{path}: {describe_problems(error)}") from None

    def to_yaml(self, folder: Path) -> str:
        """All fields as YAML, with files relative to the folder that it will lie in."""
        moved = _with_files(self.model_dump(), Path(), lambda file: os.path.relpath(file, folder))
        return yaml.safe_dump(moved, sort_keys=False, allow_unicode=True)


_FILES = (("data", "file"), ("validation", "file"))
_NAMES_OR_FILES = (
    ("data", "taxonomy"),
    ("model", "weights"),
    *(("prompts", task) for task in PromptsRecipe.model_fields),
    ("candidates", "encoder"),
)


def _with_files(data: dict[str, Any], folder: Path, change: Callable[[str], str]) -> dict[str, Any]:
    """Fields with the name of every file changed; what is no file in `folder` keeps its name."""
    data = {key: dict(value) if isinstance(value, dict) else value for key, value in data.items()}
    for section, key in (*_FILES, *_NAMES_OR_FILES):
        part = data.get(section)
        if not isinstance(part, dict) or not isinstance(part.get(key), str):
            continue
        if (section, key) in _FILES or (folder / part[key]).exists():
            part[key] = change(part[key])
    return data


def _replaced(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, section by section; None is a value too."""
    both = dict(base)
    for key, value in over.items():
        inner = both.get(key)
        if isinstance(value, dict) and isinstance(inner, dict):
            both[key] = _replaced(inner, value)
        else:
            both[key] = value
    return both
