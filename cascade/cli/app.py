"""The root command and its verbs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated

import typer

from cascade.version import __version__

VERBS = {
    "start": ("learning.start", "start"),
    "classify": ("classify", "classify"),
    "eval": ("measuring.eval", "evaluate"),
    "compare": ("measuring.compare", "compare"),
    "prepare": ("learning.prepare", "prepare"),
    "fit": ("learning.fit", "fit"),
    "finetune": ("learning.finetune", "finetune"),
    "mcp": ("doors.mcp", "mcp"),
    "serve": ("doors.serve", "serve"),
    "doctor": ("doctor", "doctor"),
    "review": ("review", "app"),
    "annotate": ("doors.annotate", "app"),
    "pack": ("learning.pack", "app"),
    "taxonomy": ("taxonomy", "app"),
    "foodex2": ("foodex2", "app"),
    "prompts": ("prompts", "app"),
    "runs": ("measuring.runs", "app"),
}
"""Each verb, in the order of the help: its module in `commands`, and its function there, or `app`
where there are verbs below it."""

VERSION = "--version"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cascade {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool,
        typer.Option(VERSION, callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """File free text under a big taxonomy."""


def app_of(verbs: Iterable[str] = VERBS) -> typer.Typer:
    """The root command with these verbs, whose modules are imported."""
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
    app.callback()(root)
    for verb in verbs:
        place, function = VERBS[verb]
        module = import_module(f"cascade.cli.commands.{place}")
        if function == "app":
            app.add_typer(module.app, name=verb)
        else:
            app.command(verb, epilog=module.EXAMPLES)(getattr(module, function))
    return app


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """The root command with the verb alone that is named first, which alone is imported.

    With all verbs where none is named, as for help, and where a shell completes.
    """
    first = arguments[0] if arguments else None
    if any(key.endswith("_COMPLETE") for key in os.environ):
        return app_of()
    if first == VERSION:
        return app_of([])
    return app_of([first] if first in VERBS else VERBS)
