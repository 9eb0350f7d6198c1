"""A run over a table: rows in chunks, answers beside them, counts for the summary."""

from __future__ import annotations

import gc
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from cascade.confidence.shift import Watch, cells
from cascade.config import Columns
from cascade.errors import OutputError
from cascade.io import Answer, Output, Row, Table, require_columns
from cascade.io.tables.opening import TableFile
from cascade.io.tables.rows import lines_of
from cascade.items import Item
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.fallback import is_cut
from cascade.pipeline.labels.finding import LabelFinder, name_hint
from cascade.pipeline.runs.adapting import adapt, learn_first_pass, told_of
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.pipeline.runs.columns import RowReader
from cascade.pipeline.runs.languages import look, reads_english_only
from cascade.pipeline.runs.redo import EarlierAnswers, as_written
from cascade.pipeline.runs.workers import Answered, ChunkWork, Kept, answered_by_processes
from cascade.predictions import Prediction
from cascade.predictions.columns import PredictionColumns
from cascade.taxonomy.names import PATH_SEPARATOR

Items = list[Item | Prediction]
COLLECT = 20_000  # more objects than the rows of a chunk are made of
ACCEPTED = frozenset({"ok", "partial"})  # what an answer that is not for review is called
SUMMED = (
    *("status", "partial", "source", "labelled", "right", "several", "fallback", "adapted"),
    *("first_pass", "shift", "languages", "stages", "asked", "accepted"),
)


@dataclass
class Counts:
    """What a run did; counts of parts add up.

    Parameters
    ----------
    status, source
        Rows by status, and answered rows by source.
    partial
        Rows that are answered above a leaf, since none below is sure enough, by level.
    confidence
        Answered rows by tenth of confidence: `confidence[9]` has those from 0.9 up.
    labelled, right
        Rows with a known label by level, and those of them that are right down to that level.
    exact
        Those whose answer is the known one itself.
    unknown
        Rows whose label is not in the taxonomy.
    first_unknown
        The first of these labels, and its line.
    several
        Those of them that have several labels, by what stands between these.
    fallback
        Rows that the fallback answered, by how the method had failed.
    adapted
        With `--adapt`: `from` so many items it was learnt how frequent nodes are, of which so many
        were `moved` to another leaf; or `too_few` were there.
    first_pass
        With `--first-pass`: `from` so many items it was learnt, sure of `sure` of these, and what
        is lost by it: `loss`, in millionths of a hierarchical F1; or `too_few` were there.
    shift
        Rows by cell of the pack's reference; see `confidence.shift`.
    languages
        Rows in languages that the encoder was not taught; see `pipeline.runs.languages`.
    seconds
        Time spent on classifying.
    stages
        What that time went into, in seconds.
    asked
        What the language model was asked: `prompts`, and the `tokens` of these.
    accepted
        `rows` that are answered and not for review, and of how many of these the answer should be
        wrong, by their confidences: `expected_wrong`, in millionths of a row.
    """

    rows: int = 0
    status: dict[str, int] = field(default_factory=dict)
    partial: dict[str, int] = field(default_factory=dict)
    source: dict[str, int] = field(default_factory=dict)
    confidence: list[int] = field(default_factory=lambda: [0] * 10)
    labelled: dict[str, int] = field(default_factory=dict)
    right: dict[str, int] = field(default_factory=dict)
    exact: int = 0
    unknown: int = 0
    first_unknown: str = ""
    several: dict[str, int] = field(default_factory=dict)
    fallback: dict[str, int] = field(default_factory=dict)
    adapted: dict[str, int] = field(default_factory=dict)
    first_pass: dict[str, int] = field(default_factory=dict)
    shift: dict[str, int] = field(default_factory=dict)
    languages: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)

    def add(self, other: Mapping[str, Any]) -> None:
        """Add the counts of a part, as plain values by name.

        Raises
        ------
        OutputError
            They are no counts: the journal that kept them is damaged.
        """
        try:
            self._add(other)
        except (TypeError, KeyError, ValueError, AttributeError):
            raise OutputError(
                "the journal of the interrupted run is damaged: it holds no counts of its rows; "
                "begin again with --overwrite"
            ) from None

    def _add(self, other: Mapping[str, Any]) -> None:
        self.rows += other["rows"]
        self.unknown += other["unknown"]
        self.exact += other.get("exact", 0)  # older journals lack it
        self.first_unknown = self.first_unknown or str(other.get("first_unknown", ""))
        self.seconds += other["seconds"]
        self.confidence = [a + b for a, b in zip(self.confidence, other["confidence"], strict=True)]
        for name in SUMMED:
            found = getattr(self, name)
            for key, value in other.get(name, {}).items():  # older journals lack some
                if value:
                    found[key] = found.get(key, 0) + value


