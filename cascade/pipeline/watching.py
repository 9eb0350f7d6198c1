"""What is watched of rows while they are classified, see `confidence.shift`.

The answers are taken before calibration, and all else from what was computed for them anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.shift import Kind, Reference, Watch
from cascade.features.lexical import SPARSE, LexicalFeatures
from cascade.items import Batch
from cascade.predictions import Prediction
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    from cascade.pipeline.classifier import Classifier

Values = dict[str, tuple[Kind, Any]]  # by stream: its kind, and codes or numbers [n_rows]


class Watching:
    """Sees the rows that a classifier answers.

    Parameters
    ----------
    columns
        Of text, that are read.
    lexical
        Whose unknown words are counted, if any.
    reference
        Rows are counted against it; without one what is seen of them is kept in `values`.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        columns: Sequence[str],
        lexical: LexicalFeatures | None,
        reference: Reference | None = None,
    ) -> None:
        self._taxonomy = taxonomy
        self._columns = columns
        self._lexical = lexical
        self._tops: dict[str, str] = {}
        self.watch = None if reference is None else Watch(reference)
        self.values: list[Values] = []

    def see(self, batch: Batch, answers: Sequence[Prediction]) -> None:
        """The answers for a batch, not yet calibrated."""
        seen = self._seen(batch, answers)
        if self.watch is None:
            self.values.append(seen)
        else:
            counts = self.watch.reference.count({name: own for name, (_, own) in seen.items()})
            self.watch.add(counts, len(batch))

    def _seen(self, batch: Batch, answers: Sequence[Prediction]) -> Values:
        codes = [answer.code or "" for answer in answers]
        found: Values = {"answer": ("classes", codes)}
        if self._taxonomy.depth > 1:
            found["level 1"] = "classes", [self._top(code) for code in codes]
        found["confidence"] = "surer", np.array([answer.confidence for answer in answers])
        for name in self._columns:
            lengths = [len(item.fields.get(name, "")) for item in batch.items]
            found[f"text {name}"] = "text", np.array(lengths)
        if self._lexical is not None:
            found["words"] = "unknown", self._unknown(batch)
        return found

    def _top(self, code: str) -> str:
        """The code of the node of level 1 above."""
        if code not in self._tops:
            taxonomy = self._taxonomy
            path = taxonomy.path_nodes(taxonomy.index(code)) if code else ()
            self._tops[code] = taxonomy.codes[int(path[0])] if len(path) else ""
        return self._tops[code]

    def _unknown(self, batch: Batch) -> NDArray[np.float64]:
        """The share of unknown words of each item, as far as heads have read them."""
        found = np.full(len(batch), np.nan)
        for rows, sparse in batch.made((self._lexical, SPARSE)):
            found[rows] = sparse.unknown
        return found


def values_of(watching: Watching) -> Values:
    """All that was seen, without a reference."""
    found: Values = {}
    for name, (kind, _) in watching.values[0].items():
        parts = [seen[name][1] for seen in watching.values]
        found[name] = kind, [v for part in parts for v in part]
    return found
