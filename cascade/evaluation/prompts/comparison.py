"""Prompts side by side: each a run over the same rows, compared in pairs with the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cascade.errors import OutputError, UsageError, unwritable
from cascade.evaluation.comparison import Comparison, Run, compare
from cascade.evaluation.evaluate import RunOptions, evaluate
from cascade.evaluation.evaluation_task import EvaluationTask
from cascade.evaluation.metrics.bootstrap import Interval
from cascade.evaluation.prompts.setting import PromptSetting
from cascade.evaluation.report.comparison_report import ComparisonFolder, differing_rows
from cascade.evaluation.report.run_report import costs_of
from cascade.evaluation.run_folder import RunFolder
from cascade.io.files import write_json, write_text
from cascade.pipeline.classifier import Classifier

SHOWN = ("hf1_micro", "exact_match")
EXAMPLES = 12  # of differing rows, in prompts.md
TABLE, FIGURES, COMPARED = "prompts.md", "prompts.json", "comparison"

Load = Callable[[EvaluationTask], Classifier]


@dataclass(frozen=True)
class PromptExample:
    """A row that prompts answer differently.

    Parameters
    ----------
    gold, answers
        Paths; empty where there is none.
    right
        Whether each answer is.
    """

    line: int
    text: str
    gold: str
    answers: Sequence[str]
    right: Sequence[bool]


@dataclass(frozen=True)
class PromptComparison:
    """What was found of each prompt, the first being that which others are compared with."""

    settings: Sequence[PromptSetting]
    comparison: Comparison
    folder: Path

    @property
    def page(self) -> Path:
        """The HTML page."""
        return ComparisonFolder(self.folder / COMPARED).report

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Heading and a row for each prompt."""
        compared, first = self.comparison, self.settings[0].name
        heading = ["prompt"]
        for metric in SHOWN:
            heading += [f"{metric} (95%)", f"less {first} (95%)"]
        heading += ["McNemar p", "prompts a row", "tokens a row", "seconds a row"]
        rows = []
        for at, (setting, run) in enumerate(zip(self.settings, compared.runs, strict=True)):
            cells = [setting.name]
            against = compared.against[at - 1] if at else None
            for metric in SHOWN:
                cells.append(_interval(compared.figures[at].get(metric)))
                other = None if against is None else against.difference.get(metric)
                cells.append(_interval(other, "+"))
            p_value = "" if against is None else f"{against.mcnemar['exact_match'].p_value:.2g}"
            costs = costs_of(run.metrics)
            names = ("Prompts a row", "Tokens a row", "Seconds a row")
            rows.append([*cells, p_value, *(costs.get(name, "") for name in names)])
        return heading, rows

    def examples(self, most: int = EXAMPLES) -> list[PromptExample]:
        """Rows that are answered differently, those first on which not all are right or wrong."""
        tree = self.comparison.runs[0].predictions.taxonomy
        return [
            PromptExample(
                row.line,
                " ".join(row.text.split()),
                tree.path(row.gold),
                [tree.path(each.node) if each.node >= 0 else "" for each in row.predictions],
                [each.right for each in row.predictions],
            )
            for row in differing_rows(self.comparison, most)
        ]

    def to_dict(self) -> dict[str, Any]:
        """The contents of `prompts.json`."""
        prompts = [
            {
                "name": setting.name,
                "prompt": setting.value,
                "method": setting.method,
                "setting": setting.key,
                "asked": run.metrics.get("asked"),
                "time": run.metrics["time"],
            }
            for setting, run in zip(self.settings, self.comparison.runs, strict=True)
        ]
        return {"prompts": prompts, **self.comparison.to_dict()}

    def markdown(self, command: str) -> str:
        """The table and examples as a page."""
        heading, rows = self.table()
        examples = self.examples()
        names = [setting.name for setting in self.settings]
        parts = [
            "# Prompts compared",
            f"{self.comparison.rows.shape[1]:,} rows; differences are resampled in pairs. An "
            "interval that contains 0 may be chance.",
            _table(heading, rows),
        ]
        if examples:
            marked = [
                [
                    f"{row.line}",
                    row.text[:200],
                    row.gold,
                    *(
                        f"{path or 'nothing'}{' (right)' if right else ''}"
                        for path, right in zip(row.answers, row.right, strict=True)
                    ),
                ]
                for row in examples
            ]
            parts += [
                f"## Rows answered differently: {len(self.comparison.differing):,}",
                _table(["line", "item", "label", *names], marked),
                f"All of them are in `{COMPARED}/differences.csv`.",
            ]
        if command:
            parts.append(f"Made by:\n\n```sh\n{command}\n```")
        return "\n\n".join(parts) + "\n"


def compare_prompts(
    task: EvaluationTask,
    settings: Sequence[PromptSetting],
    folder: Path,
    options: RunOptions,
    load: Load,
    *,
    begins: Callable[[PromptSetting], None] = lambda _: None,
    progress: Callable[[int, int], None] | None = None,
) -> PromptComparison:
    """Answer the same rows by each prompt, and write the comparison into a folder.

    Each prompt has a run in a folder of its name, which goes on where it stopped when resumed.

    Parameters
    ----------
    load
        Makes the classifier of a task.
    begins
        Called with each prompt whose turn it is.

    Raises
    ------
    UsageError
        There are fewer than two prompts.
    InputError, OutputError
        As for `evaluate`.
    """
    if len(settings) < 2:
        raise UsageError(f"found {len(settings)} prompt; give two or more to compare")
    _check_folder(folder, settings, options)
    runs = []
    for setting in settings:
        begins(setting)
        own = replace(task, config=setting.config(task.config))
        run = RunFolder(folder / setting.name)
        known = replace(options, resume=options.resume and run.manifest.is_file())
        evaluate(own, run, lambda own=own: load(own), known, progress=progress)  # type: ignore[misc]
        runs.append(Run.read(run.path))
    found = PromptComparison(
        settings, compare(runs, resamples=options.resamples, seed=options.seed), folder
    )
    ComparisonFolder(folder / COMPARED).write(found.comparison)
    write_json(folder / FIGURES, found.to_dict())
    write_text(folder / TABLE, found.markdown(options.command))
    return found


def _check_folder(folder: Path, settings: Sequence[PromptSetting], options: RunOptions) -> None:
    if any(setting.name == COMPARED for setting in settings):
        raise UsageError(f"a prompt called {COMPARED} is in the way of the result; rename its file")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder with --out")
    try:
        there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise unwritable(folder, error) from None
    ours = {TABLE, FIGURES, COMPARED}
    strange = [n for n in there if n not in ours and not (folder / n / "manifest.json").is_file()]
    if strange:
        raise OutputError(f"{folder} holds something else ({strange[0]}); name another --out")
    if there and not (options.resume or options.overwrite):
        raise OutputError(
            f"{folder} holds a comparison; go on with --resume, begin again with --overwrite, or "
            "name another --out"
        )


def _interval(interval: Interval | None, sign: str = "") -> str:
    if interval is None or interval.value != interval.value:
        return ""
    value, low, high = interval.value, interval.low, interval.high
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
