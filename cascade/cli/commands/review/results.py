"""`cascade review export` and `figures`: what came of a review."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cascade.cli import options
from cascade.cli.commands.review.showing import show_figures
from cascade.cli.console import err, out

SessionArgument = Annotated[
    str, typer.Argument(metavar="SESSION", help="Folder of a session, such as out.review.")
]


def export(
    session: SessionArgument,
    output: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Where to write; the ending tells the kind (.csv, .tsv, .jsonl, .parquet, .xlsx).",
        ),
    ],
    part: Annotated[
        str,
        typer.Option(
            "--part",
            help="Which rows: all; random, those that measure the rest; chosen, the others.",
        ),
    ] = "all",
) -> None:
    """Write the decided rows, with their answers and what is right: for cascade fit and eval.

    The right node stands in `review_code` and `review_path`, empty where it is nowhere.
    """
    from cascade.review import open_folder

    opened = open_folder(session)
    rows = opened.export(output, part)  # type: ignore[arg-type]
    nowhere, conflicts = opened.uncoded(part)  # type: ignore[arg-type]
    opened.close()
    told = [f"{rows:,} decided rows written to {output}"]
    if nowhere:
        told.append(
            f"{nowhere:,} of them fit nowhere: without a code, cascade fit leaves them out, and "
            "cascade eval has them in exact_match_with_nowhere alone"
        )
    if conflicts:
        told.append(f"left out, since reviewers disagree: {conflicts:,} rows")
    if nowhere or conflicts:
        told.append(f"how right the answers are: cascade review figures {session}")
    for line in told:
        err.print(line, highlight=False, markup=False)


def figures(session: SessionArgument, as_json: options.JsonOption = False) -> None:
    """Tell how right the answers are that nobody looked at, and how far reviewers agree."""
    from cascade.review import open_folder

    opened = open_folder(session)
    found = opened.figures()
    opened.close()
    if as_json:
        out.print_json(json.dumps(found))
    else:
        show_figures(found, session)
