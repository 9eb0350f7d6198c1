"""What is watched of rows while they are classified, see `confidence.shift`.

The answers are taken before calibration, and all else from what was computed for them anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.sets import SetFamily
from cascade.confidence.shift import Kind, Reference, Shift, Watch
from cascade.config import FITTED_METHOD, CascadeConfig
from cascade.features.lexical import SPARSE, LexicalFeatures
from cascade.items import Batch
from cascade.pipeline.router import Router
from cascade.predictions import Prediction
from cascade.predictions.columns import PredictionColumns
from cascade.scoring.components import Components
from cascade.taxonomy import Taxonomy

COUNTED = 128  # rows that are counted together
Values = dict[str, tuple[Kind, list[Any]]]  # by stream: its kind, and codes or numbers [n_rows]


class _Tops(dict[str, str]):
    """By the code of a node that of level 1 above it, as they are asked for."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        super().__init__({"": ""})
        self._taxonomy = taxonomy

    def __missing__(self, code: str) -> str:
        taxonomy = self._taxonomy
        path = taxonomy.path_nodes(taxonomy.index(code)).tolist()
        top = self[code] = str(taxonomy.codes[path[0]])
        return top


class Watching:
    """Sees the rows that a classifier answers.

    Parameters
    ----------
    columns
        Of text, that are read.
    lexical
        Whose unknown words are counted, if any.
    """

    def __init__(
        self, taxonomy: Taxonomy, columns: Sequence[str], lexical: LexicalFeatures | None
    ) -> None:
        self._taxonomy = taxonomy
        self._columns = columns
        self._lexical = lexical
        self._tops = _Tops(taxonomy)

    @classmethod
    def of(cls, components: Components, reference: Reference | None = None) -> Watching:
        """What watches a pack; its words only where the reference has them."""
        config, lexical = components.config, None
        if reference is None or any(stream.kind == "unknown" for stream in reference.streams):
            names = [name for name, own in config.backbones.items() if own.kind == "lexical"]
            found = components.backbone(names[0]) if names else None
            lexical = found if isinstance(found, LexicalFeatures) else None
        return cls(components.taxonomy, config.reads, lexical)

    def values(self, batch: Batch, answers: Sequence[Prediction]) -> Values:
        """What is seen of a batch whose answers are not calibrated yet."""
        columns = PredictionColumns.of(answers)
        codes = [code or "" for code in columns.code]
        for row in batch.problems:
            codes[row] = ""
        found: Values = {"answer": ("classes", codes)}
        if self._taxonomy.depth > 1:
            found["level 1"] = "classes", list(map(self._tops.__getitem__, codes))
        found["confidence"] = "surer", list(columns.confidence)
        fields = [item.fields for item in batch.items]
        for name in self._columns:
            lengths = [len(own[name]) if name in own else 0 for own in fields]
            found[f"text {name}"] = "text", lengths
        if self._lexical is not None:
            found["words"] = "unknown", self._unknown(batch).tolist()
        return found

    def _unknown(self, batch: Batch) -> NDArray[np.float64]:
        """The share of unknown words of each item, as far as heads have read them."""
        found = np.full(len(batch), np.nan)
        for rows, sparse in batch.made((self._lexical, SPARSE)):
            found[rows] = sparse.unknown
        return found


class Sentinel:
    """Counts what a classifier answers against the reference of its pack, if it has one.

    Parameters
    ----------
    components
        Of which only the method `cascade` is watched: the others were not measured.

    Raises
    ------
    ConfigError
        The reference cannot be read.
    """

    def __init__(self, components: Components) -> None:
        self._components = components
        reference = load_reference(components.config, components.method)
        self._watch = None if reference is None else Watch(reference)
        self._watching = None if reference is None else Watching.of(components, reference)
        self._waiting: Values = {}
        self._turn = Lock()

    @property
    def watch(self) -> Watch | None:
        """The counts of all rows so far; None without a reference."""
        if self._watch is not None:
            with self._turn:
                self._count(self._watch)
        return self._watch

    @property
    def counts(self) -> NDArray[np.int64]:
        """Of all rows so far, int64 [n_cells]; without a reference there are no cells."""
        watch = self.watch
        return np.empty(0, np.int64) if watch is None else watch.counts.copy()

    def recorder(self) -> Recorder:
        """One for the same classifier that keeps what it sees."""
        return Recorder(self._components)

    def another_watch(self) -> Watch | None:
        """Counts of their own against the same reference, for the rows of one run."""
        return None if self._watch is None else Watch(self._watch.reference)

    def see(self, batch: Batch, answers: Sequence[Prediction]) -> None:
        """Take note of a batch; its answers are not calibrated yet."""
        if self._watch is None or self._watching is None:
            return
        seen = self._watching.values(batch, answers)
        with self._turn:
            for name, (kind, own) in seen.items():
                self._waiting.setdefault(name, (kind, []))[1].extend(own)
            if len(self._waiting["answer"][1]) >= COUNTED:  # items that come alone are quicker so
                self._count(self._watch)

    def _count(self, watch: Watch) -> None:
        """Count the rows that wait for it."""
        if self._waiting:
            values = {name: own for name, (_, own) in self._waiting.items()}
            self._waiting = {}
            watch.add(watch.reference.count(values))


class Recorder(Sentinel):
    """Keeps what is seen of rows, of which a reference shall be made.

    Attributes
    ----------
    seen
        Of each batch.
    """

    def __init__(self, components: Components) -> None:
        self._components = components
        self._watch, self._own = None, Watching.of(components)
        self.seen: list[Values] = []

    def see(self, batch: Batch, answers: Sequence[Prediction]) -> None:
        """Keep what is seen of a batch."""
        self.seen.append(self._own.values(batch, answers))


class Blind(Sentinel):
    """One that sees nothing."""

    def __init__(self) -> None:
        self._watch = self._watching = None


class Watched:
    """What a classifier tells of the rows that it has answered so far.

    Attributes
    ----------
    sentinel
        Counts them.
    """

    sentinel: Sentinel
    _walker: Any

    @property
    def scored(self) -> Taxonomy:
        """What is chosen among."""
        raise NotImplementedError

    def unwatched(self) -> Self:
        """The same, and what it answers is none of the rows that `shift` is about."""
        made = object.__new__(type(self))
        made.__dict__.update(vars(self))
        made.sentinel = Blind()
        return made

    def open_nodes(self, least: float) -> SetFamily:
        """Keep with each batch how the probability of its items is spread, see `Router.opens`."""
        assert isinstance(self._walker, Router)
        self._walker.opens = least
        return SetFamily(self.scored, self._walker.is_end)

    def judge_by(self, name: str) -> None:
        """Keep with each batch the evidence of this scorer that its items belong anywhere."""
        assert isinstance(self._walker, Router)
        self._walker.judge_by(name)

    @property
    def shift(self) -> Shift | None:
        """Whether they are like those that a pack was measured on; None where that is not known."""
        watch = self.sentinel.watch
        return None if watch is None else watch.shift


def load_reference(config: CascadeConfig, method: str | None) -> Reference | None:
    """What new rows are tested against; None where there is nothing, or nothing is to be tested.

    Raises
    ------
    ConfigError
        It cannot be read.
    """
    own = config.calibration
    if own.reference is None or not own.shift or method not in (None, FITTED_METHOD):
        return None
    return Reference.load(Path(own.reference))
