"""Where what is made once and used again is kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache: `$CASCADE_CACHE`, else `cascade` under `$XDG_CACHE_HOME` or `~/.cache`."""
    if given := os.environ.get("CASCADE_CACHE"):
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "cascade"
