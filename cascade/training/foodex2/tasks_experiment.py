"""`cascade finetune` of the kind foodex2: one adapter for the tasks of FEAST, and its settings."""

from __future__ import annotations

import random
import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from cascade.config import FITTED_ENCODER, LLMConfig
from cascade.errors import InputError
from cascade.foodex2.format import find_catalogue, load_catalogue
from cascade.foodex2.parsed_code import PROCESSES, ForbiddenProcesses
from cascade.foodex2.rules import Checker
from cascade.generation.engines.transformers_engine import TransformersEngine
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.prompts import PromptTemplate
from cascade.io.files import sha256_of, write_text
from cascade.models.language_models import load_llm
from cascade.models.runtime import best_device
from cascade.models.weights import Weights, find_weights
from cascade.pipeline.load import CONFIG_NAME
from cascade.retrieval.encoder import Encoder
from cascade.tracking.provenance import relative
from cascade.training.adapters.experiment import run_figures
from cascade.training.adapters.instructions import Instruction
from cascade.training.adapters.lora import attach_lora, save_adapter
from cascade.training.adapters.over_sets import losses_of, time_of
from cascade.training.adapters.training import AnswerLoop, training_precision
from cascade.training.experiment import Experiment
from cascade.training.foodex2.synthetic import Description
from cascade.training.foodex2.tasks import FoodTasks
from cascade.training.foodex2.tasks_figures import (
    best_weight,
    choice_figures,
    chosen_log_p,
    told_figures,
    told_labels,
    told_shares,
)
from cascade.training.foodex2.tasks_recipe import FoodTask, FoodTasksRecipe
from cascade.training.markdown import table
from cascade.version import __version__

STAGES: Mapping[FoodTask, str] = {
    "child": "base",
    "facets": "categories",
    "descriptors": "descriptors",
}
"""The section of `facets` in a config that a task is for."""


