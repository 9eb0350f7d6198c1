"""What reviewers decide: written down, taken back, and what follows from it for each row."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cascade.errors import UsageError
from cascade.review.database import Database
from cascade.review.queues import DIRECT, Lease, hold
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.values import is_visible, printable, printable_lines

Action = Literal["accept", "choose", "nowhere", "skip"]
VERDICTS = ("accept", "choose", "nowhere")
LONGEST_NAME = 60  # characters of a reviewer's name
LONGEST_COMMENT = 4_000
NODE_GONE = 2  # in `undone`: what it says is right is no node of the taxonomy any more


@dataclass(frozen=True)
class Decision:
    """What a reviewer decided about a row.

    Parameters
    ----------
    row
        Its number in the file, from 1.
    key
        Its id, or what it is known by.
    code
        What is right; None where that is nowhere.
    at
        UTC, ISO 8601.
    """

    row: int
    key: str
    reviewer: str
    action: str
    code: str | None
    comment: str
    at: str


def reviewer_name(name: str) -> str:
    """A name as it is kept: without blanks around it and signs that nobody sees.

    Raises
    ------
    UsageError
        There is none, or it is too long.
    """
    name = " ".join(printable(name).split())
    if not is_visible(name) or len(name) > LONGEST_NAME:
        raise UsageError(f"a reviewer's name has 1 to {LONGEST_NAME} characters that can be seen")
    return name


def node_of(taxonomy: Taxonomy, code: str) -> int | None:
    """The node of a code, of one with facets that of its base term; None if there is none."""
    found = taxonomy.find(code)
    return taxonomy.find(code.partition("#")[0]) if found is None and "#" in code else found


def code_of(taxonomy: Taxonomy, text: str) -> str | None:
    """The code of the node that a text names; a code with facets as it is. None if none is."""
    node = taxonomy.find(text)
    if node is None:
        return None
    return text if isinstance(taxonomy, FacetedTaxonomy) and "#" in text else taxonomy.codes[node]


def decide(
    db: Database,
    taxonomy: Taxonomy,
    reviewer: str,
    row: int,
    action: Action,
    *,
    code: str | None = None,
    comment: str = "",
    seconds: float | None = None,
    request: str | None = None,
) -> int:
    """Write a decision down; it is on the disk when this returns.

    Parameters
    ----------
    code
        For `choose`: a code or a path of the taxonomy.
    seconds
        How long the reviewer looked at the row.
    request
        Names this decision, so that it is written once however often it is sent.

    Returns
    -------
    Its id.

    Raises
    ------
    UsageError
        There is no such row, nothing to accept, or no node to choose.
    """
    with db.change():
        if request is not None:
            known = db.value("SELECT id FROM decisions WHERE request = ?", (request,))
            if known is not None:
                return int(known)
        about = db.one("SELECT key, code FROM rows WHERE row = ?", (row,))
        if about is None:
            raise UsageError(f"there is no row {row}")
        right = _right(taxonomy, action, code, about["code"])
        lease = db.one(
            "SELECT queue, chosen, shown FROM leases WHERE row = ? AND reviewer = ?",
            (row, reviewer),
        )
        if lease is None:  # it was opened long ago
            seen = db.value("SELECT count(*) FROM verdicts WHERE row = ?", (row,))
            queue, chosen, shown = DIRECT, not seen, "{}"
        else:
            queue, chosen, shown = lease
        resolves = int(json.loads(queue).get("order") == "conflicts" and action != "skip")
        made = db.run(
            "INSERT INTO decisions (row, key, reviewer, at, action, code, comment, resolves, "
            "queue, chosen, seconds, shown, request) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                *(row, about["key"], reviewer, _now(), action, right),
                *(
                    printable_lines(comment).strip()[:LONGEST_COMMENT],
                    resolves,
                    queue,
                    int(chosen),
                    seconds,
                ),
                *(shown, request),
            ),
        ).lastrowid
        assert made is not None
        db.run("DELETE FROM leases WHERE row = ? AND reviewer = ?", (row, reviewer))
        settle(db, row)
        return made


def undo(db: Database, reviewer: str, *, request: str | None = None) -> int | None:
    """Take the last decision of a reviewer back; he looks at its row again.

    Returns
    -------
    The row; None where nothing is left to take back.
    """
    with db.change():
        if request is not None:
            known = db.one("SELECT row FROM decisions WHERE request = ?", (request,))
            if known is not None:
                return int(known["row"])
        last = db.one(
            "SELECT * FROM decisions WHERE reviewer = ? AND action <> 'undo' AND NOT undone "
            "AND row > 0 ORDER BY id DESC LIMIT 1",
            (reviewer,),
        )
        if last is None:
            return None
        db.run("UPDATE decisions SET undone = 1 WHERE id = ?", (last["id"],))
        db.run(
            "INSERT INTO decisions (row, key, reviewer, at, action, comment, resolves, queue, "
            "chosen, shown, undoes, request) VALUES (?,?,?,?,'undo','',0,?,?,'{}',?,?)",
            (
                *(last["row"], last["key"], reviewer, _now()),
                *(last["queue"], last["chosen"], last["id"], request),
            ),
        )
        settle(db, last["row"])
        db.run("DELETE FROM leases WHERE reviewer = ?", (reviewer,))
        hold(db, reviewer, Lease(last["row"], last["queue"], bool(last["chosen"])))
        return int(last["row"])


def set_aside(db: Database, taxonomy: Taxonomy) -> str:
    """Let decisions count no more whose node is gone, and those again whose node is back.

    They stay in the log. Call `settle` for each row afterwards.

    Returns
    -------
    What the user should know of it; empty where all nodes are there.
    """
    db.run("UPDATE decisions SET undone = 0 WHERE undone = ?", (NODE_GONE,))
    codes = db.all("SELECT DISTINCT code FROM decisions WHERE code IS NOT NULL AND NOT undone")
    gone = [(NODE_GONE, d["code"]) for d in codes if node_of(taxonomy, d["code"]) is None]
    db.run_many("UPDATE decisions SET undone = ? WHERE code = ? AND NOT undone", gone)
    first = db.one(
        "SELECT count(*) AS n, code, min(id) FROM decisions WHERE undone = ? AND row > 0",
        (NODE_GONE,),
    )
    if first is None or not first["n"]:
        return ""
    what = "decision names a node" if first["n"] == 1 else "decisions name nodes"
    return (
        f"{first['n']:,} {what} that the taxonomy does not have now (first: {first['code']!r}); "
        "the rows wait for a decision again"
    )


def settle(db: Database, row: int) -> None:
    """Set what follows for a row from the decisions that count."""
    found = db.all(
        "SELECT id, reviewer, action, code, resolves, chosen FROM decisions WHERE row = ? AND NOT "
        "undone AND action <> 'undo' ORDER BY id",
        (row,),
    )
    latest = {(d["reviewer"], d["resolves"]): d for d in found if d["action"] in VERDICTS}
    db.run("DELETE FROM verdicts WHERE row = ?", (row,))
    db.run_many(
        "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?)",
        [(row, who, resolves, d["code"], d["id"]) for (who, resolves), d in latest.items()],
    )
    decided = {d["reviewer"]: d["id"] for d in latest.values()}
    skipped = {d["reviewer"]: d["id"] for d in found if d["action"] == "skip"}
    db.run("DELETE FROM skips WHERE row = ?", (row,))
    db.run_many(
        "INSERT INTO skips VALUES (?, ?, ?)",
        [(row, who, at) for who, at in skipped.items() if at > decided.get(who, 0)],
    )
    own = [d["code"] for (_, resolves), d in latest.items() if not resolves]
    ends = [d for (_, resolves), d in latest.items() if resolves]
    agreed = len(set(own)) == 1 and not ends
    final = max(ends, key=lambda d: d["id"])["code"] if ends else own[0] if agreed else None
    chosen = any(d["chosen"] for d in found if d["action"] in VERDICTS)
    db.run(
        "UPDATE rows SET waiting = max(0, wanted - ?), conflict = ?, decided = ?, final_code = ?, "
        "rest = (passed = 0 AND NOT ?) WHERE row = ?",
        (len(own), len(set(own)) > 1 and not ends, bool(ends) or agreed, final, chosen, row),
    )
    db.run("UPDATE rows SET live = (waiting > 0 OR rest) WHERE row = ?", (row,))


def verdicts(db: Database, row: int) -> list[Decision]:
    """What reviewers said of a row, as it counts now."""
    found = db.all(
        "SELECT d.* FROM verdicts v JOIN decisions d ON d.id = v.decision WHERE v.row = ? "
        "ORDER BY d.id",
        (row,),
    )
    return decisions_of(found)


def decisions_of(rows: Sequence[Any]) -> list[Decision]:
    """Rows of `decisions` as values."""
    return [
        Decision(d["row"], d["key"], d["reviewer"], d["action"], d["code"], d["comment"], d["at"])
        for d in rows
    ]


def _right(taxonomy: Taxonomy, action: str, code: str | None, answer: str | None) -> str | None:
    """The code that a decision says is right."""
    if action == "accept":
        if answer is None:
            raise UsageError("there is no answer to accept; choose a node, or say nowhere")
        return answer
    if action != "choose":
        return None
    found = None if code is None else code_of(taxonomy, code)
    if found is None:
        raise UsageError(f"{(code or '')[:80]!r} is no node of the taxonomy; choose one of it")
    return found


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
