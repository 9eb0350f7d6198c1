"""`cascade finetune`: a recipe in; a LoRA adapter, a retriever, reranker, encoder or reader out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible, out

if TYPE_CHECKING:
    from cascade.training.sweep import Make

EXAMPLES = """
[bold]Examples[/]

  cascade finetune finetune/lora-products.yaml --limit 64 -o runs/try
  cascade finetune mine.yaml -o runs/mine --set training.epochs=2 --set lora.rank=16
  cascade finetune mine.yaml -o runs/mine --resume
  cascade finetune mine.yaml -o runs/ranks --sweep lora.rank=4,8,16 --sweep seed=0,1
  cascade finetune mine.yaml -o runs/mine --set report_to=tensorboard
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
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            "--sweep",
            metavar="KEY=V,V,...",
            help="Run the recipe with each of these values of a field, lists in brackets; repeat "
            "it for every combination of several fields. Each run has a folder below --out.",
        ),
    ] = None,
    allow_download: options.DownloadOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Fine-tune a language model (LoRA), a retriever, a reranker, an encoder or a reader."""
    from cascade.training.finetune_kinds import load_recipe

    over = options.parse_settings(settings or [])
    if allow_download:
        over.setdefault("model", {})["allow_download"] = True
    folder = Path(output or Path("runs") / Path(recipe).stem)
    if sweep:
        _sweep(recipe, over, sweep, folder, limit, resume, overwrite, as_json)
        return
    loaded = load_recipe(recipe, over)
    with _experiments(limit) as make:
        experiment = make(loaded, folder)
        with experiment:
            experiment.prepare(resume=resume, overwrite=overwrite)
            metrics = experiment.run(resume=resume)
    if as_json:
        out.print_json(json.dumps(metrics))
        return
    header, rows = experiment.summary(metrics)
    if rows:
        _print(header, rows)
    else:
        out.print("no rows were held out, so nothing was measured")
    out.print(f"{loaded.kind}  {experiment.result}", highlight=False, soft_wrap=True)
    out.print("\nuse it:", style="bold")
    out.print(f"  {experiment.usage()}", soft_wrap=True, highlight=False, markup=False)


def _sweep(
    recipe: str,
    over: dict[str, Any],
    swept: list[str],
    folder: Path,
    limit: int | None,
    resume: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Run every combination of some fields' values, and print one table."""
    from cascade.io.files import read_json
    from cascade.training.sweep import FIGURES, Sweep, SweptField, best_of, table_of

    fields = [SweptField.parse(text) for text in swept]

    def begins(number: int, of: int, point: Any) -> None:
        shown = ", ".join(f"{key}={value}" for key, value in point)
        err.print(f"run {number} of {of}: {shown}", highlight=False, markup=False)

    with _experiments(limit) as make:
        job = Sweep(recipe, over, fields, folder, make)
        runs = job.run(resume=resume, overwrite=overwrite, begins=begins)
    if as_json:
        out.print_json(json.dumps(read_json(folder / FIGURES)))
    else:
        _print(*table_of(runs))
        if (best := best_of(runs)) is not None:
            out.print(f"best  {best.folder}", highlight=False, soft_wrap=True, markup=False)
    if any(run.problem for run in runs):
        raise typer.Exit(3)


@contextmanager
def _experiments(limit: int | None) -> Iterator[Make]:
    """Makes experiments whose progress is shown."""
    from cascade.cli.progress import working
    from cascade.training.finetune_kinds import experiment_of

    with (
        interruptible("the last checkpoint is kept, go on with [bold]--resume[/]"),
        working("reading rows") as bar,
    ):
        yield lambda recipe, folder: experiment_of(
            recipe,
            folder,
            limit=limit,
            command=options.command(),
            progress=bar.show,
            notify=lambda words: err.print(words, highlight=False, markup=False),
        )


def _print(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, box=None, pad_edge=False, show_header=any(header))
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table)
