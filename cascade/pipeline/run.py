"""A run over a table: rows in chunks, answers beside them, counts for the summary."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import cascade
from cascade.config import CascadeConfig, Columns
from cascade.errors import InputError
from cascade.generation.prompts import PromptTemplate
from cascade.io import Answer, Output, Row, Table, require_columns
from cascade.io.pictures import PicturePlaces
from cascade.items import Item, Prediction, alternatives_of, trace_of
from cascade.pipeline.classifier import BATCH, Classifier, item_names
from cascade.pipeline.pack import contents
from cascade.taxonomy import Taxonomy

ANSWER_COLUMNS: dict[str, type] = {
    "cascade_code": str,
    "cascade_path": str,
    "cascade_confidence": float,
    "cascade_source": str,
    "cascade_status": str,
    "cascade_message": str,
}

USUAL_TEXT_COLUMNS = ("text", "name", "title", "product", "product_name", "item", "description")


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What stands beside each row.

    Parameters
    ----------
    top
        Alternatives to show, the answer itself not counted.
    explain
        Whether the trace is shown.
    ranking
        Whether the ranking of leaves is shown.
    """

    top: int = 0
    explain: bool = False
    ranking: bool = False

    @property
    def columns(self) -> dict[str, type]:
        """Columns of tabular output with their types."""
        more = {
            "cascade_alternatives": self.top > 0,
            "cascade_trace": self.explain,
            "cascade_ranking": self.ranking,
        }
        return ANSWER_COLUMNS | {name: str for name, wanted in more.items() if wanted}

    def answer(self, prediction: Prediction, *, nested: bool) -> Answer:
        """A prediction as values by column, or (`nested`) by key of one JSON object."""
        values: dict[str, Any] = {
            "code": prediction.code,
            "path": prediction.path,
            "confidence": round(prediction.confidence, 4) if prediction.code else None,
            "source": prediction.source,
            "status": prediction.status,
            "message": prediction.message,
        }
        if self.top:
            values["alternatives"] = alternatives_of(prediction)[: self.top]
        if self.explain:
            values["trace"] = trace_of(prediction)
        if self.ranking:
            values["ranking"] = list(prediction.ranking)
        if nested:
            return values
        return {
            f"cascade_{key}": json.dumps(value, ensure_ascii=False)
            if isinstance(value, list)
            else value
            for key, value in values.items()
        }


@dataclass
class Counts:
    """What a run did; counts of parts add up.

    Parameters
    ----------
    status, source
        Rows by status, and answered rows by source.
    confidence
        Answered rows by tenth of confidence: `confidence[9]` has those from 0.9 up.
    labelled, right
        Rows with a known label by level, and those of them that are right down to that level.
    unknown
        Rows whose label is not in the taxonomy.
    seconds
        Time spent on classifying.
    stages
        What that time went into, in seconds.
    """

    rows: int = 0
    status: dict[str, int] = field(default_factory=dict)
    source: dict[str, int] = field(default_factory=dict)
    confidence: list[int] = field(default_factory=lambda: [0] * 10)
    labelled: dict[str, int] = field(default_factory=dict)
    right: dict[str, int] = field(default_factory=dict)
    unknown: int = 0
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)

    def add(self, other: Mapping[str, Any]) -> None:
        """Add the counts of a part, as `asdict` gave them."""
        self.rows += other["rows"]
        self.unknown += other["unknown"]
        self.seconds += other["seconds"]
        self.confidence = [a + b for a, b in zip(self.confidence, other["confidence"], strict=True)]
        for name in ("status", "source", "labelled", "right", "stages"):
            setattr(self, name, dict(Counter(getattr(self, name)) + Counter(other[name])))


def fingerprint(
    taxonomy: Taxonomy,
    config: CascadeConfig,
    columns: Columns,
    form: AnswerForm,
    limit: int | None,
) -> dict[str, Any]:
    """All that the bytes of a run's output depend on, but for the input, as plain values."""
    prompts = [
        PromptTemplate.load(name).source for name in (config.llm.prompt, config.llm.type_prompt)
    ]
    return {
        "version": cascade.__version__,
        "taxonomy": taxonomy.fingerprint,
        "prompts": hashlib.sha256("".join(prompts).encode()).hexdigest(),
        "fitted": contents(config),
        "chunk": BATCH,
        "limit": limit,
        "columns": columns.model_dump(),
        **asdict(form),
        **config.model_dump(exclude={"columns", "taxonomy"}),
    }


