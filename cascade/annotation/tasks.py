"""What a person is asked: a row with its texts, and the node that was suggested for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cascade.io import Table
from cascade.pipeline.runs.written_answers import WrittenAnswers
from cascade.taxonomy import Taxonomy

LABEL = "label"
"""What the question is called in both tools."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The node that was suggested, by index, and how sure that was; None where it is not known."""

    node: int
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Task:
    """One row that is to be labelled.

    Parameters
    ----------
    line
        Where it stands in its file.
    cells
        Its columns without answers, as texts.
    problem
        Why it cannot be read; None for a good row.
    unknown
        The code of its answer, where the taxonomy has no such node.
    """

    line: int
    cells: dict[str, str]
    suggestion: Suggestion | None
    problem: str | None = None
    unknown: str | None = None


def tasks_of(table: Table, taxonomy: Taxonomy) -> Iterator[Task]:
    """The rows of a table; answers of `cascade classify` in it become suggestions.

    Answers above a leaf, or with the status `review`, are suggestions too; rows that fit nowhere
    have none, and neither have those whose code is no node of the taxonomy.
    """
    answers = WrittenAnswers(table)
    columns = answers.own_columns
    for row in table.rows:
        cells = table.texts(row, columns)
        problem = table.problem(row, columns)
        code = "" if answers.text(row, "status") == "nowhere" else answers.text(row, "code")
        node = taxonomy.find(code) if code else None
        suggestion = None if node is None else Suggestion(node, answers.probability(row))
        unknown = code if code and node is None else None
        yield Task(row.line, cells, suggestion, problem, unknown)


def safe_names(columns: Sequence[str], taken: Sequence[str] = ()) -> dict[str, str]:
    """Each column by a name of small letters, digits and `_`, as both tools want; none twice."""
    found: dict[str, str] = {}
    used = set(taken)
    for column in columns:
        stem = re.sub(r"[^a-z0-9_]+", "_", column.lower()).strip("_") or "column"
        name, at = stem, 2
        while name in used:
            name, at = f"{stem}_{at}", at + 1
        used.add(name)
        found[column] = name
    return found
