"""Arrays in safetensors files, with what they mean as JSON beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError

FORMAT = 1  # raised when the same file would mean something else


def write_tensors(path: Path, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write arrays and plain values to `path`, whole or not at all."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f"{path.name}.part")
    save_file(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()},
        staging,
        metadata={"cascade": json.dumps({"format": FORMAT, **about})},
    )
    staging.replace(path)


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
    if about.get("format") != FORMAT:
        raise ConfigError(
            f"{path}: is of format {about.get('format')!r}, this version reads {FORMAT}; "
            "fit the pack again"
        )
    return about, arrays
