"""Files that appear whole or not at all (text, JSON, arrays), their hashes, the cache folder."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError, OutputError

TENSORS_FORMAT = 1  # raised when the same file would mean something else


def cache_folder() -> Path:
    """The user's cache: `$CASCADE_CACHE`, else `cascade` under `$XDG_CACHE_HOME` or `~/.cache`."""
    if given := os.environ.get("CASCADE_CACHE"):
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "cascade"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(file: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file whole, or raise OutputError; nan and infinities become null."""
    text = json.dumps(_defined(values), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(file, text + "\n")


def write_text(file: Path, text: str) -> None:
    """Write a text file whole, or raise OutputError."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_text(text, "utf-8")
        partial.replace(file)
    except OSError as error:
        raise OutputError(f"{file} cannot be written: {error.strerror}") from None


def _defined(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _defined(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_defined(inner) for inner in value]
    return value


def write_tensors(path: Path, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write arrays to a safetensors file, with plain values that tell what they mean."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    save_file(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()},
        partial,
        metadata={"cascade": json.dumps({"format": TENSORS_FORMAT, **about})},
    )
    partial.replace(path)


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The plain values and the arrays of a file that `write_tensors` wrote.

    Raises
    ------
    ConfigError
        The file cannot be read, was not written by cascade, or is of another version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {}).get("cascade", "null"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as safetensors: {error}") from None
    if not isinstance(about, dict):
        raise ConfigError(f"{path}: was not written by cascade; expected a file of a pack")
    if about.get("format") != TENSORS_FORMAT:
        raise ConfigError(
            f"{path}: is of format {about.get('format')!r}, this version reads {TENSORS_FORMAT}; "
            "fit the pack again"
        )
    return about, arrays
