"""What experiments over many sets share: their rows, those held out, and the folder of a model."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from cascade.errors import WeightsError
from cascade.io.files import sha256_of
from cascade.models.packed.saving import save_like
from cascade.models.runtime import best_device
from cascade.models.sentence_encoder import PackedEncoder
from cascade.models.weights import Weights
from cascade.retrieval.encoder_prompts import Prompts, prompts_of
from cascade.training.encoders.measuring import drawn_rows
from cascade.training.encoders.recipe import SetRecipe, SetsRecipe
from cascade.training.encoders.sets import EncoderSet, read_set
from cascade.training.encoders.training import AveragedLoop
from cascade.training.experiment import Experiment
from cascade.version import __version__

MODEL = "model"

S = TypeVar("S", bound=SetsRecipe)


class SetsExperiment(Experiment[S]):
    """Something that is learnt from many sets; `limit` is of the rows of each."""

    @property
    def result(self) -> Path:
        """Where the model lies."""
        return self.folder / MODEL

    @property
    def data(self) -> dict[str, Any]:
        """The sets, and one hash of all that they hold."""
        digest = hashlib.sha256(json.dumps(self._contents).encode()).hexdigest()
        sets = [each.name for each in self.recipe.sets]
        held = [each.name for each in self.recipe.held]
        shown = f"{len(sets):,} sets"
        about = {"file": shown, "sha256": digest, "limit": self.limit, "sets": sets, "held": held}
        return {"data": about}

    @property
    def _contents(self) -> Any:
        def hashed(chosen: SetRecipe) -> list[str | None]:
            tree, file = chosen.taxonomy, Path(chosen.file)
            own = sha256_of(Path(tree)) if tree and Path(tree).is_file() else tree
            return [sha256_of(file) if file.is_file() else None, own]

        return [self.limit, *(hashed(each) for each in (*self.recipe.sets, *self.recipe.held))]

    @property
    def _places(self) -> dict[str, Any]:
        places = {"file", "taxonomy"}
        return {"sets": {"__all__": places}, "held": {"__all__": places}}

    def _sets(self) -> tuple[list[EncoderSet], list[EncoderSet]]:
        """The sets that are learnt, and the rows that are measured."""
        recipe = self.recipe
        held = [part for each in recipe.held for part in self._read(each)]
        measured = [drawn_rows(part, recipe.held_rows, recipe.seed) for part in held]
        kept = frozenset(text.casefold() for part in measured for text in part.texts)
        learnt = [part for each in recipe.sets for part in self._read(each, kept)]
        return learnt, measured

    def _learn(self, loop: AveragedLoop, device: str, *, resume: bool) -> dict[str, Any]:
        """Train to the end, and take the averaged weights; how that went, for metrics.json."""
        started = time.perf_counter()
        history = loop.run(resume=resume, progress=self._on_tick)
        loop.settle()
        return {
            "steps": len(history.losses),
            "seconds": round(time.perf_counter() - started, 1),
            "loss_by_step": [round(loss, 5) for loss in history.losses],
            "device": best_device(device),
            "version": __version__,
        }

    def _tell(self, learnt: Sequence[EncoderSet], device: str) -> None:
        rows = sum(map(len, learnt))
        many = "1 taxonomy" if len(learnt) == 1 else f"{len(learnt):,} taxonomies"
        self.notify(f"{rows:,} rows in {many}, on {best_device(device)}")

    def _check_prompts(self, weights: Weights) -> None:
        """Raise WeightsError for an encoder that wants prompts, which are not read in training."""
        if prompts_of(weights) != Prompts():
            raise WeightsError(
                f"{weights.name} wants prompts before texts, and encoders for many taxonomies are "
                "trained without; name another in model.weights, or use a recipe of the kind "
                "retriever"
            )

    def _packed(self, weights: Weights) -> PackedEncoder:
        """The encoder in weights, in the form that can be trained."""
        encoder = PackedEncoder.open(weights)
        if encoder is None:
            raise WeightsError(
                f"{weights.name} is no plain encoder of the BERT kind, and only such learn many "
                "taxonomies; name another in model.weights, or use a recipe of the kind retriever"
            )
        return encoder

    def _read(
        self, chosen: SetRecipe, left_out: frozenset[str] = frozenset()
    ) -> Sequence[EncoderSet]:
        self.progress("reading rows", 0, None, chosen.name)
        return read_set(chosen, left_out, self.limit, self.notify)

    def _save(self, encoder: PackedEncoder, weights: Weights) -> None:
        """A folder of sentence-transformers like that of the weights, with what was learnt."""
        save_like(weights, encoder.weights, self.result, reader=True)
