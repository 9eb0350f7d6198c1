"""Writing a taxonomy so that reading it gives the same back: CSV and YAML."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import OutputError

if TYPE_CHECKING:
    from cascade.taxonomy.tree import Taxonomy

_MEANT = re.compile(r"[\\|;]")


def write_csv(taxonomy: Taxonomy, path: Path) -> None:
    r"""Write `code,name,parent`, then `description`, `synonyms` and `name_xx` where there are any.

    Synonyms are joined by `|`; a `|`, `;` or backslash inside one has a backslash before it.
    Title and language have no place in a CSV.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    nodes = range(len(taxonomy))
    tags = sorted({tag for i in nodes for tag in taxonomy.translations(i)})
    header = ["code", "name", "parent"]
    if described := any(taxonomy.description(i) for i in nodes):
        header.append("description")
    if named := any(taxonomy.synonyms(i) for i in nodes):
        header.append("synonyms")
    header += [f"name_{tag}" for tag in tags]
    parents = taxonomy.parent.tolist()
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            write = csv.writer(file, lineterminator="\n").writerow
            write(header)
            for i, above in enumerate(parents):
                row = [taxonomy.codes[i], taxonomy.names[i], _code(taxonomy, above)]
                if described:
                    row.append(taxonomy.description(i))
                if named:
                    words = taxonomy.synonyms(i)
                    row.append("|".join(_MEANT.sub(r"\\\g<0>", word) for word in words))
                row += [taxonomy.translations(i).get(tag, "") for tag in tags]
                write(row)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_yaml(taxonomy: Taxonomy, path: Path) -> None:
    """Write nested YAML: name, title, language, and nodes with children.

    Raises
    ------
    OutputError
        The file cannot be written, or the tree is too deep for nested text.
    """
    import yaml

    content: dict[str, Any] = {
        key: value
        for key in ("name", "title", "language")
        if (value := getattr(taxonomy, key)) and not (key == "title" and value == taxonomy.name)
    }
    content["nodes"] = _nested(taxonomy)
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    try:
        text = yaml.dump(content, Dumper=dumper, allow_unicode=True, sort_keys=False, width=100)
        path.write_text(text, encoding="utf-8", newline="\n")
    except RecursionError:
        raise OutputError(
            f"{path}: {taxonomy.depth} levels are too deep for nested YAML; write CSV"
        ) from None
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def _nested(taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Nodes as nested mappings; a parent comes before its children, so one pass will do."""
    made: list[dict[str, Any]] = []
    top: list[dict[str, Any]] = []
    for i, above in enumerate(taxonomy.parent.tolist()):
        node: dict[str, Any] = {"code": taxonomy.codes[i], "name": taxonomy.names[i]}
        if text := taxonomy.description(i):
            node["description"] = text
        if words := taxonomy.synonyms(i):
            node["synonyms"] = list(words)
        if names := taxonomy.translations(i):
            node["translations"] = dict(names)
        made.append(node)
        (top if above < 0 else made[above].setdefault("children", [])).append(node)
    return top


def _code(taxonomy: Taxonomy, i: int) -> str:
    return taxonomy.codes[i] if i >= 0 else ""
