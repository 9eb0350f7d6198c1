"""`cascade pack`: what can be done with a pack that is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible, out

app = typer.Typer(
    help="Check a pack, add labelled rows to its neighbours, or fit its confidences again.",
    no_args_is_help=True,
)

EXAMPLES = """
[bold]Examples[/]

  cascade pack add my-pack corrected.csv --label label
"""


@app.command("add", epilog=EXAMPLES)
def add(
    pack: Annotated[str, typer.Argument(metavar="PACK", help="Folder that cascade fit wrote.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="Labelled rows, columns as before.")],
    label: Annotated[
        str | None,
        typer.Option(
            "--label", metavar="COL", help="Column of the labels; the pack's own if not given."
        ),
    ] = None,
    limit: options.LimitOption = None,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
) -> None:
    """Let labelled rows vote as neighbours from now on; nothing is fitted again.

    The pack's recipe needs an encoder: fast or full.
    """
    from cascade.cli.progress import working
    from cascade.io.tables.opening import TableFile
    from cascade.training.packs.examples import add_examples

    source = TableFile(file, limit, encoding, sheet)
    with interruptible("nothing was added"), working("encoding") as bar:
        added, there, skipped = add_examples(
            Path(pack),
            source,
            label=label,
            progress=lambda done, of: bar.show("encoding", done, of, f"{done:,} rows"),
        )
    for reason, (count, line) in skipped.items():
        err.print(f"{count:,} rows are left out: {reason} (first: line {line})", style="yellow")
    if there:
        err.print(f"{there:,} rows were there already", highlight=False)
    err.print(f"{added:,} rows added to {pack}", highlight=False, markup=False)


RECALIBRATED = """
[bold]Examples[/]

  cascade pack recalibrate my-pack new-labels.csv --label label -o my-pack-now
"""


@app.command("recalibrate", epilog=RECALIBRATED)
def recalibrate(
    pack: Annotated[str, typer.Argument(metavar="PACK", help="Folder that cascade fit wrote.")],
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Labelled rows as they come now, drawn by chance, which the pack was not fitted "
            "to; 200 are good, 50 the least. Columns as before.",
        ),
    ],
    output: Annotated[
        str, typer.Option("--out", "-o", metavar="NEW", help="Folder of the new pack.")
    ],
    label: Annotated[
        str | None,
        typer.Option(
            "--label", metavar="COL", help="Column of the labels; the pack's own if not given."
        ),
    ] = None,
    limit: options.LimitOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a pack that exists.")
    ] = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Fit a pack's confidences to rows as they come now; its parts stay.

    The new pack has other confidences, and other thresholds for --max-risk, --set-coverage and
    what fits nowhere; it compares rows with these. The likeliest node of a row is the same. The
    old pack stays as it is.
    """
    from cascade.cli.progress import working
    from cascade.io.tables.opening import TableFile
    from cascade.training.packs.recalibration import Recalibration

    job = Recalibration(Path(pack), TableFile(file, limit, encoding, sheet), Path(output), label)
    with interruptible("nothing was written"), working("reading") as bar:
        report = job.run(bar.show, overwrite=overwrite)
    for reason, count in report["left_out"].items():
        err.print(f"{count:,} rows are left out: {reason}", style="yellow")
    if as_json:
        out.print_json(json.dumps({"out": output, **report}))
        return
    err.print(
        f"calibrated on {report['rows']:,} rows, of which {report['exact']:.1%} are answered "
        f"right; expected calibration error {report['ece_before']:.3f} before, "
        f"{report['ece_now']:.3f} now (of rows that took no part); written to {output}",
        highlight=False,
        markup=False,
    )


@app.command("check")
def check(
    pack: Annotated[str, typer.Argument(metavar="PACK", help="Folder that cascade fit wrote.")],
) -> None:
    """Tell whether every file of a pack is what it was when it was sealed."""
    from cascade.pipeline.pack import verify

    verify(Path(pack))
    out.print(f"{pack}: whole", highlight=False, markup=False)
