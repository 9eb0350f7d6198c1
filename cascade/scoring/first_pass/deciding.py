"""The first pass over the rows of a file: leaf probabilities by a student, and where it is sure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import CascadeConfig
from cascade.errors import OutputError, UsageError
from cascade.items import Item
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy

if TYPE_CHECKING:
    from cascade.retrieval.student.pieces import PieceVectors
    from cascade.retrieval.student.student import Student
    from cascade.scoring.first_pass.doubt import Doubt

Floats = NDArray[np.float32]

NAME = "first_pass"
METHOD = "retrieval"  # whose similarities a student learns
LEAST = 500  # rows to learn from; of fewer nothing is learnt
PART = 4  # one row of so many is learnt from, at the most
LEAVES = 20_000  # that a student can tell apart
NUMBERS = ("share", "loss", "most", "lowest", "sharpness")  # of a first pass
DOUBT = "doubt_"  # begins the names of its arrays


@dataclass(frozen=True)
class FirstPass:
    """A student of one file, and how sure it must be.

    Parameters
    ----------
    items
        Of how many rows it learnt what the method answers; with fewer than `LEAST` nothing.
    share, loss
        Of those rows, when each is left out: the share that it is sure of, and the hierarchical F1
        that is lost over all of them, as the method's own probabilities tell it.
    most
        It is sure of a row by whose answer it expects to lose no more; below -1 of none ...
    lowest
        ... and of whose answer its own probabilities expect this hierarchical F1 at the least: no
        row that taught it shows what is lost below.
    student
        Of similarities with leaves; None where nothing was learnt.
    doubt
        What it expects to lose by an answer.
    sharpness
        Similarities are multiplied by this before the softmax.
    prior
        float32 [n_leaves], what is added to the logits of leaves; None for nothing.
    """

    items: int
    share: float = 0.0
    loss: float = 0.0
    most: float = -2.0
    lowest: float = 0.0
    student: Student | None = field(default=None, repr=False)
    doubt: Doubt | None = field(default=None, repr=False)
    sharpness: float = 1.0
    prior: Floats | None = field(default=None, repr=False)

    @property
    def applies(self) -> bool:
        """Whether it answers anything."""
        return self.student is not None and self.doubt is not None and self.share > 0

    def probabilities(self, texts: Sequence[str]) -> tuple[Floats, NDArray[np.bool_]]:
        """The probability of each leaf, and which texts have a word that can be read.

        Returns
        -------
        probabilities : float32 [n_texts, n_leaves]
        readable : bool [n_texts]
        """
        assert self.student is not None
        similarities, readable = self.student.similarities(texts)
        return softmax(similarities, self.sharpness, self.prior), readable

    def is_sure(self, signs: Floats) -> NDArray[np.bool_]:
        """Of which answers [n] it is sure, by their signs; see `choosing`."""
        from cascade.scoring.first_pass.choosing import HOPED

        assert self.doubt is not None
        sure = (self.doubt.of(signs) <= self.most) & (signs[:, HOPED] >= self.lowest)
        return np.asarray(sure)

    def can_read(self, item: Item) -> bool:
        """Whether an item is one of those that it learnt of: texts without a picture."""
        return item.image is None

    def to_values(self) -> dict[str, Any]:
        """As JSON values, from which `from_values` makes the same again."""
        found: dict[str, Any] = {name: getattr(self, name) for name in ("items", *NUMBERS)}
        if self.student is not None and self.doubt is not None and self.applies:
            from safetensors.numpy import save

            arrays = self.student.arrays()
            arrays |= {DOUBT + name: value for name, value in self.doubt.arrays().items()}
            if self.prior is not None:
                arrays["prior"] = self.prior
            raw = save({name: np.ascontiguousarray(value) for name, value in arrays.items()})
            found["words"] = self.student.vocabulary.words
            found["student"] = base64.b64encode(raw).decode()
        return found

    @classmethod
    def from_values(
        cls, values: Mapping[str, Any], pieces: Callable[[], PieceVectors | None], n_leaves: int
    ) -> FirstPass:
        """What `to_values` gave.

        Parameters
        ----------
        pieces
            Those of the encoder.

        Raises
        ------
        OutputError
            The values are damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        from cascade.retrieval.student.student import Student
        from cascade.scoring.first_pass.choosing import n_signs
        from cascade.scoring.first_pass.doubt import Doubt

        try:
            items, student, doubt, prior = int(values["items"]), None, None, None
            numbers = {name: float(values[name]) for name in NUMBERS}
            if numbers["share"] > 0:
                arrays = load(base64.b64decode(values["student"], validate=True))
                prior = arrays.pop("prior", None)
                trees = [name for name in arrays if name.startswith(DOUBT)]
                of_doubt = {name.removeprefix(DOUBT): arrays.pop(name) for name in trees}
                doubt = Doubt.of_arrays(of_doubt, n_signs(n_leaves))
                needed = pieces() if "meaning" in arrays else None
                student = Student.of_arrays(list(values["words"]), arrays, needed)
                if len(student.mean) != n_leaves or not np.isfinite(list(numbers.values())).all():
                    raise ValueError
        except (KeyError, TypeError, ValueError, binascii.Error, SafetensorError):
            raise OutputError(
                "the journal of the interrupted run is damaged: it holds no first pass; begin "
                "again with --overwrite"
            ) from None
        return cls(items, **numbers, student=student, doubt=doubt, prior=prior)


def softmax(similarities: Floats, sharpness: float, prior: Floats | None) -> Floats:
    """Probabilities of leaves, float32 [n, n_leaves]; changes the similarities."""
    similarities *= np.float32(sharpness)
    if prior is not None:
        similarities += prior
    similarities -= similarities.max(axis=1, keepdims=True)
    np.exp(similarities, out=similarities)
    similarities /= similarities.sum(axis=1, keepdims=True)
    return similarities


def stands_in(taxonomy: Taxonomy, config: CascadeConfig) -> bool:
    """Whether a student can stand in for the method of a config, with texts alone."""
    try:
        check_first_pass(taxonomy, config.method or METHOD, config)
    except UsageError:
        return False
    return config.columns.image is None


def check_first_pass(taxonomy: Taxonomy, method: str, config: CascadeConfig) -> None:
    """Raise UsageError where no student can stand in for the method."""
    descent, accepted = config.descent, config.calibration
    others = {
        "descent.objective": descent.objective != "leaf",
        "descent.answer": descent.answer is not None,
        "descent.depth": descent.depth is not None,
        "descent.ends": bool(descent.ends),
        "descent.stays": bool(descent.stays),
        "descent.stop": bool(descent.stop),
        "calibration.nowhere": bool(accepted.nowhere),
    }
    faceted = isinstance(taxonomy, FacetedTaxonomy) and bool(taxonomy.categories)
    if config.backbones:
        raise UsageError(
            "--first-pass (retrieval.first_pass) does not go with a pack: its heads or neighbours "
            f"answer, by the method {method}; leave it out"
        )
    what = f"the method {method}" if method != METHOD else ""
    what = "a taxonomy with facets" if faceted else what
    what = what or next((name for name, is_set in others.items() if is_set), "")
    if what:
        raise UsageError(
            f"--first-pass (retrieval.first_pass) does not go with {what}: leave out one of the "
            f"two; it stands in for --method {METHOD} as it is by default"
        )
    if len(taxonomy.leaves) > LEAVES:
        raise UsageError(
            f"--first-pass (retrieval.first_pass) tells up to {LEAVES:,} leaves apart; this "
            f"taxonomy has {len(taxonomy.leaves):,}: leave it out"
        )
