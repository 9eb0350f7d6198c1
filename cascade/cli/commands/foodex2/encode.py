"""`cascade foodex2 encode`, and `rows`, which makes rows to train its encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli import options
from cascade.cli.commands.classify import check_outputs, classify_files, files_and_outputs
from cascade.cli.commands.foodex2.arguments import given, refuse_without_file
from cascade.cli.commands.foodex2.common import (
    CatalogueOption,
    OutOption,
    OverwriteOption,
    ProcessesOption,
    ResumeOption,
    load_checker,
    show,
)
from cascade.cli.console import err, out

if TYPE_CHECKING:
    from cascade.predictions import Prediction
    from cascade.taxonomy import Taxonomy
    from cascade.taxonomy.facets import FacetedTaxonomy

ENCODE = """
[bold]Examples[/]

  cascade foodex2 encode "organic yogurt, strawberry, in plastic cup" --explain
  cascade foodex2 encode foods.csv --text description -t MTX.ecf -o coded.csv
  cascade foodex2 encode "smoked salmon, vacuum packed" -c packs/foodex2 --method rerank
"""
ROWS = """
[bold]Examples[/]

  cascade foodex2 rows -t MTX.ecf -o rows
  cascade finetune rows/retriever.yaml -o encoder
"""


def encode(
    texts: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXT... | FILE",
            help="Descriptions of foods, or a file of them; - reads standard input: without --text "
            "a description a line.",
        ),
    ],
    taxonomy: CatalogueOption = None,
    config: options.ConfigOption = None,
    text: options.TextOption = None,
    id: options.IdOption = None,
    output: OutOption = None,
    method: Annotated[
        str | None,
        typer.Option("--method", help="Who finds the base term: retrieval (default), rerank, llm."),
    ] = None,
    tau: Annotated[
        float | None,
        typer.Option(
            "--tau",
            min=0,
            max=1,
            metavar="CONFIDENCE",
            help="Base terms that are less sure are not offered, by default 0.05; where none is "
            "left there is no code, and the row is for review.",
        ),
    ] = None,
    limit: options.LimitOption = None,
    top: Annotated[
        int, typer.Option("--top", min=0, metavar="N", help="Add the N next best base terms.")
    ] = 0,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how each code was found.")
    ] = False,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    settings: options.SetOption = None,
    allow_download: options.DownloadOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Find codes for descriptions of foods; the codes pass EFSA's rules.

    For a file name the column of its descriptions with --text; the output has the columns of
    `cascade classify`, and cascade_code is the whole code.
    """
    if config is None or taxonomy is not None:
        from cascade.foodex2.format import find_catalogue

        taxonomy = str(find_catalogue(taxonomy))
    if text is None:
        for_files = {
            "--out": output,
            "--id": id,
            "--limit": limit,
            "--resume": resume,
            "--overwrite": overwrite,
            "--encoding": encoding,
            "--sheet": sheet,
        }
        refuse_without_file(for_files, "descriptions")
        texts = given(texts, "descriptions")
    else:
        targets = files_and_outputs(texts, output)
        folder = output if output and output != "-" and options.is_folder(output) else None
        check_outputs(targets, taxonomy, config, resume=resume, overwrite=overwrite, folder=folder)
    named = options.named_columns(text=text, id=id)
    if tau is not None:
        settings = [*(settings or []), f"facets.base.tau={tau}"]
    settled, tree = options.resolve(
        config,
        taxonomy,
        method=method,
        columns=named,
        allow_download=allow_download,
        settings=settings,
    )
    tree = _faceted(tree, settled.taxonomy)
    if text is not None:
        from cascade.cli.classify_run import ClassifyRun, Destination, Input
        from cascade.pipeline.runs.answer_form import AnswerForm

        run = ClassifyRun(
            tree,
            settled,
            frozenset(named),
            AnswerForm(top, explain, question=settled.method == "agent"),
            Input(limit, encoding, sheet),
            Destination(resume, overwrite, as_json, as_table=False),
            files=frozenset(texts),
        )
        classify_files(run, targets)
        return
    from cascade.cli.progress import load_classifier, working

    with working("loading models") as bar:
        classifier = load_classifier(tree, settled, bar)
    failed = False
    for description, prediction in zip(texts, classifier.classify_many(texts), strict=True):
        failed |= prediction.status == "error"
        if as_json:
            out.print_json(prediction.to_json())
        elif prediction.code is None:
            show(f"{description!r}: {prediction.message}")
        elif explain:
            _explain(description, prediction, tree, top)
        else:
            doubt = f"  ({prediction.message})" if prediction.message else ""
            base = prediction.levels[-1].name
            names = ", ".join(facet.name for facet in prediction.facets if facet.code)
            in_words = f"{base} [{names}]" if names else base
            show(f"{prediction.code}  {in_words}{doubt}")
    raise typer.Exit(3 if failed else 0)


