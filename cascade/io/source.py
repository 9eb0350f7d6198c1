"""A file of rows that can be read more than once, as measuring and learning do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from cascade.errors import UsageError
from cascade.io import Table, folders, open_table


@dataclass(frozen=True)
class Source:
    """A file of rows.

    Parameters
    ----------
    limit
        Rows to read, from the start.
    encoding, sheet
        As for `open_table`.

    Raises
    ------
    UsageError
        The file is standard input, which can be read only once.
    """

    file: str
    limit: int | None = None
    encoding: str | None = None
    sheet: str | None = None

    def __post_init__(self) -> None:
        if self.file == "-":
            raise UsageError(
                "standard input can be read only once, but its rows are read more often; "
                "save it to a file and name that"
            )

    def open(self) -> Table:
        """The table, with no more rows than the limit."""
        table = open_table(self.file, encoding=self.encoding, sheet=self.sheet)
        if self.limit is not None:
            table.rows = islice(table.rows, self.limit)
        return table

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file, all of it; of a folder, of what lies in it."""
        if Path(self.file).is_dir():
            return hashlib.sha256(folders.fingerprint(Path(self.file))).hexdigest()
        with Path(self.file).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
