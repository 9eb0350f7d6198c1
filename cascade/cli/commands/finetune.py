"""`cascade finetune`: a recipe in; a LoRA adapter, a retriever, a reranker or an encoder out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible, out

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
    """Fine-tune a language model (LoRA), a retriever, a reranker or an encoder by a recipe."""
    from rich.table import Table

    from cascade.cli.progress import working
    from cascade.training.finetune_kinds import experiment_of, load_recipe

    over = options.parse_settings(settings or [])
    if allow_download:
        over.setdefault("model", {})["allow_download"] = True
    loaded = load_recipe(recipe, over)
    with (
        interruptible("the last checkpoint is kept, go on with [bold]--resume[/]"),
        working("reading rows") as bar,
    ):
        experiment = experiment_of(
            loaded,
            Path(output or Path("runs") / Path(recipe).stem),
            limit=limit,
            command=options.command(),
            progress=bar.show,
            notify=lambda words: err.print(words, highlight=False, markup=False),
        )
        with experiment:
            experiment.prepare(resume=resume, overwrite=overwrite)
            metrics = experiment.run(resume=resume)
    if as_json:
        out.print_json(json.dumps(metrics))
        return
    header, rows = experiment.summary(metrics)
    table = Table(*header, box=None, pad_edge=False, show_header=bool(header))
    for row in rows:
        table.add_row(*row)
    if rows:
        out.print(table)
    else:
        out.print("no rows were held out, so nothing was measured")
    out.print(f"{loaded.kind}  {experiment.result}", highlight=False, soft_wrap=True)
    out.print("\nuse it:", style="bold")
    out.print(f"  {experiment.usage()}", soft_wrap=True, highlight=False, markup=False)
