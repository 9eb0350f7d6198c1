"""The vectors of all node texts in a FAISS index, kept on disk under a hash of what made them."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import Recipe
from cascade.io.cache import cache_folder
from cascade.retrieval.encoder import Encoder, Progress
from cascade.retrieval.texts import node_texts
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
    """

    vectors: NDArray[np.float32]
    node: NDArray[np.int32]

    @classmethod
    def open(
        cls,
        taxonomy: Taxonomy,
        encoder: Encoder,
        recipe: Recipe,
        *,
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> NodeIndex:
        """The index of a taxonomy, read from disk or built once.

        Parameters
        ----------
        folder
            Where indexes are kept; by default in the user's cache.
        """
        import faiss

        texts, node = node_texts(taxonomy, recipe)
        folder = folder or cache_folder() / "indexes"
        path = folder / f"{_key(texts, node, encoder, recipe)}.faiss"
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
        except RuntimeError:
            logger.info("no index at %s yet", path)
        else:
            if _is_whole(index, len(texts), encoder.width):
                return cls(_storage(index), node)
            logger.warning("the index %s is damaged; it is built again", path)
        index = faiss.IndexFlatIP(encoder.width)
        index.add(encoder.encode(texts, progress=progress))
        _write(index, path)
        return cls(_storage(index), node)


def _key(texts: list[str], node: NDArray[np.int32], encoder: Encoder, recipe: Recipe) -> str:
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


def _write(index: Any, path: Path) -> None:
    """Write so that the file appears whole, whoever else writes it too."""
    import faiss

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, staging = tempfile.mkstemp(dir=path.parent, suffix=".part")
        os.close(handle)
        try:
            faiss.write_index(index, staging)
            os.replace(staging, path)
        finally:
            Path(staging).unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        logger.warning("the index is not kept for next time: %s", error)
