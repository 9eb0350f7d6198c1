"""The vectors of all node texts in a FAISS index, kept on disk under a hash of what made them.

A flat index holds the vectors; one of another kind lies beside it, where there are many texts.
While vectors are computed, finished blocks are saved in a folder beside the index, so that a build
that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import IndexKind, NodeText
from cascade.io.files import cache_folder
from cascade.retrieval import faiss_index
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.node_texts import text_forms
from cascade.taxonomy import Taxonomy

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with how many texts are encoded, and how many there are."""

FORMAT = 1  # raised when the same key would mean other vectors
BLOCK = 512  # texts that are encoded and saved together, and reported as progress
ABANDONED = 7 * 24 * 3600  # seconds after which the blocks of an interrupted build are removed


@dataclass(frozen=True)
class NodeIndex:
    """Vectors of node texts, in depth-first order of their nodes.

    Parameters
    ----------
    vectors
        float32 [n_texts, width], unit length; the storage of a FAISS flat index.
    node
        int32 [n_texts], the node of each text; never decreases.
    starts
        int64 [n_nodes + 1], where the texts of each node begin; each has one or more.
    searcher
        Finds the texts that are most similar to a vector.
    """

    vectors: NDArray[np.float32]
    node: NDArray[np.int32]
    starts: NDArray[np.int64]
    searcher: faiss_index.Searcher

    @classmethod
    def open(
        cls,
        taxonomy: Taxonomy,
        encoder: Encoder,
        recipe: NodeText,
        *,
        kind: IndexKind = "flat",
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> NodeIndex:
        """The index of a taxonomy, read from disk or built once.

        Parameters
        ----------
        kind
            How texts are searched.
        folder
            Where indexes are kept; by default in the user's cache.
        progress
            Called while texts are encoded: at the beginning, and after each block.
        """
        texts, node = text_forms(taxonomy, recipe)
        path = (folder or cache_folder() / "indexes") / _key(texts, node, encoder, recipe)
        blocks = path.with_name(f"{path.name}.parts")
        flat = _read_or_build(
            "flat",
            path,
            lambda file: _read_flat(file, len(texts), encoder.width),
            lambda: _embed(texts, encoder, blocks, progress),
        )
        shutil.rmtree(blocks, ignore_errors=True)
        vectors = _storage(flat)
        chosen = faiss_index.choose_kind(kind, len(texts))
        searched = flat
        if chosen != "flat":
            searched = _read_or_build(
                chosen,
                path,
                lambda file: faiss_index.read(chosen, file, flat),
                lambda: faiss_index.build(chosen, vectors),
            )
        starts = np.searchsorted(node, np.arange(len(taxonomy) + 1))
        return cls(vectors, node, starts, faiss_index.Searcher(searched, chosen))

    @property
    def n_nodes(self) -> int:
        """Nodes of the taxonomy."""
        return len(self.starts) - 1

    def texts_of(
        self, nodes: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first text of each node and the one behind its last, both int64 [n_nodes]."""
        return self.starts[nodes], self.starts[nodes + 1]


def _key(
    texts: Sequence[tuple[str, ...]], node: NDArray[np.int32], encoder: Encoder, recipe: NodeText
) -> str:
    """Hash of the taxonomy as the recipe sees it, the recipe, the model and its prompt."""
    digest = hashlib.sha256(f"{FORMAT}\n{recipe}\n{encoder.identity}\n".encode())
    if prompt := encoder.prompts.document:
        digest.update(hashlib.sha256(prompt.encode()).digest())
    digest.update(node.astype("<i4").tobytes())
    forms = chain.from_iterable(texts)
    digest.update("".join(f"{text}\0" for text in forms).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


def _read_or_build(
    kind: faiss_index.Kind,
    path: Path,
    read: Callable[[Path], Any | None],
    build: Callable[[], Any],
) -> Any:
    """The index in the file of a kind, or a new one, which is kept there for the next time."""
    path = path.with_name(path.name + faiss_index.file_suffix(kind))
    try:
        index = read(path)
    except RuntimeError:
        logger.info("no index at %s yet", path)
    except MemoryError:  # a size that no file has
        logger.warning("the index %s is damaged; it is built again", path)
    else:
        if index is not None:
            return index
        logger.warning("the index %s is damaged; it is built again", path)
    index = build()
    try:
        _write_whole(path, lambda staging: faiss_index.write(kind, index, staging))
    except (OSError, RuntimeError) as error:
        logger.warning("the index is not kept for next time: %s", error)
    return index


def _write_whole(path: Path, write: Callable[[str], None]) -> None:
    """Let `write` write a file that appears whole at `path`, whoever else writes it too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, staging = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        write(staging)
        os.replace(staging, path)
    finally:
        Path(staging).unlink(missing_ok=True)


def _embed(
    texts: Sequence[tuple[str, ...]], encoder: Encoder, folder: Path, progress: Progress | None
) -> Any:
    """A flat index of the vectors of texts, block by block, those in `folder` first.

    Two processes that build the same index only save the same blocks twice.
    """
    _remove_abandoned(folder)
    report = progress or (lambda done, n: None)
    n = len(texts)
    vectors = np.empty((n, encoder.width), dtype=np.float32)
    blocks = [slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]
    missing = [block for block in blocks if not _read_block(folder, vectors, block)]
    done = n - sum(block.stop - block.start for block in missing)
    report(done, n)
    save = len(missing) > 1
    for block in missing:
        vectors[block] = _vectors(texts[block], encoder)
        save = save and _write_block(folder, vectors, block)
        done += block.stop - block.start
        report(done, n)
    return faiss_index.build("flat", vectors)


def _vectors(texts: Sequence[tuple[str, ...]], encoder: Encoder) -> NDArray[np.float32]:
    """Unit vectors of texts, each in the direction of the mean of its forms; [n_texts, width]."""
    forms = list(chain.from_iterable(texts))
    different = list(dict.fromkeys(forms))
    place = {text: at for at, text in enumerate(different)}
    vectors = encoder.encode_documents(different)[[place[text] for text in forms]]
    if len(forms) == len(texts):
        return vectors
    starts = np.cumsum([0, *map(len, texts)])[:-1]
    sums = np.add.reduceat(vectors, starts, axis=0)
    return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True))


