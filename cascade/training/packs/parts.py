"""The parts that a recipe can give a pack; each fits itself to rows and says how it is used."""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cascade.features.backbone import Backbone
from cascade.features.lexical import LexicalFeatures
from cascade.features.make import DEFAULT_VISION
from cascade.features.text_embeddings import HiddenStates, SentenceFeatures
from cascade.io.files import write_text
from cascade.retrieval.encoder import Encoder
from cascade.scoring.methods.neighbours import Examples, unit
from cascade.scoring.ttc_heads import HeadsFile
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import Labelled
from cascade.training.linear_heads import fit_hinge
from cascade.training.packs.backbones import TunableEncoder, TunableLlama, short_columns
from cascade.training.packs.recipe import LexicalStage, TunedStage
from cascade.training.packs.tuning import Tunable, tune

Told = Callable[[str, int, int], None]
"""Called with what is done, how much is done, and how much there is."""

COLUMNS = "columns.json"  # what a tuned backbone reads, beside it
MODELS = {"sentence": "minilm", "llama": "smollm2-135m", "picture": DEFAULT_VISION}
ENCODED = 512  # items that are encoded between two signs of progress


@dataclass
class Settings:
    """How fitted parts stand in a cascade.yaml; files are named relative to it.

    Parameters
    ----------
    scorers
        Names of the scorers that the parts bring.
    fast
        Those of them that are quick enough to see every item first.
    """

    backbones: dict[str, dict[str, Any]] = field(default_factory=dict)
    heads: dict[str, dict[str, Any]] = field(default_factory=dict)
    neighbours: dict[str, Any] = field(default_factory=dict)
    scorers: list[str] = field(default_factory=list)
    fast: list[str] = field(default_factory=list)

    def add(self, other: Settings) -> None:
        """Take in the parts of others."""
        self.backbones |= other.backbones
        self.heads |= other.heads
        self.neighbours |= other.neighbours
        self.scorers += other.scorers
        self.fast += other.fast


class Learner(ABC):
    """One part of a pack.

    A part is fitted twice: to the rows that are not held out, so that the held-out ones tell what
    it is worth, and then for good to all rows. What is in the folder already is not fitted again,
    so that a run which was killed goes on.
    """

    name: str

    @abstractmethod
    def fit(self, rows: Labelled, taxonomy: Taxonomy, folder: Path, told: Told) -> None:
        """Fit, and write into `folder`."""

    @abstractmethod
    def fit_again(
        self,
        rows: Labelled,
        new: NDArray[np.bool_],
        taxonomy: Taxonomy,
        before: Path,
        folder: Path,
        told: Told,
    ) -> None:
        """Fit to all rows into `folder`.

        Parameters
        ----------
        new
            bool [n_rows], those that were held out.
        before
            Has what was fitted without them.
        """

    @abstractmethod
    def settings(self, folder: Path) -> Settings:
        """How what lies in `folder` is used."""


