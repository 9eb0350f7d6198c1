"""`cascade taxonomy`: show, search, validate, convert, trim, enrich and compare taxonomies."""

from __future__ import annotations

from dataclasses import asdict
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
  cascade taxonomy search store "keeps drinks hot" --meaning
  cascade taxonomy validate my.csv
  cascade taxonomy convert my.csv my.yaml
  cascade taxonomy trim my.csv short.csv --depth 3
  cascade taxonomy enrich my.csv -o richer.csv --set llm.model=FOLDER
  cascade taxonomy diff old.csv new.csv
  cascade taxonomy diff MTX_16.ecf MTX_17.ecf -o changes.csv
"""

TaxonomyArgument = Annotated[
    str, typer.Argument(metavar="TAXONOMY", help="A file, or a shipped name.")
]
Target = Annotated[Path, typer.Argument(help="What to write: .csv or .yaml.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")]

TaxonomySheet = Annotated[
    str | None,
    typer.Option(
        "--sheet",
        metavar="NAME",
        help="Sheet of a workbook; by default the one that alone looks like a taxonomy.",
    ),
]

HEADINGS = ("  code", "name", "hierarchy", "was", "is", "replacement")

app = typer.Typer(
    help="Show, search, validate, convert, trim, enrich and compare taxonomies.",
    no_args_is_help=True,
)


@app.command("show", epilog=EXAMPLES)
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

    tree = _load(source, encoding, scheme, sheet)
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


@app.command("search", epilog=EXAMPLES)
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

    tree = _load(source, encoding, scheme, sheet)
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


@app.command("validate", epilog=EXAMPLES)
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
    tree = _load(source, encoding, scheme, sheet)
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


@app.command("convert", epilog=EXAMPLES)
def convert(
    source: TaxonomyArgument,
    target: Target,
    scheme: options.SchemeOption = None,
    sheet: TaxonomySheet = None,
    encoding: options.EncodingOption = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a taxonomy of any known form as CSV or YAML."""
    _check_target(source, target, overwrite)
    tree = _load(source, encoding, scheme, sheet)
    _write(tree, target)
    err.print(f"{target}: {len(tree):,} nodes", highlight=False)


@app.command("trim", epilog=EXAMPLES)
def trim(
    source: TaxonomyArgument,
    target: Target,
    depth: Annotated[int, typer.Option("--depth", min=1, help="Levels to keep, from the top.")],
    scheme: options.SchemeOption = None,
    sheet: TaxonomySheet = None,
    encoding: options.EncodingOption = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a taxonomy without the levels below a depth, as CSV or YAML."""
    _check_target(source, target, overwrite)
    tree = _load(source, encoding, scheme, sheet)
    trimmed = tree.trim(depth)
    _write(trimmed, target)
    counts = f"{len(trimmed):,} of {len(tree):,} nodes, {trimmed.depth} of {tree.depth} levels"
    err.print(f"{target}: {counts}", highlight=False)


@app.command("enrich", epilog=EXAMPLES)
def enrich(
    source: TaxonomyArgument,
    target: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="What to write: .csv or .yaml.")
    ],
    prompt: Annotated[
        str, typer.Option("--prompt", metavar="NAME", help="A shipped prompt, or a file.")
    ] = "enrich-node",
    leaves: Annotated[
        bool, typer.Option("--leaves", help="Ask about leaves alone, which answers mostly are.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Ask about the first nodes alone, to see what comes."),
    ] = None,
    settings: options.SetOption = None,
    scheme: options.SchemeOption = None,
    sheet: TaxonomySheet = None,
    encoding: options.EncodingOption = None,
    allow_download: options.DownloadOption = False,
    overwrite: Overwrite = False,
    as_json: options.JsonOption = False,
) -> None:
    """Let a language model write a description, synonyms and titles for each node.

    They stand in columns of their own (machine_description, machine_synonyms, machine_titles), or
    under the key machine in YAML; mend or delete what you like. Retrieval compares items with them
    as with what people wrote. What is of no use is dropped: copies of the name, markup, other
    scripts, names of other nodes, titles that the encoder files elsewhere. What was written is
    kept in the cache, so that a run that was stopped goes on when it is started again.
    """
    from cascade.cli.console import interruptible
    from cascade.cli.progress import working
    from cascade.config import CascadeConfig
    from cascade.pipeline.enrichment.enrich import enrich as enriched

    _check_target(source, target, overwrite)
    tree = _load(source, encoding, scheme, sheet)
    config = options.settle(CascadeConfig(), settings, allow_download=allow_download)
    with (
        interruptible("what was written is kept; the same command goes on"),
        working("loading the model") as bar,
    ):
        made = enriched(
            tree, config, prompt=prompt, leaves_only=leaves, most=limit, progress=bar.show
        )
    _write(made.taxonomy, target)
    kept, dropped = made.checked.kept, dict(made.checked.dropped.most_common())
    if as_json:
        nodes = {"asked": made.nodes, "with_texts": len(made.checked.texts)}
        out.print_json(data={"nodes": nodes, "kept": kept, "dropped": dropped})
        return
    with_texts = f"{len(made.checked.texts):,} of {made.nodes:,} nodes have new texts"
    err.print(f"{target}: {with_texts}, {kept:,} in all", highlight=False)
    for why, count in dropped.items():
        err.print(f"  {count:,} dropped: {why}", highlight=False)


@app.command("diff", epilog=EXAMPLES)
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

    _check_new(target, overwrite)
    changes = _changes(old, new, encoding, scheme, sheet)
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


def _changes(
    old: str, new: str, encoding: str | None, scheme: str | None, sheet: str | None
) -> list[Change]:
    """The changes from one to the other, of terms where both are catalogues of EFSA."""
    from cascade.foodex2.format import is_catalogue, load_catalogue
    from cascade.foodex2.releases import release_differences
    from cascade.taxonomy.difference import differences

    if is_catalogue(old) and is_catalogue(new):
        return list(release_differences(load_catalogue(old), load_catalogue(new)))
    return list(
        differences(_load(old, encoding, scheme, sheet), _load(new, encoding, scheme, sheet))
    )


def _check_target(source: str, target: Path, overwrite: bool) -> None:
    """Refuse a file that cannot be written or may not be, before any work.

    Raises
    ------
    UsageError, OutputError
        The name has another ending, or the file exists.
    """
    from cascade.errors import OutputError, UsageError

    if target.suffix.lower() not in (".csv", ".yaml", ".yml"):
        raise UsageError(f"{target}: expected a name that ends in .csv or .yaml")
    _check_new(target, overwrite)
    if target.exists() and Path(source).is_file() and target.samefile(source):
        raise OutputError(f"{target} is itself read by this command; name another file")


def _check_new(target: Path | None, overwrite: bool) -> None:
    from cascade.errors import OutputError

    if target is not None and target.exists() and not overwrite:
        raise OutputError(f"{target} exists; replace it with --overwrite, or name another file")


def _write(tree: Taxonomy, target: Path) -> None:
    if target.suffix.lower() == ".csv":
        tree.to_csv(target)
    else:
        tree.to_yaml(target)


def _load(source: str, encoding: str | None, scheme: str | None, sheet: str | None) -> Taxonomy:
    from cascade.pipeline.load import load_taxonomy

    return load_taxonomy(source, encoding=encoding, scheme=scheme, sheet=sheet)


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
