"""A run over a table: rows in chunks, answers beside them, counts for the summary."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from cascade.confidence.shift import Watch, cells
from cascade.config import Columns
from cascade.errors import OutputError
from cascade.io import Answer, Output, Row, Table, require_columns
from cascade.io.tables.opening import TableFile
from cascade.items import Item
from cascade.pipeline.classifier import BATCH, Classifier
from cascade.pipeline.fallback import is_cut
from cascade.pipeline.labels.finding import LabelFinder, name_hint
from cascade.pipeline.pool import Pool
from cascade.pipeline.runs.adapting import adapt
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.pipeline.runs.columns import RowReader
from cascade.pipeline.runs.languages import look, reads_english_only
from cascade.pipeline.runs.redo import EarlierAnswers, as_written
from cascade.predictions import Prediction
from cascade.taxonomy.names import PATH_SEPARATOR

Items = list[Item | Prediction]
Kept = Mapping[int, Mapping[str, Any]]  # earlier answers by their place in a chunk
_Given = tuple[Items, list[str], list[int]]  # items of a chunk, their labels, their lines
SUMMED = (
    *("status", "partial", "source", "labelled", "right", "several", "fallback", "adapted"),
    *("shift", "languages", "stages", "asked", "accepted"),
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
        The same rows, for what reads them twice (`retrieval.adapt`).
    watch
        Counts the rows of each chunk in turn, those too that the output has already.
    workers
        Processes that answer chunks. The first is always answered by this one, so that what all
        need, such as an index, is made once.
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
        table.rows = islice(table.rows, limit)
    total = Counts()
    if classifier.config.retrieval.adapt:
        learnt = adapt(classifier, output, reader, again)
        told = {"from": learnt.items, "moved": learnt.moved}
        total.adapted = told if learnt.applies else {"too_few": learnt.items}
    chunks = _chunks(table, output, reader, classifier if workers == 1 else None, earlier)

    def given(rows: list[Row], items: Items | None) -> _Given | None:
        if items is None:
            return None
        return items, reader.labels(table, rows), [row.line for row in rows]

    asked = ((index, rows, kept, given(rows, items)) for index, rows, items, kept in chunks)
    work = partial(_answer_rows, form=form, nested=output.nested)
    for index, rows, kept, answered in _answered(asked, classifier, work, workers):
        if answered is not None:
            answers, counts = answered
            for at, answer in kept.items():
                answers[at] = as_written(answer, form, nested=output.nested)
            summary: Mapping[str, Any] = vars(counts)
            output.write(index, rows, answers, summary)
        else:
            summary = output.summary(index)
        total.add(summary)
        if watch is not None:
            watch.add_cells(summary.get("shift", {}))
        if progress is not None:
            progress(rows)
    output.finish()
    return total


def _answered(
    asked: Iterable[tuple[int, list[Row], Kept, _Given | None]],
    classifier: Classifier,
    work: Callable[..., tuple[list[Answer], Counts]],
    workers: int,
) -> Iterator[tuple[int, list[Row], Kept, tuple[list[Answer], Counts] | None]]:
    """The answers of chunks in their order, None for those that the output has already."""
    begun = False
    waiting: deque[tuple[int, list[Row], Kept, bool]] = deque()
    with ExitStack() as stack:
        pool: Pool | None = None
        came = 0.0

        def next_of(pool: Pool) -> tuple[int, list[Row], Kept, tuple[list[Answer], Counts] | None]:
            nonlocal came
            index, rows, kept, is_asked = waiting.popleft()
            if not is_asked:
                return index, rows, kept, None
            answers, counts = pool.next()
            now = time.perf_counter()  # processes work at the same time
            counts.seconds, came = round(now - came, 3), now
            return index, rows, kept, (answers, counts)

        for index, rows, kept, given in asked:
            if pool is None and workers > 1 and begun and given is not None:
                pool = stack.enter_context(Pool(classifier, work, workers))
                came = time.perf_counter()
            if pool is None:
                begun = begun or given is not None
                yield index, rows, kept, None if given is None else work(classifier, *given)
                continue
            if given is not None:
                pool.ask(*given)
            waiting.append((index, rows, kept, given is not None))
            if len(waiting) >= pool.room:
                yield next_of(pool)
        while pool is not None and waiting:
            yield next_of(pool)


def _answer_rows(
    classifier: Classifier,
    items: Sequence[Item | Prediction],
    labels: Sequence[str],
    lines: Sequence[int],
    *,
    form: AnswerForm,
    nested: bool,
) -> tuple[list[Answer], Counts]:
    """As `answer_chunk`, with all that changes from chunk to chunk first."""
    return answer_chunk(classifier, items, labels, form, nested=nested, lines=lines)


def answer_chunk(
    classifier: Classifier,
    items: Sequence[Item | Prediction],
    labels: Sequence[str],
    form: AnswerForm,
    *,
    nested: bool,
    lines: Sequence[int] = (),
) -> tuple[list[Answer], Counts]:
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
    predictions = classifier.classify_read(items)
    finder = LabelFinder(classifier.taxonomy, classifier.config.columns.label_separator)
    golds = _golds(finder, labels)
    counts = count(predictions, golds)
    if counts.unknown:
        at = golds.index(None)
        line = f"line {lines[at]}, " if lines else ""
        counts.first_unknown = line + finder.shown(labels[at]) + name_hint(finder, labels[at])
    counts.several = dict(Counter(filter(None, map(finder.unread, labels))))
    counts.shift = cells(classifier.sentinel.counts - seen)
    counts.languages = look(items, min(lines, default=0)) if reads_english_only(classifier) else {}
    counts.seconds = round(time.perf_counter() - started, 3)
    counts.stages = {
        stage: round(seconds - before.get(stage, 0.0), 4)
        for stage, seconds in classifier.seconds.items()
    }
    counts.asked = {name: n - asked.get(name, 0) for name, n in classifier.asked.items()}
    return [form.answer(p, nested=nested) for p in predictions], counts


def _chunks(
    table: Table,
    output: Output,
    reader: RowReader,
    classifier: Classifier | None,
    earlier: EarlierAnswers | None,
) -> Iterator[tuple[int, list[Row], Items | None, Kept]]:
    """The chunks of a table with their items, None where the output has them already.

    Beside them stand the earlier answers that are kept, by their place in the chunk. With pictures
    chunks are read one ahead: while a chunk is classified, the pictures of the next one are
    decoded, by the classifier if one is given. Without, no row waits for others.
    """
    ahead: list[tuple[int, list[Row], Items | None, Kept]] = []
    for index, rows in enumerate(table.chunks(BATCH)):
        kept = earlier.of(table, rows) if earlier is not None else {}
        items = None if output.has(index, rows) else reader.items(table, rows)
        if items is not None and earlier is not None:
            for at, answer in kept.items():
                items[at] = earlier.prediction(answer)
        ahead.append((index, rows, items, kept))
        if reader.columns.image is not None:
            if items is not None and classifier is not None:
                classifier.prefetch([item for item in items if isinstance(item, Item)])
            if len(ahead) == 1:
                continue
        yield ahead.pop(0)
    yield from ahead


def _golds(finder: LabelFinder, labels: Sequence[str]) -> list[tuple[str, ...] | None]:
    """Codes along the known path of each row, top first: none without a label, None if unknown."""
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
    counts = Counts(rows=len(predictions))
    counts.status = dict(Counter([p.status for p in predictions]))
    cut = [p.path for p in predictions if p.status == "partial" and is_cut(p) and p.path]
    counts.partial = dict(Counter([str(path.count(PATH_SEPARATOR) + 1) for path in cut]))
    counts.source = dict(Counter([p.source for p in predictions if p.code is not None]))
    counts.fallback = dict(Counter([p.failure for p in predictions if p.failure]))
    sure = [p.confidence for p in predictions if p.status in ("ok", "partial")]
    wrong = sum([round(1e6 * (1 - each)) for each in sure])  # whole numbers add up exactly
    counts.accepted = {"rows": len(sure), "expected_wrong": wrong}
    counts.unknown = golds.count(None)
    labelled: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for prediction in predictions:
        if prediction.code is not None:
            counts.confidence[min(int(prediction.confidence * 10), 9)] += 1
    for prediction, gold in zip(predictions, golds, strict=True):
        if not gold:
            continue
        found = tuple([code for code, _ in prediction.path_nodes])
        counts.exact += found == gold
        for level in range(1, len(gold) + 1):
            labelled[str(level)] += 1
            right[str(level)] += found[:level] == gold[:level]
    counts.labelled, counts.right = dict(labelled), dict(right)
    return counts
