"""What the subcommands of `cascade taxonomy` share: options, and loading."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cascade.taxonomy import Taxonomy

EXAMPLES = """
[bold]Examples[/]

  cascade taxonomy show store --depth 2
  cascade taxonomy show store CLO-TOP
  cascade taxonomy search store "running shoes"
  cascade taxonomy search store "keeps drinks hot" --meaning
  cascade taxonomy validate my.csv
  cascade taxonomy convert my.csv my.yaml
  cascade taxonomy trim my.csv short.csv --depth 3
  cascade taxonomy enrich my.csv -o richer.csv --set llm.model=FOLDER
  cascade taxonomy diff old.csv new.csv
  cascade taxonomy diff MTX_16.ecf MTX_17.ecf -o changes.csv
"""

TaxonomyArgument = Annotated[
    str, typer.Argument(metavar="TAXONOMY", help="A file, or a shipped name.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")]
TaxonomySheet = Annotated[
    str | None,
    typer.Option(
        "--sheet",
        metavar="NAME",
        help="Sheet of a workbook; by default the one that alone looks like a taxonomy.",
    ),
]


def check_new(target: Path | None, overwrite: bool) -> None:
    """Refuse a file that exists, unless it may be replaced.

    Raises
    ------
    OutputError
        It exists.
    """
    from cascade.errors import OutputError

    if target is not None and target.exists() and not overwrite:
        raise OutputError(f"{target} exists; replace it with --overwrite, or name another file")


def load(source: str, encoding: str | None, scheme: str | None, sheet: str | None) -> Taxonomy:
    """The taxonomy of a file, or a shipped name."""
    from cascade.pipeline.load import load_taxonomy

    return load_taxonomy(source, encoding=encoding, scheme=scheme, sheet=sheet)
