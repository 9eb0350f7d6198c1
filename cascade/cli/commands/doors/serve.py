"""`cascade serve`: answers over HTTP, from one process, to many clients."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from cascade.cli import options
from cascade.cli.console import err
from cascade.cli.listening import HostOption, PortOption, TokenFileOption, settle_listening

EXAMPLES = """
[bold]Examples[/]

  cascade serve -c my-pack
  cascade serve -t store --port 8765
  cascade serve -c my-pack --host 0.0.0.0 --token-file token
  cascade serve -c my-pack --set serve.queue=5000 --set serve.timeout=10

  curl -s localhost:8000/v1/classify -H 'Content-Type: application/json' -d '{"text": "panama hat"}'
"""


def serve(
    config: options.ConfigOption = None,
    taxonomy: options.TaxonomyOption = None,
    method: options.MethodOption = None,
    host: HostOption = None,
    port: PortOption = None,
    token_file: TokenFileOption = None,
    log_requests: Annotated[
        bool,
        typer.Option(
            "--log-requests",
            help="A line on standard error for each request: method, route, status, time; no text.",
        ),
    ] = False,
    scheme: options.SchemeOption = None,
    taxonomy_sheet: options.TaxonomySheetOption = None,
    taxonomy_encoding: options.TaxonomyEncodingOption = None,
    settings: options.SetOption = None,
    allow_download: options.DownloadOption = False,
) -> None:
    """Answer over HTTP: classify one item or many, explain, search and look up nodes.

    Requests of many clients are answered together. Bounds of requests, of the queue and of time
    are settings (--set serve.max_items=500, ...). /openapi.json describes all endpoints, /metrics
    is for Prometheus, /health and /ready for those who watch. At the first signal (Ctrl-C, SIGTERM)
    what waits is answered, for serve.stop_seconds at most, then the command ends with the exit
    status 0.
    """
    from cascade.cli.progress import load_classifier, working
    from cascade.serving.http import create_app
    from cascade.serving.http.running import address_of, bound, end_at_once, take_connections
    from cascade.serving.http.running import serve as answer

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
    serving, token = settle_listening(settled.serve, host, port, token_file)
    with bound(serving) as listening:
        with working("loading") as work:
            classifier = load_classifier(tree, settled, work)
            work.show("loading models")
            app = create_app(classifier, settings=serving, token=token, log_requests=log_requests)
            app.state.service.warm_up()
        if log_requests:
            logging.getLogger("cascade.serving").setLevel(logging.INFO)
        take_connections(listening)
        err.print(f"answers at {address_of(listening)}; stop with Ctrl-C", highlight=False)
        answer(app, listening, serving)
    service = app.state.service
    if left := service.metrics.stopped:
        many = "1 request was" if left == 1 else f"{left:,} requests were"
        told = f"{many} not answered within serve.stop_seconds ({serving.stop_seconds:g})"
    else:
        told = "all that waited was answered"
    err.print(f"stopped; {told}", highlight=False)
    if service.batcher.is_working:
        end_at_once()
