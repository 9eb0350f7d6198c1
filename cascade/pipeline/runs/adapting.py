"""A classifier adapted to a file (`--adapt`): its rows are read once before they are answered."""

from __future__ import annotations

from cascade.errors import UsageError
from cascade.io import Output
from cascade.io.tables.opening import TableFile
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.runs.columns import RowReader
from cascade.scoring.adaptation import Adaptation


def adapt(
    classifier: Classifier, output: Output, reader: RowReader, file: TableFile | None
) -> Adaptation:
    """Learn from a file how frequent nodes are in it; what an interrupted run learnt holds on.

    Parameters
    ----------
    file
        The rows, which are read to their end; None where they cannot be read twice.

    Raises
    ------
    UsageError
        They cannot, or the method cannot be adapted.
    OutputError
        The journal of the interrupted run is damaged.
    """
    if output.kept is not None:
        learnt = Adaptation.from_values(output.kept, classifier.scored)
        classifier.adaptation = learnt
        return learnt
    if file is None:
        raise UsageError("retrieval.adapt goes with runs over files, whose rows are read twice")
    with file.open() as table:
        chunks = table.chunks(classifier.config.batch)
        items = (item for rows in chunks for item in reader.items(table, rows))
        learnt = classifier.adapt_read(items)
    output.keep(learnt.to_values())
    return learnt
