"""`cascade taxonomy`: show, search, validate, convert, trim and compare taxonomies."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict, astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from cascade.cli import options
from cascade.cli.console import err, out

if TYPE_CHECKING:
    from rich.tree import Tree

    from cascade.taxonomy import Node, Taxonomy
    from cascade.taxonomy.difference import Change

EXAMPLES = """
[bold]Examples[/]

  cascade taxonomy show store --depth 2
  cascade taxonomy show store CLO-TOP
  cascade taxonomy search store "running shoes"
  cascade taxonomy validate my.csv
  cascade taxonomy convert my.csv my.yaml
  cascade taxonomy trim my.csv short.csv --depth 3
  cascade taxonomy diff old.csv new.csv
  cascade taxonomy diff MTX_16.ecf MTX_17.ecf -o changes.csv
"""

Source = Annotated[str, typer.Argument(metavar="TAXONOMY", help="A file, or a shipped name.")]
Target = Annotated[Path, typer.Argument(help="What to write: .csv or .yaml.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")]

HEADINGS = ("  code", "name", "hierarchy", "was", "is", "replacement")

app = typer.Typer(
    help="Show, search, validate, convert, trim and compare taxonomies.", no_args_is_help=True
)


@app.command("show", epilog=EXAMPLES)
def show(
    source: Source,
    node: Annotated[
        str | None, typer.Argument(help="Code or path of the node to start at.")
    ] = None,
    depth: Annotated[int, typer.Option("--depth", min=1, help="Levels to show.")] = 2,
    as_json: options.JsonOption = False,
) -> None:
    """Show a taxonomy, or a part of it, as a tree."""
    from rich.tree import Tree

    tree = _load(source)
    start = None if node is None else tree.node(node)
    if as_json:
        nodes = range(len(tree)) if start is None else tree.subtree(start.index)
        top = 0 if start is None else start.level - 1
        wanted = [i for i in nodes if tree.level[i] - top <= depth]
        out.print_json(json.dumps([_plain(tree.node(i)) for i in wanted]))
        return
    if start is not None and (start.description or start.synonyms):
        out.print(start.description, highlight=False)
        out.print("[dim]" + ", ".join(start.synonyms), highlight=False)
    root = Tree(f"[bold]{tree.title or source}[/]" if start is None else _label(tree, start.index))
    _grow(root, tree, -1 if start is None else start.index, depth)
    out.print(root, highlight=False)
    leaves = f"{len(tree.leaves):,} leaves"
    out.print(f"[dim]{len(tree):,} nodes, {tree.depth} levels, {leaves}", highlight=False)


@app.command("search", epilog=EXAMPLES)
def search(
    source: Source,
    query: Annotated[str, typer.Argument(help="Words of a name, a synonym or a code.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most nodes to show.")] = 10,
    as_json: options.JsonOption = False,
) -> None:
    """Find nodes by words of their names, synonyms or codes."""
    from rich.table import Table

    found = _load(source).search(query, limit)
    if as_json:
        out.print_json(json.dumps([_plain(node) for node in found]))
    if not found:
        err.print(f"no node has {query!r} in its name, synonyms or code", highlight=False)
        raise typer.Exit(3)
    if as_json:
        return
    table = Table("code", "path", "description", box=None, pad_edge=False)
    for node in found:
        table.add_row(node.code, node.path, node.description)
    out.print(table)


@app.command("validate", epilog=EXAMPLES)
def validate(source: Source, as_json: options.JsonOption = False) -> None:
    """Check that a file is a taxonomy, and say what is in it; a catalogue's hierarchies each."""
    from cascade.foodex2.format import is_catalogue

    if is_catalogue(source):
        _show_catalogue(source, as_json=as_json)
        return
    tree = _load(source)
    inner = len(tree) - len(tree.leaves)
    levels = [
        {
            "level": level,
            "nodes": len(tree.level_nodes(level)),
            "leaves": sum(tree.is_leaf(i) for i in tree.level_nodes(level).tolist()),
        }
        for level in range(1, tree.depth + 1)
    ]
    if as_json:
        out.print_json(json.dumps({"source": source, "nodes": len(tree), "levels": levels}))
        return
    out.print(f"[green]valid[/]: {len(tree):,} nodes, {inner:,} of them inner", highlight=False)
    for row in levels:
        counts = f"{row['nodes']:>8,} nodes {row['leaves']:>8,} leaves"
        out.print(f"  level {row['level']}: {counts}", highlight=False)


def _show_catalogue(source: str, *, as_json: bool) -> None:
    """The terms of a catalogue of EFSA, counted by hierarchy."""
    from cascade.foodex2.format import load_catalogue

    found = load_catalogue(source)
    terms = found.terms.values()
    hierarchies = [
        {
            "code": own.code,
            "label": own.label,
            "terms": len(own),
            "reportable": sum(own.reportable.values()),
        }
        for own in found.hierarchies.values()
    ]
    counts = {
        "terms": len(terms),
        "deprecated": sum(term.deprecated for term in terms),
        "facet categories": len(found.categories),
        "implicit facets": sum(len(term.facets) for term in terms),
        "of them their own": sum(len(term.own_facets) for term in terms),
    }
    if as_json:
        about = {"source": source, "code": found.code, "version": found.version}
        out.print_json(json.dumps({**about, **counts, "hierarchies": hierarchies}))
        return
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    out.print(f"[green]valid[/]: {found.code} {found.version}: {said}", highlight=False)
    for own in hierarchies:
        numbers = f"{own['terms']:>8,} terms {own['reportable']:>8,} reportable"
        out.print(f"  {own['code']:<12} {numbers}  {escape(str(own['label']))}", highlight=False)
    if not hierarchies:
        out.print("  no hierarchies: its terms are in no order", highlight=False)


