"""Parts of a pack that are fine-tuned: a backbone with its heads, and labelled neighbours."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cascade.config import BackboneConfig
from cascade.features.backbone import make_backbone
from cascade.models.packed.upper import Kept
from cascade.scoring.methods.neighbours import Examples, unit
from cascade.scoring.ttc_heads import Heads
from cascade.training.labelled import Labelled
from cascade.training.linear_heads import fit_heads
from cascade.training.packs.backbone_training import TrainableBackbone, TuningRecipe, fine_tune
from cascade.training.packs.backbones.encoders import TrainablePackedEncoder, trainable_encoder
from cascade.training.packs.backbones.llama import TrainableLlama
from cascade.training.packs.backbones.reading import with_prompt
from cascade.training.packs.backbones.vision import TrainableVision
from cascade.training.packs.parts import (
    MODELS,
    FitContext,
    Part,
    PartConfig,
    encode,
    keep_columns,
    read_columns,
    settled_columns,
)
from cascade.training.packs.recipe import PictureStage, TunedStage
from cascade.training.sampling import balanced

HEADS, MODEL, EXAMPLES = "heads.safetensors", "model", "examples.safetensors"
FIRST = "first"  # the first of two stages, beside its result until there are heads


class FineTunedPart(Part):
    """A text model fine-tuned with its heads, and its labelled neighbours.

    It is trained without the held-out rows, and learns them at last: anew where the rows are few,
    else in some further steps. Neighbours take in all rows.
    """

    def __init__(
        self, name: Literal["sentence", "llama", "picture"], stage: TunedStage, context: FitContext
    ) -> None:
        super().__init__(context)
        self.name: str = name
        self._stage = stage
        self._model = stage.model or MODELS[name]
        self._kept = Kept()
        self._trained: dict[Path, TrainableBackbone] = {}

    def fit(self, rows: Labelled, folder: Path) -> None:
        """Train, and index the rows as examples."""
        self._fit(rows, folder, watched=not self.needs_picture)

    def _fit(self, rows: Labelled, folder: Path, *, watched: bool) -> None:
        place = folder / self.name
        if not (place / HEADS).is_file():
            self.context.progress(f"loading the {self.name} model", 0, 1)
            if self._stage.balanced is None:
                self._train(rows, place, self._stage.tuning, "training", watched=watched)
            else:
                self._train_in_stages(rows, place, watched=watched)
        self._index(rows, place)

    def _train_in_stages(self, rows: Labelled, place: Path, *, watched: bool) -> None:
        """Train the backbone on a balanced subset; then fit heads to all rows, on it as it is."""
        stage, first = self._stage, place / FIRST
        columns = settled_columns(stage, rows, self._text_columns, place)
        if stage.balanced and not (place / MODEL).is_dir():
            chosen = balanced(rows.nodes, stage.balanced, self.context.seed)
            subset = rows.part(np.isin(np.arange(len(rows)), chosen))
            if not (first / HEADS).is_file():
                what = f"training on {len(subset):,} rows"
                self._train(subset, first, stage.tuning, what, watched=watched, columns=columns)
            (first / MODEL).rename(place / MODEL)
        self._fit_heads(rows, place)
        shutil.rmtree(first, ignore_errors=True)

    def _fit_heads(self, rows: Labelled, place: Path) -> None:
        """Heads on the backbone as it lies in `place`, for all rows."""
        context, stage = self.context, self._stage
        config = BackboneConfig.model_validate(self._backbone(place, str(place / MODEL)))
        backbone = make_backbone(config, allow_download=context.allow_download)
        features = encode(backbone, rows.items, context.reporting(f"reading for {self.name}"))
        recipe = stage.heads.model_copy(update={"form": stage.tuning.form})
        progress = context.reporting(f"heads of {self.name}")
        heads = fit_heads(
            *(features, rows.nodes, context.taxonomy, recipe), seed=context.seed, progress=progress
        )
        heads.save(place / HEADS, context.taxonomy)

    def refit(self, rows: Labelled, new: NDArray[np.bool_], before: Path, folder: Path) -> None:
        """Train anew where rows are few; else go on learning. All rows become examples."""
        place, source = folder / self.name, before / self.name
        keep_columns(source, place)
        if len(rows) < self._stage.again_below:
            self._fit(rows, folder, watched=False)
            return
        if not new.any() or not self._stage.again_epochs:
            shutil.copytree(
                source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns(EXAMPLES)
            )
        elif not (place / HEADS).is_file():
            if self._stage.balanced is None:
                self._go_on(rows, new, source, place)
            else:
                if (source / MODEL).is_dir():
                    shutil.copytree(source / MODEL, place / MODEL, dirs_exist_ok=True)
                self._fit_heads(rows, place)
        self._index(rows, place)

    def seconds(self, n_rows: int, n_labels: int) -> float:
        """About how long a training takes: three times what reading the rows of its steps does."""
        tuning = self._stage.tuning
        shown = max(tuning.epochs * n_rows, tuning.least_steps * tuning.batch_size)
        return 5 + 3 * self.seconds_to_ask(round(shown)) + self.seconds_to_ask(n_rows)

    def seconds_again(self, n_rows: int, n_new: int, n_labels: int) -> float:
        """About how long it takes to learn all rows, see `refit`."""
        if n_rows < self._stage.again_below:
            return self.seconds(n_rows, n_labels)
        shown = round(1.5 * n_new * self._stage.again_epochs)
        return 3 * self.seconds_to_ask(shown) + self.seconds_to_ask(n_rows)

    def config(self, folder: Path) -> PartConfig:
        """The backbone, its heads, and its neighbours."""
        place = folder / self.name
        found = PartConfig(
            backbones={self.name: self._backbone(place, f"{self.name}/{MODEL}")},
            heads={self.name: {"file": f"{self.name}/{HEADS}", "backbone": self.name}},
            scorers=[f"ttc.{self.name}"],
        )
        if (place / EXAMPLES).is_file():
            found.neighbours = {
                "file": f"{self.name}/{EXAMPLES}",
                "backbone": self.name,
                "k": self._stage.neighbours,
            }
            found.scorers.append("neighbours")
        return found

    def _train(
        self,
        rows: Labelled,
        place: Path,
        recipe: TuningRecipe,
        what: str,
        *,
        before: Path | None = None,
        start: Heads | None = None,
        watched: bool = False,
        columns: Sequence[str] | None = None,
    ) -> None:
        """Train a new backbone, or go on with the model in `before` and its heads.

        Parameters
        ----------
        columns
            Those that are read, where they are settled.
        watched
            Whether the held-out rows, which are not learnt then, are measured on the way.
        """
        context = self.context
        held = context.held if watched else None
        part = self.name if watched or self.needs_picture else f"{self.name}, all rows"
        if columns is None:
            columns = settled_columns(self._stage, rows, self._text_columns, place)
        backbone = self._trainable(columns, before)
        if not (place / HEADS).is_file():
            self._trained = {place: backbone}
        fine_tune(
            backbone,
            rows.items,
            rows.nodes,
            context.taxonomy,
            recipe,
            place,
            start=start,
            seed=context.seed,
            held=None if held is None else (held.items, held.nodes),
            progress=context.training(f"{what} the {self.name} model", part),
        )

    def _go_on(self, rows: Labelled, new: NDArray[np.bool_], source: Path, place: Path) -> None:
        """Learn the new rows too, with half as many of the others so that those are kept."""
        rng, tuning = np.random.default_rng(self.context.seed), self._stage.tuning
        chosen = new.copy()
        chosen[rng.permutation(np.flatnonzero(~new))[: int(new.sum()) // 2]] = True
        slower = tuning.model_copy(
            update={
                "epochs": self._stage.again_epochs,
                "least_steps": 1,
                "learning_rate": tuning.learning_rate / 2,
                "head_learning_rate": tuning.head_learning_rate / 2,
            }
        )
        heads = Heads.load(source / HEADS, self.context.taxonomy)
        before = source / MODEL
        self._train(rows.part(chosen), place, slower, "training on", before=before, start=heads)

    def _index(self, rows: Labelled, place: Path) -> None:
        """Keep the rows as examples where neighbours are to vote."""
        target, context = place / EXAMPLES, self.context
        if not self._stage.neighbours or target.is_file():
            return
        progress = context.reporting("encoding examples")
        trained = self._trained.get(place)
        if isinstance(trained, TrainablePackedEncoder):
            vectors = unit(trained.encode(rows.items, progress))
        else:
            config = BackboneConfig.model_validate(self._backbone(place, str(place / MODEL)))
            backbone = make_backbone(config, allow_download=context.allow_download)
            vectors = unit(encode(backbone, rows.items, progress))
        Examples(vectors, rows.nodes, context.taxonomy.fingerprint).save(target)

    @property
    def _text_columns(self) -> Sequence[str]:
        return self.context.columns

    def _trainable(self, columns: Sequence[str], before: Path | None) -> TrainableBackbone:
        """The model to train; one that was trained before where `before` has it."""
        stage, allow = self._stage, self.context.allow_download
        if self.name == "sentence":
            name = self._model if before is None else str(before)
            prompt = self._prompt.get("prompt", "")
            return trainable_encoder(
                *(name, columns, stage), prompt=prompt, allow_download=allow, kept=self._kept
            )
        return TrainableLlama(self._model, columns, stage, adapter=before, allow_download=allow)

    @cached_property
    def _prompt(self) -> dict[str, str]:
        """What the encoder reads before items, which the name of what was trained does not tell."""
        return with_prompt(self._model, allow_download=self.context.allow_download)

    def _backbone(self, place: Path, model: str) -> dict[str, Any]:
        """The backbone in a cascade.yaml, where `model` is what was trained."""
        read = {"columns": read_columns(place), "max_chars": self._stage.max_chars}
        untrained = self._stage.balanced == 0
        if untrained and self.name == "sentence":
            return {"kind": self.name, **read, "model": self._model, **self._prompt}
        if untrained:
            return {"kind": self.name, **read, "model": self._model}
        if self.name == "sentence":
            return {"kind": self.name, **read, "model": model, **self._prompt}
        return {"kind": self.name, **read, "model": self._model, "adapter": model}


class FineTunedPicturePart(FineTunedPart):
    """A vision model that is fine-tuned with its heads."""

    needs_picture = True

    def __init__(self, stage: PictureStage, context: FitContext) -> None:
        super().__init__("picture", stage, context)
        self._pictures = stage

    @property
    def _text_columns(self) -> Sequence[str]:
        return ()

    def _trainable(self, columns: Sequence[str], before: Path | None) -> TrainableBackbone:
        name = self._model if before is None else str(before)
        allow = self.context.allow_download
        return TrainableVision(name, self._pictures, allow_download=allow)

    def _backbone(self, place: Path, model: str) -> dict[str, Any]:
        return {"kind": "picture", "model": model}
