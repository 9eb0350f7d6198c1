"""The predictions of a run, read from its `predictions.parquet` as arrays."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import Columns
from cascade.errors import InputError
from cascade.evaluation.evaluation_task import LINE
from cascade.evaluation.external_predictions import RANKING, level_column
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.foodex2.repair import repair
from cascade.pipeline.labels.finding import NOWHERE, REVIEW_ACTION, LabelFinder
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import Facet, FacetedTaxonomy
from cascade.taxonomy.names import clean

if TYPE_CHECKING:
    import pyarrow as pa

SET = "cascade_set"


@dataclass(frozen=True)
class RunPredictions:
    """Labelled rows with their answers; make one with `read`.

    Parameters
    ----------
    gold, predicted
        int32 [n_rows], node indices, -1 where there is none. What is predicted is the likeliest
        answer as a whole.
    confidence
        float64 [n_rows], of what is predicted, nan where there is none.
    also
        Other right answers of each row; None where no column has them.
    levels
        int32 [n_rows, depth], nodes that were predicted for each level on its own; None where one
        answer is given for all levels.
    ranking
        Leaves of each row, best first; None where none were ranked.
    reviewed
        bool [n_rows], marked `review`; None where no row is.
    given
        int32 [n_rows], the nodes that were answered with, of which some lie above what is
        predicted; None where none does.
    sets
        Nodes of the set of each row; None where no row has one.
    path_confidence
        float64 [n_rows, depth], the confidence of each level of what is predicted, nan below its
        end; None where it is not known.
    facets
        int64 [n_rows, 3], facets of each row that are right, predicted, and gold; None where no
        code has any.
    nowhere
        int64 [n_nowhere], rows that fit nowhere by their label or a review.
    status, source
        Rows by status, and answered rows by source.
    """

    taxonomy: Taxonomy
    gold: NDArray[np.int32]
    predicted: NDArray[np.int32]
    confidence: NDArray[np.float64]
    also: Sequence[tuple[int, ...]] | None
    levels: NDArray[np.int32] | None
    ranking: Sequence[Sequence[int]] | None
    reviewed: NDArray[np.bool_] | None
    given: NDArray[np.int32] | None
    sets: Sequence[Sequence[int]] | None
    path_confidence: NDArray[np.float64] | None
    facets: NDArray[np.int64] | None
    nowhere: NDArray[np.int64]
    status: dict[str, int]
    source: dict[str, int]
    _columns: Columns = field(repr=False)
    _table: pa.Table = field(repr=False)

    def __len__(self) -> int:
        return len(self.gold)

    @property
    def measured(self) -> NDArray[np.int64]:
        """int64 [n_measured], the rows with a gold node."""
        return np.flatnonzero(self.gold >= 0)

    def without_answer(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool [n_rows], whether rows were answered with no node, as is right where none fits."""
        return np.asarray((self.predicted if self.given is None else self.given)[rows] < 0)

    def against_gold(self, rows: NDArray[np.int64] | None = None) -> GoldAndPredicted:
        """What the metrics take, of the rows given or else of all measured rows."""
        rows = self.measured if rows is None else rows
        return GoldAndPredicted.of(
            self.taxonomy,
            self.predicted[rows],
            self.gold[rows],
            confidence=None if np.isnan(self.confidence[rows]).all() else self.confidence[rows],
            also=None if self.also is None else [self.also[row] for row in rows.tolist()],
            levels=None if self.levels is None else self.levels[rows],
            reviewed=None if self.reviewed is None else self.reviewed[rows],
            facets=None if self.facets is None else self.facets[rows],
            given=None if self.given is None else self.given[rows],
            sets=None if self.sets is None else [self.sets[row] for row in rows.tolist()],
        )

    def ranked(self) -> tuple[list[Sequence[int]], list[tuple[int, ...]]]:
        """Rankings of the measured rows whose gold node is a leaf, and their right answers.

        Only leaves are ranked, so that a row whose gold is an inner node cannot be right.
        """
        if self.ranking is None:
            return [], []
        rows = [row for row in self.measured.tolist() if self.taxonomy.is_leaf(self.gold[row])]
        also = self.also or [()] * len(self)
        right = [(int(self.gold[row]), *also[row]) for row in rows]
        return [self.ranking[row] for row in rows], right

    def line(self, row: int) -> int:
        """Line of the data on which a row begins."""
        return int(self._table[LINE][row].as_py())

    def lines(self) -> NDArray[np.int64]:
        """int64 [n_rows], the line of each row."""
        import pyarrow.compute as pc

        return np.asarray(pc.cast(self._table[LINE], "int64"))

    def text(self, row: int) -> str:
        """The text of a row, its fields by lines; without text columns its id or its picture."""
        named = self._columns.id or self._columns.image
        names = self._columns.text or [n for n in [named] if n] or [LINE]
        return "\n".join(filter(None, (self._table[name][row].as_py() for name in names)))

    def gold_code(self, row: int) -> str:
        """The label of a row as it is written; empty where it has none."""
        return self.value(row, self._columns.label or "")

    def code(self, row: int) -> str:
        """The code that a row was answered with; empty where it was not."""
        return self.value(row, "cascade_code")

    def value(self, row: int, column: str) -> str:
        """What a row has in a column, as text; empty where it has nothing."""
        return str(self._table[column][row].as_py() or "")

    @classmethod
    def read(cls, file: Path, taxonomy: Taxonomy, columns: Columns) -> RunPredictions:
        """The predictions in a file of a run.

        Raises
        ------
        InputError
            The file is missing or damaged, or is not of this taxonomy and these columns.
        """
        import pyarrow as pa

        table = _read_table(file)
        needed = ["cascade_code", "cascade_confidence", "cascade_status", "cascade_source", LINE]
        needed += [columns.label or "", *columns.also]
        missing = [name for name in needed if name not in table.column_names]
        if missing:
            raise InputError(
                f"has no column {missing[0]!r}, so it is not of this run; make the run anew",
                file=file,
            )
        try:
            found = cls._of(table, file, taxonomy, columns)
            found.lines()
        except (pa.ArrowException, TypeError, AttributeError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"is damaged ({reason}); make the run anew", file=file) from None
        return found

    @classmethod
    def _of(
        cls, table: pa.Table, file: Path, taxonomy: Taxonomy, columns: Columns
    ) -> RunPredictions:
        finder = LabelFinder(taxonomy)
        labels = LabelFinder(taxonomy, columns.label_separator)
        given = _nodes(table["cascade_code"], finder)
        codes = np.asarray(table["cascade_code"].is_valid())
        if (wrong := np.flatnonzero(codes & (given < 0))).size:
            code = table["cascade_code"][int(wrong[0])].as_py()
            raise InputError(
                f"{code!r} is no code of taxonomy {taxonomy.name!r}: the taxonomy has changed "
                "since; make the run anew",
                file=file,
            )
        cut = "cascade_whole_code" in table.column_names
        predicted = _nodes(table["cascade_whole_code"], finder) if cut else given
        sure = table["cascade_whole_confidence" if cut else "cascade_confidence"]
        gold = _nodes(table[columns.label], labels)
        return cls(
            taxonomy,
            gold,
            predicted,
            _confidence(sure, file),
            _also(table, columns, labels),
            _levels(table, taxonomy, finder),
            _lists(table, RANKING, finder),
            _reviewed(table["cascade_status"]),
            None if (given == predicted).all() else given,
            _lists(table, SET, finder),
            _path_confidence(table, taxonomy.depth),
            _facets(taxonomy, table["cascade_code"], table[columns.label]),
            _nowhere(table, columns.label or "", gold),
            _counts(table["cascade_status"]),
            _counts(table["cascade_source"].filter(table["cascade_code"].is_valid())),
            columns,
            table,
        )


