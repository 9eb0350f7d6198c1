"""Argilla: a dataset folder as its `Dataset.to_disk` writes it, and records with responses.

Its labels are a flat list, in which each node stands with its path, in the order of the tree.
Format: https://docs.argilla.io/latest/how_to_guides/import_export.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cascade.annotation.consensus import Decision, Labelled
from cascade.annotation.tasks import LABEL, Task
from cascade.taxonomy import Taxonomy
from cascade.version import __version__

MOST_LABELS = 500
"""Options of a question that a server allows, unless it is told otherwise."""
VISIBLE = 10  # options that are shown before a search


def dataset_value(name: str) -> dict[str, Any]:
    """What `.argilla/dataset.json` holds."""
    return {"name": name, "status": "draft", "allow_extra_metadata": True}


def settings_value(taxonomy: Taxonomy, texts: Mapping[str, str]) -> dict[str, Any]:
    """What `.argilla/settings.json` holds.

    Parameters
    ----------
    texts
        The columns that are shown, each with the name of its field.
    """
    options = [
        {"value": taxonomy.codes[node], "text": taxonomy.path(node)}
        for node in range(len(taxonomy))
    ]
    visible = min(VISIBLE, len(options)) if len(options) > 3 else None
    labels = {"type": "label_selection", "options": options, "visible_options": visible}
    text = {"type": "text", "use_markdown": False}
    return {
        "guidelines": "Choose the deepest node that is surely right.",
        "questions": [
            {"name": LABEL, "title": "Where does it belong?", "required": True, "settings": labels},
            {"name": "comment", "title": "Comment", "required": False, "settings": text},
        ],
        "fields": [
            {"name": name, "title": column, "required": at == 0, "settings": text}
            for at, (column, name) in enumerate(texts.items())
        ],
        "vectors": [],
        "metadata": [],
        "allow_extra_metadata": True,
    }


def record_value(task: Task, taxonomy: Taxonomy, names: Mapping[str, str]) -> dict[str, Any]:
    """A record with its suggestion, as `records.json` holds it."""
    suggestions = {}
    if (found := task.suggestion) is not None:
        suggestions[LABEL] = {
            "value": taxonomy.codes[found.node],
            "score": found.confidence,
            "agent": f"cascade {__version__}",
        }
    return {
        "id": str(task.line),
        "fields": {name: task.cells[column] for column, name in names.items()},
        "metadata": {"line": task.line},
        "suggestions": suggestions,
        "responses": {},
        "vectors": {},
    }


def is_records(values: Any) -> bool:
    """Whether values are records of Argilla."""
    return (
        isinstance(values, list)
        and all(isinstance(record, dict) for record in values)
        and any("fields" in record and "responses" in record for record in values)
    )


def titles(settings: Any) -> dict[str, str]:
    """The columns of a dataset by the names of its fields, as its settings tell."""
    fields = settings.get("fields") if isinstance(settings, Mapping) else None
    return {
        str(field["name"]): str(field.get("title") or field["name"])
        for field in fields or ()
        if isinstance(field, Mapping) and "name" in field
    }


def read_records(
    records: Sequence[Mapping[str, Any]], taxonomy: Taxonomy, columns: Mapping[str, str]
) -> Iterator[Labelled]:
    """What was decided about each record, in order; drafts and discarded responses do not count."""
    for record in records:
        fields = record.get("fields")
        cells = {
            columns.get(str(name), str(name)): "" if value is None else str(value)
            for name, value in (fields.items() if isinstance(fields, Mapping) else ())
        }
        responses = record.get("responses")
        given = responses.get(LABEL) if isinstance(responses, Mapping) else None
        yield Labelled(cells, list(_decisions(given or (), taxonomy)))


def _decisions(given: Sequence[Any], taxonomy: Taxonomy) -> Iterator[Decision]:
    for at, response in enumerate(given):
        if not isinstance(response, Mapping) or response.get("status") in ("draft", "discarded"):
            continue
        value = str(response.get("value"))
        yield Decision(str(response.get("user_id", at)), taxonomy.find(value), value, again=True)
