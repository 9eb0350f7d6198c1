"""The vectors of many texts in a file that is mapped into memory, computed once.

While they are computed, finished blocks are saved in a folder beside the file, so that a build that
was interrupted goes on where it stopped, and memory holds one block at a time. A text that is there
twice is encoded once.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.encoder import Encoder

logger = logging.getLogger(__name__)

Vectors = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with how many texts are encoded, and how many there are."""


class KnownVectors(Protocol):
    """Vectors of texts that were computed before; `identity` changes with them."""

    @property
    def identity(self) -> str:
        """Part of the key of an index that holds some of them."""
        ...

    def of(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], Vectors]:
        """Which of some texts are known, int64 [n_known], and their unit vectors."""
        ...


SUFFIX = ".npy"
BLOCK = 512  # texts that are encoded and saved together, and reported as progress
ROWS = 8192  # vectors that are written together
ABANDONED = 7 * 24 * 3600  # seconds after which the blocks of an interrupted build are removed


def text_vectors(
    texts: Sequence[tuple[str, ...]],
    encoder: Encoder,
    path: Path,
    progress: Progress | None = None,
    known: KnownVectors | None = None,
) -> Vectors:
    """Unit vectors [n_texts, width], each in the direction of the mean of the forms of its text.

    Parameters
    ----------
    texts
        Each with its forms.
    path
        Where they are kept, without the suffix: read from there, or computed and written.
    progress
        Called while texts are encoded: at the beginning, and after each block.
    known
        Has vectors of texts that need not be encoded.
    """
    file, shape = path.with_name(path.name + SUFFIX), (len(texts), encoder.width)
    if (found := read_vectors(file, shape)) is not None:
        return found
    if file.exists():
        logger.warning("the index %s is damaged; it is built again", file)
    folder = path.with_name(f"{path.name}.parts")
    _remove_abandoned(folder)
    forms = list(dict.fromkeys(chain.from_iterable(texts)))
    before = np.empty((0, encoder.width), dtype=np.float32)
    if known is not None:
        at, before = known.of(forms)
        forms = [*(forms[i] for i in at.tolist()), *np.delete(np.array(forms, object), at)]
    place = {text: at for at, text in enumerate(forms)}
    blocks = _blocks(forms[len(before) :], encoder, folder, progress or (lambda done, n: None))

    def rows() -> Iterator[Vectors]:
        for start in range(0, len(texts), ROWS):
            yield _means(texts[start : start + ROWS], place, before, blocks)

    try:
        return write_vectors(file, shape, rows())
    except OSError as error:
        logger.warning("the index is not kept for next time: %s", error)
        return np.concatenate([np.empty((0, encoder.width), np.float32), *rows()])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_vectors(file: Path, shape: tuple[int, int]) -> Vectors | None:
    """The vectors in a file, as a map; None if it does not hold unit vectors of this shape."""
    header = _header(shape)
    try:
        with file.open("rb") as stream:
            known = stream.read(len(header)) == header
    except OSError:
        return None
    return _mapped(file, shape, len(header)) if known else None


def write_vectors(file: Path, shape: tuple[int, int], rows: Iterator[Vectors]) -> Vectors:
    """Write vectors, which come some rows at a time, and map them.

    Raises
    ------
    OSError
        They cannot be written.
    """

    def write(staging: str) -> None:
        with open(staging, "wb") as stream:
            stream.write(_header(shape))
            for some in rows:
                stream.write(np.ascontiguousarray(some, "<f4").data)

    write_whole(file, write)
    if (found := read_vectors(file, shape)) is None:
        raise OSError(f"{file} does not hold what was written")
    return found


def write_whole(path: Path, write: Callable[[str], Any]) -> None:
    """Let `write` write a file that appears whole at `path`, whoever else writes it too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, staging = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        write(staging)
        os.replace(staging, path)
    finally:
        Path(staging).unlink(missing_ok=True)


def are_unit(vectors: Vectors) -> bool:
    """Whether all vectors [n, width] have length 1."""
    squares = np.einsum("ij,ij->i", vectors, vectors)
    return bool(np.isclose(squares, 1, atol=1e-3).all())  # NaN is close to nothing


def _header(shape: tuple[int, int]) -> bytes:
    """How a file of NumPy begins that holds float32 of a shape."""
    stream = io.BytesIO()
    told = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, told)
    return stream.getvalue()


def _mapped(file: Path, shape: tuple[int, int], offset: int) -> Vectors | None:
    """The unit vectors that are all that a file holds behind its first bytes; None if it is not."""
    try:
        if not shape[0] or file.stat().st_size != offset + 4 * shape[0] * shape[1]:
            return None
        found = np.memmap(file, "<f4", "r", offset, shape).view(np.ndarray)
    except (OSError, ValueError):  # it was cut or taken away meanwhile
        return None
    return found if are_unit(found) else None


def _blocks(texts: list[str], encoder: Encoder, folder: Path, progress: Progress) -> list[Vectors]:
    """Vectors of texts, block by block: maps of what is saved in `folder`, or in memory.

    Two processes that build the same index only save the same blocks twice.
    """
    n = len(texts)
    parts = [slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]
    files = [folder / f"{part.start}.f4" for part in parts]
    shapes = [(part.stop - part.start, encoder.width) for part in parts]
    blocks = [_mapped(file, shape, 0) for file, shape in zip(files, shapes, strict=True)]
    done = sum(len(block) for block in blocks if block is not None)
    if n:
        progress(done, n)
    save = sum(block is None for block in blocks) > 1
    out: list[Vectors] = []
    for part, file, shape, block in zip(parts, files, shapes, blocks, strict=True):
        if block is None:
            block = encoder.encode_documents(texts[part], half=True)
            save = save and _saved(file, block)
            if save and (mapped := _mapped(file, shape, 0)) is not None:
                block = mapped
            done += len(block)
            progress(done, n)
        out.append(block)
    return out


def _saved(file: Path, block: Vectors) -> bool:
    """Save a block; False where that cannot be done."""
    try:
        write_whole(file, block.astype("<f4").tofile)
    except OSError as error:
        logger.info("finished parts of the index are not saved: %s", error)
        return False
    return True


def _means(
    texts: Sequence[tuple[str, ...]],
    place: dict[str, int],
    before: Vectors,
    blocks: list[Vectors],
) -> Vectors:
    """Unit vectors of texts, each in the direction of the mean of its forms; [n_texts, width].

    Parameters
    ----------
    place
        Of a form among all vectors: those that were known before, then the blocks.
    """
    at = np.array([place[form] for forms in texts for form in forms], dtype=np.int64)
    vectors = np.empty((len(at), before.shape[1]), dtype=np.float32)
    block = (at - len(before)) // BLOCK  # negative where they were known
    vectors[block < 0] = before[at[block < 0]]
    for number in np.unique(block[block >= 0]).tolist():
        here = block == number
        vectors[here] = blocks[number][at[here] - len(before) - number * BLOCK]
    if len(at) == len(texts):
        return vectors
    starts = np.cumsum([0, *map(len, texts)])[:-1]
    sums = np.add.reduceat(vectors, starts, axis=0)
    return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True))


def _remove_abandoned(folder: Path) -> None:
    """Remove what other builds that never ended have left beside `folder`."""
    for path in folder.parent.glob("*.part*"):
        try:
            if path == folder or time.time() - path.stat().st_mtime < ABANDONED:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            logger.info("%s is not removed: %s", path, error)
