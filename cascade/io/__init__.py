"""Rows in and out as streams, and the journal of a run that can be resumed."""

from cascade.io.layout import ANSWER_KEY, Answer
from cascade.io.place import check_output, kind_of
from cascade.io.reading import open_table
from cascade.io.resumable import ResumableOutput
from cascade.io.rows import Kind, Row, Table, require_columns, text_of
from cascade.io.streaming import Output, PassingOutput, StreamOutput
from cascade.io.writing import open_output

__all__ = [
    "ANSWER_KEY",
    "Answer",
    "Kind",
    "Output",
    "PassingOutput",
    "ResumableOutput",
    "Row",
    "StreamOutput",
    "Table",
    "check_output",
    "kind_of",
    "open_output",
    "open_table",
    "require_columns",
    "text_of",
]
