"""Dividing labelled rows into parts: by class, or with whole classes held out.

What is random comes from a keyed hash of the texts, not from a stream of random numbers: the same
rows split the same in any order of the file, on any machine and under any version of NumPy.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from cascade.errors import UsageError

Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]
Parts = NDArray[np.int8]

PARTS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)

SPLITS = {
    "stratified": "each class is spread over the parts in proportion, to within a row of each "
    "share; a class of too few rows has them in train first",
    "out-of-sample": "classes are held out whole, in an order drawn by the seed, as long as their "
    "rows fit into the share of test, else of validation; all others are train",
}
"""Ways to divide, each with its rule."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What part of the rows is for validation and test; train has the rest.

    Raises
    ------
    UsageError
        A share is no number from 0 to 1, or nothing is left for train.
    """

    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            share = getattr(self, name)
            if not (math.isfinite(share) and 0 <= share < 1):
                raise UsageError(
                    f"--{name} {share:g}: expected a share of the rows, from 0 to less than 1, "
                    "such as 0.1"
                )
        if self.exact[TRAIN] <= 0:
            raise UsageError(
                f"--validation {self.validation:g} and --test {self.test:g} leave no rows for "
                "train; make their sum less than 1"
            )

    @property
    def exact(self) -> tuple[Fraction, Fraction, Fraction]:
        """The shares of train, validation and test as the decimals that were written; sum 1."""
        validation, test = Fraction(str(self.validation)), Fraction(str(self.test))
        return 1 - validation - test, validation, test

    @property
    def weights(self) -> tuple[int, int, int]:
        """The shares as the smallest integers in proportion."""
        train, validation, test = self.exact
        of = math.lcm(validation.denominator, test.denominator)
        return int(train * of), int(validation * of), int(test * of)


def draw(text: str, seed: int) -> int:
    """A number from 0 to 2^64 - 1, the same for the same text and seed and else as if random.

    Two of ten million texts get the same with a chance of 3 in a million (birthday bound,
    n^2 / 2^65), so texts are told apart by it.
    """
    digest = hashlib.blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=8, key=str(seed).encode()
    )
    return int.from_bytes(digest.digest(), "little")


def stratified(classes: Ints, keys: Keys, shares: Shares) -> Parts:
    """Spread the rows of each class over the parts in proportion.

    A class of n rows gives a part of share s either floor(n s) or ceil(n s) rows. Rows that are
    left after the floors go to train where the class has none there, then to the parts that are
    furthest behind their share of all classes before; so the shares of the whole hold too, as far
    as classes of one row, which are all train, let them.

    Parameters
    ----------
    classes
        int64 [n_rows], any numbers; classes are taken in their order.
    keys
        uint64 [n_rows], in whose order the rows of a class go to train, validation and test.

    Returns
    -------
    int8 [n_rows], an index in `PARTS`.
    """
    order = np.lexsort((keys, classes))
    _, sizes = np.unique(classes, return_counts=True)
    behind = [0, 0, 0]
    counts = [_apportion(size, shares.weights, behind) for size in sizes.tolist()]
    parts = np.empty(len(classes), dtype=np.int8)
    parts[order] = np.repeat(
        np.tile(np.arange(3, dtype=np.int8), len(sizes)),
        np.array(counts, dtype=np.int64).reshape(-1),
    )
    return parts


def _apportion(size: int, weights: tuple[int, int, int], behind: list[int]) -> list[int]:
    """Rows of one class for each part; `behind`, in rows times all weights, is brought up to date.

    Integers throughout, so that no rounding error moves a row.
    """
    whole = sum(weights)
    given = [size * weight // whole for weight in weights]
    over = [size * weight % whole for weight in weights]
    for part in range(3):
        behind[part] += over[part]
    needs_train = given[TRAIN] == 0
    open_parts = sorted(
        (part for part in range(3) if over[part]),
        key=lambda part: (not (needs_train and part == TRAIN), -behind[part], part),
    )
    for part in open_parts[: size - sum(given)]:
        given[part] += 1
        behind[part] -= whole
    return given


def out_of_sample(classes: Ints, keys: Keys, shares: Shares) -> Parts:
    """Hold out whole classes, so that those of validation and test have no row in train.

    Classes are met in the order of their keys. One goes to test if its rows still fit into the
    share of test, else to validation if they fit there, else to train; so a part is never larger
    than its share, and a class that is larger than the shares is always train. The classes above
    and below one are other classes, which may be in other parts.

    Parameters
    ----------
    classes
        int64 [n_rows], from 0 to n_classes - 1.
    keys
        uint64 [n_classes].

    Returns
    -------
    int8 [n_rows], an index in `PARTS`.
    """
    sizes = np.bincount(classes, minlength=len(keys))
    weights = shares.weights
    room = [len(classes) * weight // sum(weights) for weight in weights]
    part_of = np.full(len(keys), TRAIN, dtype=np.int8)
    for cls in np.argsort(keys, kind="stable").tolist():
        for part in (TEST, VALIDATION):
            if sizes[cls] <= room[part]:
                room[part] -= int(sizes[cls])
                part_of[cls] = part
                break
    return np.asarray(part_of[classes])
