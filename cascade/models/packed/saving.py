"""Trained weights of a packed encoder, written as the folder of sentence-transformers is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cascade.models.packed.layers import name_today
from cascade.models.weights import Weights

if TYPE_CHECKING:
    import torch

OTHERS = ("*.bin", "*.h5", "*.onnx", "*.ot", "*.py", "onnx", "openvino", ".git*", "README.md")
"""The same weights in other forms, and what no encoder is read from."""


def save_like(
    weights: Weights, tensors: Mapping[str, torch.Tensor], folder: Path, *, reader: bool = False
) -> None:
    """Write a folder like that of the weights, with the tensors in the place of its own.

    Parameters
    ----------
    tensors
        By their names today.
    reader
        Whether those of a reader, which sentence-transformers does not know, are written too.
    """
    from safetensors.torch import load_file, save_file

    ignored = shutil.ignore_patterns(*OTHERS)
    shutil.copytree(weights.path, folder, dirs_exist_ok=True, ignore=ignored)
    own = next(folder.glob("**/model.safetensors"))
    found = load_file(own)
    for name in found:
        today = name_today(name)
        mine = next((k for k in tensors if today == k or today.endswith(f".{k}")), None)
        if mine is not None:
            found[name] = tensors[mine].detach().cpu().to(found[name].dtype)
    if reader:
        found |= {
            name: value.detach().cpu().contiguous()
            for name, value in tensors.items()
            if name.startswith("reader.")
        }
    own.unlink()  # it may be a link into a cache
    save_file(found, own, metadata={"format": "pt"})
