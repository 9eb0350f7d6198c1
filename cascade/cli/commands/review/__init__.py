"""`cascade review`: people look at answers in the browser; what they decide, as a file."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from cascade.cli.commands.review import results
from cascade.cli.commands.review.page import EXAMPLES, page

PAGE = "page"
HELP = """The review page: look at answers, accept them, or say what is right.

`cascade review FILE` is short for `cascade review page FILE`.
"""


class ReviewGroup(TyperGroup):
    """Takes a file for the command that opens the page."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, with `page` before those that name no command."""
        shows_help = bool(args) and args[0] in ctx.help_option_names
        if args and args[0] not in self.commands and not shows_help:
            args = [PAGE, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=ReviewGroup, help=HELP, epilog=EXAMPLES, no_args_is_help=True)
app.command(PAGE, epilog=EXAMPLES)(page)
app.command("export", epilog=EXAMPLES)(results.export)
app.command("figures", epilog=EXAMPLES)(results.figures)
