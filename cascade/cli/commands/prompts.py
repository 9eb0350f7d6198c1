"""`cascade prompts`: list, show, render, try and compare prompt templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible, out

if TYPE_CHECKING:
    from cascade.config import CascadeConfig
    from cascade.evaluation.evaluation_task import EvaluationTask
    from cascade.evaluation.prompts.comparison import PromptComparison
    from cascade.evaluation.prompts.trial import Trial
    from cascade.generation.engine import Prompt
    from cascade.items import Item

EXAMPLES = """
[bold]Examples[/]

  cascade prompts list
  cascade prompts show file-under
  cascade prompts render file-under -t store "straw panama hat"
  cascade prompts render file-under -t store "straw panama hat" --type hat --at Clothing
  cascade prompts try file-under -t store "straw panama hat"
  cascade prompts try mine.jinja -t store --file labelled.csv --row 3 --text name
  cascade prompts compare file-under mine.jinja labelled.csv -t store --text name --label label
"""
EXAMPLES_SHOWN = 5  # rows that prompts answer differently
ANSWERS_SHOWN = 12  # of a question

app = typer.Typer(help="List, show, render, try and compare prompts.", no_args_is_help=True)


@app.command("list", epilog=EXAMPLES)
def list_(as_json: options.JsonOption = False) -> None:
    """List the prompts that ship."""
    from rich.table import Table

    from cascade.generation.prompt_files import prompt_names
    from cascade.generation.prompts import PromptTemplate

    heads = [PromptTemplate.load(name).head for name in prompt_names()]
    if as_json:
        out.print_json(json.dumps([head.model_dump() for head in heads]))
        return
    table = Table("id", "version", "task", "about", box=None, pad_edge=False)
    for head in heads:
        table.add_row(head.id, str(head.version), head.task, head.about)
    out.print(table)


@app.command("show", epilog=EXAMPLES)
def show(name: Annotated[str, typer.Argument(help="A shipped prompt, or a file.")]) -> None:
    """Show a prompt file as it is."""
    from cascade.generation.prompts import PromptTemplate

    typer.echo(PromptTemplate.load(name).source, nl=False)


@app.command("render", epilog=EXAMPLES)
def render(
    name: Annotated[str, typer.Argument(help="A shipped prompt, or a file.")],
    item: Annotated[str, typer.Argument(help="The text of an item.")],
    type_: Annotated[
        str, typer.Option("--type", help="What kind of thing the item is, in a word or two.")
    ] = "",
    kind: Annotated[
        str, typer.Option("--kind", help="What the item is, as item.kind.")
    ] = "text",  # cascade.config.NEUTRAL, which help is not to wait for
    taxonomy: options.TaxonomyOption = "store",
    scheme: options.SchemeOption = None,
    taxonomy_encoding: options.TaxonomyEncodingOption = None,
    taxonomy_sheet: options.TaxonomySheetOption = None,
    at: Annotated[
        str | None, typer.Option("--at", help="Code or path of the node to choose below.")
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show what the language model would be asked about an item, and which answers it may give."""
    from cascade.errors import UsageError
    from cascade.generation.prompts import PromptTemplate
    from cascade.pipeline.load import load_taxonomy
    from cascade.scoring.item_prompts import make_question
    from cascade.taxonomy.examples import examples_of

    tree = load_taxonomy(
        taxonomy or "store", encoding=taxonomy_encoding, scheme=scheme, sheet=taxonomy_sheet
    )
    parent = -1 if at is None else tree.node(at).index
    if not len(tree.children(parent)):
        raise UsageError(f"--at {at}: {tree.path(parent)} is a leaf; there is nothing to choose")
    template = PromptTemplate.load(name).given(kind=kind, examples=examples_of(tree))
    question = make_question(template, tree, item, type_ or item, parent, tree.children(parent))
    prompt = question.prompt
    if as_json:
        messages = [{"role": m.role, "content": m.content} for m in prompt.messages]
        answers = [answer + (prompt.end or "") for answer in question.answers]
        out.print_json(
            json.dumps(
                {
                    "messages": messages,
                    "shared": prompt.shared,
                    "start": prompt.start,
                    "answers": answers,
                }
            )
        )
        return
    _show_prompt(prompt)
    shown = [repr(answer + (prompt.end or "")) for answer in question.answers]
    out.print(f"{len(shown)} answers are allowed:", ", ".join(shown[:12]), soft_wrap=True)


