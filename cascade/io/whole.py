"""Small files that appear whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cascade.errors import OutputError


def write_json(file: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file whole; undefined figures (nan) are null.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    text = json.dumps(_defined(values), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(file, text + "\n")


def write_text(file: Path, text: str) -> None:
    """Write a text file whole.

    Raises
    ------
    OutputError
        It cannot be written.
    """
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
