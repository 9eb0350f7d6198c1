"""The root command and its verbs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import copy
from typing import Annotated

import typer

from cascade.cli.commands import classify, doctor, foodex2, prompts, review, taxonomy
from cascade.cli.commands.doors import annotate, mcp, serve
from cascade.cli.commands.learning import finetune, fit, pack, prepare, start
from cascade.cli.commands.measuring import compare, runs
from cascade.cli.commands.measuring import eval as evaluation
from cascade.version import __version__

app = typer.Typer(
    name="cascade",
    help="File free text under a big taxonomy. Every answer is a node of the taxonomy, with a "
    "confidence for each level and a reason.",
    epilog="Start with: cascade classify items.csv -t store --text name -o out.csv",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("start", epilog=start.EXAMPLES)(start.start)
app.command("classify", epilog=classify.EXAMPLES)(classify.classify)
app.command("eval", epilog=evaluation.EXAMPLES)(evaluation.evaluate)
app.command("compare", epilog=compare.EXAMPLES)(compare.compare)
app.command("prepare", epilog=prepare.EXAMPLES)(prepare.prepare)
app.command("fit", epilog=fit.EXAMPLES)(fit.fit)
app.command("finetune", epilog=finetune.EXAMPLES)(finetune.finetune)
app.command("mcp", epilog=mcp.EXAMPLES)(mcp.mcp)
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.add_typer(review.app, name="review")
app.add_typer(annotate.app, name="annotate")
app.add_typer(pack.app, name="pack")
app.add_typer(taxonomy.app, name="taxonomy")
app.add_typer(foodex2.app, name="foodex2")
app.add_typer(prompts.app, name="prompts")
app.add_typer(runs.app, name="runs")
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cascade {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """File free text under a big taxonomy."""


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """The root command with the verb alone that is named first: Typer reads the options of all.

    With all verbs where none is named, as for help, and where a shell completes.
    """
    name = arguments[0] if arguments else None
    commands = [own for own in app.registered_commands if own.name == name]
    groups = [own for own in app.registered_groups if own.name == name]
    if not (commands or groups) or any(key.endswith("_COMPLETE") for key in os.environ):
        return app
    found = copy(app)
    found.registered_commands, found.registered_groups = commands, groups
    return found
