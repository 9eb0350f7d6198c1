"""Which files are meant by what a user names: a file, a folder of tables, or a pattern."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from cascade.errors import InputError
from cascade.io.tables.detection import KINDS
from cascade.io.tables.folder import has_pictures

BESIDE = (".", "_")  # how names begin of what is no data: `_SUCCESS`, `.part-0.crc`
JOURNALS = ".parts"


def files_of(
    source: str, apart: Path | None = None, passed_over: list[str] | None = None
) -> list[tuple[str, Path]]:
    """The files that are meant, each with its path below what was named.

    A folder without pictures stands for the tables in and below it; one with pictures, for itself.
    A pattern (`parts/*.parquet`, `**` for folders between) stands for what fits it. What hides, and
    what begins with `_`, is passed over in folders.

    Parameters
    ----------
    apart
        A folder that is not looked into, as the one of outputs that lies in that of inputs.
    passed_over
        Takes what lies in folders and is no table: other files, compressed ones, linked folders.

    Raises
    ------
    InputError
        Nothing fits a pattern.
    """
    path = Path(source)
    if source and path.is_dir():
        below = [] if has_pictures(path) else list(_tables(path, apart, passed_over))
        return below or [(source, Path(path.name))]
    if not glob.has_magic(source) or path.exists():
        return [(source, Path(path.name))]
    return _fitting(source, apart, passed_over)


def _tables(
    folder: Path, apart: Path | None, passed_over: list[str] | None
) -> Iterator[tuple[str, Path]]:
    """Tables in and below a folder, in the order of their paths."""
    apart = _below(apart, folder)
    found: list[Path] = []
    others: list[str] = []
    for at, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(BESIDE)
            and not name.endswith(JOURNALS)
            and not _is_in(Path(at, name), apart)
        ]
        others += [f"{Path(at, name)}{os.sep}" for name in folders if Path(at, name).is_symlink()]
        for name in files:
            if name.startswith(BESIDE):
                continue
            file = Path(at, name)
            is_there = file.is_file() or not file.exists()  # a broken link is told when it is read
            if file.suffix.lower() in KINDS and is_there:
                found.append(file)
            else:
                others.append(str(file))
    if passed_over is not None:
        passed_over += sorted(others)
    yield from ((str(file), file.relative_to(folder)) for file in sorted(found))


def _fitting(
    pattern: str, apart: Path | None, passed_over: list[str] | None
) -> list[tuple[str, Path]]:
    """What fits a pattern; of folders that do, the tables."""
    fixed = Path(pattern)
    while glob.has_magic(str(fixed)):
        fixed = fixed.parent
    apart = _below(apart, fixed)
    found: list[tuple[str, Path]] = []
    for name in sorted(glob.glob(pattern, recursive=True)):
        path = Path(name)
        if path.name.endswith(JOURNALS) or _is_in(path, apart):
            continue
        inside = _tables(path, apart, passed_over) if path.is_dir() else iter([(name, Path())])
        found += [(each, (path / below).relative_to(fixed)) for each, below in inside]
    unique = dict(found)
    if not unique:
        raise InputError(f"no file fits {pattern}; check the pattern, or name a file or a folder")
    return list(unique.items())


def _below(apart: Path | None, folder: Path) -> Path | None:
    """The folder that is not looked into, if it lies in one that is."""
    if apart is None or not apart.is_dir():
        return None
    real, outer = Path(os.path.realpath(apart)), Path(os.path.realpath(folder))
    return real if outer in real.parents else None


def _is_in(path: Path, folder: Path | None) -> bool:
    real = Path(os.path.realpath(path)) if folder is not None else path
    return folder is not None and (real == folder or folder in real.parents)
