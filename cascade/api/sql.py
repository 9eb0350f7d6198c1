"""A classifier as a function of DuckDB: `SELECT cascade_classify(name).path FROM items`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cascade.errors import MissingExtraError, UsageError
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.intake import names_of

if TYPE_CHECKING:
    import duckdb

NODE = "code VARCHAR, path VARCHAR, confidence DOUBLE"
ANSWER = f"{NODE}, source VARCHAR, status VARCHAR, message VARCHAR"


def register_duckdb(
    connection: duckdb.DuckDBPyConnection,
    classifier: Classifier,
    *,
    name: str = "cascade_classify",
    text: str | Sequence[str] | None = None,
    top: int = 0,
) -> None:
    """Let queries of a DuckDB connection call a classifier: `cascade_classify(column, ...)`.

    The function takes one or more columns and gives a STRUCT with `code`, `path`, `confidence`,
    `source`, `status` and `message`: take one field with `cascade_classify(name).path`, all of them
    with `unnest(cascade_classify(name))`. A NULL, and a text that cannot be answered, gives the
    status `error` and the reason; the others are answered. Rows come in vectors, which are answered
    together. A function of that name from an earlier call is replaced.

    Parameters
    ----------
    connection
        Of `duckdb.connect()`; the function lives as long as it does.
    name
        Of the function.
    text
        What the columns are called, in order; by default those that a pack was fitted to.
    top
        How many of the next best answers the STRUCT has, as a list `alternatives`.

    Raises
    ------
    MissingExtraError
        DuckDB is not installed.
    UsageError
        `connection` is none, or the name is that of another function.

    Examples
    --------
    >>> import cascade, duckdb
    >>> con = duckdb.connect()
    >>> cascade.register_duckdb(con, cascade.load("store"))
    >>> con.execute("SELECT cascade_classify('straw panama hat').code").fetchone()
    ('SHO-ACC-HAT',)
    """
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError("a function in SQL", "duckdb", "duckdb") from None
    if not isinstance(connection, duckdb.DuckDBPyConnection):
        raise UsageError(
            f"expected a connection of duckdb.connect(), found {type(connection).__name__}"
        )
    if not isinstance(name, str) or not name.isidentifier():
        raise UsageError(f"name={name!r:.60}: expected a name of letters, digits and _")
    if isinstance(top, bool) or not isinstance(top, int) or top < 0:
        raise UsageError(f"top={top!r:.40}: expected how many other answers to add, 0 or more")
    more = f", alternatives STRUCT({NODE})[]" if top else ""
    function = _Function(classifier.variant(beam=top + 1) if top else classifier, text, top)
    with suppress(duckdb.Error):  # there is none
        connection.remove_function(name)
    try:
        connection.create_function(  # type: ignore[call-overload]
            name,
            function,
            None,
            duckdb.sqltype(f"STRUCT({ANSWER}{more})"),
            type="arrow",
            null_handling="special",
        )
    except duckdb.Error as error:
        why = " ".join(str(error).split())
        raise UsageError(f"no function {name!r} can be made ({why:.200}); choose another") from None


class _Function:
    """Answers vectors of columns."""

    def __init__(self, classifier: Classifier, text: Any, top: int) -> None:
        self._classifier, self._top = classifier, top
        self._names = names_of(text) or list(classifier.config.reads)

    def __call__(self, *columns: Any) -> Any:
        import pyarrow as pa

        found = self._classifier.classify_many(
            dict(zip(self._named(len(columns)), (c.to_pylist() for c in columns), strict=True)),
            text=self._named(len(columns)),
        )
        node = [("code", pa.string()), ("path", pa.string()), ("confidence", pa.float64())]
        texts = [(name, pa.string()) for name in ("source", "status", "message")]
        others = [("alternatives", pa.list_(pa.struct(node)))] if self._top else []
        return pa.array(
            [
                {
                    "code": p.code,
                    "path": p.path,
                    "confidence": None if p.code is None else p.confidence,
                    "source": p.source,
                    "status": p.status,
                    "message": p.message,
                }
                | (
                    {
                        "alternatives": [
                            {"code": a.code, "path": a.path, "confidence": a.confidence}
                            for a in p.alternatives[: self._top]
                        ]
                    }
                    if self._top
                    else {}
                )
                for p in found
            ],
            pa.struct([*node, *texts, *others]),
        )

    def _named(self, n: int) -> list[str]:
        """What so many columns are called."""
        if not n:
            raise UsageError("name the columns that are read: cascade_classify(name)")
        if self._names and n > len(self._names):
            raise UsageError(
                f"{n} columns are given, but {len(self._names)} are read: {', '.join(self._names)}"
            )
        return self._names[:n] or ["text", *(f"text_{at}" for at in range(2, n + 1))]
