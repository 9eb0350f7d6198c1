"""`cascade runs`: what was measured, fitted and fine-tuned, found again and compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli import options
from cascade.cli.console import err, out

if TYPE_CHECKING:
    from cascade.tracking.run_catalogue import RunEntry

EXAMPLES = """
[bold]Examples[/]

  cascade runs list
  cascade runs list runs/sweep --kind adapter
  cascade runs show runs/sweep/lora.rank=8
  cascade runs compare runs/a runs/b
  cascade runs best runs --by hf1_micro
"""
SPARKS = "▁▂▃▄▅▆▇█"
WIDE = 60  # columns of a curve
FIGURES = 24  # that are shown of a run

app = typer.Typer(
    help="List, show and compare what was measured, fitted and fine-tuned.", no_args_is_help=True
)

FolderArgument = Annotated[
    str, typer.Argument(metavar="[FOLDER]", help="A folder of runs, or of folders of them.")
]
ByOption = Annotated[
    str | None,
    typer.Option("--by", metavar="FIGURE", help="A figure; by default the main one of each kind."),
]


@app.command("list", epilog=EXAMPLES)
def list_(
    folder: FolderArgument = "runs",
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="eval, pack, adapter, retriever, ... alone."),
    ] = None,
    by: ByOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """List the runs below a folder, also those that are not finished, or broken, with why."""
    from rich.text import Text

    from cascade.errors import UsageError, did_you_mean
    from cascade.tracking.run_catalogue import find_runs, value_of

    every = find_runs(Path(folder))
    kinds = sorted({run.kind for run in every})
    if kind is not None and every and kind not in kinds:
        guess = did_you_mean(kind, kinds)
        raise UsageError(f"--kind {kind}: no run is of it{guess}; there are {', '.join(kinds)}")
    runs = [run for run in every if kind in (None, run.kind)]
    if as_json:
        out.print_json(json.dumps([_plain(run) for run in runs]))
        return
    if not runs:
        err.print(f"no runs in {folder}", highlight=False, markup=False)
        return
    table = _table("run", "kind", "begun", "data", "figure")
    for run in runs:
        figure = Text(_headline(run) if by is None else _number(value_of(run, by), by))
        if run.status != "finished":
            figure = Text(run.status, "yellow" if run.status == "unfinished" else "red")
        begun = (run.started or "")[:16].replace("T", " ")
        table.add_row(Text(_name(run, folder)), run.kind, begun, Text(run.data), figure)
    out.print(table)
    for run in runs:
        if run.problem:
            err.print(Text(f"broken: {run.problem}", "red"), soft_wrap=True)


@app.command("show", epilog=EXAMPLES)
def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run.")],
    as_json: options.JsonOption = False,
) -> None:
    """Show where a run came from, its figures and its curves."""
    from rich.text import Text

    from cascade.errors import InputError
    from cascade.tracking.run_catalogue import read_run

    found = read_run(Path(run))
    if as_json:
        out.print_json(json.dumps({**_plain(found), "curves": found.curves}))
        return
    if found.problem:
        raise InputError(found.problem)
    table = _table()
    for heading, value in _facts(found).items():
        if value:
            table.add_row(heading, Text(str(value), overflow="fold"))
    out.print(table)
    _show_curves(found)
    figures = _table("figure", "value")
    for name, value in list(found.figures.items())[:FIGURES]:
        figures.add_row(name, _number(value, name))
    if found.figures:
        out.print(figures)
    if (more := len(found.figures) - FIGURES) > 0:
        err.print(f"{more:,} more figures are in {found.path}/metrics.json", highlight=False)


@app.command("compare", epilog=EXAMPLES)
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Folders of runs.")],
    as_json: options.JsonOption = False,
) -> None:
    """Put runs side by side: the settings in which they differ, and their figures."""
    from rich.text import Text

    from cascade.errors import InputError, UsageError
    from cascade.tracking.run_catalogue import differing_settings, read_run

    if len(runs) < 2:
        raise UsageError(f"found {len(runs)} run; give two or more to compare")
    found = [read_run(Path(path)) for path in runs]
    for each in found:
        if each.problem:
            raise InputError(each.problem)
    settings = differing_settings(found)
    names = list(dict.fromkeys(name for run in found for name in run.figures))
    if as_json:
        plain = [_plain(run) for run in found]
        out.print_json(json.dumps({"runs": plain, "differing_settings": settings}, default=str))
        return
    table = _table("", *(str(run.path) for run in found))
    for heading in ("kind", "status", "data", "taxonomy", "seed"):
        values = [str(getattr(run, heading) or "") for run in found]
        table.add_row(heading, *map(Text, values))
    for key, cells in settings.items():
        table.add_row(Text(key, "cyan"), *(Text("" if c is None else str(c)) for c in cells))
    for name in names[:FIGURES]:
        table.add_row(name, *(_number(run.figures.get(name), name) for run in found))
    out.print(table)
    if len({run.data_sha256 or run.data for run in found}) > 1:
        err.print(
            "their data are not the same, so their figures cannot be compared", style="yellow"
        )
    elif all(run.kind == "eval" for run in found):
        err.print(
            f"paired intervals: cascade compare {' '.join(runs)}", highlight=False, markup=False
        )


@app.command("best", epilog=EXAMPLES)
def best(
    folder: FolderArgument = "runs",
    by: ByOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show the best run of each kind, data and taxonomy; only such can be compared."""
    from rich.text import Text

    from cascade.tracking.run_catalogue import best_of, find_runs

    groups = best_of(find_runs(Path(folder)), by)
    if as_json:
        plain = [
            {"figure": name, "best": _plain(runs[0]), "of": len(runs)} for name, runs in groups
        ]
        out.print_json(json.dumps(plain))
        return
    if not groups:
        err.print(f"no finished runs with figures in {folder}", highlight=False, markup=False)
        return
    table = _table("run", "kind", "data", "figure", "best of", "next")
    for name, members in groups:
        first, *others = members
        following = _number(others[0].figures[name], name) if others else ""
        value = f"{name} {_number(first.figures[name], name)}"
        shown = (Text(str(first.path)), first.kind, Text(first.data), value)
        table.add_row(*shown, f"{len(members):,}", following)
    out.print(table)