def _read_block(folder: Path, vectors: NDArray[np.float32], block: slice) -> bool:
    """Fill a block of `vectors` from its file; False where there is none, or it is not whole."""
    try:
        saved = np.fromfile(folder / str(block.start), dtype="<f4")
    except OSError:
        return False
    out = vectors[block]
    if saved.size != out.size:
        return False
    out[:] = saved.reshape(out.shape)
    return _are_unit(out)


def _write_block(folder: Path, vectors: NDArray[np.float32], block: slice) -> bool:
    """Save a block of `vectors`; False where that cannot be done."""
    try:
        _write_whole(folder / str(block.start), vectors[block].astype("<f4").tofile)
    except OSError as error:
        logger.info("finished parts of the index are not saved: %s", error)
        return False
    return True


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


def _read_flat(path: Path, n: int, width: int) -> Any | None:
    """The flat index in a file; None if it does not hold n unit vectors of a width."""
    import faiss

    index = faiss_index.read_file(path, faiss.IO_FLAG_MMAP)
    flat = faiss.downcast_index(index)
    if not isinstance(flat, faiss.IndexFlat) or (flat.ntotal, flat.d) != (n, width):
        return None
    return index if _are_unit(_storage(index)) else None


def _are_unit(vectors: NDArray[np.float32]) -> bool:
    """Whether all vectors [n, width] have length 1."""
    squares = np.einsum("ij,ij->i", vectors, vectors)
    return bool(np.isclose(squares, 1, atol=1e-3).all())  # NaN is close to nothing


def _storage(index: Any) -> NDArray[np.float32]:
    """The vectors of a FAISS flat index [n, width], without a copy where FAISS holds them."""
    import faiss

    flat: Any = faiss.downcast_index(index)
    if flat.ntotal == 0:
        return np.empty((0, flat.d), dtype=np.float32)
    view = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
    # The array keeps the index, and so its memory, alive.
    owner = view.reshape(flat.ntotal, flat.d).view(_Held)
    owner.index = index
    return owner


class _Held(np.ndarray):  # type: ignore[type-arg]
    """An array over memory that `index` owns."""

    index: Any = None