def classify_table(
    classifier: Classifier,
    table: Table,
    output: Output,
    columns: Columns,
    form: AnswerForm,
    *,
    limit: int | None = None,
    progress: Callable[[Row], None] | None = None,
) -> Counts:
    """Classify the rows of a table into an output, chunk by chunk, and finish the output.

    A chunk that the output already has from an interrupted run is not classified again. Chunks
    are the same in every run, so the answers are too.

    Parameters
    ----------
    limit
        Rows to classify, from the start.
    progress
        Called with the last row of each chunk.

    Raises
    ------
    InputError
        A named column is not there.
    UsageError
        More text columns are named than a pack was fitted to.
    OutputError
        The output cannot be written, or the input is not what it was.
    """
    named = (columns.image, columns.id, columns.label)
    require_columns(table, [*columns.text, *filter(None, named)])
    reading = Reading.of(columns, classifier.config)
    if limit is not None:
        table.rows = islice(table.rows, limit)

    def read(rows: Sequence[Row]) -> list[Item | Prediction]:
        return reading.items(table, rows)

    for index, rows, items in _chunks(table, output, read, classifier, columns.image is not None):
        if items is not None:
            labels = reading.labels(table, rows)
            answers, counts = answer_chunk(classifier, items, labels, form, nested=output.nested)
            output.write(index, rows, answers, asdict(counts))
        if progress is not None:
            progress(rows[-1])
    total = Counts()
    for part in output.summaries:
        total.add(part)
    output.finish()
    return total


def answer_chunk(
    classifier: Classifier,
    items: Sequence[Item | Prediction],
    labels: Sequence[str],
    form: AnswerForm,
    *,
    nested: bool,
) -> tuple[list[Answer], Counts]:
    """What stands beside the rows of one chunk, and its counts, timed.

    Parameters
    ----------
    items
        What the rows hold, or why they cannot be answered; see `Reading`.
    labels
        The known answer of each row, or an empty text.
    nested
        As of the output that the answers are for.
    """
    started, before = time.perf_counter(), dict(classifier.seconds)
    predictions = list(_classified(classifier, items))
    counts = count(predictions, _golds(classifier.taxonomy, labels))
    counts.seconds = round(time.perf_counter() - started, 3)
    counts.stages = {
        stage: round(seconds - before.get(stage, 0.0), 4)
        for stage, seconds in classifier.seconds.items()
    }
    return [form.answer(p, nested=nested) for p in predictions], counts


def _chunks(
    table: Table,
    output: Output,
    read: Callable[[Sequence[Row]], list[Item | Prediction]],
    classifier: Classifier,
    pictures: bool,
) -> Iterator[tuple[int, list[Row], list[Item | Prediction] | None]]:
    """The chunks of a table with their items, None where the output has them already.

    With pictures they are read one ahead: while a chunk is classified, the pictures of the next one
    are decoded. Without, no row waits for others.
    """
    held: tuple[int, list[Row], list[Item | Prediction] | None] | None = None
    for index, rows in enumerate(table.chunks(BATCH)):
        items = None if output.has(index, rows) else read(rows)
        if not pictures:
            yield index, rows, items
            continue
        if items is not None:
            classifier.prefetch([item for item in items if isinstance(item, Item)])
        if held is not None:
            yield held
        held = index, rows, items
    if held is not None:
        yield held


def picture_places(config: CascadeConfig) -> PicturePlaces:
    """Where the pictures of rows may come from."""
    settings = config.pictures
    root = None if settings.root is None else Path(settings.root)
    return PicturePlaces(root, settings.anywhere, settings.urls)


def guessed_columns(
    table: Table, columns: Columns, reads: Sequence[str] = (), *, needs_image: bool = False
) -> Columns:
    """The columns with what is read, where nothing is named: pictures of a folder, or texts.

    What a pack remembers is no more than a wish: a file without any of its text columns is read by
    its pictures, one without its pictures by its text.

    Parameters
    ----------
    reads
        The text columns that a pack was fitted to.
    needs_image
        Whether the column of pictures was named by the user, not remembered.

    Raises
    ------
    InputError
        No text column can be guessed.
    """
    remembered = list(columns.text) == list(reads)
    if remembered and not set(columns.text) & set(table.columns):
        image = table.pictures or columns.image
        if image is not None and image in table.columns:
            return columns.model_copy(update={"image": image, "text": []})
    if columns.text and reads and not needs_image and columns.image not in table.columns:
        return columns.model_copy(update={"image": None})
    if columns.text or columns.image is not None:
        return columns
    return columns.model_copy(update={"text": guess_text_columns(table)})


