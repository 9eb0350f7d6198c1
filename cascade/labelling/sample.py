"""The rows of a file that are learnt from: a sample of them, with vectors and what names say.

A file may be of any length; what is learnt from are some thousand rows of it, drawn at random, each
text once. All that is computed of them is kept in the run folder, so that the next round begins at
once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import CascadeConfig, Columns
from cascade.errors import ConfigError, InputError
from cascade.features.lexical import LexicalFeatures, LexicalRecipe
from cascade.io.files import read_tensors, write_tensors
from cascade.io.tables.opening import TableFile
from cascade.items import Batch, Item
from cascade.labelling.learner import Branches, Floats
from cascade.scoring.components import Components
from cascade.scoring.corrections import Corrections, Words
from cascade.scoring.scorer import NodeProbabilityScorer
from cascade.taxonomy import Taxonomy

MOST = 3000  # rows that are learnt from
LEAVES = 1000  # that are told apart, where a taxonomy has more: those that most rows may be of
NEAR = 20  # leaves of a row that count for that
CHUNK = 256
TAUGHT, WORDS = "taught.safetensors", "words.safetensors"  # files of what was learnt
HALF = np.float32(np.sqrt(0.5))  # of a vector's length for its meaning, as much for its words
AXES = 200  # numbers that words of a row become
RECIPE = LexicalRecipe(words=2, characters=4, rare=2, max_chars=1000)

Tick = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Rows:
    """Rows as they were drawn.

    Parameters
    ----------
    items
        Of the rows; each text once.
    numbers
        int64 [n_rows], places in the file from 1; of several rows with one text the first.
    copies
        int64 [n_rows], rows of the sample that have this text.
    total
        Rows of the file that have text.
    unread
        Rows that cannot be read or have none.
    """

    items: Sequence[Item]
    numbers: NDArray[np.int64]
    copies: NDArray[np.int64]
    total: int
    unread: int

    def __len__(self) -> int:
        return len(self.items)


def draw(source: TableFile, columns: Columns, seed: int, tick: Tick, most: int = MOST) -> Rows:
    """Rows drawn evenly from a whole file (Vitter's reservoir).

    Raises
    ------
    InputError
        No row has text.
    """
    rng, kept, total, unread = random.Random(seed), list[tuple[int, Item]](), 0, 0
    for number, item in _items(source, columns):
        if item is None:
            unread += 1
            continue
        if total < most:
            kept.append((number, item))
        elif (place := int(rng.random() * (total + 1))) < most:
            kept[place] = number, item
        total += 1
        if total % 1000 == 0:
            tick("reading", total, None)
    if not total + unread:
        raise InputError("has no rows, only a header", file=source.file)
    if not kept:
        raise InputError(
            f"no row has text in {', '.join(columns.text)}; name other columns with --text",
            file=source.file,
        )
    first: dict[str, int] = {}
    items, numbers, copies = list[Item](), list[int](), list[int]()
    for number, item in sorted(kept, key=lambda pair: pair[0]):
        at = first.setdefault(item.text, len(items))
        if at < len(items):
            copies[at] += 1
            continue
        items.append(item)
        numbers.append(number)
        copies.append(1)
    return Rows(items, np.array(numbers), np.array(copies), total, unread)


def _items(source: TableFile, columns: Columns) -> Iterator[tuple[int, Item | None]]:
    with source.open() as table:
        for number, row in enumerate(table.rows, start=1):
            item = None
            if table.problem(row, columns.text) is None:
                item = Item(table.texts(row, columns.text))
            yield number, item if item is not None and item.has_text else None


@dataclass(frozen=True)
class Sample:
    """Rows with their vectors, beside models that answer by names of nodes alone.

    Parameters
    ----------
    meaning
        float32 [n_rows, width], unit vectors of texts.
    words
        What the words of a text become; None where rows are too few.
    wording
        float32 [n_rows, AXES], that of the rows.
    """

    rows: Rows
    models: Components
    meaning: Floats
    words: Words | None
    wording: Floats

    @property
    def vectors(self) -> Floats:
        """float32 [n_rows, width + AXES]: of meaning, then of words, halfway."""
        return HALF * np.hstack([self.meaning, self.wording])

    @property
    def taxonomy(self) -> Taxonomy:
        """What is chosen from."""
        return self.models.taxonomy

    def save(self, corrections: Corrections, folder: Path) -> None:
        """Write corrections over `vectors` as the scorer `taught` reads them.

        Raises
        ------
        OutputError
            They cannot be written.
        """
        plain = Corrections(
            *(corrections.scale, corrections.nodes, HALF * corrections.weights, corrections.bias)
        )
        if self.words is not None:
            self.words.features.save(folder / WORDS)
        plain.save(folder / TAUGHT, self.taxonomy, self.words)

    def branches(self, labelled: NDArray[np.int32]) -> Branches:
        """The leaves that rows may be of, with those at or below labels."""
        leaves = self.taxonomy.leaves
        if len(leaves) <= LEAVES:
            return Branches(self.taxonomy, leaves)
        mass = np.zeros(len(leaves))
        for _, logs in self._logs(leaves):
            near = np.argpartition(-logs, NEAR, axis=1)[:, :NEAR]
            np.add.at(mass, near, np.exp(np.take_along_axis(logs, near, axis=1)))
        kept = leaves[np.argsort(-mass, kind="stable")[:LEAVES]]
        below = [leaves[(leaves >= n) & (leaves < self.taxonomy.end[n])] for n in labelled.tolist()]
        return Branches(self.taxonomy, np.unique(np.concatenate([kept, *below])).astype(np.int32))

    def known(self, branches: Branches) -> Floats:
        """float32 [n_rows, n_leaves], log-probabilities by names of nodes."""
        found = np.empty((len(self.rows), len(branches.leaves)), np.float32)
        for at, logs in self._logs(branches.leaves):
            found[at : at + len(logs)] = logs
        return found

    def batch(self, start: int) -> Batch:
        """`CHUNK` rows from one on, of which nothing has to be encoded again."""
        found, vectors = Batch(self.rows.items[start : start + CHUNK]), self.meaning
        key = (self.models.retriever, "vectors")
        found.once(key, lambda _: vectors[start : start + CHUNK])
        return found

    def _logs(self, leaves: NDArray[np.int32]) -> Iterator[tuple[int, Floats]]:
        scorer = self.models.scorer("retrieval")
        assert isinstance(scorer, NodeProbabilityScorer)
        for at in range(0, len(self.rows), CHUNK):
            batch = self.batch(at)
            rows = np.repeat(np.arange(len(batch), dtype=np.int32), len(leaves))
            logs = scorer.probabilities(batch).log_prob(rows, np.tile(leaves, len(batch)))
            yield at, logs.reshape(len(batch), len(leaves))


def take(rows: Rows, taxonomy: Taxonomy, config: CascadeConfig, folder: Path, tick: Tick) -> Sample:
    """The sample, computed or as it lies in a folder.

    Raises
    ------
    ConfigError
        What lies there is damaged.
    """
    tick("indexing the taxonomy", 0, None)
    models = Components(taxonomy, config, lambda done, of: tick("indexing the taxonomy", done, of))
    file, lexical = folder / "sample.safetensors", folder / WORDS
    if not file.is_file():
        parts = []
        for at in range(0, len(rows), CHUNK):
            tick("encoding rows", at, len(rows))
            parts.append(models.retriever.vectors(Batch(rows.items[at : at + CHUNK])))
        words = _words(rows.items, list(config.columns.text))
        arrays: dict[str, Any] = {"meaning": np.concatenate(parts), "numbers": rows.numbers}
        if words is not None:
            words.features.save(lexical)
            arrays["axes"] = words.axes
        write_tensors(file, {}, arrays)
    _, kept = read_tensors(file)
    if not np.array_equal(kept.get("numbers", np.empty(0)), rows.numbers):
        raise ConfigError(f"{file}: is of other rows; begin anew with --overwrite")
    words = None
    if "axes" in kept:
        words = Words(LexicalFeatures.load(lexical), kept["axes"])
    wording = np.zeros((len(rows), 0), np.float32) if words is None else words.of(list(rows.items))
    return Sample(rows, models, kept["meaning"], words, wording)


def _words(items: Sequence[Item], columns: Sequence[str]) -> Words | None:
    """Words and characters of some rows, projected; as long on average as vectors of meaning."""
    from scipy.sparse.linalg import svds

    features = LexicalFeatures.fit(items, columns, RECIPE)
    counted = features.rows(items)
    k = min(AXES, *(n - 1 for n in counted.shape))
    if k < 2:
        return None
    start = np.random.default_rng(0).standard_normal(min(counted.shape))
    _, _, axes = svds(counted.astype(np.float64), k=k, v0=start)
    axes = np.ascontiguousarray(axes.T, dtype=np.float32)
    length = float(np.sqrt(np.square(counted @ axes).sum(axis=1).mean()))
    if not length > 0:
        return None
    return Words(features, (axes / np.float32(length)).astype(np.float16).astype(np.float32))