class LexicalLearner(Learner):
    """Words and characters, with heads by the squared hinge loss."""

    name = "lexical"

    def __init__(self, stage: LexicalStage, columns: Sequence[str], seed: int) -> None:
        self._stage, self._columns, self._seed = stage, list(columns), seed

    def fit(self, rows: Labelled, taxonomy: Taxonomy, folder: Path, told: Told) -> None:
        """Fit features and heads; see `Learner.fit`."""
        path = folder / "features" / "lexical.safetensors"
        if not path.is_file():
            told("counting words", 0, 1)
            LexicalFeatures.fit(rows.items, self._columns, self._stage.features).save(path)
        made = None
        for form in self._forms(rows):
            target = folder / "heads" / f"{form}.safetensors"
            if target.is_file():
                continue
            if made is None:
                made = LexicalFeatures.load(path).rows(rows.items)
            heads = fit_hinge(
                made,
                rows.nodes,
                taxonomy,
                form,
                cost=self._stage.cost,
                seed=self._seed,
                progress=telling(told, f"lexical heads, {form}"),
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
        """Everything anew: it is quick."""
        self.fit(rows, taxonomy, folder, told)

    def settings(self, folder: Path) -> Settings:
        """The features, and one scorer for each form."""
        there = ("leaf", "conditional")  # some may stand in for others, see `_forms`
        forms = [form for form in there if (folder / f"heads/{form}.safetensors").is_file()]
        names = [f"ttc.{form}" for form in forms]
        return Settings(
            backbones={"lexical": {"kind": "lexical", "file": "features/lexical.safetensors"}},
            heads={f: {"file": f"heads/{f}.safetensors", "backbone": "lexical"} for f in forms},
            scorers=names,
            fast=list(names),
        )

    def _forms(self, rows: Labelled) -> list[Literal["leaf", "conditional"]]:
        """The forms to fit: without `leaf` where that would take forever."""
        many = len(np.unique(rows.nodes)) > self._stage.most_problems
        kept = [form for form in self._stage.forms if not (form == "leaf" and many)]
        return kept or ["conditional"]


class TunedLearner(Learner):
    """A backbone fine-tuned with its heads, and its labelled neighbours.

    The backbone is trained without the held-out rows, and learns them at last: anew where the rows
    are few, else in some further steps. Neighbours take in all rows.
    """

    def __init__(
        self,
        kind: Literal["sentence", "llama", "picture"],
        stage: TunedStage,
        columns: Sequence[str],
        seed: int,
        *,
        allow_download: bool = False,
    ) -> None:
        self.name: str = kind
        self._stage, self._columns, self._seed = stage, list(columns), seed
        self._allow = allow_download

    def fit(self, rows: Labelled, taxonomy: Taxonomy, folder: Path, told: Told) -> None:
        """Train, and index the rows as examples; see `Learner.fit`."""
        place = folder / self.name
        if not (place / "heads.safetensors").is_file():
            told(f"loading the {self.name} model", 0, 1)
            tune(
                self._tunable(self._settled(rows, place)),
                rows.items,
                rows.nodes,
                taxonomy,
                self._stage.tuning,
                place,
                seed=self._seed,
                progress=lambda done, of: told(f"training the {self.name} model", done, of),
            )
        self._index(rows, taxonomy, place, place, told)

    def fit_again(
        self,
        rows: Labelled,
        new: NDArray[np.bool_],
        taxonomy: Taxonomy,
        before: Path,
        folder: Path,
        told: Told,
    ) -> None:
        """Train anew where rows are few; else go on learning. All rows become examples."""
        place, source = folder / self.name, before / self.name
        place.mkdir(parents=True, exist_ok=True)
        # What was weighed is what is read, whatever the columns of all rows would suggest.
        shutil.copyfile(source / COLUMNS, place / COLUMNS)
        if len(rows) < self._stage.again_below:
            self.fit(rows, taxonomy, folder, told)
            return
        if new.any() and self._stage.again_epochs:
            self._go_on(rows, new, taxonomy, source, place, told)
        else:
            copy_folder(source / "model", place / "model")
            HeadsFile.load(source / "heads.safetensors", taxonomy).save(place / "heads.safetensors")
        self._index(rows, taxonomy, place, place, told)

    def _go_on(
        self,
        rows: Labelled,
        new: NDArray[np.bool_],
        taxonomy: Taxonomy,
        source: Path,
        place: Path,
        told: Told,
    ) -> None:
        """Learn the new rows too, with half as many of the others so that those are kept."""
        if (place / "heads.safetensors").is_file():
            return
        columns = self._settled(rows, place)
        rng = np.random.default_rng(self._seed)
        others = rng.permutation(np.flatnonzero(~new))[: int(new.sum()) // 2]
        chosen = new.copy()
        chosen[others] = True
        some, tuning = rows.part(chosen), self._stage.tuning
        slower = tuning.model_copy(
            update={
                "epochs": self._stage.again_epochs,
                "least_steps": 1,
                "learning_rate": tuning.learning_rate / 2,
                "head_learning_rate": tuning.head_learning_rate / 2,
            }
        )
        tune(
            self._tunable(columns, before=source / "model"),
            some.items,
            some.nodes,
            taxonomy,
            slower,
            place,
            start=HeadsFile.load(source / "heads.safetensors", taxonomy).heads,
            seed=self._seed,
            progress=lambda done, of: told(f"training the {self.name} model on", done, of),
        )

    def settings(self, folder: Path) -> Settings:
        """The backbone, its heads, and its neighbours."""
        where: dict[str, Any] = {"kind": self.name, "columns": self._read(folder)}
        where["max_chars"] = self._stage.max_chars
        if self.name == "sentence":
            where["model"] = f"{self.name}/model"
        else:
            where |= {"model": self._model, "adapter": f"{self.name}/model"}
        found = Settings(
            backbones={self.name: where},
            heads={self.name: {"file": f"{self.name}/heads.safetensors", "backbone": self.name}},
            scorers=[f"ttc.{self.name}"],
        )
        if (folder / self.name / "examples.safetensors").is_file():
            found.neighbours = {
                "file": f"{self.name}/examples.safetensors",
                "backbone": self.name,
                "k": self._stage.neighbours,
            }
            found.scorers.append("neighbours")
        return found

    @property
    def _model(self) -> str:
        return self._stage.model or MODELS[self.name]

    def _tunable(self, columns: Sequence[str], before: Path | None = None) -> Tunable:
        """The model to train; one that was trained before where `before` has it."""
        stage = self._stage
        if self.name == "sentence":
            name = self._model if before is None else str(before)
            return TunableEncoder(name, columns, stage.max_chars, allow_download=self._allow)
        return TunableLlama(
            self._model,
            columns,
            stage.max_chars,
            layers=stage.layers,
            rank=stage.rank,
            alpha=stage.alpha,
            adapter=before,
            allow_download=self._allow,
        )

    def _settled(self, rows: Labelled, place: Path) -> list[str]:
        """The columns that the backbone in `place` reads; chosen by the rows if not noted there."""
        noted = place / COLUMNS
        if not noted.is_file():
            place.mkdir(parents=True, exist_ok=True)
            write_text(noted, json.dumps(self._chosen(rows)))
        return self._read(place.parent)

    def _chosen(self, rows: Labelled) -> list[str]:
        """The columns to read."""
        return self._stage.columns or short_columns(
            rows.items, self._columns, self._stage.chars, self._stage.max_chars
        )

    def _read(self, folder: Path) -> list[str]:
        """The columns that the backbone in `folder` was trained on."""
        noted: list[str] = json.loads((folder / self.name / COLUMNS).read_text("utf-8"))
        return noted

    def _index(
        self, rows: Labelled, taxonomy: Taxonomy, model: Path, place: Path, told: Told
    ) -> None:
        """Keep the rows as examples where neighbours are to vote."""
        target = place / "examples.safetensors"
        if not self._stage.neighbours or target.is_file():
            return
        backbone = self._backbone(model / "model", self._read(place.parent))
        made = []
        for start in range(0, len(rows), ENCODED):
            made.append(unit(backbone.rows(rows.items[start : start + ENCODED])))
            told("encoding examples", min(start + ENCODED, len(rows)), len(rows))
        Examples(np.concatenate(made), rows.nodes, taxonomy.fingerprint).save(target)

    def _backbone(self, model: Path, columns: Sequence[str]) -> Backbone:
        if self.name == "sentence":
            return SentenceFeatures(Encoder.load(str(model)), columns, self._stage.max_chars)
        return HiddenStates.load(
            self._model,
            columns,
            self._stage.max_chars,
            adapter=str(model),
            allow_download=self._allow,
        )


def copy_folder(source: Path, target: Path) -> None:
    """Copy files, linking them where that is possible; what is there stays."""
    import os

    for path in sorted(source.rglob("*")):
        if path.is_file():
            to = target / path.relative_to(source)
            if not to.exists():
                to.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(path, to)
                except OSError:
                    shutil.copyfile(path, to)


def telling(told: Told, what: str) -> Callable[[int, int], None]:
    """Signs of progress of one thing, as `fit_heads` and `fit_hinge` give them."""
    return lambda done, of: told(what, done, of)