@app.command("try", epilog=EXAMPLES)
def try_(
    name: Annotated[str, typer.Argument(help="A shipped prompt, or a file.")],
    item: Annotated[str | None, typer.Argument(help="The text of an item.")] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="Take the item from this file.")
    ] = None,
    row: Annotated[
        int, typer.Option("--row", min=1, metavar="N", help="Which row of it, from 1.")
    ] = 1,
    text: options.TextOption = None,
    taxonomy: options.TaxonomyOption = None,
    scheme: options.SchemeOption = None,
    taxonomy_encoding: options.TaxonomyEncodingOption = None,
    taxonomy_sheet: options.TaxonomySheetOption = None,
    config: options.ConfigOption = None,
    method: options.MethodOption = None,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    settings: options.SetOption = None,
    allow_download: options.DownloadOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Ask the model about one item: each prompt, the allowed answers and their scores."""
    from cascade.cli.progress import working
    from cascade.errors import InputError, UsageError
    from cascade.evaluation.prompts.setting import prompt_settings
    from cascade.evaluation.prompts.trial import try_prompt
    from cascade.items import Item

    if (item is None) == (file is None):
        raise UsageError("name one item: its text, or --file FILE with --row N")
    base, tree = options.resolve(
        config,
        taxonomy or (None if config else "store"),
        encoding=taxonomy_encoding,
        scheme=scheme,
        sheet=taxonomy_sheet,
        columns=options.named_columns(text=text),
        settings=settings,
        allow_download=allow_download,
    )
    (chosen,) = prompt_settings([name], tree, method)
    settled = chosen.config(base)
    settled.choose.threshold = settled.agent.threshold = 1.0  # it is to be asked in any case
    asked = Item({"text": item}) if item is not None else None
    if file is not None:
        asked, settled.columns = _item_of(settled, file, row, encoding, sheet)
    assert asked is not None
    with interruptible("nothing was written"), working("loading models") as bar:
        trial = try_prompt(
            tree, settled, asked, progress=lambda done, of: bar.show("indexing", done, of)
        )
    if trial.prediction.status == "error":
        raise InputError(trial.prediction.message, file=file)
    if as_json:
        questions = [question.to_dict() for question in trial.questions]
        answer = trial.prediction.to_dict()
        out.print_json(json.dumps({"questions": questions, "answer": answer}, default=str))
        return
    _show_trial(trial)


@app.command("compare", epilog=EXAMPLES)
def compare(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="PROMPT PROMPT... FILE",
            help="Two or more prompts, shipped names or files, and at last the labelled rows. The "
            "first prompt is what the others are compared with.",
        ),
    ],
    taxonomy: options.TaxonomyOption = None,
    scheme: options.SchemeOption = None,
    taxonomy_encoding: options.TaxonomyEncodingOption = None,
    taxonomy_sheet: options.TaxonomySheetOption = None,
    config: options.ConfigOption = None,
    text: options.TextOption = None,
    id: options.IdOption = None,
    label: options.LabelOption = None,
    label_separator: options.SeparatorOption = None,
    keep_case: options.KeepCaseOption = False,
    method: options.MethodOption = None,
    output: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Folder to write to; runs/FILE-prompts if not given."),
    ] = None,
    limit: options.LimitOption = None,
    seed: options.SeedOption = 0,
    resamples: options.ResamplesOption = 1000,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted comparison.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a comparison that exists.")
    ] = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    settings: options.SetOption = None,
    allow_download: options.DownloadOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Measure prompts on the same labelled rows: accuracy in pairs, tokens and seconds."""
    from cascade.cli.evaluating import free_folder, resolve, taxonomy_of_labels
    from cascade.cli.progress import load_classifier, working
    from cascade.errors import UsageError
    from cascade.evaluation.evaluate import RunOptions
    from cascade.evaluation.evaluation_task import EvaluationTask
    from cascade.evaluation.prompts.comparison import compare_prompts
    from cascade.evaluation.prompts.setting import prompt_settings
    from cascade.io.tables.opening import TableFile

    *prompts, file = names
    if len(prompts) < 2:
        raise UsageError(
            f"found {len(prompts)} prompt before the file {file}; give two or more, then the file "
            "of labelled rows"
        )
    run = RunOptions(resume, overwrite, resamples, seed, options.command())
    chosen = {"method": None, "allow_download": allow_download, "settings": settings}
    base, tree = resolve(
        *(config, taxonomy, chosen),
        {"encoding": taxonomy_encoding, "scheme": scheme, "sheet": taxonomy_sheet},
    )
    named = options.named_columns(text=text, id=id, label=label, label_separator=label_separator)
    base.columns = base.columns.model_copy(update=named)
    if base.columns.label is None:
        raise UsageError("say which column holds the known answers with --label")
    source = TableFile(file, limit, encoding, sheet)
    tree = tree or taxonomy_of_labels(source, base, keep_case=keep_case)
    compared = prompt_settings(prompts, tree, method)
    folder = Path(output or free_folder(f"{Path(file).stem}-prompts", run))
    with interruptible(), working("checking labels") as bar:

        def load(task: EvaluationTask) -> Any:
            return load_classifier(task.taxonomy, task.config, bar)

        found = compare_prompts(
            EvaluationTask(source, tree, base),
            compared,
            folder,
            run,
            load,
            begins=lambda setting: err.print(
                f"prompt {setting.name}", highlight=False, markup=False
            ),
            progress=lambda done, of: bar.show("classifying", done, of, f"{done:,} rows"),
        )
    if as_json:
        out.print_json(json.dumps(found.to_dict()))
        return
    _show_comparison(found)


