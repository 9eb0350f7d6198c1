"""Answered rows to a stream, as they come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, BinaryIO, Self

from cascade.io.layout import Answer, Encoder
from cascade.io.rows import Row


class Output(ABC):
    """What outputs to a stream and to a file share.

    Attributes
    ----------
    nested
        Whether an answer is one JSON object (JSON lines), not one value for each extra column.
    complete
        Whether there is nothing left to do: an earlier run had finished.
    resumed_rows
        Rows that an interrupted run had finished.
    """

    complete = False
    resumed_rows = 0

    nested = False

    @abstractmethod
    def summary(self, index: int) -> Mapping[str, Any]:
        """What an interrupted run remembered of a part that `has` calls finished."""

    @abstractmethod
    def has(self, index: int, rows: Sequence[Row]) -> bool:
        """Whether the part of these rows is finished."""

    @abstractmethod
    def write(
        self,
        index: int,
        rows: Sequence[Row],
        answers: Sequence[Answer],
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the rows of one part (from 0) with their answers, and remember a summary."""

    @abstractmethod
    def finish(self) -> None:
        """Complete the output after the last part."""

    def close(self) -> None:  # noqa: B027 - most outputs hold nothing
        """Let go of the output; what is finished stays."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class PassingOutput(Output):
    """An output whose rows are gone once they are written, so that it cannot be resumed."""

    def summary(self, index: int) -> Mapping[str, Any]:
        """Nothing: no part is of an earlier run."""
        return {}

    def has(self, index: int, rows: Sequence[Row]) -> bool:
        """Whether the part is finished: never."""
        return False


class StreamOutput(PassingOutput):
    """Rows to a stream as they are answered.

    A reader that goes away (`| head`) raises BrokenPipeError.
    """

    def __init__(self, encoder: Encoder, stream: BinaryIO) -> None:
        self._encoder = encoder
        self.nested = encoder.kind == "jsonl"
        self._stream = stream
        self._begun = False

    def write(
        self,
        index: int,
        rows: Sequence[Row],
        answers: Sequence[Answer],
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the next rows with their answers."""
        data = self._encoder.encode(rows, answers)
        self._begin()
        self._stream.write(data)
        self._stream.flush()

    def finish(self) -> None:
        """Write the header if no row has been written."""
        self._begin()
        self._stream.flush()

    def _begin(self) -> None:
        if not self._begun:
            self._stream.write(self._encoder.head())
            self._begun = True
