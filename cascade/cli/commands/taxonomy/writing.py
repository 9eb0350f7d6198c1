"""`cascade taxonomy convert`, `trim` and `enrich`: a taxonomy written as CSV or YAML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli import options
from cascade.cli.commands.taxonomy.common import (
    Overwrite,
    TaxonomyArgument,
    TaxonomySheet,
    check_new,
    load,
)
from cascade.cli.console import err, out

if TYPE_CHECKING:
    from cascade.taxonomy import Taxonomy

Target = Annotated[Path, typer.Argument(help="What to write: .csv or .yaml.")]


def convert(
    source: TaxonomyArgument,
    target: Target,
    scheme: options.SchemeOption = None,
    sheet: TaxonomySheet = None,
    encoding: options.EncodingOption = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a taxonomy of any known form as CSV or YAML."""
    check_target(source, target, overwrite)
    tree = load(source, encoding, scheme, sheet)
    write(tree, target)
    err.print(f"{target}: {len(tree):,} nodes", highlight=False)


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
    check_target(source, target, overwrite)
    tree = load(source, encoding, scheme, sheet)
    trimmed = tree.trim(depth)
    write(trimmed, target)
    counts = f"{len(trimmed):,} of {len(tree):,} nodes, {trimmed.depth} of {tree.depth} levels"
    err.print(f"{target}: {counts}", highlight=False)


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

    check_target(source, target, overwrite)
    tree = load(source, encoding, scheme, sheet)
    config = options.settle(CascadeConfig(), settings, allow_download=allow_download)
    with (
        interruptible("what was written is kept; the same command goes on"),
        working("loading the model") as bar,
    ):
        made = enriched(
            tree, config, prompt=prompt, leaves_only=leaves, most=limit, progress=bar.show
        )
    write(made.taxonomy, target)
    kept, dropped = made.checked.kept, dict(made.checked.dropped.most_common())
    if as_json:
        nodes = {"asked": made.nodes, "with_texts": len(made.checked.texts)}
        out.print_json(data={"nodes": nodes, "kept": kept, "dropped": dropped})
        return
    with_texts = f"{len(made.checked.texts):,} of {made.nodes:,} nodes have new texts"
    err.print(f"{target}: {with_texts}, {kept:,} in all", highlight=False)
    for why, count in dropped.items():
        err.print(f"  {count:,} dropped: {why}", highlight=False)


def check_target(source: str, target: Path, overwrite: bool) -> None:
    """Refuse a file that cannot be written or may not be, before any work.

    Raises
    ------
    UsageError, OutputError
        The name has another ending, or the file exists.
    """
    from cascade.errors import OutputError, UsageError

    if target.suffix.lower() not in (".csv", ".yaml", ".yml"):
        raise UsageError(f"{target}: expected a name that ends in .csv or .yaml")
    check_new(target, overwrite)
    if target.exists() and Path(source).is_file() and target.samefile(source):
        raise OutputError(f"{target} is itself read by this command; name another file")


def write(tree: Taxonomy, target: Path) -> None:
    """Write a taxonomy in the form that the name of the file says."""
    if target.suffix.lower() == ".csv":
        tree.to_csv(target)
    else:
        tree.to_yaml(target)
