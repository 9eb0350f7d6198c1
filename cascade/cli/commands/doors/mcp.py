"""`cascade mcp`: the tools of a taxonomy for assistants, over the Model Context Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli import options
from cascade.cli.console import err

if TYPE_CHECKING:
    from cascade.pipeline.classifier import Classifier

EXAMPLES = """
[bold]Examples[/]

  cascade mcp -t store
  cascade mcp -c my-pack
  cascade mcp -t MTX.ecf
  cascade mcp -t store --http 8765      (at http://127.0.0.1:8765/mcp)
"""


def mcp(
    config: options.ConfigOption = None,
    taxonomy: options.TaxonomyOption = None,
    method: options.MethodOption = None,
    http: Annotated[
        int | None,
        typer.Option(
            "--http",
            metavar="PORT",
            min=1,
            max=65_535,
            help="Answer over streamable HTTP at this port of this machine, which other machines "
            "cannot reach; else over standard input and output.",
        ),
    ] = None,
    scheme: options.SchemeOption = None,
    taxonomy_sheet: options.TaxonomySheetOption = None,
    taxonomy_encoding: options.TaxonomyEncodingOption = None,
    settings: options.SetOption = None,
    allow_download: options.DownloadOption = False,
) -> None:
    """Offer a taxonomy's tools to assistants, by the Model Context Protocol.

    Tools: classify one item or many, search, children of a node, explain, and for a catalogue of
    EFSA the check of a code; with --method agent its walk, whose questions the assistant's user
    may answer. An assistant starts this command for itself; it ends with its input.
    """
    from concurrent.futures import ThreadPoolExecutor

    from cascade.cli.progress import load_classifier, working
    from cascade.errors import MissingExtraError

    try:
        from cascade.serving.mcp.server import make_server, serve_http, serve_stdio
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise MissingExtraError("cascade mcp", "mcp", "mcp") from None
    settled, tree = options.resolve(
        config,
        taxonomy,
        encoding=taxonomy_encoding,
        scheme=scheme,
        sheet=taxonomy_sheet,
        method=method,
        allow_download=allow_download,
        settings=settings,
    )

    def load() -> Classifier:
        with working("loading") as work:
            return load_classifier(tree, settled, work)

    # Assistants wait for the first sign of life for seconds only.
    loading = ThreadPoolExecutor(1).submit(load)
    server = make_server(
        tree, loading.result, settled.facets.processes, agent=settled.method == "agent"
    )
    if http is None:
        serve_stdio(server)
        return
    err.print(f"answers at http://127.0.0.1:{http}/mcp; stop with Ctrl-C", highlight=False)
    serve_http(server, http)
