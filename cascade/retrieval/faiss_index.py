"""FAISS indexes over vectors of texts, of three kinds: built, kept, read and searched.

`flat` compares with every text, `hnsw` walks a graph of near texts, `ivf` looks into the nearest of
many lists. The vectors lie in a file of their own, which all kinds share: a graph is kept as its
links alone; lists hold copies, side by side, which are mapped into memory.

The settings were chosen on the 75,000 names of FoodEx2, with names of recipes as items: of the ten
nearest a graph finds 99 %, 64 lists 96 % and 16 lists 90 % (`eval/results/index_kinds.md`); among a
million see `eval/results/million_nodes.md`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from threading import Lock, RLock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cascade.config import IndexKind

logger = logging.getLogger(__name__)

_limits = Lock()  # FAISS has one limit for all threads

Kind = Literal["flat", "hnsw", "ivf"]

MAX_EXACT = 100_000
"""Texts up to which `auto` compares an item with all of them, and every node has a number for it.
That takes 4 ms for an item there, five times as long as working on hits, and grows with their
number (`eval/results/growth.md`)."""

HNSW_M, HNSW_EF_CONSTRUCTION, HNSW_EF_SEARCH = 16, 60, 256

IVF_LISTS, IVF_NPROBE = 2, 64
"""There are `IVF_LISTS * sqrt(n)` lists."""

KMEANS_SAMPLE, KMEANS_ITERATIONS = 64, 10
"""Texts of each list that k-means sees, and its iterations."""

MIN_LIST = 39
"""Texts that a list must have on average, or FAISS warns."""

MIN_MATMUL = 4
"""Vectors from which FAISS compares by a matrix product; by itself it does so from about 384."""

MAX_GPU_HITS = 2048
"""Hits that FAISS finds for a vector on a GPU, at most."""


def faiss_library() -> Any:
    """FAISS, set to compare small batches by matrix products too: ten times as fast for 256."""
    import faiss

    faiss.cvar.distance_compute_blas_threshold = MIN_MATMUL
    return faiss


def choose_kind(wanted: IndexKind, n_texts: int) -> Kind:
    """The kind to use for so many texts; a GPU compares with many more."""
    if wanted != "auto":
        return wanted
    return "flat" if n_texts <= MAX_EXACT or n_gpus() else "hnsw"


def file_suffix(kind: Kind) -> str:
    """The end of a file's name, which says how the index was built; of flat, the vectors'."""
    built = {
        "flat": ".npy",
        "hnsw": f".hnsw-{HNSW_M}-{HNSW_EF_CONSTRUCTION}.faiss",
        "ivf": f".ivf-{IVF_LISTS}-{KMEANS_SAMPLE}.faiss",
    }
    return built[kind]


def flat_index(vectors: NDArray[np.float32]) -> Any:
    """A FAISS index that compares with all of some vectors [n_texts, width], which it copies."""
    index = faiss_library().IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index


def build(kind: Kind, vectors: NDArray[np.float32]) -> Any:
    """A FAISS index of a kind over unit vectors [n_texts, width], in memory."""
    if kind == "flat":
        return flat_index(vectors)
    faiss = faiss_library()
    n, width = vectors.shape
    logger.info("building the %s index of %d texts", kind, n)
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(width, HNSW_M, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = HNSW_EF_CONSTRUCTION
    else:
        lists = max(1, min(round(IVF_LISTS * n**0.5), n // MIN_LIST))
        index = faiss.index_factory(width, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
        index.cp.niter, index.cp.max_points_per_centroid = KMEANS_ITERATIONS, KMEANS_SAMPLE
        index.train(vectors)
    index.add(vectors)
    return index


def write(kind: Kind, index: Any, path: str) -> None:
    """Write an index; of a graph the links alone, since the vectors lie elsewhere.

    Raises
    ------
    RuntimeError
        The file cannot be written.
    """
    faiss = faiss_library()
    faiss.write_index(index, path, faiss.IO_FLAG_SKIP_STORAGE if kind == "hnsw" else 0)


def read(kind: Kind, path: Path, flat: Any) -> Any | None:
    """The index of a kind in a file, over the vectors of the flat one; None if it is not whole.

    Raises
    ------
    RuntimeError
        There is no index in the file.
    """
    faiss = faiss_library()
    skipped = faiss.IO_FLAG_SKIP_STORAGE if kind == "hnsw" else faiss.IO_FLAG_MMAP
    index = read_file(path, skipped)
    if (index.ntotal, index.d) != (flat.ntotal, flat.d):
        return None
    if kind == "hnsw":
        if not isinstance(index, faiss.IndexHNSWFlat) or not _is_whole_graph(index):
            return None
        index.storage, index.own_fields = flat, False
        index.referenced_objects = [flat]  # kept alive as long as the graph
        return index
    return index if isinstance(index, faiss.IndexIVFFlat) and _are_whole_lists(index) else None


def read_flat(path: Path) -> Any | None:
    """The flat index in a file; None if it is of another kind.

    Raises
    ------
    RuntimeError, MemoryError
        There is no index in the file.
    """
    faiss = faiss_library()
    index = read_file(path, 0)
    return index if isinstance(faiss.downcast_index(index), faiss.IndexFlat) else None


def storage(index: Any) -> NDArray[np.float32]:
    """The vectors of a flat index [n, width], without a copy."""
    flat: Any = faiss_library().downcast_index(index)
    if flat.ntotal == 0:
        return np.empty((0, flat.d), dtype=np.float32)
    view = faiss_library().rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
    # The array keeps the index, and so its memory, alive.
    owner: _Held = view.reshape(flat.ntotal, flat.d).view(_Held)
    owner.index = index
    return owner


class _Held(np.ndarray):  # type: ignore[type-arg]
    """An array over memory that `index` owns."""

    index: Any = None


def read_file(path: Path, flags: int) -> Any:
    """The index in a file, in memory in proportion to the file, whatever sizes it declares.

    Raises
    ------
    RuntimeError, MemoryError
        There is no index in the file.
    """
    faiss = faiss_library()
    known = hasattr(faiss, "set_deserialization_vector_byte_limit")  # since FAISS 1.14
    if known:
        size = path.stat().st_size if path.is_file() else 0
        with _limits:
            before = faiss.get_deserialization_vector_byte_limit()
            faiss.set_deserialization_vector_byte_limit(max(1 << 20, 4 * size))
            try:
                return faiss.read_index(str(path), flags)
            finally:
                faiss.set_deserialization_vector_byte_limit(before)
    return faiss.read_index(str(path), flags)


def _is_whole_graph(index: Any) -> bool:
    """Whether all links lead to texts: FAISS follows them without looking."""
    faiss = faiss_library()
    graph, n = index.hnsw, index.ntotal
    links = faiss.vector_to_array(graph.neighbors)
    offsets = faiss.vector_to_array(graph.offsets)
    return bool(
        len(offsets) == n + 1
        and offsets[0] == 0
        and offsets[-1] == len(links)
        and (offsets[1:] >= offsets[:-1]).all()
        and (not len(links) or (links.min() >= -1 and links.max() < n))
        and (0 <= graph.entry_point < n or not n)
    )


def _are_whole_lists(index: Any) -> bool:
    """Whether all texts lie in the lists of an index, each once."""
    faiss = faiss_library()
    lists = faiss.downcast_InvertedLists(index.invlists)
    if isinstance(lists, faiss.OnDiskInvertedLists) and not _lie_within(lists):
        return False
    seen = np.zeros(index.ntotal, dtype=np.int64)
    for i in range(lists.nlist):
        if size := lists.list_size(i):
            ids = faiss.rev_swig_ptr(lists.get_ids(i), size)
            if ids.min() < 0 or ids.max() >= len(seen):
                return False
            seen[ids] += 1
    return bool((seen == 1).all())


def _lie_within(lists: Any) -> bool:
    """Whether mapped lists end where the file does, or before; FAISS 1.10 does not look."""
    places = [lists.lists.at(i) for i in range(lists.nlist)]
    entry = lists.code_size + 8  # bytes of a vector and its id
    return all(place.offset + place.capacity * entry <= lists.totsize for place in places)


class Searcher:
    """Searches an index, on GPUs where `faiss-gpu` finds any.

    Parameters
    ----------
    index
        Makes a FAISS index of unit vectors by their inner product; called when it is first
        searched, since FAISS takes long to import.
    kind
        What it is; a graph stays on the processor, since FAISS has none for GPUs.
    """

    def __init__(self, index: Callable[[], Any], kind: Kind) -> None:
        self.kind = kind
        self._make = index
        self._lock = RLock()

    @cached_property
    def _index(self) -> Any:
        """The index on the processor."""
        faiss = faiss_library()
        index = self._make()
        if self.kind == "ivf":
            index.nprobe = IVF_NPROBE
            lists = faiss.downcast_InvertedLists(index.invlists)
            if isinstance(lists, faiss.OnDiskInvertedLists):
                lists.prefetch_nthread = 0  # they are in the page cache soon enough
        return index

    @cached_property
    def _on_gpu(self) -> Any | None:
        """Its copy on GPUs, if any."""
        return None if self.kind == "hnsw" else _on_gpus(self._index)

    def search(
        self, vectors: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k most similar texts of each vector [n, width], most similar first.

        Returns
        -------
        similarity : float32 [n, k]
        text : int64 [n, k]
            -1 where an approximate search found fewer.
        """
        with self._lock:  # made once
            index, on_gpu = self._index, self._on_gpu
        k = min(k, index.ntotal)
        if on_gpu is not None and k <= MAX_GPU_HITS:
            with self._lock:  # a GPU's index serves one thread at a time
                similar, text = on_gpu.search(vectors, k)
        elif self.kind == "hnsw":
            wide = faiss_library().SearchParametersHNSW(efSearch=max(HNSW_EF_SEARCH, k))
            similar, text = index.search(vectors, k, params=wide)
        else:
            similar, text = index.search(vectors, k)
        return similar, text


def n_gpus() -> int:
    """GPUs that FAISS can use: none without `faiss-gpu`."""
    faiss = faiss_library()
    return int(faiss.get_num_gpus()) if hasattr(faiss, "index_cpu_to_all_gpus") else 0


def _on_gpus(index: Any) -> Any | None:
    """A copy of an index on all GPUs; None where there are none, or it does not fit."""
    if not n_gpus():
        return None
    try:
        return faiss_library().index_cpu_to_all_gpus(index)
    except RuntimeError as error:
        logger.warning("the index stays on the processor: %s", error)
        return None