class FoodTasksExperiment(Experiment[FoodTasksRecipe]):
    """One adapter; `limit` is of the descriptions that are learnt."""

    made = "an adapter"

    @cached_property
    def catalogue(self) -> Path:
        """The file of the catalogue."""
        file = find_catalogue(self.recipe.data.catalogue)
        if not file.is_file():
            raise InputError(
                f"data.catalogue: there is no file {file}; files are relative to the recipe, and "
                "in --set to the working folder"
            )
        return file

    @cached_property
    def _processes(self) -> Path:
        named = self.recipe.data.processes
        return Path(named) if named is not None else self.catalogue.with_name(PROCESSES)

    @property
    def data(self) -> dict[str, Any]:
        """The catalogue with its hash."""
        file = {"file": relative(str(self.catalogue)), "sha256": sha256_of(self.catalogue)}
        return {"data": {**file, "limit": self.limit}}

    @property
    def _contents(self) -> Any:
        processes = self._processes
        return [
            self.limit,
            sha256_of(self.catalogue),
            sha256_of(processes) if processes.is_file() else None,
            *(PromptTemplate.load(name).source for name in self._prompts.values()),
        ]

    @property
    def _places(self) -> dict[str, Any]:
        return {"data": {"catalogue", "processes"}}

    @property
    def _prompts(self) -> dict[FoodTask, str]:
        prompts = self.recipe.prompts
        named = {"child": prompts.term, "facets": prompts.facets, "descriptors": prompts.term}
        return {task: named[task] for task in self.recipe.tasks}

    @cached_property
    def _weights(self) -> list[Weights]:
        recipe, allow = self.recipe, self.recipe.model.allow_download
        names = (recipe.model.weights, recipe.candidates.encoder)
        return [find_weights(name, allow_download=allow) for name in names]

    def run(self, *, resume: bool = False) -> dict[str, Any]:
        """Train, and write the adapter with the settings that use it; see `Experiment.run`."""
        recipe = self.recipe
        tasks = self._tasks()
        learnt, held = self._instructions(tasks)
        self.progress("loading the model", 0, None)
        device = best_device(recipe.training.device)
        precision = training_precision(recipe.training, device)
        model, tokenizer = load_llm(self._weights[0], device, precision)
        encoder = PromptEncoder(tokenizer)
        adapted = attach_lora(model, recipe.lora, seed=recipe.seed)
        loop = AnswerLoop(
            adapted,
            [one.encode(encoder) for own in learnt.values() for one in own],
            recipe.training,
            self.work,
            validation=[one.encode(encoder) for own in held.values() for one in own],
            seed=recipe.seed,
            identity=self.identity,
        )
        counts = {task: len(own) for task, own in learnt.items()}
        told = ", ".join(f"{count:,} of {task}" for task, count in counts.items())
        self.notify(f"questions: {told}; {len(loop.steps):,} steps on {device} in {precision}")
        self.progress("measuring the validation loss", 0, None)
        before = loop.validation_loss()
        history = loop.run(resume=resume, progress=self._on_tick)
        save_adapter(adapted, self.folder, recipe.model.weights)
        tokens = loop.tokens
        del adapted, model, loop
        engine = TransformersEngine.load(
            recipe.model.weights,
            adapter=str(self.folder),
            device=recipe.training.device,
            allow_download=recipe.model.allow_download,
        )
        figures = self._measure(tasks, engine)
        write_text(self.folder / CONFIG_NAME, self._settings(figures))
        return self._finish(
            {
                "kind": recipe.kind,
                **run_figures(history, before, tokens),
                "figures": figures,
                "questions": counts,
                "device": device,
                "precision": precision,
                "version": __version__,
            }
        )

    def _tasks(self) -> FoodTasks:
        recipe = self.recipe
        self.progress("reading the catalogue", 0, None)
        catalogue = load_catalogue(self.catalogue)
        named = recipe.data.processes
        processes = ForbiddenProcesses.load(named, catalogue)
        allow = recipe.model.allow_download
        return FoodTasks(
            Checker(catalogue, processes),
            Encoder.load(recipe.candidates.encoder, allow_download=allow),
            recipe,
            lambda done, of: self.progress("building the index", done, of),
        )

    def _instructions(
        self, tasks: FoodTasks
    ) -> tuple[dict[FoodTask, list[Instruction]], dict[FoodTask, list[Instruction]]]:
        """What is learnt, and what the validation loss is measured on."""
        data = self.recipe.data
        rows = data.rows if self.limit is None else min(self.limit, data.rows)
        self.progress("composing descriptions", 0, None)
        train = tasks.composed("train", rows, "ours", "catalogue")
        held = tasks.composed("validation", data.held_rows)[: data.validated]
        learnt, validated = {}, {}
        for task in self.recipe.tasks:
            self.progress("finding candidates", 0, None, task)
            most = max(round(self.recipe.weights.get(task, 1) * rows), 1)
            learnt[task] = tasks.instructions(task, self._of(task, tasks, train, "train"), most)
            validated[task] = tasks.instructions(task, held, len(held))
        if not any(learnt.values()):
            raise InputError("nothing is told in the descriptions; raise data.rows")
        return learnt, validated

    def _of(
        self, task: FoodTask, tasks: FoodTasks, composed: Sequence[Description], split: str
    ) -> list[Description]:
        """Descriptions in the order in which a task takes them; other names too for base terms."""
        rows = list(composed)
        if task == "child":
            names = tasks.names_of(split)
            rows += names[: len(rows)]
        random.Random(self.recipe.seed).shuffle(rows)
        return rows

    def _measure(self, tasks: FoodTasks, engine: TransformersEngine) -> dict[str, Any]:
        """Thresholds and weights by the validation split, figures of the test split."""
        data = self.recipe.data
        rows = {split: tasks.composed(split, data.held_rows) for split in ("validation", "test")}
        figures: dict[str, Any] = {}
        for at, task in enumerate(self.recipe.tasks):
            self.progress("measuring", at, len(self.recipe.tasks), task)
            if task == "facets":
                likely = {split: told_shares(tasks, engine, own) for split, own in rows.items()}
                right = {split: told_labels(tasks, own) for split, own in rows.items()}
                by_network = {split: tasks.network(own) for split, own in rows.items()}
                figures[task] = told_figures(likely, by_network, right)
                continue
            choices = {
                split: tasks.choices(task, self._of(task, tasks, own, split), data.held_rows)
                for split, own in rows.items()
            }
            judged = {split: chosen_log_p(tasks, engine, own) for split, own in choices.items()}
            weight = best_weight(choices["validation"], judged["validation"])
            figures[task] = choice_figures(choices["test"], judged["test"], weight)
        return figures

    def _settings(self, figures: Mapping[str, Any]) -> str:
        """The config that uses the adapter: a task that does not pay beside retrieval is not."""
        recipe, shown = self.recipe, self.recipe.candidates
        facets: dict[str, Any] = {}
        for task in recipe.tasks:
            prompt = {"method": "llm", "prompt": self._prompts[task], "contexts": shown.contexts}
            if task == "facets":
                chosen = {key: figures[task][key] for key in ("threshold", "weight")}
                facets[STAGES[task]] = prompt | chosen
            elif weight := figures[task]["weight"]:
                facets[STAGES[task]] = prompt | {"candidates": shown.shown, "weight": weight}
        llm: dict[str, Any] = {"adapter": ".", "prior": False, "max_chars": recipe.data.max_chars}
        if recipe.model.weights != LLMConfig().model:
            llm["model"] = recipe.model.weights
        config: dict[str, Any] = {"llm": llm, "facets": facets}
        if shown.encoder != FITTED_ENCODER:
            config["retrieval"] = {"encoder": shown.encoder}
        return yaml.safe_dump(config, sort_keys=False)

    def usage(self) -> str:
        """The command that codes foods with the result."""
        words = ["cascade", "foodex2", "encode", "foods.csv", "--text", "description"]
        words += ["-t", str(self.catalogue), "-c", str(self.folder / CONFIG_NAME)]
        words += ["-o", "coded.csv"]
        return shlex.join(words)

    def headline(self, metrics: Mapping[str, Any]) -> tuple[str, float] | None:
        """Micro F1 of facet categories, or the validation loss."""
        if (facets := metrics["figures"].get("facets")) is not None:
            return "f1_micro", facets["f1_micro"]
        loss = metrics["validation_loss"]
        return None if loss is None else ("validation_loss", loss)

    def summary(self, metrics: Mapping[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
        """Of each task what is right on base terms that were not learnt."""
        rows: list[Sequence[str]] = []
        for task, own in metrics["figures"].items():
            if task == "facets":
                shown = f"micro F1 {own['f1_micro']:.3f}, precision {own['precision_micro']:.3f}, "
                shown += f"recall {own['recall_micro']:.3f} at {own['threshold']:g}, beside the "
                shown += f"network at weight {own['weight']:g}; micro F1 of the model alone "
                shown += f"{own['alone']['f1_micro']:.3f}, of the network alone "
                shown += f"{own['network']['f1_micro']:.3f}"
            else:
                shown = f"retrieval {own['retrieval']:.3f}, model {own['model']:.3f}, "
                shown += f"both {own['both']:.3f} at weight {own['weight']:g}; "
                shown += f"listed {own['listed']:.3f}"
            rows.append((task, f"{own['rows']:,} rows", shown))
        return ("task", "held out", "right"), rows

    def readme(self, metrics: Mapping[str, Any]) -> str:
        """What the adapter was made of, how it measured, and how it is used."""
        recipe, lora = self.recipe, self.recipe.lora
        counts = ", ".join(f"{n:,} of {task}" for task, n in metrics["questions"].items())
        before = metrics["validation_loss_before"]
        losses = "no rows were held out" if before is None else losses_of(metrics)
        return self.page(
            f"LoRA adapter of {recipe.model.weights} for FoodEx2",
            table(*self.summary(metrics))
            + "\n\nThresholds and weights were chosen on other base terms than those of this table."
            " Descriptions were composed of the catalogue; those of people will be harder.",
            {
                "questions": counts,
                "LoRA": f"rank {lora.rank}, alpha {lora.alpha}, dropout {lora.dropout}",
                "steps": f"{metrics['steps']:,}",
                "validation loss": losses,
                "time": time_of(metrics),
            },
            "`cascade.yaml` has the settings of use, `metrics.json` the loss of each step.",
        )