def _read_table(file: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(pa.memory_map(os.fsencode(file)))
    except FileNotFoundError:
        raise InputError(
            "there is no such file, so this is not the folder of a finished run", file=file
        ) from None
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"cannot be read ({reason}); make the run anew", file=file) from None


def _nodes(cells: Any, finder: LabelFinder) -> NDArray[np.int32]:
    """int32 [n_rows], the node that each cell names, -1 for none."""
    encoded = cells.combine_chunks().dictionary_encode()
    if hasattr(encoded, "combine_chunks"):
        encoded = encoded.combine_chunks()
    values = [finder.find(text or "") for text in encoded.dictionary.to_pylist()]
    nodes = np.array([*values, -1], dtype=np.int32)
    return np.asarray(nodes[encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)])


def _confidence(cells: Any, file: Path) -> NDArray[np.float64]:
    """float64 [n_rows], nan where there is none."""
    found = np.asarray(cells.cast("float64").to_numpy(), dtype=np.float64)
    wrong = np.flatnonzero((found < 0) | (found > 1))
    if wrong.size:
        raise InputError(
            f"holds a confidence of {found[wrong[0]]:.3g}, which is no probability; make the run "
            "anew",
            file=file,
        )
    return found


def _also(
    table: pa.Table, columns: Columns, finder: LabelFinder
) -> Sequence[tuple[int, ...]] | None:
    names = [*columns.also, *([columns.label] if columns.label_separator else [])]
    if not names:
        return None
    cells = [[finder.find_all(text or "") for text in table[name].to_pylist()] for name in names]
    return [sum(nodes, ()) for nodes in zip(*cells, strict=True)]


