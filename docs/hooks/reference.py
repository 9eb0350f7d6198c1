"""Pages of the reference that are made from the code: commands, config, recipes, metrics.

MkDocs runs `on_files`; each function below returns one page as Markdown.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.models import ArgumentInfo

MARKUP = re.compile(r"\[/?(?:bold|dim|italic|red|green|yellow)?\]")  # of Rich, in help texts


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {
        "commands": commands_page,
        "config": config_page,
        "recipes": recipes_page,
        "metrics": metrics_page,
    }
    for name, page in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=page()))
    return files


def commands_page() -> str:
    """Every command with its arguments, options and examples, as Typer knows them."""
    from cascade.cli.app import app_of

    parts = ["# Commands", "Made from the command line itself; `cascade COMMAND --help` shows it."]
    for name, command in _commands("cascade", app_of()):
        parameters = [_Parameter(p) for p in _signature(command.callback).parameters.values()]
        usage = " ".join([name, "[OPTIONS]", *(p.usage for p in parameters if p.is_argument)])
        parts += [f"## `{name}`", _flat(command.help or inspect.getdoc(command.callback) or "")]
        parts.append(f"```text\n{usage}\n```")
        rows = [
            f"| {p.shown} | {_cell(MARKUP.sub('', p.info.help or ''))}{p.default} |"
            for p in parameters
        ]
        parts.append("\n".join(["| option | meaning |", "| --- | --- |", *rows]))
        examples = [line[2:] for line in (command.epilog or "").splitlines() if line[:2] == "  "]
        if examples:
            parts.append("\n".join(["Examples:", "", "```sh", *examples, "```"]))
    return "\n\n".join(parts) + "\n"


def config_page() -> str:
    """Every field of a cascade.yaml, as pydantic knows it."""
    from cascade.config import CascadeConfig

    intro = (
        "# Settings\n\nEvery field of a `cascade.yaml`. Name the file with `-c`; change one field "
        "from the command line with `--set retrieval.candidates=20`, in Python with "
        '`cascade.load("store", retrieval={"candidates": 20})`. Paths are relative to the file.'
    )
    return intro + "\n\n" + _model("", CascadeConfig) + "\n"


def recipes_page() -> str:
    """Every field of the recipes of `cascade fit`, `cascade finetune`, and of suites."""
    from cascade.evaluation.suite import Suite
    from cascade.training.adapters.recipe import AdapterRecipe
    from cascade.training.agents.recipe import AgentRecipe
    from cascade.training.choosers.recipe import ChooserRecipe
    from cascade.training.encoders.recipe import EncoderRecipe
    from cascade.training.foodex2.tasks_recipe import FoodTasksRecipe
    from cascade.training.packs.recipe import Recipe
    from cascade.training.rankers.recipe import RankerRecipe
    from cascade.training.readers.recipe import ReaderRecipe

    parts = [
        "# Recipes and suites",
        "A recipe is a YAML file that names only what it changes. The recipes that ship are in "
        "`finetune/`, with each field commented.",
    ]
    for title, model in (
        ("`cascade fit --recipe`", Recipe),
        ("`cascade finetune`: an adapter", AdapterRecipe),
        ("`cascade finetune`: a choice from lists", ChooserRecipe),
        ("`cascade finetune`: walks of the agent", AgentRecipe),
        ("`cascade finetune`: the tasks of FoodEx2", FoodTasksRecipe),
        ("`cascade finetune`: a retriever or reranker", RankerRecipe),
        ("`cascade finetune`: an encoder for many taxonomies", EncoderRecipe),
        ("`cascade finetune`: a reader for many taxonomies", ReaderRecipe),
        ("`cascade eval --suite`", Suite),
    ):
        parts += [f"## {title}", _flat(inspect.getdoc(model) or ""), _model("", model, level=3)]
    return "\n\n".join(parts) + "\n"


def metrics_page() -> str:
    """Every metric of metrics.json, by the docstring of the function that computes it."""
    import cascade.evaluation.metrics as package

    modules = [
        importlib.import_module(f"{package.__name__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    ]
    parts = [
        "# Metrics",
        "The names are those of `metrics.json`; a name tells its averaging. `N` stands for a level "
        "(1 is the top) or for a number of ranks or per cent. Every figure has a 95% interval "
        "from a bootstrap over rows.",
    ]
    shown = set[str]()
    for name in _metric_names():
        base = re.sub(r"_(l|)\d+(_lenient|)$", r"_\1N\2", name)
        function = re.sub(r"_l?N(_lenient|)$", r"\1", base)
        found = next((getattr(m, function) for m in modules if hasattr(m, function)), None)
        if base not in shown and found is not None:
            shown.add(base)
            text = (
                (inspect.getdoc(found) or "").partition("\n\nParameters")[0].replace("{level}", "N")
            )
            parts += [f"## `{base}`", re.sub(r"(\|[PG&A-Z ]+\|)", r"`\1`", text)]
    parts += ["## Figures of rankings", "For retrievers and rerankers (`cascade finetune`)."]
    meanings = next(m.MEANINGS for m in modules if hasattr(m, "MEANINGS"))
    rows = [f"| `{name}` | {_cell(meaning)} |" for name, meaning in meanings.items()]
    parts.append("\n".join(["| figure | meaning |", "| --- | --- |", *rows]))
    return "\n\n".join([*parts, *_code_figures()]) + "\n"


def _code_figures() -> list[str]:
    """Figures of FoodEx2 codes, and what each stage ranks."""
    from cascade.evaluation.foodex2 import code_figures, stages

    told = "Of FoodEx2 codes, under `codes` in `metrics.json`; each stage is ranked by itself."
    rows = [f"| `{name}` | {_cell(what)} |" for name, what in code_figures.MEANINGS.items()]
    rows += [f"| ranking of {name} | {_cell(what)} |" for name, what in stages.MEANINGS.items()]
    table = "\n".join(["| figure | meaning |", "| --- | --- |", *rows])
    return ["## Figures of codes", told, table]


def _metric_names() -> list[str]:
    """The names of all metrics: those that two answers allow, and that with other rows."""
    from cascade import Taxonomy
    from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
    from cascade.evaluation.metrics.metrics_table import all_metrics

    taxonomy = Taxonomy.from_paths(["A > B", "A > C"])
    answers = GoldAndPredicted.of(
        taxonomy,
        [1, 2],
        [1, 1],
        confidence=[0.9, 0.5],
        also=[[2], []],
        reviewed=[False, True],
        facets=[(1, 1, 1), (0, 1, 1)],
        sets=[[1], [0]],
    )
    names = list(all_metrics(answers))
    names.insert(names.index("exact_match") + 1, "exact_match_with_nowhere")
    return names


def _commands(name: str, app: typer.Typer) -> Iterator[tuple[str, Any]]:
    """What is registered with an app and the groups below it, with full names."""
    for command in app.registered_commands:
        yield f"{name} {command.name or command.callback.__name__}", command
    for group in app.registered_groups:
        yield from _commands(f"{name} {group.name}", group.typer_instance)


def _signature(function: Any) -> inspect.Signature:
    return inspect.signature(function, eval_str=True)


class _Parameter:
    """An argument or option of a command: the parameter of its function, annotated for Typer."""

    def __init__(self, parameter: inspect.Parameter) -> None:
        annotation, self.info = get_args(parameter.annotation)
        kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
        self._kind = next((kind for kind in kinds if kind is not type(None)), str)
        self._inner = (*get_args(self._kind), self._kind)[0]
        self._default = parameter.default
        self._name = parameter.name
        self.is_argument = isinstance(self.info, ArgumentInfo)
        # In Annotated[...], Typer keeps the first switch where else the default stands.
        self._switches = (self.info.default, *(self.info.param_decls or ()))

    @property
    def usage(self) -> str:
        shown = self.info.metavar or self._name.upper()
        return shown if self._default is inspect.Parameter.empty else f"[{shown}]"

    @property
    def shown(self) -> str:
        if self.is_argument:
            return f"`{self.usage}`"
        switches = ", ".join(f"`{switch}`" for switch in self._switches)
        if issubclass(self._inner, Enum):
            value = " or ".join(f"`{choice.value}`" for choice in self._inner)
            return f"{switches} {value}"
        if self._inner is bool:
            return switches
        return f"{switches} `{self.info.metavar or self._inner.__name__.upper()}`"

    @property
    def default(self) -> str:
        if self._default is inspect.Parameter.empty:
            return "" if self.is_argument else " Required."
        if self._default in (None, False, ""):
            return ""
        return f" Default: `{getattr(self._default, 'value', self._default)}`."


def _model(prefix: str, model: type[BaseModel], level: int = 2) -> str:
    """The fields of a model as a table, then each of its sections under a heading."""
    rows, sections = [], []
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        section = _section(field)
        if section is not None:
            about = " ".join(
                filter(None, [field.description, _flat(inspect.getdoc(section) or "")])
            )
            below = _model(f"{key}.{'NAME.' if _is_mapping(field) else ''}", section, level)
            sections.append(f"{'#' * level} `{key}`\n\n{about}\n\n{below}")
        else:
            rows.append(
                f"| `{key}` | {_type(field)} | {_value(field)} | {_cell(field.description or '')} |"
            )
    table = ["| field | type | default | meaning |", "| --- | --- | --- | --- |", *rows]
    return "\n\n".join(["\n".join(table)] * bool(rows) + sections)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that has fields of its own, also where it may be null or of a name."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _is_mapping(field: FieldInfo) -> bool:
    return getattr(field.annotation, "__origin__", None) is dict


def _type(field: FieldInfo) -> str:
    annotation = field.annotation
    shown = str(annotation) if get_args(annotation) else getattr(annotation, "__name__", "")
    shown = re.sub(r"typing\.|cascade[\w.]*\.", "", shown.replace("None", "null"))
    shown = re.sub(r"Literal\[([^\]]*)\]", lambda of: of[1].replace(", ", " | "), shown)
    limits = [
        f"{sign} {getattr(limit, name):g}"
        for limit in field.metadata
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if hasattr(limit, name)
    ]
    return f"`{_cell(shown)}`" + (f" {', '.join(limits)}" if limits else "")


def _value(field: FieldInfo) -> str:
    """The default as YAML has it."""
    if field.is_required():
        return "required"
    return f"`{_cell(json.dumps(field.get_default(call_default_factory=True)))}`"


def _cell(text: str) -> str:
    return _flat(text).replace("|", "\\|").replace("<", "&lt;")


def _flat(text: str) -> str:
    return " ".join(text.split())
