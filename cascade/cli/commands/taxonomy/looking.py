"""`cascade taxonomy show`, `search` and `validate`: what is in a taxonomy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from cascade.cli import options
from cascade.cli.commands.taxonomy.common import TaxonomyArgument, TaxonomySheet, load
from cascade.cli.console import err, out

if TYPE_CHECKING:
    from rich.tree import Tree

    from cascade.taxonomy import Node, Taxonomy


def show(
    source: TaxonomyArgument,
    node: Annotated[
        str | None, typer.Argument(help="Code or path of the node to start at.")
    ] = None,
    depth: Annotated[int, typer.Option("--depth", min=1, help="Levels to show.")] = 2,
    scheme: options.SchemeOption = None,
    sheet: TaxonomySheet = None,
    encoding: options.EncodingOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show a taxonomy, or a part of it, as a tree."""
    from rich.tree import Tree

    tree = load(source, encoding, scheme, sheet)
    start = None if node is None else tree.node(node)
    if as_json:
        nodes = range(len(tree)) if start is None else tree.subtree(start.index)
        top = 0 if start is None else start.level - 1
        wanted = [i for i in nodes if tree.level[i] - top <= depth]
        out.print_json(data=[_node_values(tree.node(i)) for i in wanted])
        return
    if start is not None and (start.description or start.synonyms):
        out.print(start.description, highlight=False)
        out.print("[dim]" + ", ".join(start.synonyms), highlight=False)
    root = Tree(f"[bold]{tree.title or source}[/]" if start is None else _label(tree, start.index))
    _add_children(root, tree, -1 if start is None else start.index, depth)
    out.print(root, highlight=False)
    leaves = f"{len(tree.leaves):,} leaves"
    shown = depth + (0 if start is None else start.level)
    deeper = f"; {shown} are shown, see --depth" if shown < tree.depth else ""
    out.print(f"[dim]{len(tree):,} nodes, {tree.depth} levels{deeper}, {leaves}", highlight=False)


def search(
    source: TaxonomyArgument,
    query: Annotated[str, typer.Argument(help="Words of a name, a synonym or a code.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most nodes to show.")] = 10,
    meaning: Annotated[
        bool,
        typer.Option("--meaning", help="Find also nodes whose texts mean the like, by an encoder."),
    ] = False,
    scheme: options.SchemeOption = None,
    sheet: TaxonomySheet = None,
    encoding: options.EncodingOption = None,
    settings: options.SetOption = None,
    allow_download: options.DownloadOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Find nodes by words of their names, synonyms or codes; with --meaning by other words too."""
    from rich.table import Table

    tree = load(source, encoding, scheme, sheet)
    if meaning:
        found = _by_meaning(tree, query, limit, settings, allow_download)
    else:
        found = tree.search(query, limit)
    if as_json:
        out.print_json(data=[_node_values(node) for node in found])
    if not found:
        more = "" if meaning else "; --meaning finds those that say it in other words"
        told = f"no node has {query!r} in its name, synonyms or code{more}"
        err.print(told, highlight=False, markup=False)
        raise typer.Exit(3)
    if as_json:
        return
    table = Table("code", "path", "description", box=None, pad_edge=False)
    for node in found:
        table.add_row(*map(escape, (node.code, node.path, node.description)))
    out.print(table)


def _by_meaning(
    tree: Taxonomy, query: str, limit: int, settings: list[str] | None, allow_download: bool
) -> list[Node]:
    """Nodes that have the words, and those whose texts an encoder finds similar, best first."""
    from cascade.cli.progress import load_classifier, working
    from cascade.config import CascadeConfig

    config = options.settle(
        CascadeConfig(), settings, method="retrieval", allow_download=allow_download
    )
    with working("loading models") as bar:
        return load_classifier(tree, config, bar).search(query, limit)


def validate(
    source: TaxonomyArgument,
    scheme: options.SchemeOption = None,
    sheet: TaxonomySheet = None,
    encoding: options.EncodingOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Check that a file is a taxonomy, and count its nodes; a catalogue's terms by hierarchy."""
    from cascade.foodex2.format import is_catalogue

    if is_catalogue(source):
        _validate_catalogue(source, as_json=as_json)
        return
    tree = load(source, encoding, scheme, sheet)
    leaf_levels = tree.level[tree.leaves]
    levels = [
        {
            "level": level,
            "nodes": len(tree.level_nodes(level)),
            "leaves": int((leaf_levels == level).sum()),
        }
        for level in range(1, tree.depth + 1)
    ]
    if as_json:
        out.print_json(data={"source": source, "nodes": len(tree), "levels": levels})
        return
    inner = len(tree) - len(tree.leaves)
    out.print(f"[green]valid[/]: {len(tree):,} nodes, {inner:,} of them inner", highlight=False)
    for row in levels:
        counts = f"{row['nodes']:>8,} nodes {row['leaves']:>8,} leaves"
        out.print(f"  level {row['level']}: {counts}", highlight=False)


def _validate_catalogue(source: str, *, as_json: bool) -> None:
    from cascade.foodex2.format import load_catalogue

    catalogue = load_catalogue(source)
    terms = catalogue.terms.values()
    counts = {
        "terms": len(terms),
        "deprecated": sum(term.deprecated for term in terms),
        "facet categories": len(catalogue.categories),
        "implicit facets": sum(len(term.facets) for term in terms),
        "of them their own": sum(len(term.own_facets) for term in terms),
    }
    hierarchies = [
        {
            "code": hierarchy.code,
            "label": hierarchy.label,
            "terms": len(hierarchy),
            "reportable": sum(hierarchy.reportable.values()),
        }
        for hierarchy in catalogue.hierarchies.values()
    ]
    if as_json:
        about = {"source": source, "code": catalogue.code, "version": catalogue.version}
        out.print_json(data={**about, **counts, "hierarchies": hierarchies})
        return
    found = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    name = f"{catalogue.code} {catalogue.version}"
    out.print(f"[green]valid[/]: {name}: {found}", highlight=False)
    for row in hierarchies:
        numbers = f"{row['terms']:>8,} terms {row['reportable']:>8,} reportable"
        out.print(f"  {row['code']:<12} {numbers}  {escape(str(row['label']))}", highlight=False)
    if not hierarchies:
        out.print("  no hierarchies: its terms are in no order", highlight=False)


def _add_children(branch: Tree, tree: Taxonomy, parent: int, depth: int) -> None:
    for child in tree.children(parent).tolist():
        grown = branch.add(_label(tree, child))
        if depth > 1:
            _add_children(grown, tree, child, depth - 1)


def _label(tree: Taxonomy, i: int) -> str:
    below = tree.end[i] - i - 1
    more = f" [dim]({below:,} below)[/]" if below else ""
    # A taxonomy of paths without codes has the paths for codes.
    code = "" if tree.codes[i] == tree.path(i) else f" [cyan]{escape(tree.codes[i])}[/]"
    return f"{escape(tree.names[i])}{code}{more}"


def _node_values(node: Node) -> dict[str, Any]:
    """A node as JSON values, without its index, which means nothing outside a process."""
    values = {name: getattr(node, name) for name in node.__dataclass_fields__ if name != "index"}
    return {**values, "translations": dict(node.translations)}
