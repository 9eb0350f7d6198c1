"""Opening the output of a run, whatever kind it is and wherever it goes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from cascade.errors import UsageError
from cascade.io.encoders import CsvEncoder, JsonEncoder
from cascade.io.layout import Encoder, Layout
from cascade.io.place import check_output, kind_of, resolved
from cascade.io.resumable import ResumableOutput
from cascade.io.rows import Kind, Table
from cascade.io.streaming import StreamOutput


def open_output(
    out: str | Path,
    table: Table,
    extra: Mapping[str, type],
    *,
    kind: Kind | None = None,
    source: str | Path | None = None,
    fingerprint: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    stdout: BinaryIO | None = None,
) -> StreamOutput | ResumableOutput:
    """Open a file, or standard output for `-`, for the rows of a table with answers beside them.

    Parameters
    ----------
    extra
        Columns of the answer in tabular output, with their types (`str`, `float`, `int`, `bool`).
    kind
        Of standard output: `csv`, `tsv` or `jsonl`; by default that of the table, or `csv`.
    source
        The input file, which is never overwritten.
    fingerprint
        All that the answers depend on (options, hashes of taxonomy and weights), as JSON values;
        a run is resumed only with the same.
    resume
        Go on with the parts of an interrupted run.
    overwrite
        Replace an output, and parts, that are there.

    Raises
    ------
    UsageError
        Where options do not fit, or the table looks like an output.
    OutputError
        Where the place cannot be written, or holds something that may not be replaced.
    """
    check_output(out, source, resume=resume, overwrite=overwrite)
    if str(out) == "-":
        default: Kind = table.kind if table.kind in ("jsonl", "tsv") else "csv"
        if (kind := kind or default) not in ("csv", "tsv", "jsonl"):
            raise UsageError(f"{kind} cannot be written to standard output; name a file with --out")
        return StreamOutput(_encoder(kind, table, extra), stdout or sys.stdout.buffer)
    encoder = _encoder(kind_of(out), table, extra)
    header = {
        "fingerprint": json.loads(json.dumps(fingerprint or {}, sort_keys=True)),
        "kind": encoder.kind,
        "input_columns": list(table.columns),
        "answer_columns": list(extra),
        "input": table.name,
    }
    return ResumableOutput(resolved(Path(out)), encoder, header, resume=resume, overwrite=overwrite)


def _encoder(kind: Kind, table: Table, extra: Mapping[str, type]) -> Encoder:
    if kind == "jsonl":
        return JsonEncoder(Layout(table, {}))
    layout = Layout(table, extra)
    if kind == "parquet":
        from cascade.io.columnar import ParquetEncoder

        return ParquetEncoder(layout)
    if kind == "xlsx":
        from cascade.io.workbook import ExcelEncoder

        return ExcelEncoder(layout)
    return CsvEncoder(layout, kind)
