"""`cascade foodex2`: descriptions to codes; codes explained, checked, and brought along."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible, out

if TYPE_CHECKING:
    from cascade.foodex2.checking import Checker
    from cascade.foodex2.explaining import Explained
    from cascade.foodex2.table import Sayer
    from cascade.items import Prediction
    from cascade.taxonomy.efsa.catalogue import Catalogue
    from cascade.taxonomy.facets import FacetedTaxonomy

app = typer.Typer(
    help="Describe foods by FoodEx2 codes; check, explain and migrate codes. The catalogue "
    "(MTX.ecf) and the table of processes (BR_Data.csv) are published by EFSA; they are looked "
    "for here, or in the folder of $CASCADE_FOODEX2.",
    no_args_is_help=True,
)

ENCODE = """
[bold]Examples[/]

  cascade foodex2 encode "organic yogurt, strawberry, in plastic cup" --explain
  cascade foodex2 encode foods.csv --text description -t MTX.ecf -o coded.csv
  cascade foodex2 encode "smoked salmon, vacuum packed" -c packs/foodex2 --method rerank
"""
FIT = """
[bold]Examples[/]

  cascade foodex2 fit -t MTX.ecf -o packs/foodex2
  cascade foodex2 fit -t MTX.ecf --encoder encoder/model -o packs/foodex2
"""
ROWS = """
[bold]Examples[/]

  cascade foodex2 rows -t MTX.ecf -o rows
  cascade finetune rows/retriever.yaml -o encoder
"""
CHECK = """
[bold]Examples[/]

  cascade foodex2 check 'A01PS#F28.A07KG'
  cascade foodex2 check codes.csv --text code -t MTX.ecf --processes BR_Data.csv -o checked.csv
"""
DECODE = """
[bold]Examples[/]

  cascade foodex2 decode 'A01PS#F28.A07KG$F10.A077G' -t MTX.ecf
  cascade foodex2 decode codes.csv --text code -o explained.csv
"""
MIGRATE = """
[bold]Examples[/]

  cascade foodex2 migrate 'A050T#F28.A07KG' A.01.000942 -t MTX.ecf
  cascade foodex2 migrate codes.csv --text code -t MTX.ecf --from MTX_12.0.xlsx -o codes17.csv
"""

CodesArgument = Annotated[
    list[str], typer.Argument(metavar="CODE... | FILE", help="Codes, or a file of them.")
]
CatalogueOption = Annotated[
    str | None,
    typer.Option("-t", "--taxonomy", metavar="FILE", help="Catalogue of EFSA: MTX.ecf."),
]
ProcessesOption = Annotated[
    str | None,
    typer.Option(
        "--processes",
        metavar="FILE",
        help="EFSA's BR_Data.csv, for BR16, BR19 and BR27; by default the one beside the "
        "catalogue.",
    ),
]
ColumnOption = Annotated[
    str | None, typer.Option("--text", metavar="COL", help="Column of the codes of a file.")
]
OutOption = Annotated[
    str | None, typer.Option("--out", "-o", help="Where to, for a file: .csv, .xlsx and others.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace an output that exists.")
]


@app.command("encode", epilog=ENCODE)
def encode(
    texts: Annotated[
        list[str],
        typer.Argument(metavar="TEXT... | FILE", help="Descriptions of foods, or a file of them."),
    ],
    taxonomy: CatalogueOption = None,
    config: options.ConfigOption = None,
    text: options.TextOption = None,
    id: options.IdOption = None,
    output: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Where to, for a file: .csv, .xlsx and others."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", help="Who finds the base term: retrieval (default), rerank, llm."),
    ] = None,
    limit: options.LimitOption = None,
    top: Annotated[
        int, typer.Option("--top", min=0, metavar="N", help="Add the N next best base terms.")
    ] = 0,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say how each code came about.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run of the same output.")
    ] = False,
    overwrite: OverwriteOption = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    settings: options.SetOption = None,
    allow_download: options.DownloadOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Describe foods by codes that EFSA's rules let pass.

    A file needs the column of its descriptions in --text, and comes out with the columns of
    `cascade classify`: cascade_code is the whole code.
    """
    from cascade.errors import UsageError

    if config is None and taxonomy is None:
        from cascade.foodex2.where import catalogue_file

        taxonomy = str(catalogue_file(None))
    if text is not None:
        from cascade.cli.classify import classify

        classify(
            texts,
            taxonomy=taxonomy,
            config=config,
            text=text,
            id=id,
            output=output,
            method=method,
            limit=limit,
            top=top,
            explain=explain,
            resume=resume,
            overwrite=overwrite,
            encoding=encoding,
            sheet=sheet,
            settings=settings,
            allow_download=allow_download,
            as_json=as_json,
        )
        return
    if output is not None:
        raise UsageError("--out is for a file; name the column of its descriptions with --text")
    if len(texts) == 1 and _is_file(texts[0]):
        raise UsageError(f"{texts[0]} is a file; name the column of its texts with --text")
    from cascade.cli.progress import load_classifier, working
    from cascade.taxonomy.facets import FacetedTaxonomy

    settled, tree = options.resolve(
        config, taxonomy, method=method, allow_download=allow_download, settings=settings
    )
    if not isinstance(tree, FacetedTaxonomy):
        raise UsageError(f"{settled.taxonomy} has no facets; name EFSA's catalogue, MTX.ecf")
    with working("loading models") as bar:
        classifier = load_classifier(tree, settled, bar)
    failed = False
    for said, prediction in zip(texts, classifier.classify_many(texts), strict=True):
        failed |= prediction.code is None
        if as_json:
            out.print_json(prediction.to_json())
        elif prediction.code is None:
            _say(f"{said!r}: {prediction.message}")
        elif explain:
            _account(said, prediction, tree, top)
        else:
            doubt = f"  ({prediction.message})" if prediction.message else ""
            _say(f"{prediction.code}  {in_words(prediction)}{doubt}")
    raise typer.Exit(3 if failed else 0)


