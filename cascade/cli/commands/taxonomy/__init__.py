"""`cascade taxonomy`: show, search, validate, convert, trim, enrich and compare taxonomies."""

from __future__ import annotations

import typer

from cascade.cli.commands.taxonomy import looking, releases, writing
from cascade.cli.commands.taxonomy.common import EXAMPLES

app = typer.Typer(
    help="Show, search, validate, convert, trim, enrich and compare taxonomies.",
    no_args_is_help=True,
)
app.command("show", epilog=EXAMPLES)(looking.show)
app.command("search", epilog=EXAMPLES)(looking.search)
app.command("validate", epilog=EXAMPLES)(looking.validate)
app.command("convert", epilog=EXAMPLES)(writing.convert)
app.command("trim", epilog=EXAMPLES)(writing.trim)
app.command("enrich", epilog=EXAMPLES)(writing.enrich)
app.command("diff", epilog=EXAMPLES)(releases.diff)
