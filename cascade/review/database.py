"""The SQLite file of a session: its tables, and transactions that survive any end of the process.

With write-ahead logging and `synchronous=FULL` a commit has reached the disk when it returns, so
whatever the page was told is there after a kill or a loss of power. `decisions` is the truth and
only grows; `verdicts` and the numbers in `rows` are what follows from it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cascade.errors import InputError, unwritable

VERSION = "1"
SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE rows (
    row INTEGER PRIMARY KEY,            -- number in the file, from 1
    key TEXT NOT NULL UNIQUE,           -- what the row is known by in other versions of the file
    cells TEXT NOT NULL,                -- JSON: texts in the order of the columns
    image,                              -- what the cell of the picture holds, text or bytes
    code TEXT,                          -- the answer
    node INTEGER,                       -- its index in the taxonomy
    confidence REAL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    more TEXT NOT NULL,                 -- JSON: alternatives and levels
    doubt REAL NOT NULL,                -- the greater the earlier, as `value`
    value REAL NOT NULL,
    chance INTEGER NOT NULL,            -- place in a random order of all rows
    place INTEGER,                      -- place in the order that a program asked for
    wanted INTEGER NOT NULL,            -- reviewers that shall look at it
    waiting INTEGER NOT NULL,           -- of these, how many have not
    passed INTEGER NOT NULL DEFAULT 0,  -- a queue that is not by chance came to it, see `queues`
    rest INTEGER NOT NULL DEFAULT 1,    -- 0: chosen for what is known of it, so no part of a sample
    live INTEGER NOT NULL DEFAULT 1,    -- a queue has to look at it still
    conflict INTEGER NOT NULL DEFAULT 0,
    decided INTEGER NOT NULL DEFAULT 0, -- there is a decision that nobody contradicts
    final_code TEXT                     -- what it says; NULL: nowhere
);
-- Filters are in the indices of orders, so that no row is read that a queue passes over.
CREATE INDEX by_doubt ON rows (doubt DESC, row, node, status) WHERE live = 1;
CREATE INDEX by_value ON rows (value DESC, row, node, status) WHERE live = 1;
CREATE INDEX by_chance ON rows (chance) WHERE waiting > 0;
CREATE INDEX by_place ON rows (place) WHERE live = 1 AND place IS NOT NULL;
CREATE INDEX by_conflict ON rows (row) WHERE conflict = 1;
CREATE INDEX counted ON rows (rest, decided, conflict);
CREATE INDEX asked ON rows (place, waiting) WHERE place IS NOT NULL;
CREATE VIRTUAL TABLE texts USING fts5 (text, content='', tokenize='unicode61 remove_diacritics 2');

CREATE TABLE decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    row INTEGER NOT NULL,
    key TEXT NOT NULL,                  -- of the row
    reviewer TEXT NOT NULL,
    at TEXT NOT NULL,                   -- UTC
    action TEXT NOT NULL,               -- accept, choose, nowhere, skip, undo
    code TEXT,                          -- what is right; NULL: nowhere, or nothing was decided
    comment TEXT NOT NULL,
    resolves INTEGER NOT NULL,          -- 1: ends a conflict of others
    queue TEXT NOT NULL,                -- the order it came up in
    chosen INTEGER NOT NULL,            -- 1: that order or a filter chose it, 0: chance did
    seconds REAL,                       -- from its being shown, as the page counts
    shown TEXT NOT NULL,                -- JSON: answer, confidence, candidates
    undoes INTEGER REFERENCES decisions (id),
    undone INTEGER NOT NULL DEFAULT 0,  -- 1: taken back; 2: its node is gone from the taxonomy
    request TEXT UNIQUE                 -- so that what is sent twice counts once
);
CREATE INDEX decisions_of_row ON decisions (row);
CREATE INDEX decisions_of_reviewer ON decisions (reviewer, id);

CREATE TABLE verdicts (                 -- the decision of each reviewer that counts now
    row INTEGER NOT NULL,
    reviewer TEXT NOT NULL,
    resolves INTEGER NOT NULL,
    code TEXT,
    decision INTEGER NOT NULL,
    PRIMARY KEY (row, reviewer, resolves)
) WITHOUT ROWID;

CREATE TABLE skips (
    row INTEGER NOT NULL,
    reviewer TEXT NOT NULL,
    decision INTEGER NOT NULL,
    PRIMARY KEY (row, reviewer)
) WITHOUT ROWID;

CREATE TABLE leases (                   -- who looks at what, until when
    row INTEGER NOT NULL,
    reviewer TEXT NOT NULL,
    until REAL NOT NULL,
    queue TEXT NOT NULL,
    chosen INTEGER NOT NULL,
    shown TEXT NOT NULL,
    PRIMARY KEY (row, reviewer)
) WITHOUT ROWID;
CREATE INDEX leases_of_reviewer ON leases (reviewer);
"""


class Database:
    """One connection, which threads take in turns.

    Raises
    ------
    InputError
        The file is no session, or one of a later version.
    OutputError
        It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.RLock()
        self._within = 0
        try:
            self._db = sqlite3.connect(
                path, timeout=30, check_same_thread=False, isolation_level=None
            )
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA cache_size = -65536")
            self._db.execute("PRAGMA temp_store = MEMORY")
            known = {row["name"] for row in self._db.execute("SELECT name FROM sqlite_master")}
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise unwritable(path, OSError(0, str(error))) from None
            raise InputError("is no session of a review; name another folder", file=path) from None
        if known and "about" not in known:
            raise InputError("is no session of a review; name another folder", file=path)
        self.is_new = not known

    def make(self) -> None:
        """Make the tables, within a transaction."""
        for statement in SCHEMA.split(";\n"):
            if statement.strip():
                self._db.execute(statement)
        self.tell("version", VERSION)

    def check(self) -> None:
        """Raise InputError where the session was written by a later version."""
        if (found := self.told("version")) != VERSION:
            raise InputError(
                f"is a session of version {found}, this cascade reads {VERSION}; use the cascade "
                "that made it, or begin another with -o",
                file=self.path,
            )

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One thread at a time, for what is read by several queries and belongs together."""
        with self._turn:
            yield

    @contextmanager
    def change(self) -> Iterator[None]:
        """All changes within, or none; on the disk when it ends. May stand inside itself."""
        with self._turn:
            if self._within:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            self._within = 1
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            else:
                self._db.execute("COMMIT")
            finally:
                self._within = 0

    def run(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement."""
        with self._turn:
            return self._db.execute(sql, values)

    def run_many(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each of `values`."""
        with self._turn:
            self._db.executemany(sql, values)

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """The rows of a query."""
        with self._turn:
            return self._db.execute(sql, values).fetchall()

    def one(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """The first row of a query; None where there is none."""
        with self._turn:
            found: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
            return found

    def value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first value of the first row; None where there is none."""
        found = self.one(sql, values)
        return None if found is None else found[0]

    def tell(self, name: str, value: str) -> None:
        """Keep a fact about the session."""
        self.run("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    def told(self, name: str) -> str | None:
        """A fact about the session; None where it is not known."""
        found: str | None = self.value("SELECT value FROM about WHERE name = ?", (name,))
        return found

    def close(self) -> None:
        """Let go of the file; what was committed is in it."""
        with self._turn:
            self._db.close()
