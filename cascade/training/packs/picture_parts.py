"""The parts of a pack that see pictures: a vision model with heads, and heads over text and
picture side by side.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import BackboneConfig
from cascade.features.backbone import Backbone, JoinedFeatures
from cascade.features.make import DEFAULT_VISION, make_backbone
from cascade.features.pictures import PictureFeatures
from cascade.io.files import write_text
from cascade.items import Item
from cascade.scoring.ttc_heads import HeadsFile
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import Labelled
from cascade.training.linear_heads import HeadsRecipe, fit_heads
from cascade.training.packs.backbones import TunablePictures, short_columns
from cascade.training.packs.parts import (
    ENCODED,
    MODELS,
    Learner,
    Settings,
    Told,
    TunedLearner,
    telling,
)
from cascade.training.packs.recipe import BothStage, PictureStage


class PictureLearner(TunedLearner):
    """A vision model that is fine-tuned with its heads, on the rows that have a picture."""

    def __init__(self, stage: PictureStage, seed: int, *, allow_download: bool = False) -> None:
        super().__init__("picture", stage, (), seed, allow_download=allow_download)
        self._pictures = stage

    def fit(self, rows: Labelled, taxonomy: Taxonomy, folder: Path, told: Told) -> None:
        """Train, and index the rows as examples; see `Learner.fit`."""
        super().fit(with_pictures(rows), taxonomy, folder, told)

    def fit_again(
        self,
        rows: Labelled,
        new: NDArray[np.bool_],
        taxonomy: Taxonomy,
        before: Path,
        folder: Path,
        told: Told,
    ) -> None:
        """As its base, on the rows that have a picture."""
        there = has_picture(rows)
        super().fit_again(rows.part(there), new[there], taxonomy, before, folder, told)

    def settings(self, folder: Path) -> Settings:
        """The backbone, its heads, and its neighbours."""
        found = super().settings(folder)
        found.backbones[self.name] = {"kind": "picture", "model": f"{self.name}/model"}
        return found

    def _chosen(self, rows: Labelled) -> list[str]:
        return []

    def _tunable(self, columns: Sequence[str], before: Path | None = None) -> TunablePictures:
        stage = self._pictures
        return TunablePictures(
            self._model if before is None else str(before),
            layers=stage.layers,
            side=stage.side,
            look=stage.look,
            augment=stage.augment,
            allow_download=self._allow,
        )

    def _backbone(self, model: Path, columns: Sequence[str]) -> Backbone:
        return PictureFeatures.load(str(model), keep=False)


class FixedLearner(Learner):
    """Heads over features that are not trained: of pictures, or of text and picture together.

    Parameters
    ----------
    name
        Of the heads; several forms add theirs.
    """

    def __init__(self, name: str, forms: Sequence[str], heads: HeadsRecipe, seed: int) -> None:
        self.name = name
        self._forms, self._heads, self._seed = list(forms), heads, seed

    def fit(self, rows: Labelled, taxonomy: Taxonomy, folder: Path, told: Told) -> None:
        """Fit the heads of each form; see `Learner.fit`."""
        self._note(rows, folder)
        made: tuple[NDArray[np.float32], NDArray[np.int32]] | None = None
        for form in self._forms:
            target = folder / self._file(form)
            if target.is_file():
                continue
            if made is None:
                made = self._features(rows, folder, told)
            heads = fit_heads(
                *made,
                taxonomy,
                self._heads.model_copy(update={"form": form}),
                seed=self._seed,
                progress=telling(told, f"heads of {self.name}, {form}"),
            )
            HeadsFile(heads, taxonomy.fingerprint).save(target)

    def fit_again(
        self,
        rows: Labelled,
        new: NDArray[np.bool_],
        taxonomy: Taxonomy,
        before: Path,
        folder: Path,
        told: Told,
    ) -> None:
        """Everything anew: features are kept, heads are quick."""
        self._carry(before, folder)
        self.fit(rows, taxonomy, folder, told)

    def settings(self, folder: Path) -> Settings:
        """The features, and one scorer for each form."""
        several = len(self._forms) > 1
        names = {form: f"{self.name}-{form}" if several else self.name for form in self._forms}
        return Settings(
            backbones=self._backbones(folder),
            heads={
                name: {"file": self._file(form), "backbone": self.name}
                for form, name in names.items()
            },
            scorers=[f"ttc.{name}" for name in names.values()],
        )

    def _file(self, form: str) -> str:
        return f"{self.name}/{form}.safetensors"

    def _note(self, rows: Labelled, folder: Path) -> None:
        """Settle what depends on the rows."""

    def _carry(self, before: Path, folder: Path) -> None:
        """Take over what was settled."""

    @abstractmethod
    def _features(
        self, rows: Labelled, folder: Path, told: Told
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """What the heads are fitted to: features and nodes."""

    @abstractmethod
    def _backbones(self, folder: Path) -> dict[str, dict[str, Any]]:
        """How the features stand in a cascade.yaml."""


class FrozenPictureLearner(FixedLearner):
    """Heads over a vision model as it is, fitted to the rows that have a picture."""

    def __init__(self, stage: PictureStage, seed: int, *, allow_download: bool = False) -> None:
        super().__init__("picture", stage.forms, stage.heads, seed)
        self._model, self._allow = stage.model or DEFAULT_VISION, allow_download

    def _features(
        self, rows: Labelled, folder: Path, told: Told
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        some = with_pictures(rows)
        backbone = PictureFeatures.load(self._model, allow_download=self._allow)
        return _all_rows(backbone, some.items, told, "looking at pictures"), some.nodes

    def _backbones(self, folder: Path) -> dict[str, dict[str, Any]]:
        return {"picture": {"kind": "picture", "model": self._model}}


class BothLearner(FixedLearner):
    """Heads over features of text and picture side by side (arXiv 2501.06827, LLaMA + CNN).

    Some rows are learnt again without the one or the other (modality dropout), so that an item
    that lacks one is still judged by the other.
    """

    def __init__(
        self, stage: BothStage, columns: Sequence[str], seed: int, *, allow_download: bool = False
    ) -> None:
        super().__init__("both", stage.forms, stage.heads, seed)
        self._stage, self._columns, self._allow = stage, list(columns), allow_download

    def _note(self, rows: Labelled, folder: Path) -> None:
        noted = folder / self.name / "columns.json"
        if not noted.is_file():
            stage = self._stage
            columns = stage.columns or short_columns(
                rows.items, self._columns, stage.chars, stage.max_chars
            )
            noted.parent.mkdir(parents=True, exist_ok=True)
            write_text(noted, json.dumps(columns))

    def _carry(self, before: Path, folder: Path) -> None:
        place = folder / self.name
        place.mkdir(parents=True, exist_ok=True)
        write_text(place / "columns.json", json.dumps(self._read(before)))

    def _read(self, folder: Path) -> list[str]:
        noted: list[str] = json.loads((folder / self.name / "columns.json").read_text("utf-8"))
        return noted

    def _features(
        self, rows: Labelled, folder: Path, told: Told
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        named = self._backbones(folder)
        text, picture = (
            make_backbone(BackboneConfig.model_validate(named[name]), allow_download=self._allow)
            for name in named["both"]["of"]
        )
        joined = JoinedFeatures([text, picture])
        whole = _all_rows(joined, rows.items, told, "reading texts, looking at pictures")
        rng = np.random.default_rng(self._seed)
        n = round(self._stage.missing * len(rows))
        blind, mute = (rng.permutation(len(rows))[:n] for _ in range(2))
        without_picture, without_text = whole[blind], whole[mute]
        without_picture[:, text.width :] = 0
        without_text[:, : text.width] = 0
        features = np.vstack([whole, without_picture, without_text])
        return features, np.concatenate([rows.nodes, rows.nodes[blind], rows.nodes[mute]])

    def _backbones(self, folder: Path) -> dict[str, dict[str, Any]]:
        stage = self._stage
        text = {
            "kind": stage.text,
            "columns": self._read(folder),
            "max_chars": stage.max_chars,
            "model": stage.text_model or MODELS[stage.text],
        }
        return {
            "both.text": text,
            "both.picture": {"kind": "picture", "model": stage.picture_model or DEFAULT_VISION},
            "both": {"kind": "joined", "of": ["both.text", "both.picture"]},
        }


def has_picture(rows: Labelled) -> NDArray[np.bool_]:
    """Which rows have a picture; bool [n_rows]."""
    return np.array([item.image is not None for item in rows.items], dtype=bool)


def with_pictures(rows: Labelled) -> Labelled:
    """The rows that have a picture."""
    return rows.part(has_picture(rows))


def _all_rows(
    backbone: Backbone, items: Sequence[Item], told: Told, what: str
) -> NDArray[np.float32]:
    """The features of items, with signs of progress."""
    made = []
    for start in range(0, len(items), ENCODED):
        made.append(backbone.rows(items[start : start + ENCODED]))
        told(what, min(start + ENCODED, len(items)), len(items))
    return np.asarray(np.concatenate(made), dtype=np.float32)
