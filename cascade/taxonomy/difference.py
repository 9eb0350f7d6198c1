"""What changed from one release of a taxonomy to the next, node by node."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from cascade.io.files import write_text
from cascade.taxonomy.names import PATH_SEPARATOR
from cascade.taxonomy.tree import Taxonomy

Kind = Literal[
    "added", "removed", "renamed", "moved", "deprecated", "revived", "facets", "reportable"
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different of one node.

    Parameters
    ----------
    name
        As in the newer release, or in the older where the node is gone.
    where
        Hierarchy of a catalogue that has several; empty otherwise.
    old, new
        What it was and is: a name, a parent, facets; empty where there is none.
    replacement
        Code of the node to use in its place, where one is known.
    """

    kind: Kind
    code: str
    name: str
    where: str = ""
    old: str = ""
    new: str = ""
    replacement: str = ""


def differences(old: Taxonomy, new: Taxonomy) -> Iterator[Change]:
    """The nodes that are added, removed, renamed or moved; a node is known by its code.

    A node that is gone has as replacement one of the same path in the newer taxonomy, or else the
    one node of the same name.
    """
    names = Counter(new.names)
    by_name = dict(zip(new.names, new.codes, strict=True))
    for node in old:
        if node.code in new:
            other = new.node(node.code)
            if other.name != node.name:
                yield Change("renamed", node.code, other.name, "", node.name, other.name)
            if other.parent_code != node.parent_code:
                parents = [n.path.rpartition(PATH_SEPARATOR)[0] for n in (node, other)]
                yield Change("moved", node.code, other.name, "", *parents)
            continue
        at = new.find(node.path)
        found = new.codes[at] if at is not None else ""
        if not found and names[node.name] == 1:
            found = by_name[node.name]
        yield Change("removed", node.code, node.name, "", node.path, "", found)
    for node in new:
        if node.code not in old:
            yield Change("added", node.code, node.name, "", "", node.path)


def write_changes(changes: Iterable[Change], path: Path) -> None:
    """Write changes as CSV, a column for each field.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(field.name for field in fields(Change))
    writer.writerows(map(astuple, changes))
    write_text(path, lines.getvalue())
