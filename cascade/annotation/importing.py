"""What annotators decided, as labelled rows that `cascade fit` and `cascade eval` read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cascade.annotation.argilla import is_records, read_records, titles
from cascade.annotation.consensus import Labelled
from cascade.annotation.label_studio import is_export, read_export
from cascade.errors import InputError
from cascade.taxonomy import Taxonomy

HINT = (
    "expected an export of Label Studio (JSON or JSON-MIN), or a folder or records.json of Argilla"
)


@dataclass
class Imported:
    """The rows that came back.

    Parameters
    ----------
    rows
        Labelled rows: the columns of the items, then `label` (a path), `label_code`, `annotators`
        and `disagreement` (what else was chosen, with votes). Where two nodes have as many votes
        `label` is empty. A column of the items that is called so keeps its name, and the new one is
        `annotation_label`.
    undecided
        Rows that nobody has labelled, which are left out.
    tied
        Rows without a label since annotators disagree.
    unknown
        What was chosen that is no node of the taxonomy, and how often.
    """

    rows: list[dict[str, str]] = field(default_factory=list)
    undecided: int = 0
    tied: int = 0
    unknown: dict[str, int] = field(default_factory=dict)


def import_labels(path: str | Path, taxonomy: Taxonomy) -> Imported:
    """Read what annotators decided from an export of Label Studio or Argilla.

    Parameters
    ----------
    path
        The exported JSON; for Argilla also the folder of `Dataset.to_disk`.

    Raises
    ------
    InputError
        It cannot be read, or is no such export.
    """
    found = Imported()
    labelled = list(_labelled(Path(path), taxonomy))
    columns = list(dict.fromkeys(name for row in labelled for name in row.cells))
    names = {
        name: f"annotation_{name}" if name in columns else name
        for name in ("label", "label_code", "annotators", "disagreement")
    }
    for row in labelled:
        for decision in row.decisions:
            if decision.node is None:
                found.unknown[decision.written] = found.unknown.get(decision.written, 0) + 1
        if not row.votes:
            found.undecided += 1
            continue
        winner = row.winner()
        found.tied += winner is None
        others = sorted((votes, node) for node, votes in row.votes.items() if node != winner)
        told = [f"{taxonomy.path(node)} ({votes})" for votes, node in reversed(others)]
        answer = {
            "label": "" if winner is None else taxonomy.path(winner),
            "label_code": "" if winner is None else taxonomy.codes[winner],
            "annotators": str(row.annotators),
            "disagreement": "; ".join(told),
        }
        cells = {column: row.cells.get(column, "") for column in columns}
        found.rows.append(cells | {names[name]: value for name, value in answer.items()})
    return found


def _labelled(path: Path, taxonomy: Taxonomy) -> Iterator[Labelled]:
    file = path / "records.json" if path.is_dir() else path
    values = _read(file)
    if is_records(values):
        settings = file.parent / ".argilla" / "settings.json"
        names = titles(_read(settings)) if settings.is_file() else {}
        return read_records(values, taxonomy, names)
    if is_export(values):
        return read_export(values, taxonomy)
    raise InputError(HINT, file=str(file))


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}; {HINT}", file=str(file)) from None
    except UnicodeDecodeError:
        raise InputError(f"is not in UTF-8; {HINT}", file=str(file)) from None
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise InputError(f"is no JSON: {error}; {HINT}", file=str(file), line=line) from None