def _levels(table: pa.Table, taxonomy: Taxonomy, finder: LabelFinder) -> NDArray[np.int32] | None:
    names = [level_column(level) for level in range(1, taxonomy.depth + 1)]
    if names[0] not in table.column_names:
        return None
    none = np.full(len(table), -1, dtype=np.int32)
    known = set(table.column_names)
    return np.stack([_nodes(table[n], finder) if n in known else none for n in names], axis=1)


def _lists(table: pa.Table, name: str, finder: LabelFinder) -> Sequence[Sequence[int]] | None:
    """The nodes that each cell of a column lists, in JSON; None where no cell lists any."""
    if name not in table.column_names or table[name].null_count == len(table):
        return None
    found: list[Sequence[int]] = []
    for text in table[name].to_pylist():
        try:
            codes = json.loads(text) if text else []
        except (ValueError, RecursionError):
            codes = []
        nodes = [finder.find(str(code)) for code in codes] if isinstance(codes, list) else []
        found.append([node for node in nodes if node >= 0])
    return found if any(found) else None


def _reviewed(cells: Any) -> NDArray[np.bool_] | None:
    marked = np.array([text == "review" for text in cells.to_pylist()], dtype=np.bool_)
    return marked if marked.any() else None


def _path_confidence(table: pa.Table, depth: int) -> NDArray[np.float64] | None:
    if "cascade_whole_levels" not in table.column_names:
        return None
    found = np.full((len(table), depth), np.nan)
    for row, text in enumerate(table["cascade_whole_levels"].to_pylist()):
        try:
            values = json.loads(text or "[]")
        except (ValueError, RecursionError):
            continue
        if isinstance(values, list) and all(type(value) in (int, float) for value in values):
            found[row, : len(values)] = values[:depth]
    return None if np.isnan(found).all() else found


def _facets(taxonomy: Taxonomy, predicted: Any, gold: Any) -> NDArray[np.int64] | None:
    """int64 [n_rows, 3], facets that are right, predicted and gold, beside those implied."""
    if not isinstance(taxonomy, FacetedTaxonomy):
        return None

    @cache
    def facets(text: str | None) -> frozenset[Facet]:
        code = repair(text or "", taxonomy).code
        return frozenset() if code is None else frozenset(code.facets)  # a path, or nothing

    sets = [
        (facets(ours), facets(theirs))
        for ours, theirs in zip(predicted.to_pylist(), gold.to_pylist(), strict=True)
    ]
    counts = [(len(ours & theirs), len(ours), len(theirs)) for ours, theirs in sets]
    return np.array(counts, dtype=np.int64) if any(map(any, sets)) else None


def _nowhere(table: pa.Table, label: str, gold: NDArray[np.int32]) -> NDArray[np.int64]:
    """int64 [n_nowhere], rows that fit nowhere, as `count_labels` counts them."""
    actions = [None] * len(table)
    if REVIEW_ACTION in table.column_names:
        actions = table[REVIEW_ACTION].to_pylist()
    labels = [clean(text or "") for text in table[label].to_pylist()]
    said = [
        text.casefold() == NOWHERE or (not text and action == NOWHERE)
        for text, action in zip(labels, actions, strict=True)
    ]
    return np.flatnonzero(np.array(said, dtype=np.bool_) & (gold < 0))


def _counts(cells: Any) -> dict[str, int]:
    counts = Counter(cells.to_pylist())
    return {str(name): n for name, n in counts.most_common()}
