"""The parts of a pack: words and characters, and heads over features that are not trained.

Parts that are fine-tuned are in `fine_tuned_parts`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import FITTED_ENCODER, BackboneConfig
from cascade.features.backbone import DEFAULT_VISION, Backbone, JoinedFeatures, make_backbone
from cascade.features.lexical import LexicalFeatures
from cascade.io.files import write_text
from cascade.items import Item
from cascade.scoring.ttc_heads import Form, Heads
from cascade.taxonomy import Taxonomy
from cascade.tracking.curves import CurveLog
from cascade.training.labelled import Labelled, Progress
from cascade.training.linear_heads import fit_heads, fit_hinge
from cascade.training.loop import Tick
from cascade.training.packs.backbones.reading import short_columns, with_prompt
from cascade.training.packs.recipe import (
    BothStage,
    LexicalStage,
    PictureStage,
    PrototypesStage,
    TunedStage,
)

COLUMNS = "columns.json"  # the columns that a backbone reads, beside its heads
MODELS = {"sentence": FITTED_ENCODER, "llama": "smollm2-135m", "picture": DEFAULT_VISION}
ENCODED = 512  # items that are encoded between two signs of progress
SECONDS_A_ROW = {"lexical": 0.001, "llama": 0.1, "picture": 0.1, "both": 0.1}
"""What a row of some parts takes on one core; of others, with a sentence encoder, 0.005."""

Features = tuple[Any, NDArray[np.int32]]
"""Features [n, width] and the nodes of the rows that have them."""


@dataclass(frozen=True)
class FitContext:
    """What all parts of a fit share.

    Parameters
    ----------
    columns
        Text columns of the rows.
    curves
        Where figures of steps go.
    held
        The held-out rows, for figures on the way.
    """

    taxonomy: Taxonomy
    columns: Sequence[str]
    seed: int
    allow_download: bool
    progress: Progress
    curves: CurveLog | None = None
    held: Labelled | None = None

    def training(self, what: str, part: str) -> Callable[[Tick], None]:
        """Progress of the training of a part, which is also added to its curves."""

        def ticked(tick: Tick) -> None:
            if self.curves is not None:
                self.curves.write(tick.step, tick.figures, part)
            self.progress(what, tick.step, tick.steps, tick.words)

        return ticked

    def reporting(self, what: str) -> Callable[[int, int], None]:
        """Progress of one thing."""
        return lambda done, of: self.progress(what, done, of)


@dataclass
class PartConfig:
    """Sections of a cascade.yaml; files are named relative to it.

    Parameters
    ----------
    scorers
        Names of the scorers that the parts bring.
    fast
        Those of them that are quick enough for the fast path.
    """

    backbones: dict[str, dict[str, Any]] = field(default_factory=dict)
    heads: dict[str, dict[str, Any]] = field(default_factory=dict)
    neighbours: dict[str, Any] = field(default_factory=dict)
    scorers: list[str] = field(default_factory=list)
    fast: list[str] = field(default_factory=list)

    def add(self, other: PartConfig) -> None:
        """Take in the sections of another part."""
        self.backbones |= other.backbones
        self.heads |= other.heads
        self.neighbours |= other.neighbours
        self.scorers += other.scorers
        self.fast += other.fast


class Part(ABC):
    """One part of a pack.

    A part is fitted twice: to the rows that are not held out, so that the held-out ones tell how
    good it is, and then to all rows. What is in the folder already is not fitted again, so that a
    run which was killed goes on.
    """

    name: str
    needs_picture = False
    """Whether it is fitted to the rows that have a picture only."""

    def __init__(self, context: FitContext) -> None:
        self.context = context

    @abstractmethod
    def fit(self, rows: Labelled, folder: Path) -> None:
        """Fit, and write into `folder`."""

    def refit(self, rows: Labelled, new: NDArray[np.bool_], before: Path, folder: Path) -> None:
        """Fit to all rows into `folder`: anew, where a part has no quicker way.

        Parameters
        ----------
        new
            bool [n_rows], those that were held out.
        before
            Has what was fitted without them.
        """
        self.fit(rows, folder)

    @abstractmethod
    def config(self, folder: Path) -> PartConfig:
        """How what lies in `folder` is used."""

    def seconds(self, n_rows: int, n_labels: int) -> float:
        """About how long a fit takes on one core, to tell how much is left."""
        return 5 + self.seconds_to_ask(n_rows)

    def seconds_again(self, n_rows: int, n_new: int, n_labels: int) -> float:
        """About how long it takes to fit to all rows, of which so many are new."""
        return self.seconds(n_rows, n_labels)

    def seconds_to_ask(self, n_rows: int) -> float:
        """About how long it takes on one core to read rows and to answer them."""
        return SECONDS_A_ROW.get(self.name, 0.005) * n_rows


class HeadsPart(Part):
    """Heads of several forms over features that are not trained."""

    forms: Sequence[Form]

    def fit(self, rows: Labelled, folder: Path) -> None:
        """Fit the heads of each form."""
        made: Features | None = None
        for form in self._forms(rows):
            target = folder / self._file(form)
            if target.is_file():
                continue
            if made is None:
                made = self._features(rows, folder)
            heads = self._heads(made, form)
            heads.save(target, self.context.taxonomy)

    def config(self, folder: Path) -> PartConfig:
        """The features, and one scorer for each form."""
        heads = {
            self._head(form): {"file": self._file(form), "backbone": self.name}
            for form in self.forms
        }
        return PartConfig(
            backbones=self._backbones(folder),
            heads=heads,
            scorers=[f"ttc.{name}" for name in heads],
        )

    def _forms(self, rows: Labelled) -> Sequence[Form]:
        """The forms to fit."""
        return self.forms

    def _file(self, form: Form) -> str:
        return f"{self.name}/{form}.safetensors"

    def _head(self, form: Form) -> str:
        """What heads are called in a cascade.yaml."""
        return f"{self.name}-{form}" if len(self.forms) > 1 else self.name

    @abstractmethod
    def _features(self, rows: Labelled, folder: Path) -> Features:
        """What the heads are fitted to: features and nodes."""

    @abstractmethod
    def _heads(self, made: Features, form: Form) -> Heads:
        """The heads of a form."""

    @abstractmethod
    def _backbones(self, folder: Path) -> dict[str, dict[str, Any]]:
        """The features in a cascade.yaml."""


class LexicalPart(HeadsPart):
    """Words and characters, with heads by the squared hinge loss."""

    name = "lexical"
    forms = ("leaf", "conditional")
    _path = "features/lexical.safetensors"

    def __init__(self, stage: LexicalStage, context: FitContext) -> None:
        super().__init__(context)
        self._stage = stage

    def seconds(self, n_rows: int, n_labels: int) -> float:
        """About how long a fit takes; of linear heads what grows with rows times labels."""
        return 5 + self.seconds_to_ask(n_rows) + 1e-5 * n_rows * n_labels

    def config(self, folder: Path) -> PartConfig:
        """The features, and one scorer for each form that was fitted."""
        found = super().config(folder)
        found.heads = {n: h for n, h in found.heads.items() if (folder / h["file"]).is_file()}
        found.scorers = [f"ttc.{name}" for name in found.heads]
        found.fast = list(found.scorers)
        return found

    def _forms(self, rows: Labelled) -> Sequence[Form]:
        """Without `leaf` where that would take forever."""
        many = len(np.unique(rows.nodes)) > self._stage.most_problems
        return [f for f in self._stage.forms if not (f == "leaf" and many)] or ["conditional"]

    def _file(self, form: Form) -> str:
        return f"heads/{form}.safetensors"

    def _head(self, form: Form) -> str:
        return form

    def _features(self, rows: Labelled, folder: Path) -> Features:
        path, columns = folder / self._path, self.context.columns
        if not path.is_file():
            self.context.progress("counting words", 0, 1)
            LexicalFeatures.fit(rows.items, columns, self._stage.features).save(path)
        return LexicalFeatures.load(path).rows(rows.items), rows.nodes

    def _heads(self, made: Features, form: Form) -> Heads:
        progress = self.context.reporting(f"lexical heads, {form}")
        cost, seed = self._stage.cost, self.context.seed
        return fit_hinge(
            *made, self.context.taxonomy, form, cost=cost, seed=seed, progress=progress
        )

    def _backbones(self, folder: Path) -> dict[str, dict[str, Any]]:
        return {"lexical": {"kind": "lexical", "file": self._path}}


class FrozenPart(HeadsPart):
    """Heads over the features of neural models as they are."""

    def __init__(self, stage: PictureStage | BothStage, context: FitContext) -> None:
        super().__init__(context)
        self.forms, self._recipe = stage.forms, stage.heads

    def _heads(self, made: Features, form: Form) -> Heads:
        recipe, context = self._recipe.model_copy(update={"form": form}), self.context
        progress = context.reporting(f"heads of {self.name}, {form}")
        return fit_heads(*made, context.taxonomy, recipe, seed=context.seed, progress=progress)

    def _backbone(self, config: dict[str, Any]) -> Backbone:
        return make_backbone(
            BackboneConfig.model_validate(config), allow_download=self.context.allow_download
        )


class FrozenPicturePart(FrozenPart):
    """Heads over a vision model as it is."""

    name = "picture"
    needs_picture = True

    def __init__(self, stage: PictureStage, context: FitContext) -> None:
        super().__init__(stage, context)
        self._model = stage.model or DEFAULT_VISION

    def _features(self, rows: Labelled, folder: Path) -> Features:
        backbone = self._backbone(self._backbones(folder)["picture"])
        progress = self.context.reporting("looking at pictures")
        return encode(backbone, rows.items, progress), rows.nodes

    def _backbones(self, folder: Path) -> dict[str, dict[str, Any]]:
        return {"picture": {"kind": "picture", "model": self._model}}


class TextAndPicturePart(FrozenPart):
    """Heads over features of text and picture side by side (arXiv 2501.06827, LLaMA + CNN).

    Some rows are learnt again without the one or the other (modality dropout), so that an item
    that lacks one is still judged by the other.
    """

    name = "both"

    def __init__(self, stage: BothStage, context: FitContext) -> None:
        super().__init__(stage, context)
        self._stage = stage

    def refit(self, rows: Labelled, new: NDArray[np.bool_], before: Path, folder: Path) -> None:
        """Anew, on the same columns."""
        keep_columns(before / self.name, folder / self.name)
        self.fit(rows, folder)

    def _features(self, rows: Labelled, folder: Path) -> Features:
        settled_columns(self._stage, rows, self.context.columns, folder / self.name)
        configs = self._backbones(folder)
        text, picture = (self._backbone(configs[name]) for name in configs["both"]["of"])
        progress = self.context.reporting("reading texts, looking at pictures")
        whole = encode(JoinedFeatures([text, picture]), rows.items, progress)
        rng = np.random.default_rng(self.context.seed)
        n = round(self._stage.missing * len(rows))
        blind, mute = (rng.permutation(len(rows))[:n] for _ in range(2))
        without_picture, without_text = whole[blind], whole[mute]
        without_picture[:, text.width :] = 0
        without_text[:, : text.width] = 0
        features = np.vstack([whole, without_picture, without_text])
        return features, np.concatenate([rows.nodes, rows.nodes[blind], rows.nodes[mute]])

    def _backbones(self, folder: Path) -> dict[str, dict[str, Any]]:
        stage = self._stage
        model, allow = stage.text_model or MODELS[stage.text], self.context.allow_download
        text = {
            "kind": stage.text,
            "columns": read_columns(folder / self.name),
            "max_chars": stage.max_chars,
            "model": model,
            **(with_prompt(model, allow_download=allow) if stage.text == "sentence" else {}),
        }
        return {
            "both.text": text,
            "both.picture": {"kind": "picture", "model": stage.picture_model or DEFAULT_VISION},
            "both": {"kind": "joined", "of": ["both.text", "both.picture"]},
        }


def settled_columns(
    stage: TunedStage | BothStage | PrototypesStage,
    rows: Labelled,
    columns: Sequence[str],
    place: Path,
) -> list[str]:
    """The columns that a backbone reads: the first rows choose them, and `place` keeps them."""
    if not (place / COLUMNS).is_file():
        chosen = stage.columns or short_columns(rows.items, columns, stage.chars, stage.max_chars)
        place.mkdir(parents=True, exist_ok=True)
        write_text(place / COLUMNS, json.dumps(chosen))
    return read_columns(place)


def read_columns(place: Path) -> list[str]:
    """The columns that `settled_columns` kept."""
    kept: list[str] = json.loads((place / COLUMNS).read_text("utf-8"))
    return kept


def keep_columns(before: Path, place: Path) -> None:
    """Read the columns that were read before, whatever other rows would suggest."""
    place.mkdir(parents=True, exist_ok=True)
    write_text(place / COLUMNS, (before / COLUMNS).read_text("utf-8"))


def encode(
    backbone: Backbone, items: Sequence[Item], progress: Callable[[int, int], None]
) -> NDArray[np.float32]:
    """The features of items; float32 [n_items, width]."""
    made = []
    for start in range(0, len(items), ENCODED):
        made.append(backbone.rows(items[start : start + ENCODED]))
        progress(min(start + ENCODED, len(items)), len(items))
    return np.asarray(np.concatenate(made), dtype=np.float32)
