"""Files in and out: tables of rows as streams, the output of a run, pictures, small files whole.

What rows mean (texts, labels, answers) is the pipeline's; files of taxonomies are read in
`cascade.taxonomy`, which shares the guessing of encodings.
"""

from cascade.io.resumable.destination import check_output
from cascade.io.resumable.interface import Output
from cascade.io.resumable.output import open_output
from cascade.io.tables.layout import ANSWER_KEY, Answer
from cascade.io.tables.opening import open_table
from cascade.io.tables.rows import Row, Table, require_columns

__all__ = [
    "ANSWER_KEY",
    "Answer",
    "Output",
    "Row",
    "Table",
    "check_output",
    "open_output",
    "open_table",
    "require_columns",
]
