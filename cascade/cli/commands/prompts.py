"""`cascade prompts`: list, show and render prompt templates."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cascade.cli import options
from cascade.cli.console import out

EXAMPLES = """
[bold]Examples[/]

  cascade prompts list
  cascade prompts show file-under
  cascade prompts render file-under -t store "straw panama hat"
  cascade prompts render file-under -t store "straw panama hat" --type hat --at Clothing
"""

app = typer.Typer(help="List, show and render prompt templates.", no_args_is_help=True)


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
    from rich.panel import Panel
    from rich.text import Text

    from cascade.errors import UsageError
    from cascade.generation.prompts import PromptTemplate
    from cascade.pipeline.load import load_taxonomy
    from cascade.scoring.item_prompts import make_question

    tree = load_taxonomy(
        taxonomy or "store", encoding=taxonomy_encoding, scheme=scheme, sheet=taxonomy_sheet
    )
    parent = -1 if at is None else tree.node(at).index
    if not len(tree.children(parent)):
        raise UsageError(f"--at {at}: {tree.path(parent)} is a leaf; there is nothing to choose")
    question = make_question(
        PromptTemplate.load(name), tree, item, type_ or item, parent, tree.children(parent)
    )
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
    if prompt.shared:
        out.print(Panel(Text(prompt.shared), title="same for all items", title_align="left"))
    for message in prompt.messages:
        out.print(Panel(Text(message.content), title=message.role, title_align="left"))
    out.print(Panel(Text(prompt.start), title="the answer continues", title_align="left"))
    shown = [repr(answer + (prompt.end or "")) for answer in question.answers]
    out.print(f"{len(shown)} answers are allowed:", ", ".join(shown[:12]), soft_wrap=True)
