"""Which row comes next for a reviewer, and who looks at what at the moment.

Rows that the random order brings up are a sample of all rows that no other queue has come to. A row
that another queue chose was chosen for what is known of it, so it is no part of that sample; and a
row of the sample that another queue comes to later, and would have chosen, is taken out of it
(`passed`). So the sample stays one of the rest, whatever is done in which order.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cascade.errors import UsageError
from cascade.review.database import Database

ORDERS: Mapping[str, str] = {
    "asked": "r.place",
    "doubt": "r.doubt DESC, r.row",
    "value": "r.value DESC, r.row",
    "random": "r.chance",
    "conflicts": "r.row",
}
INDICES = {
    "asked": "by_place",
    "doubt": "by_doubt",
    "value": "by_value",
    "conflicts": "by_conflict",
}
LEASE = 900.0  # seconds for which a row is one reviewer's
DIRECT = '{"order": "direct"}'  # of a row that was opened by its number
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Queue:
    """An order of rows, perhaps of some only.

    Parameters
    ----------
    order
        A key of `ORDERS`.
    first, end
        Only answers from this node and before that one: a subtree.
    words
        Only rows that hold words which begin so.
    status
        Only answers of this status.
    """

    order: str = "doubt"
    first: int | None = None
    end: int | None = None
    words: str = ""
    status: str = ""

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise UsageError(f"no queue {self.order!r}; there are {', '.join(ORDERS)}")

    @property
    def chooses(self) -> bool:
        """Whether rows are chosen for what is known of them."""
        if self.order == "conflicts":
            return False
        return self.order != "random" or self.first is not None or bool(self.words or self.status)

    @property
    def name(self) -> str:
        """The queue as text, the same for the same queue."""
        return json.dumps(
            {key: value for key, value in asdict(self).items() if value or value == 0}
        )

    def condition(self) -> tuple[str, list[Any]]:
        """SQL over `rows r`, with its values."""
        parts, values = ["1"], list[Any]()
        if self.order == "conflicts":
            parts.append("r.conflict = 1")
        else:
            parts.append("r.live = 1" if self.chooses else "r.waiting > 0")
        if self.order == "asked":
            parts.append("r.place IS NOT NULL")
        if self.first is not None:
            parts.append("r.node >= ? AND r.node < ?")
            values += [self.first, self.first + 1 if self.end is None else self.end]
        if self.status:
            parts.append("r.status = ?")
            values.append(self.status)
        if self.words:
            parts.append("r.row IN (SELECT rowid FROM texts WHERE texts MATCH ?)")
            values.append(_match(self.words))
        return " AND ".join(parts), values


@dataclass(frozen=True)
class Lease:
    """A row that a reviewer looks at.

    Parameters
    ----------
    queue
        Name of the queue that it came from.
    chosen
        Whether that queue chose it for what is known of it.
    skipped
        Whether the reviewer passed over it before.
    """

    row: int
    queue: str
    chosen: bool
    skipped: bool = False


def next_row(
    db: Database, reviewer: str, queue: Queue, *, now: float | None = None
) -> Lease | None:
    """The next row for a reviewer, who has it to himself from now on; None where none is left.

    The row that he looks at already is the next one, so that a page which is loaded again shows the
    same. Rows that he skipped come last.
    """
    now = time.time() if now is None else now
    with db.change():
        held = db.one(
            "SELECT row, chosen FROM leases WHERE reviewer = ? AND queue = ? AND until > ?",
            (reviewer, queue.name, now),
        )
        if held is not None:
            lease = Lease(held["row"], queue.name, bool(held["chosen"]))
        else:
            release(db, reviewer)
            found = _find(db, reviewer, queue, now, skipped=False)
            skipped = found is None
            if found is None:
                found = _find(db, reviewer, queue, now, skipped=True)
            if found is None:
                return None
            lease = Lease(found, queue.name, queue.chooses, skipped)
        hold(db, reviewer, lease, now)
        return lease


def open_row(db: Database, reviewer: str, row: int) -> Lease | None:
    """Give a reviewer the row that he names, whoever has it; None where there is none.

    Whoever opens a row that nobody has decided has chosen it.
    """
    with db.change():
        if db.value("SELECT row FROM rows WHERE row = ?", (row,)) is None:
            return None
        seen = db.value("SELECT count(*) FROM verdicts WHERE row = ?", (row,))
        release(db, reviewer)
        lease = Lease(row, DIRECT, not seen)
        hold(db, reviewer, lease)
        return lease


def hold(db: Database, reviewer: str, lease: Lease, now: float | None = None) -> None:
    """Let a reviewer have a row for a while."""
    until = (time.time() if now is None else now) + LEASE
    db.run(
        "INSERT INTO leases VALUES (?, ?, ?, ?, ?, '{}') ON CONFLICT (row, reviewer) DO UPDATE "
        "SET until = excluded.until, queue = excluded.queue, chosen = excluded.chosen",
        (lease.row, reviewer, until, lease.queue, lease.chosen),
    )


def show(db: Database, reviewer: str, row: int, shown: Mapping[str, Any]) -> None:
    """Keep what a reviewer sees of a row, beside what he has seen of it."""
    with db.change():
        before = db.value(
            "SELECT shown FROM leases WHERE row = ? AND reviewer = ?", (row, reviewer)
        )
        if before is not None:
            db.run(
                "UPDATE leases SET shown = ? WHERE row = ? AND reviewer = ?",
                (json.dumps({**json.loads(before), **shown}, ensure_ascii=False), row, reviewer),
            )


def release(db: Database, reviewer: str) -> None:
    """Let others have what a reviewer looked at."""
    db.run("DELETE FROM leases WHERE reviewer = ?", (reviewer,))


def left(db: Database, queue: Queue) -> int:
    """How many rows of a queue wait for a decision."""
    condition, values = queue.condition()
    waits = "r.conflict = 1" if queue.order == "conflicts" else "r.waiting > 0"
    return int(db.value(f"SELECT count(*) FROM rows r WHERE {condition} AND {waits}", values))


def _find(db: Database, reviewer: str, queue: Queue, now: float, *, skipped: bool) -> int | None:
    condition, values = queue.condition()
    own = (
        "EXISTS (SELECT 1 FROM verdicts v WHERE v.row = r.row AND v.reviewer = ? AND NOT resolves)"
    )
    others = (
        "(SELECT count(*) FROM leases l WHERE l.row = r.row AND l.reviewer <> ? AND l.until > ?)"
    )
    skips = "EXISTS (SELECT 1 FROM skips s WHERE s.row = r.row AND s.reviewer = ?)"
    skips = skips if skipped else f"NOT {skips}"
    if queue.order == "conflicts":
        wanted, known = f"{others} = 0 AND {skips}", [reviewer, now, reviewer]
    else:
        seen = f"(r.rest = 1 OR NOT {own})" if queue.chooses else f"NOT {own}"
        wanted = f"{seen} AND {others} < max(r.waiting, 1) AND {skips}"
        known = [reviewer, reviewer, now, reviewer]
    index = f"INDEXED BY {INDICES[queue.order]}" if queue.order in INDICES else ""
    sql = (
        f"SELECT r.row, r.waiting, {own} AS mine FROM rows r {index} "
        f"WHERE {condition} AND {wanted} ORDER BY {ORDERS[queue.order]} LIMIT 1"
    )
    while (found := db.one(sql, [reviewer, *values, *known])) is not None:
        if queue.order == "conflicts" or (found["waiting"] and not found["mine"]):
            return int(found["row"])
        db.run(
            "UPDATE rows SET passed = 1, rest = 0, live = waiting > 0 WHERE row = ?",
            (found["row"],),
        )
    return None


def _match(words: str) -> str:
    """Words as a query of FTS5: each begins a word of the row."""
    found = _WORD.findall(words)
    return " ".join(f'"{word}"*' for word in found) or '""'
