"""Label Studio: a labelling configuration with the taxonomy as nested choices, tasks, exports.

Formats: https://labelstud.io/tags/taxonomy and https://labelstud.io/guide/task_format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from cascade.annotation.consensus import Decision, Labelled
from cascade.annotation.tasks import LABEL, Task
from cascade.taxonomy import Taxonomy
from cascade.version import __version__

ABOUT = "cascade"  # key in the data of a task: its line, and what its columns are called
MODEL = f"cascade {__version__}"
OF_TASKS = (
    *(ABOUT, LABEL, "id", "annotator", "annotation_id"),
    *("lead_time", "created_at", "updated_at"),
)
"""Keys that JSON-MIN puts among those of the data."""


class Choices:
    """The nodes of a taxonomy by the names on their paths; siblings never have one name."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        parents = taxonomy.parent.tolist()
        self._found = {
            key: node for node, key in enumerate(zip(parents, taxonomy.names, strict=True))
        }

    def path(self, node: int) -> list[str]:
        """The names down to a node, top first."""
        return [self._taxonomy.names[at] for at in self._taxonomy.path_nodes(node).tolist()]

    def find(self, path: Sequence[Any]) -> int | None:
        """The node of a path of choices; None if there is none."""
        node = -1
        for name in path:
            found = self._found.get((node, str(name)))
            if found is None:
                return None
            node = found
        return node if node >= 0 else None


def labelling_config(taxonomy: Taxonomy, texts: Mapping[str, str], image: str | None) -> str:
    """The XML of a labelling configuration.

    Parameters
    ----------
    texts
        The columns that are shown, each with its key in the data of tasks.
    image
        Key of the addresses of pictures.
    """
    view = ElementTree.Element("View")
    for column, key in texts.items():
        ElementTree.SubElement(view, "Header", value=column, size="5")
        ElementTree.SubElement(view, "Text", name=key, value=f"${key}")
    if image is not None:
        ElementTree.SubElement(view, "Image", name=image, value=f"${image}")
    shown = next(iter(texts.values()), image) or ""
    top = ElementTree.SubElement(
        view,
        "Taxonomy",
        {"name": LABEL, "toName": shown, "showFullPath": "true", "pathSeparator": " > "},
        maxUsages="1",
    )
    elements = [top]
    for node in range(len(taxonomy)):  # a parent stands before its children
        level = int(taxonomy.level[node])
        above = elements[level - 1]
        hint = taxonomy.node(node).description
        own = {"value": taxonomy.names[node], **({"hint": hint} if hint else {})}
        elements[level:] = [ElementTree.SubElement(above, "Choice", own)]
    ElementTree.indent(view)
    return ElementTree.tostring(view, "unicode") + "\n"


def task_value(
    task: Task, choices: Choices, names: Mapping[str, str], shown: str
) -> dict[str, Any]:
    """A task with its prediction, as Label Studio imports it.

    Parameters
    ----------
    names
        The key of each column in the data.
    shown
        Key of what the choice is about.
    """
    data: dict[str, Any] = {names[column]: value for column, value in task.cells.items()}
    data[ABOUT] = {"line": task.line, "columns": {key: name for name, key in names.items()}}
    value: dict[str, Any] = {"data": data}
    if (found := task.suggestion) is not None:
        result = {
            "id": "suggestion",
            "from_name": LABEL,
            "to_name": shown,
            "type": "taxonomy",
            "value": {"taxonomy": [choices.path(found.node)]},
        }
        prediction: dict[str, Any] = {"model_version": MODEL, "result": [result]}
        if found.confidence is not None:
            prediction["score"] = found.confidence
        value["predictions"] = [prediction]
    return value


def is_export(values: Any) -> bool:
    """Whether values are an export of Label Studio, in its form JSON or JSON-MIN."""
    if not isinstance(values, list) or not all(isinstance(task, dict) for task in values):
        return False
    return any("annotations" in task or "annotator" in task or "data" in task for task in values)


def read_export(tasks: Sequence[Mapping[str, Any]], taxonomy: Taxonomy) -> Iterator[Labelled]:
    """What was decided about each task of an export, in the order of their first mention.

    JSON-MIN has an entry for each annotation; those of one task, by its `id`, are one row.
    """
    choices = Choices(taxonomy)
    found: dict[object, Labelled] = {}
    for at, task in enumerate(tasks):
        whole = isinstance(task.get("data"), Mapping)
        decisions = list(_of_annotations(task, choices) if whole else _of_minimal(task, choices))
        key = str(task["id"]) if "id" in task else ("without an id", at)
        if key in found:
            found[key].decisions.extend(decisions)
        else:
            found[key] = Labelled(_cells(task["data"] if whole else task), decisions)
    yield from found.values()


def _cells(data: Mapping[str, Any]) -> dict[str, str]:
    """The columns of a row, by the names that they had when it was exported."""
    about = data.get(ABOUT)
    columns = about.get("columns") if isinstance(about, Mapping) else None
    if isinstance(columns, Mapping):
        return {str(name): _text(data.get(key)) for key, name in columns.items()}
    return {key: _text(value) for key, value in data.items() if key not in OF_TASKS}


def _of_annotations(task: Mapping[str, Any], choices: Choices) -> Iterator[Decision]:
    """The decisions in a task of the form JSON, cancelled ones left out."""
    annotations = task.get("annotations") or ()
    for at, annotation in enumerate(annotations if isinstance(annotations, list) else ()):
        if not isinstance(annotation, Mapping) or annotation.get("was_cancelled"):
            continue
        who = annotation.get("completed_by", f"annotation {at}")
        name = who.get("email") or who.get("id") if isinstance(who, Mapping) else who
        results = annotation.get("result") or ()
        for result in results if isinstance(results, list) else ():
            if isinstance(result, Mapping) and result.get("from_name", LABEL) == LABEL:
                yield from _decisions(str(name), result.get("value"), choices)


def _of_minimal(task: Mapping[str, Any], choices: Choices) -> Iterator[Decision]:
    """The decisions in an entry of the form JSON-MIN."""
    found = task.get(LABEL)
    for value in found if isinstance(found, list) else [found]:
        yield from _decisions(str(task.get("annotator", "")), value, choices)


def _decisions(who: str, value: Any, choices: Choices) -> Iterator[Decision]:
    """The choices in a value `{"taxonomy": [["A", "B"], ...]}`; of one path it may be the path."""
    paths = value.get("taxonomy") if isinstance(value, Mapping) else value
    if not isinstance(paths, list) or not paths:
        return
    if not any(isinstance(path, list) for path in paths):
        paths = [paths]
    for at, path in enumerate(paths):
        steps = path if isinstance(path, list) else [path]
        yield Decision(who, choices.find(steps), " > ".join(map(str, steps)), again=at == 0)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
