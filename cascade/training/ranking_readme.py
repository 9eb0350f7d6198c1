"""The README of a fine-tuned retriever or reranker."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade.training.ranking_recipe import RankingRecipe

SHOWN = ("accuracy_at_1", "recall_at_5", "recall_at_10", "mrr_at_10", "ndcg_at_10")


def usage(recipe: RankingRecipe, text: Sequence[str], model: Path) -> str:
    """The command that classifies with the model."""
    section = recipe.model
    if recipe.kind == "retriever":
        settings = {"retrieval.encoder": str(model), "retrieval.texts": section.texts}
        method = "retrieval"
    else:
        settings = {
            "rerank.model": str(model),
            "rerank.texts": section.texts,
            "rerank.candidates": str(section.candidates),
            "retrieval.encoder": section.encoder,
        }
        method = "rerank"
    words = ["cascade", "classify", "items.csv", "-t", recipe.data.taxonomy or "TAXONOMY"]
    words += [word for column in text for word in ("--text", column)]
    words += ["--method", method]
    words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return shlex.join([*words, "-o", "out.csv"])


def table(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Rows of figure, before, after; each with its 95% interval."""
    if metrics["before"] is None:
        return []

    def cell(found: Sequence[float]) -> str:
        value, low, high = found
        return f"{value:.3f} ({low:.3f} to {high:.3f})"

    before, after = metrics["before"], metrics["after"]
    return [(name, cell(before[name]), cell(after[name])) for name in SHOWN]


def readme(
    recipe: RankingRecipe,
    metrics: Mapping[str, Any],
    text: Sequence[str],
    model: Path,
    command: str,
) -> str:
    """The README of a result folder, as Markdown; arguments as of `adapter_readme.readme`."""
    rows = metrics["rows"]
    first = "before" if recipe.kind == "retriever" else "retrieval alone"
    figures = "\n".join(f"| {' | '.join(row)} |" for row in table(metrics))
    measured = (
        f"Leaves ranked for {rows['validation']:,} rows that were not trained on, with 95% "
        f"intervals:\n\n| figure | {first} | after |\n| --- | --- | --- |\n{figures}"
        if figures
        else "No rows were held out, so nothing was measured."
    )
    wrong, training = recipe.negatives, recipe.training
    unit = "rows" if recipe.kind == "retriever" else "pairs"
    return f"""\
# {recipe.kind.capitalize()} made of {recipe.model.weights}

{recipe.about or "Made by `cascade finetune`."}

Use it:

    {usage(recipe, text, model)}

{measured}

|  |  |
| --- | --- |
| made by | `{command}` |
| data | {Path(recipe.data.file).name}: {rows["train"]:,} rows of {rows["read"]:,}, \
{rows["classes"]:,} classes; columns {", ".join(text)}; label {recipe.data.label} |
| taxonomy | {recipe.data.taxonomy or "made of the labels"} |
| wrong nodes | {wrong.siblings} siblings, {wrong.near} near in the taxonomy, {wrong.similar} of \
the {wrong.pool} most similar |
| training | {metrics["steps"]:,} steps of {training.batch_size} {unit} at \
{training.learning_rate} |
| time | {metrics["seconds"]:,.0f} s on {metrics["device"]} |
| seed | {recipe.seed} |

`recipe.yaml` has every setting; the same command on it makes the model again.
"""
