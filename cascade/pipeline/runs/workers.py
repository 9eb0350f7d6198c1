"""Chunks answered by processes beside this one: rows go out, bytes of the output come back.

This process only reads, hands out and writes; all that grows with the rows beyond that is done
where there are many: making items, answering, and turning answers into bytes.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from cascade.io import Answer, Row, Table
from cascade.io.parcels import Parcel, packed, unpacked
from cascade.io.resumable.row_hashes import digest
from cascade.io.tables.layout import Format
from cascade.pipeline.classifier import Classifier
from cascade.predictions import Prediction

if TYPE_CHECKING:
    from cascade.pipeline.pool import Pool

Kept = Mapping[int, tuple[Prediction, Answer]]  # earlier answers by their place in a chunk


class Answered(NamedTuple):
    """What comes of a chunk.

    Parameters
    ----------
    answers
        One for each row; or the bytes of rows with their answers, as a part of the output.
    counts
        A `Counts`.
    read
        Hash of the rows; None where nobody has computed it.
    """

    answers: Sequence[Answer] | bytes
    counts: Any
    read: str | None = None


@dataclass(frozen=True)
class ChunkWork:
    """What a process does with the rows of a chunk.

    Parameters
    ----------
    table
        Where they come from; its own rows are not read.
    answer
        A function, or a partial of one, that other processes can import.
    format
        Of the output; None where it takes answers as they are.
    """

    table: Table
    answer: Callable[[Classifier, Table, Sequence[Row], Kept], tuple[Sequence[Answer], Any]]
    format: Format | None

    def __call__(self, classifier: Classifier, parcel: Parcel, kept: Kept) -> Answered:
        """Answer the rows of a parcel."""
        return self.answered(classifier, unpacked(parcel), kept)

    def answered(self, classifier: Classifier, rows: Sequence[Row], kept: Kept) -> Answered:
        """Answer some rows."""
        answers, counts = self.answer(classifier, self.table, rows, kept)
        if self.format is None:
            return Answered(answers, counts, digest(rows))
        return Answered(self.format.encode(rows, answers), counts, digest(rows))


def answered_by_processes(
    asked: Iterable[tuple[int, Sequence[Row], Kept | None]],
    classifier: Classifier,
    work: ChunkWork,
    workers: int,
) -> Iterator[tuple[int, Sequence[Row], Answered | None]]:
    """What comes of chunks, in their order; None for those that the output has already.

    The first is answered by this process, so that what all need, such as an index, is made once,
    and is there when others begin.

    Parameters
    ----------
    asked
        Position and rows of each chunk, and the earlier answers that are kept; None for what is not
        asked.
    """
    begun = False
    waiting: deque[tuple[int, Sequence[Row], bool]] = deque()
    with ExitStack() as stack:
        pool: Pool | None = None
        came = 0.0

        def next_of(pool: Pool) -> tuple[int, Sequence[Row], Answered | None]:
            nonlocal came
            index, rows, is_asked = waiting.popleft()
            if not is_asked:
                return index, rows, None
            answered: Answered = pool.next()
            now = time.perf_counter()  # processes work at the same time
            answered.counts.seconds, came = round(now - came, 3), now
            return index, rows, answered

        for index, rows, kept in asked:
            if pool is None and begun and kept is not None:
                from cascade.pipeline.pool import Pool

                pool = stack.enter_context(Pool(classifier, work, workers))
                came = time.perf_counter()
            if pool is None:
                begun = begun or kept is not None
                found = None if kept is None else work.answered(classifier, rows, kept)
                yield index, rows, found
                continue
            if kept is not None:
                pool.ask(packed(rows), kept)
            waiting.append((index, rows, kept is not None))
            if len(waiting) >= pool.room:
                yield next_of(pool)
        while pool is not None and waiting:
            yield next_of(pool)