def _faceted(tree: Taxonomy, name: str | None) -> FacetedTaxonomy:
    """The taxonomy, unless its codes are not those of FoodEx2.

    Raises
    ------
    UsageError
        It has no facet categories.
    """
    from cascade.errors import UsageError
    from cascade.foodex2.format import require_facets
    from cascade.foodex2.taxonomy import FoodEx2Taxonomy
    from cascade.taxonomy.facets import FacetedTaxonomy

    if isinstance(tree, FoodEx2Taxonomy):
        require_facets(tree.catalogue)
    elif not isinstance(tree, FacetedTaxonomy):
        raise UsageError(f"{name} has no facets; name EFSA's catalogue, MTX.ecf")
    return tree


def _explain(text: str, prediction: Prediction, tree: FacetedTaxonomy, top: int) -> None:
    """Print a code with its base term, facets, what is implied and what was left out."""
    from rich.markup import escape
    from rich.table import Table

    base = prediction.levels[-1]
    # Of the term itself: a level is as likely as all candidates at or below it.
    share = next((c.probability for c in base.candidates if c.code == base.code), base.confidence)
    doubt = f"  [yellow]review:[/] {escape(prediction.message)}" if prediction.message else ""
    sure = f"{prediction.confidence:.0%}"
    out.print(f"[bold]{prediction.code}[/]  {sure}{doubt}", highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_row("  text", "", escape(text))
    table.add_row("  base term", base.code, f"{escape(base.name)}  {share:.0%}")
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
        if facet.words:
            name += f"  [dim]by the words: {escape(' '.join(facet.words))}"
        table.add_row("  says", f"{facet.category}.{facet.code}", name)
        rest = [c for c in facet.candidates if c.code != facet.code][:2]
        if rest:
            alike = ", ".join(f"{escape(c.name)} {c.probability:.0%}" for c in rest)
            table.add_row("", "", f"[dim]rather than {alike}")
    for own in tree.implied(base.code):
        category = tree.categories.get(own.category)
        if category is not None and own.descriptor in category.tree:
            name = category.tree.node(own.descriptor).name
            table.add_row("  implied", str(own), f"[dim]{escape(category.label)}: {escape(name)}")
    out.print(table, highlight=False)


def rows(
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    taxonomy: CatalogueOption = None,
    processes: ProcessesOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of the split.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write into a folder that exists.")
    ] = False,
) -> None:
    """Make labelled rows of a catalogue's other names, with recipes that learn from them."""
    from cascade.errors import OutputError
    from cascade.foodex2.taxonomy import FoodEx2Taxonomy
    from cascade.training.foodex2.synthetic import write_rows

    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder with --out")
    if folder.exists() and not overwrite:
        raise OutputError(f"{folder} exists; write into it with --overwrite, or name another")
    checker = load_checker(taxonomy, processes)
    tree = FoodEx2Taxonomy.from_catalogue(checker.catalogue)
    allowed = [code for code in tree.codes if not checker.refusal(code)]
    counts = write_rows(checker.catalogue, allowed, folder, seed)
    files = ", ".join(f"{count:,} in {part}.csv" for part, count in counts.items())
    err.print(f"{folder}: {files}; learn from them with", highlight=False, markup=False)
    err.print(f"  cascade finetune {folder / 'retriever.yaml'} -o encoder", highlight=False)
