"""`cascade finetune`: a recipe in; a LoRA adapter, a retriever or a reranker out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible, out

if TYPE_CHECKING:
    from cascade.training.adapters.experiment import AdapterExperiment
    from cascade.training.rankers.experiment import RankerExperiment

EXAMPLES = """
[bold]Examples[/]

  cascade finetune finetune/lora-products.yaml --limit 64 -o runs/try
  cascade finetune mine.yaml -o runs/mine --set training.epochs=2 --set lora.rank=16
  cascade finetune mine.yaml -o runs/mine --resume
  cascade finetune lora-products --set data.file=rows.csv --set data.taxonomy=taxonomy.csv
  cascade classify items.csv -t store --text name --set llm.adapter=runs/mine -o out.csv
  cascade finetune retriever --set data.file=rows.csv --set data.label=label -o runs/retriever
"""


def finetune(
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="A YAML file, or the name of one in finetune/."),
    ],
    output: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Folder of the result; runs/RECIPE if not given."),
    ] = None,
    limit: options.LimitOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run of the same folder.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a result that exists.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Set any field of the recipe, for example training.epochs=2; files are relative "
            "to the working folder.",
        ),
    ] = None,
    allow_download: options.DownloadOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Fine-tune a language model with LoRA, a retriever or a reranker, as a recipe says."""
    from cascade.cli.progress import working
    from cascade.training.adapters.experiment import AdapterExperiment
    from cascade.training.adapters.recipe import AdapterRecipe
    from cascade.training.finetune import load_recipe
    from cascade.training.rankers.experiment import RankerExperiment

    over = options.parse_settings(settings or [])
    if allow_download:
        over.setdefault("model", {})["allow_download"] = True
    loaded = load_recipe(recipe, over)
    name = Path(recipe).stem
    with (
        interruptible("the last checkpoint is kept, go on with [bold]--resume[/]"),
        working("reading rows") as bar,
    ):
        where = Path(output or Path("runs") / name), limit, name, options.command()
        signs: dict[str, Any] = {
            "told": bar.show,
            "said": lambda words: err.print(words, highlight=False, markup=False),
        }
        experiment: AdapterExperiment | RankerExperiment
        if isinstance(loaded, AdapterRecipe):
            experiment = AdapterExperiment(loaded, *where, **signs)
        else:
            experiment = RankerExperiment(loaded, *where, **signs)
        experiment.check(resume=resume, overwrite=overwrite)
        metrics = experiment.run(resume=resume)
    if as_json:
        out.print_json(json.dumps(metrics))
    elif isinstance(experiment, RankerExperiment):
        _show_ranking(experiment, metrics)
    else:
        _show(experiment, metrics)


def _show_ranking(experiment: RankerExperiment, metrics: dict[str, Any]) -> None:
    """Figures before and after, and what to do with the model."""
    from rich.table import Table

    from cascade.training.rankers.experiment import table, usage

    recipe, text = experiment.recipe, experiment.data.columns.text
    if rows := table(metrics):
        first = "before" if recipe.kind == "retriever" else "retrieval alone"
        shown = Table("figure (95%)", first, "after", box=None, pad_edge=False)
        for row in rows:
            shown.add_row(*row)
        out.print(shown)
    else:
        out.print("no rows were held out, so nothing was measured")
    out.print(f"{recipe.kind}  {experiment.model_folder}", highlight=False, soft_wrap=True)
    _use(usage(recipe, text, experiment.model_folder))


def _use(command: str) -> None:
    out.print("\nuse it:", style="bold")
    out.print(f"  {command}", soft_wrap=True, highlight=False, markup=False)


def _show(experiment: AdapterExperiment, metrics: dict[str, Any]) -> None:
    """A few figures, and what to do with the adapter."""
    from rich.table import Table

    from cascade.training.adapters.experiment import in_words, usage

    table = Table(box=None, pad_edge=False, show_header=False)
    early = ", stopped early" if metrics["stopped_early"] else ""
    table.add_row("steps", f"{metrics['steps']:,}{early}")
    last = metrics["loss_by_step"][-10:]
    table.add_row("training loss", f"{sum(last) / len(last):.3f}, mean of the last {len(last)}")
    if metrics["validation_loss"] is not None:
        table.add_row(
            "validation loss",
            f"{metrics['validation_loss_before']:.3f} before, {metrics['validation_loss']:.3f} "
            f"after step {metrics['best_step']:,}, which is kept",
        )
    table.add_row(
        "time",
        f"{in_words(metrics['seconds'])}, {metrics['tokens_per_second']:,.0f} tokens/s on "
        f"{metrics['device']}",
    )
    table.add_row("adapter", str(experiment.folder))
    out.print(table)
    _use(usage(experiment.recipe, experiment.data.columns.text, experiment.folder))
