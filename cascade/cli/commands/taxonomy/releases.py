"""`cascade taxonomy diff`: what changed from one release to the next."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from cascade.cli import options
from cascade.cli.commands.taxonomy.common import Overwrite, TaxonomySheet, check_new, load
from cascade.cli.console import out

if TYPE_CHECKING:
    from cascade.taxonomy.difference import Change

HEADINGS = ("  code", "name", "hierarchy", "was", "is", "replacement")


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A file, or a shipped name.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The release that replaces it.")],
    target: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write all changes, as .csv.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Changes of a kind to show.")] = 5,
    scheme: options.SchemeOption = None,
    sheet: TaxonomySheet = None,
    encoding: options.EncodingOption = None,
    overwrite: Overwrite = False,
    as_json: options.JsonOption = False,
) -> None:
    """Compare two releases: what is added, removed, renamed and moved, by code.

    Of catalogues of EFSA also what is deprecated, what it implies and where it may be reported.
    """
    from cascade.taxonomy.difference import KINDS, write_changes

    check_new(target, overwrite)
    changes = changes_between(old, new, encoding, scheme, sheet)
    if target is not None:
        write_changes(changes, target)
    if as_json:
        out.print_json(data=[asdict(change) for change in changes])
        return
    if not changes:
        out.print("no difference")
    for kind in KINDS:
        if of_kind := [change for change in changes if change.kind == kind]:
            _print_changes(kind, of_kind, limit)


def _print_changes(kind: str, changes: list[Change], limit: int) -> None:
    from rich.table import Table

    out.print(f"[bold]{len(changes):,} {kind}[/]", highlight=False)
    table = Table(*HEADINGS, box=None, pad_edge=False, header_style="dim")
    for change in changes[:limit]:
        instead = f"use {change.replacement}" if change.replacement else ""
        cells = [change.name, change.where, change.old, change.new, instead]
        table.add_row(f"  {change.code}", *map(escape, cells))
    out.print(table, highlight=False)
    if len(changes) > limit:
        out.print(f"  [dim]and {len(changes) - limit:,} more", highlight=False)


def changes_between(
    old: str, new: str, encoding: str | None, scheme: str | None, sheet: str | None
) -> list[Change]:
    """The changes from one to the other, of terms where both are catalogues of EFSA."""
    from cascade.foodex2.format import is_catalogue, load_catalogue
    from cascade.foodex2.releases import release_differences
    from cascade.taxonomy.difference import differences

    if is_catalogue(old) and is_catalogue(new):
        return list(release_differences(load_catalogue(old), load_catalogue(new)))
    return list(differences(load(old, encoding, scheme, sheet), load(new, encoding, scheme, sheet)))