@app.command("fit", epilog=FIT)
def fit(
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pack to write.")],
    taxonomy: CatalogueOption = None,
    processes: ProcessesOption = None,
    encoder: Annotated[
        str, typer.Option("--encoder", help="Sentence encoder: built-in name, or a folder.")
    ] = "minilm",
    size: Annotated[
        int, typer.Option("--rows", min=100, help="Descriptions to compose and learn from.")
    ] = 6000,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of all draws.")] = 0,
    overwrite: OverwriteOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Fit a pack for `encode -c`: in which facet categories descriptions say something.

    It learns from descriptions that are composed of the catalogue. The pack has the catalogue, the
    table of processes and a fine-tuned encoder with it.
    """
    from cascade.cli.progress import working
    from cascade.foodex2.where import catalogue_file, processes_file
    from cascade.training.foodex2.fitting import FoodFit

    checker = _checker(taxonomy, processes)
    table = processes_file(processes, catalogue_file(taxonomy))
    assert table is not None
    with working("fitting") as bar:
        made = FoodFit(checker, table, folder, encoder=encoder, rows=size, seed=seed, told=bar.show)
        figures = made.run(overwrite=overwrite, command=options.command())
    if as_json:
        out.print_json(json.dumps(figures))
        return
    for name, own in figures.items():
        said = ", ".join(f"{key} {value:.3f}" for key, value in own.items())
        out.print(f"{name:<10}  {said}", highlight=False, soft_wrap=True)
    err.print(f"use it: cascade foodex2 encode TEXT -c {folder}", highlight=False)


@app.command("rows", epilog=ROWS)
def rows(
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    taxonomy: CatalogueOption = None,
    processes: ProcessesOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of the split.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write into a folder that exists.")
    ] = False,
) -> None:
    """Make labelled rows of a catalogue's other names, with recipes that learn of them."""
    from cascade.errors import OutputError
    from cascade.foodex2.checking import worst
    from cascade.taxonomy.efsa.trees import base_terms
    from cascade.training.foodex2.rows import write_rows

    if folder.exists() and not overwrite:
        raise OutputError(f"{folder} exists; write into it with --overwrite, or name another")
    checker = _checker(taxonomy, processes)
    tree = base_terms(checker.catalogue)
    allowed = [code for code in tree.codes if worst(checker.check(code)) in (None, "LOW")]
    counts = write_rows(checker.catalogue, allowed, folder, seed)
    said = ", ".join(f"{count:,} in {part}.csv" for part, count in counts.items())
    err.print(f"{folder}: {said}; learn of them with", highlight=False, markup=False)
    err.print(f"  cascade finetune {folder / 'retriever.yaml'} -o encoder", highlight=False)


def in_words(prediction: Prediction) -> str:
    """Base term and descriptors by their names."""
    base = prediction.levels[-1].name
    names = [facet.name for facet in prediction.facets if facet.code]
    return f"{base} [{', '.join(names)}]" if names else base


def _account(said: str, prediction: Prediction, tree: FacetedTaxonomy, top: int) -> None:
    """A code with what led to it: base terms, facets, what is implied, what was left out."""
    from rich.markup import escape
    from rich.table import Table

    base = prediction.levels[-1]
    doubt = f"  [yellow]review:[/] {escape(prediction.message)}" if prediction.message else ""
    sure = f"{prediction.confidence:.0%}"
    out.print(f"[bold]{prediction.code}[/]  {sure}{doubt}", highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_row("  text", "", escape(said))
    table.add_row("  base term", base.code, f"{escape(base.name)}  {base.confidence:.0%}")
    table.add_row("", "", f"[dim]{escape(prediction.path or '')}")
    others = [c for c in base.candidates if c.code != base.code][: max(top, 3)]
    shown = ", ".join(f"{escape(c.name)} {c.probability:.0%}" for c in others)
    table.add_row("", "", f"[dim]rather than {shown}" if shown else "")
    for facet in prediction.facets:
        if facet.code is None:
            why = escape(facet.message)
            table.add_row("  left out", facet.category, f"{escape(facet.label)}: {why}")
            continue
        name = f"{escape(facet.label)}: {escape(facet.name)}  {facet.confidence:.0%}"
        table.add_row("  says", f"{facet.category}.{facet.code}", name)
        rest = [c for c in facet.candidates if c.code != facet.code][:2]
        if rest:
            alike = ", ".join(f"{escape(c.name)} {c.probability:.0%}" for c in rest)
            table.add_row("", "", f"[dim]rather than {alike}")
    for own in tree.implied(base.code):
        group = tree.groups.get(own.category)
        if group is not None and own.descriptor in group.tree:
            name = group.tree.node(own.descriptor).name
            table.add_row("  implied", str(own), f"[dim]{escape(group.label)}: {escape(name)}")
    out.print(table, highlight=False)


@app.command("check", epilog=CHECK)
def check(
    codes: CodesArgument,
    taxonomy: CatalogueOption = None,
    processes: ProcessesOption = None,
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            help="strict: all that EFSA documents; ict: as its checking tool, rule for rule.",
        ),
    ] = "strict",
    column: ColumnOption = None,
    output: OutOption = None,
    overwrite: OverwriteOption = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Hold codes against EFSA's business rules; status 1 where one has a HIGH or ERROR message."""
    from cascade.errors import UsageError
    from cascade.foodex2.checking import worst
    from cascade.foodex2.table import checking

    if mode not in ("strict", "ict"):
        raise UsageError(f"--mode {mode}: expected strict or ict")
    _refuse_file_options(codes, column, output)
    checker = _checker(taxonomy, processes)
    if column is not None:
        sayer = checking(checker, mode)  # type: ignore[arg-type]
        counts = _file(codes[0], sayer, column, output, overwrite, encoding, sheet)
        raise typer.Exit(1 if counts["HIGH"] or counts["ERROR"] else 0)
    bad = False
    found = []
    for code in codes:
        messages = checker.check(code, mode)  # type: ignore[arg-type]
        bad |= worst(messages) in ("HIGH", "ERROR")
        found.append({"code": code, "messages": [asdict(message) for message in messages]})
        if not as_json:
            _say(f"{code}: {'clean' if not messages else ''}")
            for message in messages:
                _say(f"  {message.rule} {message.severity}: {message.text}")
    if as_json:
        out.print_json(json.dumps(found))
    raise typer.Exit(1 if bad else 0)


@app.command("decode", epilog=DECODE)
def decode(
    codes: CodesArgument,
    taxonomy: CatalogueOption = None,
    column: ColumnOption = None,
    output: OutOption = None,
    overwrite: OverwriteOption = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Say in words what codes mean: base term, explicit facets, and what the base term implies.

    Codes come out in order, without what their base terms imply. Status 3 where one cannot be read.
    """
    from cascade.errors import InputError
    from cascade.foodex2.explaining import explained
    from cascade.foodex2.table import explaining

    _refuse_file_options(codes, column, output)
    catalogue = _loaded(taxonomy)
    if column is not None:
        sayer = explaining(catalogue)
        counts = _file(codes[0], sayer, column, output, overwrite, encoding, sheet)
        raise typer.Exit(3 if counts["error"] else 0)
    found: list[Explained | str] = []
    for code in codes:
        try:
            found.append(explained(code, catalogue))
        except InputError as error:
            found.append(str(error))
    wrong = any(isinstance(own, str) for own in found)
    if as_json:
        plain = [{"message": own} if isinstance(own, str) else asdict(own) for own in found]
        out.print_json(json.dumps(plain))
        raise typer.Exit(3 if wrong else 0)
    for own in found:
        if isinstance(own, str):
            _say(own)
            continue
        out.print(f"[bold]{own.code}[/]  {own.base}", highlight=False)
        for kind, facets in (("explicit", own.explicit), ("implied", own.implied)):
            for facet in facets:
                _say(f"  {kind:<8}  {facet}")
    raise typer.Exit(3 if wrong else 0)


@app.command("migrate", epilog=MIGRATE)
def migrate(
    codes: CodesArgument,
    taxonomy: CatalogueOption = None,
    old: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The release that the codes are of, for terms that the new one has not any more.",
        ),
    ] = None,
    column: ColumnOption = None,
    output: OutOption = None,
    overwrite: OverwriteOption = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Bring codes of an older release, or of FoodEx1, to the release of the catalogue.

    EFSA publishes no table of replacements: a term that is not in use any more becomes the one
    that the catalogue names, the one of its name, or the one of its scientific names. Where there
    is only a term above it, the code is marked `review`. Status 3 where a code is in error.
    """
    from cascade.foodex2.migrating import Migration
    from cascade.foodex2.table import migrating

    _refuse_file_options(codes, column, output)
    migration = Migration(_loaded(taxonomy), _loaded(old) if old is not None else None)
    if column is not None:
        sayer = migrating(migration)
        counts = _file(codes[0], sayer, column, output, overwrite, encoding, sheet)
        raise typer.Exit(3 if counts["error"] else 0)
    found = [migration.migrated(code) for code in codes]
    if as_json:
        pairs = zip(codes, found, strict=True)
        out.print_json(json.dumps([{"was": code, **asdict(own)} for code, own in pairs]))
    else:
        for code, own in zip(codes, found, strict=True):
            _say(f"{code} -> {own.code or 'nothing'}  ({own.outcome})")
            for note in own.notes:
                _say(f"  {note}")
    raise typer.Exit(3 if any(own.outcome == "error" for own in found) else 0)


def _say(line: str) -> None:
    out.print(line, highlight=False, markup=False, soft_wrap=True)


def _refuse_file_options(codes: list[str], column: str | None, output: str | None) -> None:
    """Codes and a file are told apart by `--text`.

    Raises
    ------
    UsageError
        What was given is neither.
    """
    from cascade.errors import UsageError

    if column is not None and len(codes) != 1:
        raise UsageError("--text names a column of one file; give that file alone")
    if column is None and output is not None:
        raise UsageError("--out is for a file of codes; name their column with --text")
    if column is None and len(codes) == 1 and _is_file(codes[0]):
        raise UsageError(f"{codes[0]} is a file; name the column of its codes with --text")


def _is_file(text: str) -> bool:
    """Whether a text is the name of a file; one that is too long for a name is none."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _file(
    file: str,
    sayer: Sayer,
    column: str,
    output: str | None,
    overwrite: bool,
    encoding: str | None,
    sheet: str | None,
) -> dict[str, int]:
    from cascade.foodex2.table import say_of_file

    with interruptible("begin anew with [bold]--overwrite[/]"):
        counts = say_of_file(
            file,
            sayer,
            column,
            output or "-",
            overwrite=overwrite,
            encoding=encoding,
            sheet=sheet,
        )
    err.print(", ".join(f"{count:,} {name}" for name, count in counts.items()), highlight=False)
    return counts


def _loaded(named: str | None) -> Catalogue:
    from cascade.foodex2.where import catalogue_file
    from cascade.taxonomy.efsa.load import load_catalogue

    return load_catalogue(
        catalogue_file(named),
        told=lambda sentence: err.print(sentence, highlight=False, markup=False),
    )


def _checker(taxonomy: str | None, processes: str | None) -> Checker:
    from cascade.errors import UsageError
    from cascade.foodex2.checking import Checker
    from cascade.foodex2.processes import Processes
    from cascade.foodex2.where import PROCESSES, catalogue_file, processes_file

    catalogue = _loaded(taxonomy)
    table = processes_file(processes, catalogue_file(taxonomy))
    if table is None:
        raise UsageError(
            f"EFSA's table of processes is needed for BR16, BR19 and BR27; put {PROCESSES} beside "
            "the catalogue, or name it with --processes"
        )
    return Checker(catalogue, Processes.read(table))
