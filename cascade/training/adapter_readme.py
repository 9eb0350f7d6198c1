"""The README of an adapter: what it was made of, how it measured, how it is used."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade.config import LLMConfig
from cascade.training.experiment_recipe import ExperimentRecipe


def usage(recipe: ExperimentRecipe, text: Sequence[str], folder: Path) -> str:
    """The command that classifies with an adapter."""
    default = LLMConfig()
    settings = {"llm.adapter": str(folder)}
    if recipe.model.weights != default.model:
        settings["llm.model"] = recipe.model.weights
    if "child" in recipe.tasks:
        if recipe.prompts.child != default.prompt:
            settings["llm.prompt"] = recipe.prompts.child
            settings["llm.prior"] = "false"
        if recipe.prompts.type != default.type_prompt:
            settings["llm.type_prompt"] = recipe.prompts.type
    if recipe.data.max_chars != default.max_chars:
        settings["llm.max_chars"] = str(recipe.data.max_chars)
    words = ["cascade", "classify", "items.csv", "-t", recipe.data.taxonomy or "TAXONOMY"]
    words += [word for column in text for word in ("--text", column)]
    words += ["--method", "llm"]
    words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return shlex.join([*words, "-o", "out.csv"])


def readme(
    recipe: ExperimentRecipe,
    metrics: Mapping[str, Any],
    text: Sequence[str],
    folder: Path,
    command: str,
) -> str:
    """The README of a result folder, as Markdown.

    Parameters
    ----------
    metrics
        The contents of metrics.json.
    text
        Columns that were read.
    command
        What was typed.
    """
    rows, lora = metrics["rows"], recipe.lora
    losses = "no rows were held out"
    if metrics["validation_loss"] is not None:
        losses = (
            f"{metrics['validation_loss_before']:.3f} before, {metrics['validation_loss']:.3f} "
            f"after step {metrics['best_step']:,}, which is kept"
        )
    columns = ", ".join(text)
    return f"""\
# LoRA adapter of {recipe.model.weights}

{recipe.about or "Made by `cascade finetune`."}

Use it:

    {usage(recipe, text, folder)}

or with peft: `PeftModel.from_pretrained(model, {str(folder)!r})`.

|  |  |
| --- | --- |
| made by | `{command}` |
| tasks | {", ".join(recipe.tasks)} |
| data | {Path(recipe.data.file).name}: {rows["train"]:,} rows of {rows["read"]:,}, \
{rows["classes"]:,} classes; columns {columns}; label {recipe.data.label} |
| taxonomy | {recipe.data.taxonomy or "made of the labels"} |
| examples | {metrics["examples"]["train"]:,}, and {metrics["examples"]["validation"]:,} of \
{rows["validation"]:,} rows held out or given for validation |
| LoRA | rank {lora.rank}, alpha {lora.alpha}, dropout {lora.dropout}; \
{metrics["trained_weights"]:,} weights |
| steps | {metrics["steps"]:,}{", stopped early" if metrics["stopped_early"] else ""} |
| validation loss | {losses} |
| time | {metrics["seconds"]:,.0f} s, {metrics["tokens_per_second"]:,.0f} tokens/s on \
{metrics["device"]} in {metrics["precision"]} |
| seed | {recipe.seed} |

Losses are in nats for each token of an answer. `recipe.yaml` has every setting; the same command
on it makes the adapter again. `metrics.json` has the loss of each step.
"""