def _item_of(
    config: CascadeConfig, file: str, row: int, encoding: str | None, sheet: str | None
) -> tuple[Item, Any]:
    """The item of a row of a file, and the columns that were read."""
    from itertools import islice

    from cascade.errors import InputError
    from cascade.io import require_columns
    from cascade.io.tables.opening import TableFile
    from cascade.items import Item
    from cascade.pipeline.runs.columns import RowReader, guessed_columns

    with TableFile(file, None, encoding, sheet).open() as table:
        columns = guessed_columns(table, config.columns, config.reads)
        require_columns(table, columns.text)
        found = list(islice(table.rows, row - 1, row))
        if not found:
            raise InputError(
                f"has no row {row}; --row counts from 1, without the header", file=file
            )
        (item,) = RowReader.of(columns, config).items(table, found)
    if not isinstance(item, Item):
        raise InputError(item.message, file=file, line=found[0].line)
    return item, columns


def _show_prompt(prompt: Prompt) -> None:
    from rich.panel import Panel
    from rich.text import Text

    if prompt.shared:
        out.print(Panel(Text(prompt.shared), title="same for all items", title_align="left"))
    for message in prompt.messages:
        out.print(Panel(Text(message.content), title=message.role, title_align="left"))
    out.print(Panel(Text(prompt.start), title="the answer continues", title_align="left"))


def _show_trial(trial: Trial) -> None:
    from dataclasses import replace

    from rich.table import Table
    from rich.text import Text

    shared = ""
    for question in trial.questions:
        prompt = question.prompt
        known = prompt.shared == shared  # it was shown above
        _show_prompt(replace(prompt, shared="") if known else prompt)
        shared = prompt.shared
        if question.failed:
            out.print(Text(f"failed: {question.failed}", "red"))
        if question.written is not None:
            out.print(Text(f"written: {question.written!r}", "bold"))
        scored = [answer for answer in question.answers if answer.score is not None]
        if not scored:
            continue
        prior = any(answer.without_item is not None for answer in scored)
        headings = ["answer", "log p", *(["without the item", "gain"] if prior else [])]
        table = Table(*headings, box=None, pad_edge=False)
        for answer in scored[:ANSWERS_SHOWN]:
            numbers = [answer.score, *([answer.without_item, answer.gain] if prior else [])]
            cells = ["" if number is None else f"{number:.3f}" for number in numbers]
            table.add_row(Text(repr(answer.text)), *cells)
        out.print(table)
        if (more := len(scored) - ANSWERS_SHOWN) > 0:
            out.print(f"and {more:,} more answers", highlight=False)
    if not trial.questions:
        err.print("the model was asked nothing about this item", style="yellow")
    prediction = trial.prediction
    final = f"{prediction.path or prediction.message} ({prediction.confidence:.0%})"
    out.print(Text.assemble("answer  ", (final, "bold")))
    err.print(f"{trial.prompts:,} prompts, {trial.tokens:,} tokens", highlight=False)


def _show_comparison(found: PromptComparison) -> None:
    from rich.text import Text

    from cascade.cli.metrics_tables import show_rows

    show_rows(*found.table())
    examples = found.examples(EXAMPLES_SHOWN)
    count = len(found.comparison.differing)
    if examples:
        out.print(Text(f"\n{count:,} rows are answered differently", "bold"))
    for example in examples:
        out.print(Text(f"line {example.line}: {example.text[:160]}"))
        out.print(Text(f"  label: {example.gold}", "dim"))
        for setting, path, right in zip(
            found.settings, example.answers, example.right, strict=True
        ):
            style = "green" if right else ""
            out.print(Text(f"  {setting.name}: {path or 'nothing'}", style))
    err.print(f"report  {found.page}", highlight=False, markup=False, soft_wrap=True)
