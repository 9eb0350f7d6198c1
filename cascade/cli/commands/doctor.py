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
STATES = {"ok": ("ok", "green"), "missing": ("missing", "red"), "optional": ("-", "dim")}


def doctor(
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Also look for these weights: a folder, a file, a hub name."),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show what is installed, which weights are found and where, and how to get what is missing."""
    from rich.text import Text

    from cascade.models.diagnose import diagnose

    findings = diagnose(model or [])
    if as_json:
        out.print_json(json.dumps([finding.__dict__ for finding in findings]))
    else:
        wide = max(len(finding.what) for finding in findings)
        for finding in findings:
            word, style = STATES[finding.state]
            line = Text.assemble((f"{word:8}", style), f"{finding.what:{wide}}  {finding.found}")
            out.print(line, soft_wrap=True)  # a path that is cut by lines cannot be copied
            if finding.cure:
                out.print(Text(f"{'':8}  {finding.cure}", "dim"), soft_wrap=True)
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(3)
