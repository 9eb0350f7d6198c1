"""A folder of pictures as a table: a row for each, with the folders that it is in."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from cascade.errors import InputError
from cascade.io.pictures import SUFFIXES
from cascade.io.tables.rows import Row, Table

log = logging.getLogger(__name__)

IMAGE, FOLDER = "image", "folder"


def read_folder(path: Path) -> Table:
    """The pictures in and below a folder, in the order of their paths.

    Column `image` has the path from the folder on, `folder` the folders between as `A > B`, which
    is the label where pictures are sorted into folders. Hidden files are skipped.

    Raises
    ------
    InputError
        There are no pictures in it.
    """
    found, others = _pictures(path)
    if not found:
        files = sorted(p.name for p in path.iterdir() if p.is_file())[:5]
        inside = f", for example {path / files[0]}" if files else ""
        raise InputError(f"{path} is a folder without pictures; give a file{inside}")
    if others:
        log.warning("%s: %s files are not pictures and are skipped", path, f"{others:,}")
    columns = (IMAGE, FOLDER)
    return Table(str(path), "csv", columns, _rows(found), lambda: None, base=path, pictures=IMAGE)


def has_pictures(path: Path) -> bool:
    """Whether there are pictures in or below a folder."""
    return bool(_pictures(path)[0])


def fingerprint(path: Path) -> bytes:
    """Changes where pictures of a folder are added, taken away or replaced."""
    lines = []
    for name in _pictures(path)[0]:
        file = path / name
        stat = file.stat() if file.is_file() else None
        lines.append(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" if stat else f"{name}:")
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _pictures(path: Path) -> tuple[list[Path], int]:
    """Paths of the pictures below a folder, in order, and how many other files there are."""
    found, others = [], 0
    for at, folders, files in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                found.append(Path(at, name).relative_to(path))
            else:
                others += not name.startswith(".")
    return sorted(found), others


def _rows(paths: list[Path]) -> Iterator[Row]:
    for number, path in enumerate(paths, start=1):
        name = os.fsencode(path.as_posix()).decode("utf-8", "surrogateescape")
        yield Row(number, number, (name, " > ".join(path.parts[:-1])))
