"""The vectors of all node texts in a FAISS index, kept on disk under a hash of what made them.

A flat index holds the vectors; one of another kind lies beside it, where there are many.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import IndexKind, NodeText
from cascade.io.files import cache_folder
from cascade.retrieval import faiss_index
from cascade.retrieval.encoder import Encoder, Progress
from cascade.retrieval.node_texts import node_texts
from cascade.taxonomy import Taxonomy

logger = logging.getLogger(__name__)

FORMAT = 1  # raised when the same key would mean other vectors


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
        """
        texts, node = node_texts(taxonomy, recipe)
        path = (folder or cache_folder() / "indexes") / _key(texts, node, encoder, recipe)

        def embedded() -> Any:
            import faiss

            flat = faiss.IndexFlatIP(encoder.width)
            flat.add(encoder.encode(texts, progress=progress))
            return flat

        flat = _kept("flat", path, lambda file: _read_flat(file, texts, encoder), embedded)
        vectors = _storage(flat)
        chosen = faiss_index.choose_kind(kind, len(texts))
        searched = flat
        if chosen != "flat":
            searched = _kept(
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


def _kept(
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
    else:
        if index is not None:
            return index
        logger.warning("the index %s is damaged; it is built again", path)
    index = build()
    _write(kind, index, path)
    return index


def _read_flat(path: Path, texts: list[str], encoder: Encoder) -> Any | None:
    """The flat index in a file; None if it is not one of so many texts."""
    import faiss

    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    return index if _is_whole(index, len(texts), encoder.width) else None


def _key(texts: list[str], node: NDArray[np.int32], encoder: Encoder, recipe: NodeText) -> str:
    """Hash of the taxonomy as the recipe sees it, the recipe and the model."""
    digest = hashlib.sha256(f"{FORMAT}\n{recipe}\n{encoder.identity}\n".encode())
    digest.update(node.astype("<i4").tobytes())
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def _is_whole(index: Any, n: int, width: int) -> bool:
    """Whether an index from disk holds n unit vectors of a width."""
    import faiss

    flat = faiss.downcast_index(index)
    if not isinstance(flat, faiss.IndexFlat) or (flat.ntotal, flat.d) != (n, width):
        return False
    vectors = _storage(index)
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


def _write(kind: faiss_index.Kind, index: Any, path: Path) -> None:
    """Write so that the file appears whole, whoever else writes it too."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, staging = tempfile.mkstemp(dir=path.parent, suffix=".part")
        os.close(handle)
        try:
            faiss_index.write(kind, index, staging)
            os.replace(staging, path)
        finally:
            Path(staging).unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        logger.warning("the index is not kept for next time: %s", error)
