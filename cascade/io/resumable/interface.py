"""What takes answered rows; the one that writes them to a stream as they come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Self

from cascade.errors import unwritable
from cascade.io.tables.layout import Answer, Format
from cascade.io.tables.rows import Row


class Output(ABC):
    """Takes chunks of rows with their answers; this one remembers nothing of earlier runs.

    Attributes
    ----------
    nested
        Whether an answer is one JSON object (JSON lines), not one value for each extra column.
    complete
        Whether there is nothing left to do: an earlier run had finished.
    resumed_rows
        Rows that an interrupted run had finished.
    format
        How rows become bytes, for those who call `write_bytes`; None where that cannot be.
    """

    format: Format | None = None
    nested = False
    complete = False
    resumed_rows = 0

    def has(self, index: int, rows: Sequence[Row]) -> bool:
        """Whether the chunk of these rows was finished by an interrupted run."""
        return False

    def summary(self, index: int) -> Mapping[str, Any]:
        """What an interrupted run remembered of a chunk that `has` calls finished."""
        return {}

    @property
    def kept(self) -> Mapping[str, Any] | None:
        """What an interrupted run kept with `keep`, for all its chunks; None if nothing."""
        return None

    def keep(self, values: Mapping[str, Any]) -> None:  # noqa: B027 - most remember nothing
        """Keep JSON values for a run that is resumed, before the first chunk is written."""

    @abstractmethod
    def write(
        self,
        index: int,
        rows: Sequence[Row],
        answers: Sequence[Answer],
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the rows of one chunk with their answers.

        Parameters
        ----------
        index
            Position of the chunk in the output, from 0.
        summary
            Small JSON values to remember with the chunk.
        """

    def write_bytes(
        self,
        index: int,
        rows: Sequence[Row],
        data: bytes,
        read: str | None = None,
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """As `write`, with rows and answers that `format` has made bytes of elsewhere.

        Parameters
        ----------
        read
            `digest` of the rows, if it is known.
        """
        raise NotImplementedError

    @abstractmethod
    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """Complete the output after the last chunk.

        Parameters
        ----------
        summary
            That of all chunks together, for a run that keeps its journal.
        """

    def close(self) -> None:  # noqa: B027 - most outputs hold nothing
        """Let go of the output; what is finished stays."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class StreamOutput(Output):
    """Rows to a stream as they are answered.

    A reader that goes away (`| head`) raises BrokenPipeError.
    """

    format: Format

    def __init__(self, format: Format, stream: BinaryIO) -> None:
        self.format = format
        self.nested = format.kind == "jsonl"
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
        self._send(self.format.encode(rows, answers))

    def write_bytes(
        self,
        index: int,
        rows: Sequence[Row],
        data: bytes,
        read: str | None = None,
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the next rows with their answers."""
        self._send(data)

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """Write the header if no row has been written."""
        self._send(b"")

    def _send(self, data: bytes) -> None:
        try:
            if not self._begun:
                self._stream.write(self.format.head())
                self._begun = True
            self._stream.write(data)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise unwritable("standard output", error) from None
