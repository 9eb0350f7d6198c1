"""What the tests of `cascade.io` share: files from bytes, a run that answers every row."""

import io
from pathlib import Path

from cascade.io import open_output, open_table

EXTRA = {"cascade_code": str, "cascade_confidence": float}


def answer(table, row):
    """An answer that depends on what was read, so that a lost or mixed-up row shows."""
    if row.problem:
        return {"cascade_code": None, "cascade_confidence": None, "message": row.problem}
    size = sum(len(table.text(row, name)) for name in table.columns)
    return {"cascade_code": f"c{size}", "cascade_confidence": size / 8}


def run(source, out, *, chunk=2, **options):
    """Read, answer and write; the written path."""
    with (
        open_table(source) as table,
        open_output(out, table, EXTRA, source=source, **options) as output,
    ):
        for index, rows in enumerate(table.chunks(chunk)):
            if not output.has(index, rows):
                answers = [answer(table, row) for row in rows]
                output.write(index, rows, answers, {"rows": len(rows)})
        output.finish()
    return Path(out)


def piped(source, kind=None):
    """The bytes that a run writes to standard output."""
    sink = io.BytesIO()
    run(source, "-", kind=kind, stdout=sink)
    return sink.getvalue()


def read(path, **options):
    """All rows of a file and its table."""
    with open_table(path, **options) as table:
        return table, list(table)
