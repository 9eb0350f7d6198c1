"""`cascade start`: rows without a label in, answers, rows to label and a pack out."""

from __future__ import annotations

import glob
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible, out

if TYPE_CHECKING:
    from cascade.labelling.first_hour import FirstHour
    from cascade.labelling.telling import Told

EXAMPLES = """
[bold]Examples[/]

  cascade start products.csv -t store
  cascade start products.csv -t taxonomy.csv --text title --text brand --ask 50
  cascade review products.start/to-label-1.csv -c products.start/pack --in-order
  cascade start products.csv -t store --labels labelled.xlsx
  cascade start products.csv -t store --no-answers
"""
SUFFIX = ".start"


def start(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Rows: CSV, TSV, JSONL, Parquet, Excel.")
    ],
    taxonomy: options.TaxonomyOption = None,
    scheme: options.SchemeOption = None,
    taxonomy_encoding: options.TaxonomyEncodingOption = None,
    taxonomy_sheet: options.TaxonomySheetOption = None,
    text: options.TextOption = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Folder of the first hour; products.start for products.csv if not given. If it "
            "is there, it is gone on with.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Labelled rows: a copy of the folder's to-label-1.csv (or -2, ...), in any form, "
            "with codes or paths in its column label, and nowhere where no node fits. By default "
            "that file itself, and what was decided about it on the review page.",
        ),
    ] = None,
    ask: Annotated[
        int,
        typer.Option("--ask", min=1, max=2000, metavar="N", help="Rows to label at a time."),
    ] = 100,
    answers: Annotated[
        bool,
        typer.Option(
            "--answers/--no-answers", help="Whether all rows are answered, in answers.csv."
        ),
    ] = True,
    limit: options.LimitOption = None,
    seed: Annotated[
        int,
        typer.Option("--seed", min=0, max=2**32 - 1, metavar="N", help="Of all that is random."),
    ] = 0,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Begin anew; labels in the folder are forgotten."),
    ] = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    settings: options.SetOption = None,
    allow_download: options.DownloadOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Begin with rows that nobody labelled: answers, which rows to label, a pack, what to expect.

    Run it, label the rows that it asks for, run it again, until what you are told to expect is good
    enough. Each round learns from all that is known, the first from the file itself.
    """
    from cascade.cli.progress import working
    from cascade.config import Columns
    from cascade.errors import UsageError
    from cascade.io.tables.opening import TableFile
    from cascade.labelling.first_hour import FirstHour
    from cascade.pipeline.runs.columns import guessed_columns

    config, tree = options.resolve(
        None,
        taxonomy,
        encoding=taxonomy_encoding,
        scheme=scheme,
        sheet=taxonomy_sheet,
        allow_download=allow_download,
        settings=settings,
    )
    if config.method != "retrieval":
        raise UsageError(
            f"start begins with what names say; leave out what asks for {config.method}"
        )
    if glob.has_magic(file) and not Path(file).exists():
        raise UsageError(f"{file}: start reads one file; put the rows of several into one")
    source = TableFile(file, limit, encoding, sheet)
    with source.open() as table:
        columns = guessed_columns(table, Columns(text=text or []))
        if not text and columns.text:
            err.print(f"text columns: {', '.join(columns.text)} (choose others with --text)")
    config.columns = columns
    folder = Path(output) if output else Path(file).with_suffix(SUFFIX)
    hour = FirstHour(folder, source, tree, config, ask, seed, _warn)
    hour.begin(overwrite=overwrite)
    if labels is not None:
        new = hour.take_labels(TableFile(labels, None, encoding, None))
    else:
        new = _reviewed(hour) + hour.take_labels()
    if new or labels is not None:
        err.print(f"{new:,} new labels", highlight=False)
    with interruptible("what was computed is kept: run the same command again"):
        with working("reading") as work:
            told = hour.run(lambda what, done, of: work.show(what, done, of))
        if answers:
            _answer(hour, file, limit, encoding, sheet)
    if as_json:
        out.print_json(json.dumps(told.to_values()))
        return
    _show(hour, told, answers)


def _reviewed(hour: FirstHour) -> int:
    """Learn of what was decided on the review page; how many labels are new."""
    from cascade.review import open_session
    from cascade.review.opening import SUFFIX as SESSION

    if not hour.to_label.with_suffix(SESSION).is_dir():
        return 0
    session = open_session(str(hour.to_label), taxonomy=hour.taxonomy, reload=True)
    labels = session.labels()
    session.close()
    return hour.take_reviewed(labels)


def _answer(
    hour: FirstHour, file: str, limit: int | None, encoding: str | None, sheet: str | None
) -> None:
    """Answer all rows by the pack."""
    from cascade.cli.classify_run import ClassifyRun, Destination, Input
    from cascade.labelling.first_hour import ANSWERS
    from cascade.pipeline.runs.answer_form import AnswerForm

    config, tree = options.resolve(str(hour.pack), None)
    run = ClassifyRun(
        *(tree, config, frozenset(), AnswerForm(0, False)),
        Input(limit, encoding, sheet),
        Destination(resume=False, overwrite=True, as_json=False, as_table=False),
    )
    run.run([(file, str(hour.folder / ANSWERS))])


def _show(hour: FirstHour, told: Told, answers: bool) -> None:
    """Print what is known, and what to do next."""
    from cascade.labelling.first_hour import ANSWERS
    from cascade.labelling.telling import sentences

    for sentence in sentences(told):
        err.print(sentence, highlight=False, markup=False)
    err.print("\n[bold]What to do next[/]")
    if answers:
        _line(f"look at {hour.folder / ANSWERS}: each row with its answer and how sure it is")
    if told.asked:
        _line(
            f"label {len(told.asked):,} rows in a browser, each with a suggestion:\n"
            f"      cascade review {hour.to_label} -c {hour.pack} --in-order\n"
            f"    or in that file: a code or path in the column label, nowhere where nothing fits"
        )
        _line("then run the same command again: it learns, and tells how right answers are")
    else:
        _line("all rows that are learnt from have a label")
    _line(f"use what is known: cascade classify FILE -c {hour.pack} -o out.csv")


def _line(text: str) -> None:
    err.print(f"  - {text}", highlight=False, markup=False)


def _warn(sentence: str) -> None:
    err.print(sentence, style="yellow", highlight=False, markup=False)
