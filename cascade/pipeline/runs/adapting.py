"""What is learnt of a file before its rows are answered: `--adapt`, and `--first-pass`.

Rows are read once for each; what was learnt is in the journal, for a run that is resumed.
"""

from __future__ import annotations

from cascade.errors import UsageError
from cascade.io import Output
from cascade.io.tables.opening import TableFile
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.runs.columns import RowReader
from cascade.scoring.adaptation import Adaptation
from cascade.scoring.first_pass.deciding import LEAST, FirstPass

FIRST_PASS = "first_pass"


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
    if output.kept is not None and output.kept.keys() != {FIRST_PASS}:
        learnt = Adaptation.from_values(output.kept, classifier.scored)
        classifier.adaptation = learnt
        return learnt
    if file is None:
        raise UsageError("retrieval.adapt goes with runs over files, whose rows are read twice")
    with file.open() as table:
        chunks = table.chunks(classifier.config.batch)
        items = (item for rows in chunks for item in reader.items(table, rows))
        learnt = classifier.adapt_read(items)
    output.keep({**(output.kept or {}), **learnt.to_values()})
    return learnt


def learn_first_pass(
    classifier: Classifier, output: Output, reader: RowReader, file: TableFile | None
) -> FirstPass:
    """Learn a first pass from a file; what an interrupted run learnt holds on.

    Raises
    ------
    UsageError
        Its rows cannot be read twice, or nothing can stand in for what is configured.
    OutputError
        The journal of the interrupted run is damaged.
    """
    if output.kept is not None and FIRST_PASS in output.kept:
        learnt = classifier.first_pass_of(output.kept[FIRST_PASS])
        classifier.first_pass = learnt
        return learnt
    if file is None:
        raise UsageError(
            "retrieval.first_pass goes with runs over files, whose rows are read twice; in Python "
            "see Classifier.learn_first_pass"
        )
    with file.open() as table:
        chunks = table.chunks(classifier.config.batch)
        items = (item for rows in chunks for item in reader.items(table, rows))
        learnt = classifier.learn_first_pass_read(items)
    values = learnt.to_values()
    output.keep({**(output.kept or {}), FIRST_PASS: values})
    # What is kept is rounded: the run that is resumed must have the same.
    classifier.first_pass = classifier.first_pass_of(values)
    return learnt


def told_of(learnt: FirstPass) -> dict[str, int]:
    """What a first pass was learnt from and is sure of, as counts."""
    if learnt.items < LEAST:
        return {"too_few": learnt.items}
    sure, loss = round(learnt.share * learnt.items), round(1e6 * learnt.loss)
    return {"from": learnt.items, "sure": sure, "loss": loss}
