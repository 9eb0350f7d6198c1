"""`cascade review FILE`: the review page over classified rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli import options
from cascade.cli.console import err
from cascade.cli.listening import HostOption, PortOption, TokenFileOption, settle_listening

if TYPE_CHECKING:
    from fastapi import FastAPI

    from cascade.config import CascadeConfig
    from cascade.pipeline.classifier import Classifier
    from cascade.review import Session
    from cascade.taxonomy import Taxonomy

EXAMPLES = """
[bold]Examples[/]

  cascade review out.csv -t taxonomy.csv
  cascade review out.csv -c my-pack --double 0.1
  cascade review export out.review -o reviewed.csv
  cascade fit reviewed.csv --text name --label review_code -o better-pack
"""


def page(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Rows with answers, as cascade classify writes them: CSV, TSV, JSONL, Parquet, "
            "Excel. With --top and --explain there is more to see before models have loaded.",
        ),
    ],
    config: options.ConfigOption = None,
    taxonomy: options.TaxonomyOption = None,
    method: options.MethodOption = None,
    text: options.TextOption = None,
    image: options.ImageOption = None,
    image_root: options.ImageRootOption = None,
    allow_urls: options.UrlsOption = False,
    allow_host: options.HostsOption = None,
    id: options.IdOption = None,
    predicted: Annotated[
        list[str] | None,
        typer.Option(
            "--predicted",
            metavar="COL",
            help="Column of answers (codes or paths) that another program wrote; repeat it for one "
            "column a level.",
        ),
    ] = None,
    confidence: Annotated[
        str | None,
        typer.Option("--confidence", metavar="COL", help="Column of their probabilities."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Folder of the session, by default beside FILE: out.review for out.csv. One that "
            "is there goes on.",
        ),
    ] = None,
    double: Annotated[
        float | None,
        typer.Option(
            "--double",
            min=0,
            max=1,
            metavar="SHARE",
            help="Share of rows that two reviewers look at, each on his own, so that their "
            "agreement is known; 0 by default.",
        ),
    ] = None,
    in_order: Annotated[
        bool,
        typer.Option(
            "--in-order",
            help="Ask for the rows in the order of the file, as the first queue: for files whose "
            "order says which rows matter, such as those of cascade start.",
        ),
    ] = False,
    hide: Annotated[
        list[str] | None,
        typer.Option(
            "--hide",
            metavar="COL",
            help="Column that reviewers shall not see, as labels that would sway them; it is "
            "exported all the same. Repeat for several.",
        ),
    ] = None,
    reload: Annotated[
        bool,
        typer.Option(
            "--reload",
            help="FILE or the taxonomy has changed: read it again. Decisions stay with their rows, "
            "which are known by --id, else by all that stands in them; columns that are not named "
            "again stay those of before.",
        ),
    ] = False,
    no_model: Annotated[
        bool,
        typer.Option(
            "--no-model",
            help="Load no model: search by names alone, candidates as the file has them.",
        ),
    ] = False,
    host: HostOption = None,
    port: PortOption = None,
    token_file: TokenFileOption = None,
    limit: options.LimitOption = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", min=0, max=2**32 - 1, metavar="N", help="Of the random order; 0 by default."
        ),
    ] = None,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    scheme: options.SchemeOption = None,
    taxonomy_sheet: options.TaxonomySheetOption = None,
    taxonomy_encoding: options.TaxonomyEncodingOption = None,
    settings: options.SetOption = None,
    allow_download: options.DownloadOption = False,
) -> None:
    """Open the review page over classified rows, for one or more reviewers.

    Each decision is on the disk before the page shows the next item. Running the command again goes
    on. With -c the classifier that made the answers explains them, and what is decided votes for
    items like it at once.
    """
    from cascade.cli.progress import working
    from cascade.evaluation.external_predictions import PredictionColumns
    from cascade.io.tables.opening import TableFile
    from cascade.review import open_session
    from cascade.serving.http.running import address_of, bound, take_connections
    from cascade.serving.http.running import serve as answer

    settled, tree = options.resolve(
        config,
        taxonomy,
        encoding=taxonomy_encoding,
        scheme=scheme,
        sheet=taxonomy_sheet,
        method=method,
        columns=options.named_columns(text=text, image=image, id=id),
        image_root=image_root,
        allow_urls=allow_urls,
        allow_hosts=allow_host,
        allow_download=allow_download,
        settings=settings,
    )
    serving, token = settle_listening(settled.serve, host, port, token_file)
    with bound(serving) as listening:
        with working("reading") as work:
            session = open_session(
                TableFile(file, limit, encoding, sheet),
                taxonomy=tree,
                config=settled,
                folder=output,
                text=text or (),
                image=image,
                id=id,
                predicted=PredictionColumns(tuple(predicted or ()), confidence),
                double=double,
                seed=seed,
                reload=reload,
                progress=lambda rows: work.show("reading", rows, None, f"{rows:,} rows"),
            )
            session.hide(hide or ())
            if in_order:
                session.ask(range(1, session.rows + 1))
            classifier = None if no_model else _loaded(tree, settled, work)
            session.use(classifier)
            session.warm_up()
            made = _application(session, classifier, serving, token)
        done, rows = len(session.labels()), session.rows
        take_connections(listening)
        err.print(
            f"review {rows:,} rows ({done:,} are decided) at\n{address_of(listening)}/review/\n"
            f"stop with Ctrl-C, all is kept in {session.folder}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        answer(made, listening, serving)
    done = len(session.labels())
    session.close()
    err.print(
        f"stopped; {done:,} rows are decided: cascade review export {session.folder} -o FILE",
        highlight=False,
        markup=False,
    )


def _loaded(tree: Taxonomy, config: CascadeConfig, work: Any) -> Classifier:
    from cascade.cli.progress import load_classifier

    classifier = load_classifier(tree, config, work)
    work.show("loading models")
    return classifier


def _application(
    session: Session, classifier: Classifier | None, serving: Any, token: str | None
) -> FastAPI:
    """The service with the page; the page alone where no model is there."""
    from cascade.review.routes import make_router
    from cascade.serving.http.app import create_app, guarded

    router = make_router(session)
    if classifier is None:
        return guarded([router], serving, token)
    return create_app(classifier, routers=[router], settings=serving, token=token)
