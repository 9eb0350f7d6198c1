"""`cascade foodex2 rows` and `fit`: training on a catalogue alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cascade.cli import options
from cascade.cli.commands.foodex2.common import (
    CatalogueOption,
    OverwriteOption,
    ProcessesOption,
    load_checker,
)
from cascade.cli.console import err, out

ROWS = """
[bold]Examples[/]

  cascade foodex2 rows -t MTX.ecf -o rows
  cascade finetune rows/retriever.yaml -o encoder
"""
FIT = """
[bold]Examples[/]

  cascade foodex2 fit -t MTX.ecf -o packs/foodex2
  cascade foodex2 fit -t MTX.ecf --encoder encoder/model -o packs/foodex2
"""


def rows(
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    taxonomy: CatalogueOption = None,
    processes: ProcessesOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of the split.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write into a folder that exists.")
    ] = False,
) -> None:
    """Make labelled rows of a catalogue's other names, with recipes that learn from them."""
    from cascade.errors import OutputError
    from cascade.foodex2.taxonomy import FoodEx2Taxonomy
    from cascade.training.foodex2.synthetic import write_rows

    if folder.exists() and not overwrite:
        raise OutputError(f"{folder} exists; write into it with --overwrite, or name another")
    checker = load_checker(taxonomy, processes)
    tree = FoodEx2Taxonomy.from_catalogue(checker.catalogue)
    allowed = [code for code in tree.codes if not checker.refusal(code)]
    counts = write_rows(checker.catalogue, allowed, folder, seed)
    files = ", ".join(f"{count:,} in {part}.csv" for part, count in counts.items())
    err.print(f"{folder}: {files}; learn from them with", highlight=False, markup=False)
    err.print(f"  cascade finetune {folder / 'retriever.yaml'} -o encoder", highlight=False)


def fit(
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pack to write.")],
    taxonomy: CatalogueOption = None,
    processes: ProcessesOption = None,
    encoder: Annotated[
        str, typer.Option("--encoder", help="Sentence encoder: built-in name, or a folder.")
    ] = "minilm",
    size: Annotated[
        int, typer.Option("--rows", min=100, help="Descriptions to compose and learn from.")
    ] = 6000,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of all draws.")] = 0,
    overwrite: OverwriteOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Fit a pack for `encode -c`: it classifies in which facet categories a text says something.

    It learns from descriptions that are composed of the catalogue's terms. The pack includes the
    catalogue, the table of processes and, if one is named, the folder of the encoder.
    """
    from cascade.cli.progress import working
    from cascade.training.foodex2.pack import fit_pack

    checker = load_checker(taxonomy, processes)
    with working("fitting") as bar:
        figures = fit_pack(
            checker,
            folder,
            encoder=encoder,
            rows=size,
            seed=seed,
            overwrite=overwrite,
            command=options.command(),
            report=bar.show,
        )
    if as_json:
        out.print_json(json.dumps(figures))
        return
    for name, own in figures.items():
        values = ", ".join(f"{key} {value:.3f}" for key, value in own.items())
        out.print(f"{name:<10}  {values}", highlight=False, soft_wrap=True)
    err.print(f"use it: cascade foodex2 encode TEXT -c {folder}", highlight=False)