@app.command("convert", epilog=EXAMPLES)
def convert(source: Source, target: Target, overwrite: Overwrite = False) -> None:
    """Write a taxonomy of any known form as CSV or YAML."""
    write = _writer(source, target, overwrite)
    tree = _load(source)
    write(tree)
    err.print(f"{target}: {len(tree):,} nodes", highlight=False)


@app.command("trim", epilog=EXAMPLES)
def trim(
    source: Source,
    target: Target,
    depth: Annotated[int, typer.Option("--depth", min=1, help="Levels to keep, from the top.")],
    overwrite: Overwrite = False,
) -> None:
    """Write a taxonomy without the levels below a depth, as CSV or YAML."""
    write = _writer(source, target, overwrite)
    tree = _load(source)
    trimmed = tree.trim(depth)
    write(trimmed)
    counts = f"{len(trimmed):,} of {len(tree):,} nodes, {trimmed.depth} of {tree.depth} levels"
    err.print(f"{target}: {counts}", highlight=False)


@app.command("diff", epilog=EXAMPLES)
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A file, or a shipped name.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The release that replaces it.")],
    target: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write all changes, as .csv.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Changes of a kind to show.")] = 5,
    overwrite: Overwrite = False,
    as_json: options.JsonOption = False,
) -> None:
    """Compare two releases: what is added, removed, renamed and moved, by code.

    Of catalogues of EFSA also what is deprecated, what it implies and where it may be reported.
    """
    from rich.table import Table

    from cascade.errors import OutputError
    from cascade.taxonomy.difference import COLUMNS, KINDS

    if target is not None and target.exists() and not overwrite:
        raise OutputError(f"{target} exists; replace it with --overwrite, or name another file")
    changes = _changes(old, new)
    if target is not None:
        from cascade.io.files import write_text

        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(astuple(change) for change in changes)
        write_text(target, lines.getvalue())
    if as_json:
        out.print_json(json.dumps([asdict(change) for change in changes]))
        return
    if not changes:
        out.print("no difference")
    for kind in KINDS:
        own = [change for change in changes if change.kind == kind]
        if not own:
            continue
        out.print(f"[bold]{len(own):,} {kind}[/]", highlight=False)
        table = Table(*HEADINGS, box=None, pad_edge=False, header_style="dim")
        for change in own[:limit]:
            instead = f"use {change.replacement}" if change.replacement else ""
            about = [change.name, change.where, change.old, change.new, instead]
            table.add_row(f"  {change.code}", *(escape(text) for text in about))
        out.print(table, highlight=False)
        if len(own) > limit:
            out.print(f"  [dim]and {len(own) - limit:,} more", highlight=False)


def _changes(old: str, new: str) -> list[Change]:
    """The changes from one to the other, of terms where both are catalogues of EFSA."""
    from cascade.foodex2.format import is_catalogue, load_catalogue
    from cascade.foodex2.releases import release_differences
    from cascade.taxonomy.difference import differences

    if is_catalogue(old) and is_catalogue(new):
        return list(release_differences(load_catalogue(old), load_catalogue(new)))
    return list(differences(_load(old), _load(new)))


def _writer(source: str, target: Path, overwrite: bool) -> Callable[[Taxonomy], None]:
    """What writes a taxonomy as the name of the target asks for; checked before any work.

    Raises
    ------
    UsageError, OutputError
        The name has another ending, or the file exists.
    """
    from cascade.errors import OutputError, UsageError

    write = {".csv": "to_csv", ".yaml": "to_yaml", ".yml": "to_yaml"}.get(target.suffix.lower())
    if write is None:
        raise UsageError(f"{target}: expected a name that ends in .csv or .yaml")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists; replace it with --overwrite, or name another file")
    if target.exists() and Path(source).is_file() and target.samefile(source):
        raise OutputError(f"{target} is itself read by this command; name another file")
    return lambda tree: getattr(tree, write)(target)


def _load(source: str) -> Taxonomy:
    from cascade.pipeline.load import load_taxonomy

    return load_taxonomy(source)


def _grow(branch: Tree, tree: Taxonomy, parent: int, depth: int) -> None:
    for child in tree.children(parent).tolist():
        grown = branch.add(_label(tree, child))
        if depth > 1:
            _grow(grown, tree, child, depth - 1)


def _label(tree: Taxonomy, i: int) -> str:
    below = tree.end[i] - i - 1
    more = f" [dim]({below:,} below)[/]" if below else ""
    return f"{escape(tree.names[i])} [cyan]{escape(tree.codes[i])}[/]{more}"


def _plain(node: Node) -> dict[str, Any]:
    """A node as JSON values, without its index, which is of use inside a process only."""
    values = {name: getattr(node, name) for name in node.__dataclass_fields__ if name != "index"}
    return {**values, "translations": dict(node.translations)}