def _table(*headings: str) -> Any:
    from rich.table import Table

    return Table(*headings, box=None, pad_edge=False, show_header=bool(headings))


def _plain(run: RunEntry) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(run.to_dict(), default=str))
    return plain


def _name(run: RunEntry, folder: str) -> str:
    shown = run.path.relative_to(folder)
    return str(run.path) if str(shown) == "." else str(shown)


def _headline(run: RunEntry) -> str:
    if run.headline is None:
        return ""
    name, value = run.headline
    return f"{name} {_number(value, name)}"


def _number(value: float | None, name: str) -> str:
    if value is None:
        return ""
    whole = value == int(value) and abs(value) >= 2
    return f"{value:,.0f}" if whole else f"{value:,.4f}"


def _facts(run: RunEntry) -> dict[str, Any]:
    told = run.manifest
    git, machine = told.get("git") or {}, told.get("machine") or {}
    changed = ", with changes" if git.get("changed") else ""
    return {
        "run": run.path,
        "kind": run.kind,
        "status": run.status,
        "command": run.command,
        "begun": run.started,
        "finished": run.finished,
        "data": f"{run.data} ({run.data_sha256[:12]})" if run.data_sha256 else run.data,
        "taxonomy": run.taxonomy,
        "seed": "" if run.seed is None else f"{run.seed}",
        "git": f"{git['commit'][:12]}{changed}" if git.get("commit") else "",
        "versions": ", ".join(f"{k} {v}" for k, v in (told.get("versions") or {}).items()),
        "machine": ", ".join(
            f"{value} cores" if name == "cores" else str(value)
            for name, value in machine.items()
            if value
        ),
    }


def _show_curves(run: RunEntry) -> None:
    from cascade.tracking.curves import PART, STEP, TIME, series

    lines = run.curves
    table = _table()
    for part in dict.fromkeys(str(line.get(PART, "")) for line in lines):
        own = [line for line in lines if str(line.get(PART, "")) == part]
        names = dict.fromkeys(name for line in own for name in line)
        for name in names:
            if name in (STEP, PART, TIME, "learning_rate"):
                continue
            values = series(own, name)[1]
            shown = f"{part}: {name}" if part else name
            if values:
                table.add_row(shown, _spark(values), f"{values[0]:.4g} to {values[-1]:.4g}")
    if table.rows:
        out.print(table)


def _spark(values: Sequence[float]) -> str:
    """A curve as blocks, each the mean of a stretch."""
    many = min(WIDE, len(values))
    ends = [round(at * len(values) / many) for at in range(many + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(ends)]
    low, high = min(means), max(means)
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0
    return "".join(SPARKS[round((mean - low) * scale)] for mean in means)
