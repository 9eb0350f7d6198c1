"""`cascade compare`: two runs side by side, with paired significance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible, out
from cascade.errors import UsageError

EXAMPLES = """
[bold]Examples[/]

  cascade compare runs/labelled-retrieval runs/labelled-cascade
  cascade compare runs/a runs/b runs/c -o runs/abc        (b and c, each against a)
  cascade compare runs/a runs/b --json
"""


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Folders that `cascade eval` wrote; the first is "
            "what the others are compared with.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Folder to write to; runs/A-vs-B if not given."),
    ] = None,
    seed: options.SeedOption = 0,
    resamples: options.ResamplesOption = 1000,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a comparison that exists.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Compare runs on the same rows: figures, paired differences, and where they differ."""
    from cascade.cli import metrics_tables
    from cascade.cli.progress import working
    from cascade.evaluation.comparison import Run
    from cascade.evaluation.comparison import compare as compared
    from cascade.evaluation.report.comparison_report import ComparisonFolder

    if len(runs) < 2:
        raise UsageError(f"found one run, {runs[0]}; give two or more to compare")
    read = [Run.read(path) for path in runs]
    names = [Path(path).resolve().name for path in runs]
    folder = ComparisonFolder(output or Path("runs") / "-vs-".join(names))
    folder.check(overwrite=overwrite)
    with interruptible("nothing was written"), working("comparing"):
        found = compared(read, resamples=resamples, seed=seed)
        folder.write(found)
    if as_json:
        out.print_json(json.dumps(folder.read()))
        return
    metrics_tables.show_comparison(found)
    err.print(f"report  {folder.report}", highlight=False, markup=False)