def classify_table(
    classifier: Classifier,
    table: Table,
    output: Output,
    columns: Columns,
    form: AnswerForm,
    *,
    limit: int | None = None,
    earlier: EarlierAnswers | None = None,
    again: TableFile | None = None,
    watch: Watch | None = None,
    workers: int = 1,
    progress: Callable[[Sequence[Row]], None] | None = None,
) -> Counts:
    """Classify the rows of a table into an output, chunk by chunk, and finish the output.

    A chunk that the output already has from an interrupted run is not classified again. Chunks
    are the same in every run, so the answers are too.

    Parameters
    ----------
    limit
        Rows to classify, from the start.
    earlier
        Answers that are kept where they are good.
    again
        The same rows, for what reads them twice (`retrieval.adapt`, `retrieval.first_pass`).
    watch
        Counts the rows of each chunk in turn, those too that the output has already.
    workers
        Processes that answer chunks; see `runs.workers`.
    progress
        Called with the rows of each finished chunk.

    Raises
    ------
    InputError
        A named column is not there.
    UsageError
        More text columns are named than a pack was fitted to, or the method cannot be adapted.
    OutputError
        The output cannot be written, or the input is not what it was.
    """
    named = (columns.image, columns.id, columns.label)
    require_columns(table, [*columns.text, *filter(None, named)])
    reader = RowReader.of(columns, classifier.config)
    if limit is not None:
        table.limit(limit)
    total = Counts()
    if classifier.config.retrieval.adapt:
        learnt = adapt(classifier, output, reader, again)
        told = {"from": learnt.items, "moved": learnt.moved}
        total.adapted = told if learnt.applies else {"too_few": learnt.items}
    if classifier.config.retrieval.first_pass:
        first = learn_first_pass(classifier, output, reader, again)
        total.first_pass = told_of(first)
    chunks = _chunks(table, output, earlier, classifier.config.batch)
    answer = partial(_answer_rows, reader=reader, form=form, nested=output.nested)
    if workers == 1:
        found = _answered_here(chunks, classifier, table, answer, reader)
    else:
        work = ChunkWork(table, answer, output.format)
        found = answered_by_processes(chunks, classifier, work, workers)
    with _rare_collections():
        for index, rows, answered in found:
            if answered is not None:
                summary: Mapping[str, Any] = vars(answered.counts)
                if isinstance(answered.answers, bytes):
                    output.write_bytes(index, rows, answered.answers, answered.read, summary)
                else:
                    output.write(index, rows, answered.answers, summary)
            else:
                summary = output.summary(index)
            total.add(summary)
            if watch is not None:
                watch.add_cells(summary.get("shift", {}))
            if progress is not None:
                progress(rows)
    output.finish(vars(total))
    return total


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let Python look for circles of objects less often: rows are many objects, and in none."""
    before = gc.get_threshold()
    if before[0]:  # nobody has turned it off
        gc.set_threshold(max(before[0], COLLECT), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _answered_here(
    asked: Iterable[tuple[int, Sequence[Row], Kept | None]],
    classifier: Classifier,
    table: Table,
    answer: Callable[..., tuple[Sequence[Answer], Counts]],
    reader: RowReader,
) -> Iterator[tuple[int, Sequence[Row], Answered | None]]:
    """The answers of chunks, in their order; None for those that the output has already.

    With pictures chunks are read one ahead: while a chunk is classified, the pictures of the next
    one are decoded. Without, no row waits for others.
    """
    ahead: deque[tuple[int, Sequence[Row], Kept | None, Items]] = deque()

    def first() -> tuple[int, Sequence[Row], Answered | None]:
        index, rows, kept, items = ahead.popleft()
        if kept is None:
            return index, rows, None
        return index, rows, Answered(*answer(classifier, table, rows, kept, items=items))

    for index, rows, kept in asked:
        items = [] if kept is None else reader.items(table, rows)
        ahead.append((index, rows, kept, items))
        if reader.columns.image is not None:
            wanted = [item for at, item in enumerate(items) if at not in (kept or ())]
            classifier.prefetch([item for item in wanted if isinstance(item, Item)])
            if len(ahead) == 1:
                continue
        yield first()
    while ahead:
        yield first()


def _answer_rows(
    classifier: Classifier,
    table: Table,
    rows: Sequence[Row],
    kept: Kept,
    *,
    reader: RowReader,
    form: AnswerForm,
    nested: bool,
    items: Items | None = None,
) -> tuple[Sequence[Answer], Counts]:
    """What stands beside rows, but for the earlier answers that are kept, and their counts."""
    items = reader.items(table, rows) if items is None else items
    for at, (prediction, _) in kept.items():
        items[at] = prediction
    labels, lines = reader.labels(table, rows), lines_of(rows)
    answers, counts = answer_chunk(classifier, items, labels, form, nested=nested, lines=lines)
    if not kept:
        return answers, counts
    written = {at: as_written(answer, form, nested=nested) for at, (_, answer) in kept.items()}
    return [written.get(at, own) for at, own in enumerate(answers)], counts


def answer_chunk(
    classifier: Classifier,
    items: Sequence[Item | Prediction],
    labels: Sequence[str],
    form: AnswerForm,
    *,
    nested: bool,
    lines: Sequence[int] = (),
) -> tuple[Sequence[Answer], Counts]:
    """What stands beside the rows of one chunk, and its counts, timed.

    Parameters
    ----------
    items
        What the rows hold, or why they cannot be answered; see `RowReader`.
    labels
        The known answer of each row, or an empty text.
    nested
        As of the output that the answers are for.
    lines
        Where each row stands.
    """
    started, before = time.perf_counter(), dict(classifier.seconds)
    asked, seen = classifier.asked, classifier.sentinel.counts
    predictions = classifier.answers(items)
    finder = LabelFinder(classifier.taxonomy, classifier.config.columns.label_separator)
    golds = _golds(finder, labels)
    counts = count(predictions, golds)
    if counts.unknown:
        at = golds.index(None)
        line = f"line {lines[at]}, " if lines else ""
        counts.first_unknown = line + finder.shown(labels[at]) + name_hint(finder, labels[at])
    counts.several = dict(Counter(filter(None, map(finder.unread, filter(None, labels)))))
    counts.shift = cells(classifier.sentinel.counts - seen)
    counts.languages = (
        look(items, lines[0] if lines else 0) if reads_english_only(classifier) else {}
    )
    counts.seconds = round(time.perf_counter() - started, 3)
    counts.stages = {
        stage: round(seconds - before.get(stage, 0.0), 4)
        for stage, seconds in classifier.seconds.items()
    }
    counts.asked = {name: n - asked.get(name, 0) for name, n in classifier.asked.items()}
    return form.answers(predictions, nested=nested), counts


def _chunks(
    table: Table, output: Output, earlier: EarlierAnswers | None, size: int
) -> Iterator[tuple[int, Sequence[Row], Kept | None]]:
    """Chunks of `size` rows, with earlier answers that are kept; None where the output has them."""
    for index, rows in enumerate(table.chunks(size)):
        kept = {}
        if earlier is not None:
            found = earlier.of(table, rows)
            kept = {at: (earlier.prediction(answer), answer) for at, answer in found.items()}
        yield index, rows, None if output.has(index, rows) else kept


def _golds(finder: LabelFinder, labels: Sequence[str]) -> list[tuple[str, ...] | None]:
    """Codes along the known path of each row, top first: none without a label, None if unknown."""
    if not any(labels):
        return [()] * len(labels)
    taxonomy = finder.taxonomy
    golds: list[tuple[str, ...] | None] = []
    for text in labels:
        node = finder.find(text) if text else -1
        if node >= 0:
            golds.append(tuple(taxonomy.codes[at] for at in taxonomy.path_nodes(node).tolist()))
        else:
            golds.append(None if text.strip() else ())
    return golds


def count(predictions: Sequence[Prediction], golds: Sequence[tuple[str, ...] | None]) -> Counts:
    """Counts of some predictions; `golds` are codes along known paths, None for unknown labels."""
    columns = PredictionColumns.of(predictions)
    code, status = columns.code, columns.status
    counts = Counts(rows=len(columns))
    counts.status = dict(Counter(status))
    objects = columns.made  # what a fallback answered is one
    cut = Counter(
        [path for path, own in zip(columns.path, status, strict=True) if own == "partial"]
    )
    cut -= Counter([p.path for p in objects.values() if p.status == "partial" and not is_cut(p)])
    partial: Counter[str] = Counter()
    for path, rows in cut.items():
        if path:
            partial[str(path.count(PATH_SEPARATOR) + 1)] += rows
    counts.partial = dict(partial)
    answered = [source for source, own in zip(columns.source, code, strict=True) if own is not None]
    counts.source = dict(Counter(answered))
    counts.fallback = dict(Counter([p.failure for p in objects.values() if p.failure]))
    confidence = np.array(columns.confidence, np.float64)
    sure = confidence if {*status} <= ACCEPTED else confidence[[s in ACCEPTED for s in status]]
    wrong = int(np.rint(1e6 * (1 - sure)).sum())  # whole numbers add up exactly
    counts.accepted = {"rows": len(sure), "expected_wrong": wrong}
    known = confidence[[own is not None for own in code]] if None in code else confidence
    tenths = (known * 10).astype(np.int64)
    counts.confidence = np.bincount(np.minimum(tenths, 9), minlength=10).tolist()
    counts.unknown = golds.count(None)
    labelled: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for row, gold in enumerate(golds):
        if not gold:
            continue
        codes = tuple([code for code, _ in columns[row].path_nodes])
        counts.exact += codes == gold
        for level in range(1, len(gold) + 1):
            labelled[str(level)] += 1
            right[str(level)] += codes[:level] == gold[:level]
    counts.labelled, counts.right = dict(labelled), dict(right)
    return counts
