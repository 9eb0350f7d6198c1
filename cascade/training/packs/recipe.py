"""Recipes of `cascade fit`: which parts a pack gets, and how each is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from cascade.config import NAMED, Section, describe_problems
from cascade.errors import ConfigError
from cascade.features.lexical import LexicalRecipe
from cascade.scoring.ttc_heads import Form
from cascade.training.finetune_recipe import read_recipe, replaced
from cascade.training.linear_heads import HeadsRecipe
from cascade.training.packs.backbone_training import TuningRecipe

FOLDER = "finetune/packs"
LexicalForm = Literal["leaf", "conditional"]


class LexicalStage(Section):
    """Words and characters, with linear heads."""

    features: LexicalRecipe = Field(
        default_factory=LexicalRecipe, description="Words and characters that are counted."
    )
    forms: list[LexicalForm] = Field(
        default=["leaf", "conditional"],
        min_length=1,
        description="Heads: leaf tells all labelled nodes apart at once, conditional the children "
        "of each node.",
    )
    cost: float = Field(1.0, gt=0, le=1e6, description="LIBLINEAR's C.")
    most_problems: int = Field(
        3000,
        ge=1,
        le=10**9,
        description="With more labelled nodes the form leaf, whose time grows with rows times "
        "nodes, is left out.",
    )


class PrototypesStage(Section):
    """Nodes known by their names and by labelled rows, with an encoder that is not trained."""

    model: Annotated[str | None, NAMED] = Field(
        None, description="Weights: built-in name, folder or hub."
    )
    columns: list[str] = Field(default_factory=list, description="As in sentence.columns.")
    chars: int = Field(200, ge=1, le=10**7, description="As in sentence.chars.")
    max_chars: int = Field(120, ge=1, le=10**7, description="As in sentence.max_chars.")
    weight: float = Field(
        1.0,
        ge=0,
        le=1e6,
        description="Labelled rows that a node's own texts (name with parent, description, "
        "synonyms) count for in its prototype, the mean of them all.",
    )
    temperature: float = Field(
        0.05, ge=0.001, le=10, description="Cosines of items with prototypes are divided by it."
    )


class TunedStage(Section):
    """A backbone that is fine-tuned together with its heads."""

    model: Annotated[str | None, NAMED] = Field(
        None, description="Weights: built-in name, folder or hub."
    )
    columns: list[str] = Field(
        default_factory=list,
        description="Columns that are read; if empty the first, and those of words from the "
        "shortest on while items have no more than `chars` characters on average.",
    )
    chars: int = Field(
        100, ge=1, le=10**7, description="Average characters of an item, as far as chosen."
    )
    max_chars: int = Field(150, ge=1, le=10**7, description="Characters of a column that are read.")
    neighbours: int = Field(
        0, ge=0, le=10**5, description="Labelled neighbours that vote; 0 for none."
    )
    again_below: int = Field(
        3000,
        ge=0,
        le=10**9,
        description="With fewer rows it is trained anew on the held-out ones too; with more it "
        "goes on learning, see again_epochs.",
    )
    again_epochs: float = Field(
        2.0,
        ge=0,
        le=1000,
        description="Times that the held-out rows, with half as many others, are seen at last, at "
        "half the learning rates; 0: never.",
    )
    layers: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Upper layers of a language model that are adapted, or of a sentence encoder "
        "that are trained (one of the BERT kind, on a CPU: what the lower ones make of a row is "
        "computed once); null for all.",
    )
    rank: int = Field(8, ge=1, le=4096, description="Of LoRA's matrices, for a language model.")
    alpha: int = Field(16, ge=1, le=10**6, description="LoRA's scale is alpha / rank.")
    tuning: TuningRecipe = Field(default_factory=TuningRecipe, description="How it is trained.")
    balanced: int | None = Field(
        None,
        ge=0,
        le=10**9,
        description="Two stages (arXiv 2501.06827): it is trained on so many rows of each label, "
        "drawn by the seed, with heads that are thrown away; then it stays as it is, and heads are "
        "fitted to all rows. 0: it is not trained at all. Null: it learns all rows together with "
        "its heads.",
    )
    heads: HeadsRecipe = Field(
        default_factory=HeadsRecipe,
        description="How heads on a model that stays as it is are learnt; their form is "
        "tuning.form where there are two stages.",
    )


class AugmentRecipe(Section):
    """How a picture is changed each time that it is seen in training."""

    least_area: float = Field(
        0.35, gt=0, le=1, description="Least share of a picture that is cut out and seen."
    )
    mirror: bool = Field(True, description="Whether half of them are seen in a mirror.")
    colour: float = Field(
        0.4, ge=0, lt=1, description="How far brightness, contrast and colours are changed."
    )


class PictureStage(TunedStage):
    """A vision model with heads: as it is, or fine-tuned together with them."""

    frozen: bool = Field(
        True, description="Leave the model as it is, and fit heads to its features only."
    )
    forms: list[Form] = Field(
        default_factory=lambda: list[Form](("leaf",)),
        min_length=1,
        description="Of a frozen model the forms of the heads; see scoring.ttc_heads.",
    )
    side: int | None = Field(
        None, ge=32, le=1024, description="Pixels of the square that is seen in training."
    )
    look: int | None = Field(
        None,
        ge=32,
        le=1024,
        description="Pixels of the square that a tuned model sees in use; an eighth more than in "
        "training if not given, since things look larger there (Touvron et al., arXiv 1906.06423).",
    )
    augment: AugmentRecipe = Field(
        default_factory=AugmentRecipe, description="How pictures are changed in training."
    )


class BothStage(Section):
    """Heads that see the features of text and picture side by side."""

    text: Literal["sentence", "llama"] = Field(
        "sentence", description="Which features of the text: an encoder's or a LLaMA's."
    )
    text_model: Annotated[str | None, NAMED] = Field(
        None, description="Its weights; not fine-tuned."
    )
    picture_model: Annotated[str | None, NAMED] = Field(
        None, description="The vision model; not fine-tuned."
    )
    columns: list[str] = Field(default_factory=list, description="As in sentence.columns.")
    chars: int = Field(100, ge=1, le=10**7, description="As in sentence.chars.")
    max_chars: int = Field(150, ge=1, le=10**7, description="As in sentence.max_chars.")
    missing: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Share of the rows that are also learnt without their text, and as many "
        "without their picture, so that one of the two is enough.",
    )
    forms: list[Form] = Field(
        default_factory=lambda: list[Form](("leaf",)), min_length=1, description="Of the heads."
    )
    heads: HeadsRecipe = Field(default_factory=HeadsRecipe, description="How the heads are learnt.")


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
    prototypes: PrototypesStage | None = Field(
        None,
        description="Nodes known by their names and rows, where labels are few; null for none.",
    )
    sentence: TunedStage | None = Field(
        default_factory=TunedStage, description="A sentence encoder; null for none."
    )
    llama: TunedStage | None = Field(None, description="A language model with LoRA; null for none.")
    picture: PictureStage | None = Field(
        default_factory=PictureStage,
        description="A vision model, where rows have pictures; null for none.",
    )
    both: BothStage | None = Field(
        default_factory=BothStage,
        description="Heads over text and picture together, where rows have both; null for none.",
    )
    retrieval: bool = Field(
        False, description="Whether similarity to the taxonomy's own texts is fused too."
    )
    routing: RoutingStage | None = Field(
        default_factory=RoutingStage,
        description="Lexical heads answer first where they are sure; null: all see all.",
    )

    @classmethod
    def load(cls, name: str, over: Mapping[str, Any] | None = None) -> Recipe:
        """The shipped recipe of that name, or the one in a YAML file.

        Parameters
        ----------
        over
            Nested values that replace some of the recipe.

        Raises
        ------
        ConfigError
            There is neither, or it does not hold a recipe.
        """
        path, data = read_recipe(name, FOLDER)
        if over and isinstance(data, dict):
            return cls.parse(replaced(data, over), f"{path} with --set")
        return cls.parse(data, str(path))

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
            raise ConfigError(f"{origin}: {describe_problems(error, cls)}") from None
        stages = (recipe.lexical, recipe.prototypes, recipe.sentence, recipe.llama, recipe.picture)
        if not any(stages):
            raise ConfigError(
                f"{origin}: nothing is to be fitted; name lexical, prototypes, sentence, "
                "llama or picture"
            )
        voting = [stage for stage in (recipe.sentence, recipe.llama) if stage and stage.neighbours]
        if len(voting) > 1:
            raise ConfigError(
                f"{origin}: neighbours of two backbones cannot both vote; set sentence.neighbours "
                "or llama.neighbours to 0"
            )
        return recipe
