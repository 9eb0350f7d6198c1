"""Writes a taxonomy as nested YAML, in the form that `nested` says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.io.files import write_text

if TYPE_CHECKING:
    from cascade.taxonomy.tree import Taxonomy


def write(taxonomy: Taxonomy, path: Path) -> None:
    """Write nested YAML: name, title, language, nodes with children, and deprecated codes.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    import yaml

    content: dict[str, Any] = {
        key: value
        for key in ("name", "title", "language")
        if (value := getattr(taxonomy, key)) and not (key == "title" and value == taxonomy.name)
    }
    content["nodes"] = _nested(taxonomy)
    if taxonomy.deprecated:
        content["deprecated"] = dict(taxonomy.deprecated)
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(content, Dumper=dumper, allow_unicode=True, sort_keys=False, width=100)
    write_text(path, text)


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
        if any(written := taxonomy.machine(i)):
            texts = {what: text for what, text in written._asdict().items() if text}
            node["machine"] = {k: t if isinstance(t, str) else list(t) for k, t in texts.items()}
        made.append(node)
        (top if above < 0 else made[above].setdefault("children", [])).append(node)
    return top