def require_read(table: Table, columns: Sequence[str], reads: Sequence[str]) -> None:
    """Check that the columns that a pack reads are there, where no others were named.

    Raises
    ------
    InputError
        One is missing; tells how others stand for it.
    """
    missing = [name for name in columns if name not in table.columns]
    if missing and list(columns) == list(reads):
        raise InputError(
            f"has no column {missing[0]!r}; the pack reads {', '.join(reads)}: name the columns "
            f"that stand for them, in this order, with --text (it has: "
            f"{', '.join(table.columns[:30])})",
            file=table.name,
        )


def guess_text_columns(table: Table) -> list[str]:
    """The columns that hold text when none is named: usual names, or the only column.

    Raises
    ------
    InputError
        There is no such column.
    """
    known = {name.casefold(): name for name in table.columns}
    found = [known[name] for name in USUAL_TEXT_COLUMNS if name in known]
    if found or len(table.columns) == 1:
        return found or list(table.columns)
    has = ", ".join(table.columns[:30])
    raise InputError(f"say which column holds the text with --text; it has: {has}", file=table.name)


def _classified(classifier: Classifier, items: Sequence[Item | Prediction]) -> Iterator[Prediction]:
    """A prediction for each item; what could not be read has its own already."""
    answered = iter(classifier.classify_batch([item for item in items if isinstance(item, Item)]))
    for item in items:
        yield next(answered) if isinstance(item, Item) else item


@dataclass(frozen=True, slots=True)
class Reading:
    """How the rows of a table become items.

    Parameters
    ----------
    names
        What the texts of `columns.text` are called in items.
    places
        Where pictures may come from.
    """

    columns: Columns
    names: tuple[str, ...]
    places: PicturePlaces

    @classmethod
    def of(cls, columns: Columns, config: CascadeConfig) -> Reading:
        """The reading of a table's columns for a config.

        Raises
        ------
        UsageError
            More text columns are named than a pack was fitted to.
        """
        names = item_names(config.reads, list(dict.fromkeys(columns.text)))
        return cls(columns, tuple(names), picture_places(config))

    def items(self, table: Table, rows: Sequence[Row]) -> list[Item | Prediction]:
        """What each row holds, or why it cannot be answered."""
        return [self._item(table, row) for row in rows]

    def labels(self, table: Table, rows: Sequence[Row]) -> list[str]:
        """The known answer of each row; empty where there is none."""
        label = self.columns.label
        return [table.text(row, label) if label else "" for row in rows]

    def _item(self, table: Table, row: Row) -> Item | Prediction:
        if row.problem is not None:
            return Prediction.failed(row.problem)
        columns = self.columns
        id_ = table.text(row, columns.id) if columns.id else None
        image = None
        if columns.image:
            try:
                image = self.places.find(table.value(row, columns.image), table.folder)
            except InputError as error:
                return Prediction.failed(str(error), id_)
        texts = table.texts(row, columns.text).values()
        return Item(dict(zip(self.names, texts, strict=True)), id_, image)


def _golds(taxonomy: Taxonomy, labels: Sequence[str]) -> list[tuple[str, ...] | None]:
    """Codes along the known path of each row, top first: none without a label, None if unknown."""
    golds: list[tuple[str, ...] | None] = []
    for text in labels:
        node = taxonomy.find(text) if text else None
        if node is not None:
            golds.append(tuple(taxonomy.codes[at] for at in taxonomy.path_nodes(node).tolist()))
        else:
            golds.append(None if text.strip() else ())
    return golds


def count(predictions: Sequence[Prediction], golds: Sequence[tuple[str, ...] | None]) -> Counts:
    """Counts of some predictions; `golds` are codes along known paths, None for unknown labels."""
    counts = Counts(rows=len(predictions))
    counts.status = dict(Counter(p.status for p in predictions))
    counts.source = dict(Counter(p.source for p in predictions if p.code is not None))
    counts.unknown = sum(gold is None for gold in golds)
    labelled: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for prediction, gold in zip(predictions, golds, strict=True):
        if prediction.code is not None:
            counts.confidence[min(int(prediction.confidence * 10), 9)] += 1
        found = tuple(level.code for level in prediction.levels)
        gold = gold or ()
        for level in range(1, len(gold) + 1):
            labelled[str(level)] += 1
            right[str(level)] += found[:level] == gold[:level]
    counts.labelled, counts.right = dict(labelled), dict(right)
    return counts
