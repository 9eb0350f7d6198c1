"""What running any model needs: a device, a number type, quiet libraries, batches of like size."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cascade.errors import UsageError

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "float32", "bfloat16", "float16"]


def refuse_lost_gpu() -> None:
    """Raise UsageError in a process that was forked from one that used a GPU."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    lost = getattr(cuda, "_is_in_bad_fork", None)
    if lost is not None and lost():
        raise UsageError(
            "a GPU cannot be used in a process that was forked from one that used it; start "
            'workers with multiprocessing.get_context("spawn")'
        )


def best_device(wanted: str = "auto") -> str:
    """`wanted`, or with `auto` the first of cuda, mps and cpu that is there.

    Raises
    ------
    UsageError
        The device that was asked for is not there.
    """
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind = wanted.split(":")[0]
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind != "cpu" and not present.get(kind, False):
        raise UsageError(f"device {wanted!r} is not available here; use auto or cpu")
    return wanted


def precision_dtype(precision: Precision, device: str) -> torch.dtype:
    """The number type to compute in; `auto` takes bfloat16 where the hardware multiplies it."""
    import torch

    if precision != "auto":
        dtype: torch.dtype = getattr(torch, precision)
        return dtype
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32


def autocast(device: str = "auto") -> AbstractContextManager[Any]:
    """Multiplication in bfloat16 where the hardware does it, with weights in float32."""
    import torch

    device = best_device(device)
    dtype = precision_dtype("auto", device)
    return torch.autocast(
        device.split(":")[0], dtype, enabled=dtype is torch.bfloat16 or device == "cuda"
    )


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Bars and remarks of the libraries around transformers off for a while.

    The caller shows progress, and what concerns the user it says itself.
    """
    from transformers.utils import logging as hf_logging

    was_on = hf_logging.is_progress_bar_enabled()
    loggers = [logging.getLogger(name) for name in ("transformers", "sentence_transformers")]
    levels = [one.level for one in loggers]
    hf_logging.disable_progress_bar()
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        yield
    finally:
        if was_on:
            hf_logging.enable_progress_bar()
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


def divided(
    order: NDArray[np.int64], sizes: NDArray[np.int64], most: int
) -> list[NDArray[np.int64]]:
    """`order` in parts, the sizes of which add up to about the same, and to about `most` or less.

    Parameters
    ----------
    order
        int64 [n], places in `sizes`.
    sizes
        int64 [n], each at least 1.
    """
    if not len(order):
        return []
    after = np.cumsum(sizes[order])
    n_parts = -(-after[-1] // most)
    part = (after - 1) * n_parts // after[-1]
    return np.split(order, np.flatnonzero(np.diff(part)) + 1)


def padded_batches(lengths: NDArray[np.int64], most_tokens: int) -> Iterator[NDArray[np.int64]]:
    """Places of texts of like length, in batches that have `most_tokens` or less when padded.

    A longer text is a batch of its own.
    """
    order = np.argsort(lengths, kind="stable")
    start = 0
    for end, place in enumerate(order.tolist()):  # the last of a batch is its longest
        if end > start and (end + 1 - start) * lengths[place] > most_tokens:
            yield order[start:end]
            start = end
    if len(order):
        yield order[start:]
