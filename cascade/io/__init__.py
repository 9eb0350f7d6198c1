"""Rows in and out as streams, and the journal of a run that can be resumed."""

from cascade.io.runs.destination import check_output
from cascade.io.runs.output import Output, PassingOutput, ResumableOutput, StreamOutput, open_output
from cascade.io.tables.detection import kind_of
from cascade.io.tables.layout import ANSWER_KEY, Answer
from cascade.io.tables.opening import open_table
from cascade.io.tables.rows import Kind, Row, Table, require_columns, text_of

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
