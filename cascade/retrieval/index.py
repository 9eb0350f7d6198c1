"""The vectors of all node texts, kept on disk under a hash of what made them, and their search.

The vectors are a file that is mapped into memory. Where there are many texts an index of FAISS lies
beside it; FAISS is imported only to search.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
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
from cascade.retrieval.text_vectors import (
    SUFFIX,
    KnownVectors,
    Progress,
    are_unit,
    text_vectors,
    write_vectors,
    write_whole,
)
from cascade.taxonomy import Taxonomy

logger = logging.getLogger(__name__)

FORMAT = 1  # raised when the same key would mean other vectors


@dataclass(frozen=True)
class NodeIndex:
    """Vectors of node texts, in depth-first order of their nodes.

    Parameters
    ----------
    vectors
        float32 [n_texts, width], unit length; a map of their file, or what FAISS searches.
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
        known: KnownVectors | None = None,
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
        known
            Has vectors of texts that need not be encoded.
        """
        texts, node = text_forms(taxonomy, recipe)
        key = _key(texts, node, encoder, recipe, "" if known is None else known.identity)
        path = (folder or cache_folder() / "indexes") / key
        _take_over(path, (len(texts), encoder.width))
        vectors = text_vectors(texts, encoder, path, progress, known)
        chosen = faiss_index.choose_kind(kind, len(texts))
        searcher = faiss_index.Searcher(lambda: faiss_index.flat_index(vectors), "flat")
        if chosen != "flat":
            flat = faiss_index.flat_index(vectors)
            vectors = faiss_index.storage(flat)
            index = _read_or_build(chosen, path, flat, vectors)
            searcher = faiss_index.Searcher(lambda: index, chosen)
        starts = np.searchsorted(node, np.arange(len(taxonomy) + 1))
        return cls(vectors, node, starts, searcher)

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
    texts: Sequence[tuple[str, ...]],
    node: NDArray[np.int32],
    encoder: Encoder,
    recipe: NodeText,
    known: str,
) -> str:
    """Hash of the taxonomy as the recipe sees it, the recipe, the model and its prompt.

    Parameters
    ----------
    known
        Identity of the vectors that were known before; empty where there were none.
    """
    digest = hashlib.sha256(f"{FORMAT}\n{recipe}\n{encoder.identity}\n".encode())
    if prompt := encoder.prompts.document:
        digest.update(hashlib.sha256(prompt.encode()).digest())
    if known:
        digest.update(f"known {known}\n".encode())
    digest.update(node.astype("<i4").tobytes())
    forms = chain.from_iterable(texts)
    digest.update("".join(f"{text}\0" for text in forms).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


def _take_over(path: Path, shape: tuple[int, int]) -> None:
    """Make vectors that an earlier version kept, in a flat index of FAISS, those of the file."""
    before, now = path.with_name(f"{path.name}.faiss"), path.with_name(path.name + SUFFIX)
    if now.is_file() or not before.is_file():
        return
    try:
        flat = faiss_index.read_flat(before)
        if flat is not None and (flat.ntotal, flat.d) == shape:
            vectors = faiss_index.storage(flat)
            if are_unit(vectors):
                write_vectors(now, shape, iter([vectors]))
        before.unlink()
    except (RuntimeError, MemoryError, OSError) as error:
        logger.info("%s is not taken over: %s", before, error)


def _read_or_build(
    kind: faiss_index.Kind, path: Path, flat: Any, vectors: NDArray[np.float32]
) -> Any:
    """The index in the file of a kind, or a new one, which is kept there for the next time."""
    path = path.with_name(path.name + faiss_index.file_suffix(kind))
    try:
        index = faiss_index.read(kind, path, flat)
    except RuntimeError:
        logger.info("no index at %s yet", path)
    except MemoryError:  # a size that no file has
        logger.warning("the index %s is damaged; it is built again", path)
    else:
        if index is not None:
            return index
        logger.warning("the index %s is damaged; it is built again", path)
    index = faiss_index.build(kind, vectors)
    try:
        write_whole(path, lambda staging: faiss_index.write(kind, index, staging))
    except (OSError, RuntimeError) as error:
        logger.warning("the index is not kept for next time: %s", error)
    return index
