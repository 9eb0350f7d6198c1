"""Decided rows as a file for `cascade fit` and `cascade eval`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from cascade.errors import UsageError
from cascade.io.pictures import data_uri
from cascade.io.tables.rows import Row, Table
from cascade.io.tables.writing import TableWriter
from cascade.review.database import Database
from cascade.review.decisions import node_of
from cascade.review.filling import Layout
from cascade.taxonomy import Taxonomy
from cascade.values import json_of, printable_lines

Part = Literal["all", "random", "chosen"]
PARTS = {"all": "1", "random": "rest", "chosen": "NOT rest"}  # as conditions
ANSWERS = ("cascade_code", "cascade_path", "cascade_confidence", "cascade_status")
COLUMNS = ("code", "path", "action", "by", "at", "comment", "part")
CHUNK = 1000


def write(db: Database, taxonomy: Taxonomy, layout: Layout, path: Path, part: Part) -> int:
    """Write the decided rows; how many there are.

    Raises
    ------
    UsageError
        There is no such part, or nothing is decided in it.
    """
    rows = exported(db, taxonomy, layout, part)
    if not rows:
        where = "" if part == "all" else f" in the part {part!r}"
        raise UsageError(f"nothing is decided{where} yet, so there is nothing to write")
    columns = tuple(rows[0])
    table = Table(str(db.path), "frame", columns, _rows(rows), lambda: None)
    with TableWriter(path, table) as writer:
        for chunk in table.chunks(CHUNK):
            writer.write(chunk)
        writer.finish()
    return len(rows)


def exported(db: Database, taxonomy: Taxonomy, layout: Layout, part: Part) -> list[dict[str, Any]]:
    """The decided rows as records, in the order of the file."""
    if part not in get_args(Part):
        raise UsageError(f"no part {part!r}; there are {', '.join(get_args(Part))}")
    said = defaultdict(list)
    for d in db.all(
        "SELECT d.* FROM verdicts v JOIN decisions d ON d.id = v.decision ORDER BY d.id"
    ):
        said[d["row"]].append(d)
    found = []
    for row in db.all(f"SELECT * FROM rows WHERE decided AND {PARTS[part]} ORDER BY row"):
        if row["final_code"] is not None and node_of(taxonomy, row["final_code"]) is None:
            continue  # its node is gone, in a session that an earlier version read again
        cells = dict(zip(layout.kept, json.loads(row["cells"]), strict=True))
        if layout.image is not None:
            image = row["image"]
            cells[layout.image] = data_uri(image) if isinstance(image, bytes) else image or ""
        who, code = said[row["row"]], row["final_code"]
        told = {
            "cascade_code": row["code"] or "",
            "cascade_path": _path(taxonomy, row["code"]),
            "cascade_confidence": row["confidence"],
            "cascade_status": row["status"],
            "review_code": code or "",
            "review_path": _path(taxonomy, code),
            "review_action": who[-1]["action"],
            "review_by": ", ".join(dict.fromkeys(d["reviewer"] for d in who)),
            "review_at": who[-1]["at"],
            "review_comment": " | ".join(
                printable_lines(d["comment"]) for d in who if d["comment"]
            ),
            "review_part": "random" if row["rest"] else "chosen",
        }
        found.append({**{name: cells[name] for name in layout.columns}, **told})
    return found


def _rows(records: list[dict[str, Any]]) -> Iterator[Row]:
    for at, record in enumerate(records, 1):
        yield Row(at, at, tuple(record.values()), raw=json_of(record))


def _path(taxonomy: Taxonomy, code: str | None) -> str:
    node = None if code is None else node_of(taxonomy, code)
    return "" if node is None else taxonomy.path(node)
