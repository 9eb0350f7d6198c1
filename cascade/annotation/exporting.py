"""Rows of a file as tasks for an annotation tool, with the answers of cascade as suggestions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from cascade.annotation import argilla
from cascade.annotation.label_studio import OF_TASKS, Choices, labelling_config, task_value
from cascade.annotation.tasks import Task, safe_names, tasks_of
from cascade.errors import OutputError, UsageError, unwritable
from cascade.io import Table, open_table, require_columns
from cascade.io.files import write_json, write_text
from cascade.pipeline.runs.answer_form import is_answer_column
from cascade.pipeline.runs.columns import guess_text_columns
from cascade.pipeline.runs.written_answers import WrittenAnswers
from cascade.taxonomy import Taxonomy

TOOLS = ("label-studio", "argilla")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Parameters
    ----------
    files
        Relative to the folder.
    suggested
        Rows with a suggestion.
    unreadable
        Rows that could not be read, by line: the reason.
    unknown
        Answers without a node of the taxonomy, by line: their code. They are no suggestions.
    """

    rows: int
    suggested: int
    files: list[str]
    unreadable: dict[int, str]
    unknown: dict[int, str]


def export_tasks(
    file: str | Path,
    taxonomy: Taxonomy,
    folder: str | Path,
    *,
    tool: str = "label-studio",
    text: Sequence[str] | None = None,
    image: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Exported:
    """Write the rows of a file for an annotation tool, as files that it imports.

    Parameters
    ----------
    file
        Rows, classified or not: CSV, TSV, JSON lines, Parquet, Excel.
    tool
        `label-studio`: `config.xml` and `tasks.json`. `argilla`: a folder for
        `argilla.Dataset.from_disk`.
    text
        The columns that annotators see; guessed if None.
    image
        Column with addresses of pictures that the tool can open, for Label Studio.
    progress
        Called with the rows done.

    Raises
    ------
    UsageError, InputError, OutputError
        There is no such tool or column, the file cannot be read, or the folder is in use.
    """
    if tool not in TOOLS:
        raise UsageError(f"no annotation tool {tool!r:.40}; known are {', '.join(TOOLS)}")
    if image is not None and tool == "argilla":
        raise UsageError("pictures go to label-studio alone; leave the column of pictures out")
    target = Path(folder)
    if target.exists() and (not target.is_dir() or (any(target.iterdir()) and not overwrite)):
        raise OutputError(f"{target}: exists; choose another folder, or --overwrite")
    with open_table(file, encoding=encoding, sheet=sheet) as table:
        shown = list(text) if text else _guessed(table, image)
        require_columns(table, [*shown, *([image] if image else [])])
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(target, error) from None
        write = _to_argilla if tool == "argilla" else _to_label_studio
        return write(table, taxonomy, target, shown, image, progress)


def _guessed(table: Table, image: str | None) -> list[str]:
    answers = [column for column in table.columns if is_answer_column(column)]
    return guess_text_columns(table, [*answers, image])


def _to_label_studio(
    table: Table,
    taxonomy: Taxonomy,
    folder: Path,
    shown: Sequence[str],
    image: str | None,
    progress: Callable[[int], None] | None,
) -> Exported:
    choices = Choices(taxonomy)
    names = safe_names(WrittenAnswers(table).own_columns, taken=OF_TASKS)
    texts = {column: names[column] for column in shown}
    picture = None if image is None else names[image]
    write_text(folder / "config.xml", labelling_config(taxonomy, texts, picture))
    about = next(iter(texts.values()))

    def value(task: Task) -> dict[str, Any]:
        return task_value(task, choices, names, about)

    return _written(table, taxonomy, folder, "tasks.json", value, ["config.xml"], progress)


def _to_argilla(
    table: Table,
    taxonomy: Taxonomy,
    folder: Path,
    shown: Sequence[str],
    image: str | None,
    progress: Callable[[int], None] | None,
) -> Exported:
    texts = safe_names(shown)
    about = folder / ".argilla"
    about.mkdir(exist_ok=True)
    name = next(iter(safe_names([Path(table.name).stem]).values()))
    write_json(about / "dataset.json", argilla.dataset_value(name))
    write_json(about / "settings.json", argilla.settings_value(taxonomy, texts))

    def value(task: Task) -> dict[str, Any]:
        return argilla.record_value(task, taxonomy, texts)

    more = [".argilla/dataset.json", ".argilla/settings.json"]
    return _written(table, taxonomy, folder, "records.json", value, more, progress)


def _written(
    table: Table,
    taxonomy: Taxonomy,
    folder: Path,
    name: str,
    value: Callable[[Task], dict[str, Any]],
    more: list[str],
    progress: Callable[[int], None] | None,
) -> Exported:
    """Write the tasks as one JSON array, row by row, under its name when it is whole."""
    rows = suggested = 0
    unreadable: dict[int, str] = {}
    unknown: dict[int, str] = {}
    partial = folder / f".{name}.partial"
    try:
        with partial.open("w", encoding="utf-8") as file:
            for task in _listed(tasks_of(table, taxonomy), file, value):
                if task.problem is not None:
                    unreadable[task.line] = task.problem
                    continue
                rows += 1
                suggested += task.suggestion is not None
                if task.unknown is not None:
                    unknown[task.line] = task.unknown
                if progress is not None:
                    progress(rows)
        partial.replace(folder / name)
    except OSError as error:
        raise unwritable(folder / name, error) from None
    finally:
        partial.unlink(missing_ok=True)
    return Exported(rows, suggested, [*more, name], unreadable, unknown)


def _listed(
    tasks: Iterator[Task], file: TextIO, value: Callable[[Task], dict[str, Any]]
) -> Iterator[Task]:
    """Write each good task as an element of an array, and give all of them on."""
    between = "["
    for task in tasks:
        if task.problem is None:
            file.write(between + "\n" + json.dumps(value(task), ensure_ascii=False))
            between = ","
        yield task
    file.write("[]\n" if between == "[" else "\n]\n")
