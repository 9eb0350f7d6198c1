"""Recipes of `cascade fit`: which parts a pack gets, and how each is fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from cascade.config import Section, describe_problems
from cascade.errors import ConfigError
from cascade.features.lexical import LexicalRecipe
from cascade.shipped import shipped_file, shipped_names
from cascade.training.tuning import TuningRecipe

FOLDER = "finetune/packs"
LexicalForm = Literal["leaf", "conditional"]


class LexicalStage(Section):
    """Words and characters, with linear heads."""

    features: LexicalRecipe = Field(default_factory=LexicalRecipe, description="What is looked at.")
    forms: list[LexicalForm] = Field(
        default=["leaf", "conditional"],
        min_length=1,
        description="Heads: leaf tells all labelled nodes apart at once, conditional the children "
        "of each node.",
    )
    cost: float = Field(1.0, gt=0, description="LIBLINEAR's C.")
    most_problems: int = Field(
        3000,
        ge=1,
        description="With more labelled nodes the form leaf, whose time grows with rows times "
        "nodes, is left out.",
    )


class TunedStage(Section):
    """A backbone that is fine-tuned together with its heads."""

    model: str | None = Field(None, description="Weights: built-in name, folder or hub.")
    columns: list[str] = Field(
        default_factory=list,
        description="Columns that are read; if empty the first, and those of words from the "
        "shortest on while items have no more than `chars` characters on average.",
    )
    chars: int = Field(100, ge=1, description="Average characters of an item, as far as chosen.")
    max_chars: int = Field(150, ge=1, description="Characters of a column that are read.")
    neighbours: int = Field(0, ge=0, description="Labelled neighbours that vote; 0 for none.")
    again_below: int = Field(
        3000,
        ge=0,
        description="With fewer rows it is trained anew on the held-out ones too; with more it "
        "goes on learning, see again_epochs.",
    )
    again_epochs: float = Field(
        2.0,
        ge=0,
        description="Times that the held-out rows, with half as many others, are seen at last, at "
        "half the learning rates; 0: never.",
    )
    layers: int | None = Field(
        None, ge=1, description="Upper layers of a language model that are adapted; null for all."
    )
    rank: int = Field(8, ge=1, description="Of LoRA's matrices, for a language model.")
    alpha: int = Field(16, ge=1, description="LoRA's scale is alpha / rank.")
    tuning: TuningRecipe = Field(default_factory=TuningRecipe, description="How it is trained.")


class RoutingStage(Section):
    """Which items stay on the fast path."""

    loss: float = Field(
        0.0005,
        ge=0,
        le=1,
        description="Share of held-out rows that may be less often right, at the least threshold "
        "that the pack is set to.",
    )


class Recipe(Section):
    """What `cascade fit` does; a YAML file in finetune/packs, or your own."""

    about: str = Field("", description="One line on what it is for.")
    validation: float = Field(
        0.15,
        gt=0,
        lt=1,
        description="Share of the rows on which weights, routing and calibration are fitted, where "
        "no validation file is given.",
    )
    lexical: LexicalStage | None = Field(
        default_factory=LexicalStage, description="Words and characters; null for none."
    )
    sentence: TunedStage | None = Field(
        default_factory=TunedStage, description="A sentence encoder; null for none."
    )
    llama: TunedStage | None = Field(None, description="A language model with LoRA; null for none.")
    retrieval: bool = Field(
        False, description="Whether similarity to the taxonomy's own texts is fused too."
    )
    routing: RoutingStage | None = Field(
        default_factory=RoutingStage,
        description="Lexical heads answer first where they are sure; null: all see all.",
    )

    @classmethod
    def load(cls, name: str) -> Recipe:
        """The shipped recipe of that name, or the one in a YAML file.

        Raises
        ------
        ConfigError
            There is neither, or it does not hold a recipe.
        """
        shipped = shipped_file(FOLDER, name, ".yaml")
        path = Path(name)
        if shipped is None and not path.is_file():
            known = ", ".join(shipped_names(FOLDER, ".yaml"))
            raise ConfigError(
                f"no recipe {name!r}: it is neither a file nor shipped (shipped are: {known})"
            )
        source = path if path.is_file() else shipped
        assert source is not None
        try:
            data: Any = yaml.safe_load(source.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{source}: not YAML: {' '.join(str(error).split())}") from None
        return cls.parse(data, str(source))

    @classmethod
    def parse(cls, data: Any, origin: str = "recipe") -> Recipe:
        """The recipe in plain values.

        Raises
        ------
        ConfigError
            A field is unknown or of a wrong value, or nothing is to be fitted.
        """
        if data is None:
            raise ConfigError(f"{origin}: is empty; name what is fitted, as finetune/packs does")
        try:
            recipe = cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(f"{origin}: {describe_problems(error)}") from None
        if not (recipe.lexical or recipe.sentence or recipe.llama):
            raise ConfigError(f"{origin}: nothing is to be fitted; name lexical, sentence or llama")
        voting = [stage for stage in (recipe.sentence, recipe.llama) if stage and stage.neighbours]
        if len(voting) > 1:
            raise ConfigError(
                f"{origin}: neighbours of two backbones cannot both vote; set sentence.neighbours "
                "or llama.neighbours to 0"
            )
        return recipe
