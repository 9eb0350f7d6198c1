"""Features of pictures: vectors of a vision model, with decoding in threads beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError
from cascade.features.picture_cache import PictureVectorCache
from cascade.forks import renew_in_child
from cascade.io.pictures import open_picture, picture_key
from cascade.items import Item
from cascade.models.runtime import autocast
from cascade.models.vision import Preparation, VisionModel, load_vision
from cascade.models.weights import find_weights

BLOCK = 8  # pictures in one forward pass: what they become stays in a core's cache
GPU_BLOCK = 32
MAX_DECODED = 512  # decoded pictures that are held, at most


class PictureFeatures:
    """Unit vectors of a vision model; zeros for an item without a picture.

    Decoding runs in threads, some blocks ahead of the model.

    Parameters
    ----------
    model
        As loaded by `models.vision.load_vision`.
    kept
        Vectors that were made before; None to make them all.
    """

    reads_text = False
    reads_pictures = True

    def __init__(self, model: VisionModel, kept: PictureVectorCache | None = None) -> None:
        self._model = model
        self._module = inference_module(model)
        self._device = str(next(self._module.parameters()).device)
        self._kept = kept
        self._decoder = Decoder(model.preparation)

    @classmethod
    def load(cls, name: str, *, keep: bool = True, allow_download: bool = False) -> PictureFeatures:
        """The features of the vision model called `name`.

        Parameters
        ----------
        keep
            Whether vectors are kept in the user's cache and found there.

        Raises
        ------
        WeightsError
            The weights are not found, or are none of a vision model.
        """
        model = load_vision(find_weights(name, allow_download=allow_download))
        return cls(model, PictureVectorCache.of(model) if keep else None)

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return self._model.width

    def prefetch(self, items: Sequence[Item]) -> None:
        """Begin to decode the pictures of items that will be asked for next."""
        for item in items:
            if item.image is not None and not (self._kept and self._kept.has(item.image)):
                self._decoder.begin(item.image)

    def rows(
        self, items: Sequence[Item], problems: dict[int, str] | None = None
    ) -> NDArray[np.float32]:
        """float32 [n_items, width]"""
        out = np.zeros((len(items), self.width), dtype=np.float32)
        wanted: list[int] = []
        for row, item in enumerate(items):
            if item.image is None:
                continue
            known = self._kept.get(item.image) if self._kept else None
            if known is None:
                wanted.append(row)
            else:
                out[row] = known
        try:
            decoding = [(row, self._decoder.begin(items[row].image)) for row in wanted]
            size = BLOCK if self._device == "cpu" else GPU_BLOCK
            blocks = [decoding[at : at + size] for at in range(0, len(decoding), size)]
            # Each core of a CPU takes blocks of its own: no core waits for the others, which a
            # forward pass with several threads does at every layer.
            run = _model_threads().map if self._device == "cpu" and len(blocks) > 1 else map
            for _ in run(lambda block: self._add(out, items, block, problems), blocks):
                pass
        finally:
            self._decoder.forget([items[row].image for row in wanted])
        return out

    def _add(
        self,
        out: NDArray[np.float32],
        items: Sequence[Item],
        decoding: Sequence[tuple[int, Future[NDArray[np.uint8]]]],
        problems: dict[int, str] | None,
    ) -> None:
        """Fill the rows of some pictures."""
        rows, squares = [], []
        for row, decoded in decoding:
            try:
                squares.append(decoded.result())
                rows.append(row)
            except InputError as error:
                if problems is not None:
                    problems[row] = str(error)
        if not rows:
            return
        vectors = self.vectors(squares)
        out[rows] = vectors
        if self._kept:
            self._kept.put([items[row].image for row in rows], vectors)

    def vectors(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Unit vectors float32 [n, width] of prepared pictures uint8 [side, side, 3]."""
        import torch

        device = self._device
        with torch.inference_mode(), autocast(device):
            found = self._module(self._model.preparation.pixels(squares, device)).float()
        vectors: NDArray[np.float32] = torch.nn.functional.normalize(found, dim=1).cpu().numpy()
        return vectors


class Decoder:
    """Decodes pictures in threads; one that is asked for twice is decoded once."""

    def __init__(self, preparation: Preparation) -> None:
        self._preparation = preparation
        # With the picture itself, so that no other gets its id.
        self._begun: dict[Any, tuple[Any, Future[NDArray[np.uint8]]]] = {}
        self._lock = threading.Lock()
        renew_in_child(self, Decoder._begin_anew)

    def _begin_anew(self) -> None:
        self._begun.clear()
        self._lock = threading.Lock()
        decoding_pool.cache_clear()
        _model_threads.cache_clear()

    def begin(self, picture: Path | bytes | str | Any) -> Future[NDArray[np.uint8]]:
        """The prepared picture, or its InputError, when it will be there."""
        key = picture_key(picture)
        with self._lock:
            if key not in self._begun:
                if len(self._begun) >= MAX_DECODED:  # more were begun than asked for
                    self._begun.pop(next(iter(self._begun)))
                self._begun[key] = picture, decoding_pool().submit(self._decode, picture)
            return self._begun[key][1]

    def forget(self, pictures: Sequence[Any]) -> None:
        """Let go of pictures whose vectors are made."""
        with self._lock:
            for picture in pictures:
                self._begun.pop(picture_key(picture), None)

    def _decode(self, picture: Any) -> NDArray[np.uint8]:
        return self._preparation.square(open_picture(picture))


@cache
def decoding_pool() -> ThreadPoolExecutor:
    """The threads in which pictures are decoded."""
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1), "pictures")


@cache
def _model_threads() -> ThreadPoolExecutor:
    """Threads for models on a CPU, as many as torch has, each of which computes alone."""
    import torch

    n = torch.get_num_threads()
    pool = ThreadPoolExecutor(n, "vision", initializer=torch.set_num_threads, initargs=(1,))
    started = threading.Barrier(n)
    list(pool.map(lambda _: started.wait(), range(n)))  # until all of them have begun
    torch.set_num_threads(n)  # for threads that others will begin
    return pool


def inference_module(model: VisionModel) -> Any:
    """The module with batch norms folded into the convolutions before them, where it is ours."""
    import copy

    if not model.config:
        return model.module
    from cascade.models.efficientnet import folded

    return folded(copy.deepcopy(model.module))
