"""`cascade doctor`: what is installed, which weights are found, what is missing."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cascade.cli import options
from cascade.cli.console import out

EXAMPLES = """
[bold]Examples[/]

  cascade doctor
  cascade doctor --model ./my-llama --json
"""


def doctor(
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Also look for these weights: a folder, a file, a hub name."),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show what is installed, which weights are found and where, and how to get what is missing."""
    from rich.table import Table
    from rich.text import Text

    from cascade.models.diagnose import diagnose

    findings = diagnose(model or [])
    if as_json:
        out.print_json(json.dumps([finding.__dict__ for finding in findings]))
    else:
        table = Table("", box=None, pad_edge=False)
        for heading in ("what", "found", "cure"):
            table.add_column(heading, overflow="fold")
        for finding in findings:
            mark = {"ok": "[green]ok[/]", "missing": "[red]missing[/]", "optional": "[dim]-[/]"}
            table.add_row(
                mark[finding.state], Text(finding.what), Text(finding.found), Text(finding.cure)
            )
        out.print(table)
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(3)
