"""What runs in Ray's processes: reading rows into chunks, and answering the chunks.

Between processes a chunk is one row of an Arrow table, with JSON in it: plain values. Errors that
end a run travel as values too, so that Ray neither repeats nor wraps them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade import errors
from cascade.config import CascadeConfig, Columns
from cascade.errors import CascadeError, ConfigError
from cascade.io.resumable.row_hashes import digest
from cascade.io.tables.opening import TableFile
from cascade.items import Item
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.pipeline.runs.columns import RowReader
from cascade.pipeline.runs.fingerprint import fingerprint
from cascade.pipeline.runs.table import answer_chunk
from cascade.predictions import Prediction
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class FileRun:
    """One file of a run on a cluster.

    Parameters
    ----------
    source
        Its rows, which are read twice: for the workers, and for the output.
    columns
        Which of its columns are what; all of them are there.
    done
        Positions of the chunks that the output has already.
    nested, ordered
        Of the output: see `Output.nested`; whether rows must be written in order.
    """

    source: TableFile
    columns: Columns
    done: frozenset[int] = frozenset()
    nested: bool = False
    ordered: bool = False


def read_chunks(
    _: Any, files: Sequence[FileRun], config: Mapping[str, Any], folder: str
) -> Iterator[pa.Table]:
    """The chunks of files that are not done, one after another, each a table of one row.

    A file that cannot be read on ends with a row that has no chunk but the error, and so does the
    reading. Relative paths start from `folder`; `config` is a `CascadeConfig` as plain values.
    """
    enter(folder)
    settled = CascadeConfig.model_validate(config)
    for at, file in enumerate(files):
        try:
            reader = RowReader.of(file.columns, settled)
            with file.source.open() as table:
                for index, rows in enumerate(table.chunks(settled.batch)):
                    if index in file.done:
                        continue
                    items = reader.items(table, rows)
                    labels = reader.labels(table, rows)
                    yield _packed(at, index, digest(rows), items, labels)
        except CascadeError as error:
            yield _table(file=at, chunk=-1, error=_error_text(error))
            return


class Worker:
    """An actor of Ray Data with a cascade of its own.

    Parameters
    ----------
    expected
        The fingerprint of the run, as the process that started it sees it.
    threads
        Of torch and FAISS.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        config: Mapping[str, Any],
        form: AnswerForm,
        files: Sequence[FileRun],
        expected: Mapping[str, Any],
        folder: str,
        threads: int,
    ) -> None:
        enter(folder)
        self._taxonomy = taxonomy
        self._config = CascadeConfig.model_validate(config)
        self._form = form
        self._files = files
        self._expected = expected
        self._threads = threads
        self._classifier: Classifier | None = None

    def __call__(self, chunks: pa.Table) -> pa.Table:
        """The answers of chunks, in their order."""
        import pyarrow as pa

        return pa.concat_tables([self._answered(chunk) for chunk in chunks.to_pylist()])

    def _answered(self, chunk: Mapping[str, Any]) -> pa.Table:
        known = {name: chunk[name] for name in ("file", "chunk", "input")}
        if chunk["error"] is not None:
            return _table(**known, error=chunk["error"])
        file = self._files[chunk["file"]]
        try:
            classifier = self.loaded()
            classifier.check_pictures_are_read(file.columns)
            items, labels = _unpacked(chunk)
            answers, counts = answer_chunk(
                classifier, items, labels, self._form, nested=file.nested
            )
        except CascadeError as error:
            return _table(**known, error=_error_text(error))
        return _table(**known, rows=json.dumps([[*answers], asdict(counts)]))

    def loaded(self) -> Classifier:
        """Its cascade, once it is there.

        Raises
        ------
        ConfigError
            This machine differs from where the run began.
        """
        if self._classifier is None:
            import faiss
            import torch

            torch.set_num_threads(self._threads)
            faiss.omp_set_num_threads(self._threads)
            self._check_same()
            self._classifier = Classifier(self._taxonomy, self._config)
        return self._classifier

    def _check_same(self) -> None:
        """Refuse to answer where this machine has another version, other prompts or files."""
        found = run_fingerprint(self._taxonomy, self._config)
        other = [key for key in found if found[key] != self._expected.get(key)]
        if other:
            raise ConfigError(
                f"the worker on {os.uname().nodename} differs from where the run began in "
                f"{', '.join(other)}; install the same version of cascade on all machines, and put "
                "packs where all of them see them, under the same path"
            )


def run_fingerprint(taxonomy: Taxonomy, config: CascadeConfig) -> dict[str, Any]:
    """What must be the same on all machines of a run, as JSON values."""
    whole = fingerprint(taxonomy, config, Columns(), AnswerForm(), None)
    keys = ("version", "taxonomy", "prompts", "fitted", "chunk")
    same: dict[str, Any] = json.loads(json.dumps({key: whole[key] for key in keys}))
    return same


def error_of(text: str) -> CascadeError:
    """The error that a worker or the reader sent as text."""
    name, message, status = json.loads(text)
    kind = getattr(errors, name, CascadeError)
    error: CascadeError = kind.__new__(kind)
    error.args = (message,)
    error.exit_status = status
    return error


def _error_text(error: CascadeError) -> str:
    return json.dumps([type(error).__name__, str(error), error.exit_status])


def enter(folder: str) -> None:
    """Let relative paths start from a folder."""
    # On another machine it may be missing; what needs it says so.
    with suppress(OSError):
        os.chdir(folder)


def _packed(
    file: int, index: int, read: str, items: Sequence[Item | Prediction], labels: Sequence[str]
) -> pa.Table:
    pictures: list[bytes] = []
    rows: list[Any] = []
    for item, label in zip(items, labels, strict=True):
        if isinstance(item, Prediction):
            rows.append([label, item.id, item.message])
            continue
        image = item.image
        if isinstance(image, bytes):
            image = len(pictures)
            pictures.append(item.image)
        elif isinstance(image, Path):
            image = [os.fspath(image)]
        rows.append([label, item.id, dict(item.fields), image])
    return _table(file=file, chunk=index, input=read, rows=json.dumps(rows), pictures=pictures)


def _unpacked(chunk: Mapping[str, Any]) -> tuple[list[Item | Prediction], list[str]]:
    pictures: list[bytes] = chunk["pictures"]
    items: list[Item | Prediction] = []
    labels: list[str] = []
    for label, id_, fields, *more in json.loads(chunk["rows"]):
        labels.append(label)
        if not more:
            items.append(Prediction.failed(fields, id_))
            continue
        [image] = more
        if isinstance(image, int):
            image = pictures[image]
        elif isinstance(image, list):
            image = Path(image[0])
        items.append(Item(fields, id_, image))
    return items, labels


def _table(
    *,
    file: int,
    chunk: int,
    input: str | None = None,
    rows: str | None = None,
    pictures: Sequence[bytes] = (),
    error: str | None = None,
) -> pa.Table:
    """One chunk on its way: to a worker with what its rows hold, or back with their answers.

    Parameters
    ----------
    input
        Hash of the rows as they were read.
    rows
        JSON.
    """
    import pyarrow as pa

    return pa.table(
        {
            "file": pa.array([file], pa.int64()),
            "chunk": pa.array([chunk], pa.int64()),
            "input": pa.array([input], pa.string()),
            "rows": pa.array([rows], pa.large_string()),
            "pictures": pa.array([list(pictures)], pa.large_list(pa.large_binary())),
            "error": pa.array([error], pa.string()),
        }
    )
