"""`cascade finetune` of an encoder for many taxonomies: measure, train, measure."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from cascade.errors import WeightsError
from cascade.io.files import sha256_of
from cascade.models.runtime import best_device
from cascade.models.sentence_encoder import (
    PackedEncoder,
    SentenceEncoder,
    load_sentence_encoder,
    name_today,
)
from cascade.models.weights import Weights, find_weights
from cascade.retrieval.encoder_prompts import Prompts, prompts_of
from cascade.training.encoders.batches import BatchSource
from cascade.training.encoders.measuring import Figures, drawn_rows, nearest_nodes
from cascade.training.encoders.recipe import EncoderRecipe, SetRecipe
from cascade.training.encoders.sets import EncoderSet, read_set
from cascade.training.encoders.training import EncoderLoop
from cascade.training.experiment import Experiment
from cascade.training.markdown import table
from cascade.version import __version__

MODEL = "model"


class EncoderExperiment(Experiment[EncoderRecipe]):
    """One encoder; `limit` is of the rows of each set."""

    @property
    def made(self) -> str:
        """What a result is, for messages."""
        return "an encoder"

    @property
    def result(self) -> Path:
        """Where the model lies."""
        return self.folder / MODEL

    def usage(self) -> str:
        """The command that classifies with the result."""
        words = ["cascade", "classify", "items.csv", "-t", "TAXONOMY", "--text", "name"]
        words += ["--method", "retrieval", "--set", f"retrieval.encoder={self.result}"]
        return shlex.join([*words, "-o", "out.csv"])

    @cached_property
    def _weights(self) -> list[Weights]:
        model = self.recipe.model
        return [find_weights(model.weights, allow_download=model.allow_download)]

    @property
    def data(self) -> dict[str, Any]:
        """The sets, and one hash of all that they hold."""
        digest = hashlib.sha256(json.dumps(self._contents).encode()).hexdigest()
        sets = [each.name for each in self.recipe.sets]
        held = [each.name for each in self.recipe.held]
        shown = f"{len(sets):,} sets"
        about = {"file": shown, "sha256": digest, "limit": self.limit, "sets": sets, "held": held}
        return {"data": about}

    def headline(self, metrics: Mapping[str, Any]) -> tuple[str, float] | None:
        """Mean over the held sets of the better text's hF1."""
        best = [max(hf1 for hf1, _ in forms.values()) for forms in metrics["after"].values()]
        return ("hf1_held", sum(best) / len(best)) if best else None

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

    def run(self, *, resume: bool = False) -> dict[str, Any]:
        """Train, and write the model; see `Experiment.run`."""
        recipe, weights = self.recipe, self._weights[0]
        if prompts_of(weights) != Prompts():  # which are not read here, and would be in use
            raise WeightsError(
                f"{weights.name} wants prompts before texts, and encoders for many taxonomies are "
                "trained without; name another in model.weights, or use a recipe of the kind "
                "retriever"
            )
        held = [part for each in recipe.held for part in self._read(each)]
        measured = [drawn_rows(part, recipe.held_rows, recipe.seed) for part in held]
        kept = frozenset(text.casefold() for part in measured for text in part.texts)
        learnt = [part for each in recipe.sets for part in self._read(each, kept)]
        before = self._figures(measured, load_sentence_encoder(weights, "cpu"), "measuring before")
        encoder = PackedEncoder.open(weights)
        if encoder is None:
            raise WeightsError(
                f"{weights.name} is no plain encoder of the BERT kind, and only such learn many "
                "taxonomies; name another in model.weights, or use a recipe of the kind retriever"
            )
        rows = sum(map(len, learnt))
        many = "1 taxonomy" if len(learnt) == 1 else f"{len(learnt):,} taxonomies"
        self.notify(f"{rows:,} rows in {many}, on {best_device(recipe.training.device)}")
        loop = EncoderLoop(
            encoder,
            BatchSource(learnt, recipe.training, recipe.seed),
            recipe.training,
            self.work,
            seed=recipe.seed,
            identity=self.identity,
        )
        started = time.perf_counter()
        history = loop.run(resume=resume, progress=self._on_tick)
        loop.settle()
        seconds = time.perf_counter() - started
        self._save(encoder, weights)
        after = self._figures(
            measured, load_sentence_encoder(find_weights(str(self.result)), "cpu"), "measuring"
        )
        return self._finish(
            {
                "kind": recipe.kind,
                "before": before,
                "after": after,
                "sets": {part.name: len(part) for part in learnt},
                "steps": len(history.losses),
                "seconds": round(seconds, 1),
                "loss_by_step": [round(loss, 5) for loss in history.losses],
                "device": best_device(recipe.training.device),
                "version": __version__,
            }
        )

    def _read(
        self, chosen: SetRecipe, left_out: frozenset[str] = frozenset()
    ) -> Sequence[EncoderSet]:
        self.progress("reading rows", 0, None, chosen.name)
        return read_set(chosen, left_out, self.limit, self.notify)

    def _figures(
        self, sets: Sequence[EncoderSet], encoder: SentenceEncoder, what: str
    ) -> dict[str, dict[str, list[float]]]:
        """For each recipe's set and each text form hF1 and exact of the nearest node."""
        found: dict[str, Figures] = {}
        for done, part in enumerate(sets):
            self.progress(what, done, len(sets), part.name)
            name = part.name.partition("/")[0]
            found[name] = found.get(name, Figures()) + nearest_nodes(part, encoder)
        return {name: figures.rounded() for name, figures in found.items()}

    def _save(self, encoder: PackedEncoder, weights: Weights) -> None:
        """A folder of sentence-transformers like that of the weights, with what was learnt."""
        from safetensors.torch import load_file, save_file

        shutil.copytree(weights.path, self.result, dirs_exist_ok=True)
        own = next(self.result.glob("**/model.safetensors"))
        tensors = load_file(own)
        for name in tensors:
            today = name_today(name)
            mine = next((k for k in encoder.weights if today == k or today.endswith(f".{k}")), None)
            if mine is not None:
                tensors[name] = encoder.weights[mine].detach().cpu().to(tensors[name].dtype)
        own.unlink()  # it may be a link into a cache
        save_file(tensors, own, metadata={"format": "pt"})

    def summary(self, metrics: Mapping[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
        """hF1 and exact of each held set, before and after, by the better text of each."""
        rows: list[Sequence[str]] = []
        for name, after in metrics["after"].items():
            before = metrics["before"][name]
            cells = [max(forms.items(), key=lambda form: form[1][0]) for forms in (before, after)]
            rows.append((name, *(f"{hf1:.3f} / {ex:.3f} ({form})" for form, (hf1, ex) in cells)))
        return ("held set, hF1 / exact", "before", "after"), rows

    def readme(self, metrics: Mapping[str, Any]) -> str:
        """What the encoder was made of, how it measured, and how it is used."""
        recipe = self.recipe
        measured = "No set was held out, so nothing was measured."
        header, figures = self.summary(metrics)
        if figures:
            measured = (
                "The nearest node of sets that were held out whole, each node by the text that is "
                "best for the set:\n\n" + table(header, figures)
            )
        training = recipe.training
        sets = ", ".join(each.name for each in recipe.sets)
        return f"""\
# Encoder for many taxonomies, made of {recipe.model.weights}

{recipe.about or "Made by `cascade finetune`."}

Use it:

    {self.usage()}

{measured}

|  |  |
| --- | --- |
| made by | `{self.command}` |
| rows | {sum(metrics["sets"].values()):,} |
| taxonomies | {len(metrics["sets"]):,}, of the sets {sets} |
| training | {metrics["steps"]:,} steps of {training.items} rows at {training.learning_rate} |
| time | {metrics["seconds"]:,.0f} s on {metrics["device"]} |
| seed | {recipe.seed} |

`recipe.yaml` has every setting; the same command on it makes the encoder again.
"""
