"""Vectors of pictures in the user's cache, so that a file is read by a model once."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.forks import renew_in_child
from cascade.io.files import cache_folder
from cascade.models.vision import VisionModel

log = logging.getLogger(__name__)

MAX_AGE = 60 * 24 * 3600  # seconds after which a cache that is not used is removed
MAX_VECTORS = 200_000  # vectors of a model, at most; then the oldest go


_of_parents: list[Any] = []


class PictureVectorCache:
    """A table of vectors by picture: by path, size and time of a file, by content of bytes.

    A cache that cannot be read or written is done without.

    Parameters
    ----------
    path
        File of the cache.
    width
        Numbers in a vector.
    """

    def __init__(self, path: Path, width: int) -> None:
        self._width = width
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        renew_in_child(self, PictureVectorCache._let_go)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_unused(path)
            database = sqlite3.connect(path, timeout=10, check_same_thread=False)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=OFF")
            database.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"
            )
            self._database = database
        except (OSError, sqlite3.Error) as error:
            log.warning("%s cannot be used, features are not kept: %s", path, error)

    def _let_go(self) -> None:
        """Do without the connection of another process, which must not even be closed here."""
        self._lock = threading.Lock()
        _of_parents.append(self._database)
        self._database = None

    @classmethod
    def of(cls, model: VisionModel) -> PictureVectorCache:
        """The vectors of a model, as it prepares pictures."""
        made_by = repr((model.identity, model.preparation))
        name = hashlib.sha256(made_by.encode()).hexdigest()[:16]
        return cls(cache_folder() / "pictures" / f"{name}.sqlite", model.width)

    def has(self, picture: Any) -> bool:
        """Whether the vector of a picture is there."""
        return self.get(picture) is not None

    def get(self, picture: Any) -> NDArray[np.float32] | None:
        """float32 [width], or None where it is not there."""
        if self._database is None or (key := _key(picture)) is None:
            return None
        try:
            with self._lock:
                ask = "SELECT vector FROM vectors WHERE key = ?"
                found = self._database.execute(ask, (key,)).fetchone()
        except sqlite3.Error:
            return None
        if found is None or len(found[0]) != 4 * self._width:
            return None
        return np.frombuffer(found[0], dtype=np.float32)

    def put(self, pictures: Sequence[Any], vectors: NDArray[np.float32]) -> None:
        """Keep the vectors float32 [n, width] of pictures."""
        if self._database is None:
            return
        pairs = [
            (key, vector.tobytes())
            for picture, vector in zip(pictures, vectors, strict=True)
            if (key := _key(picture)) is not None
        ]
        try:
            with self._lock, self._database:
                self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", pairs)
                self._database.execute(
                    "DELETE FROM vectors WHERE rowid <= (SELECT max(rowid) FROM vectors) - ?",
                    (MAX_VECTORS,),
                )
        except sqlite3.Error as error:
            log.warning("features are not kept: %s", error)
            self._database = None


def _remove_unused(path: Path) -> None:
    """Remove the caches beside `path` that were not used for long, as those of old packs."""
    for other in path.parent.glob("*.sqlite"):
        if other != path and time.time() - other.stat().st_mtime > MAX_AGE:
            for part in path.parent.glob(f"{other.name}*"):
                part.unlink(missing_ok=True)
    if path.exists():
        path.touch()


def _key(picture: Any) -> bytes | None:
    """Names a picture; None where that cannot be known without reading it."""
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(picture, Path):
        try:
            stat = picture.stat()
        except (OSError, ValueError):  # a name that no file can have
            return None
        named = f"{picture.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
        digest.update(named.encode("utf-8", "surrogateescape"))
    elif isinstance(picture, bytes):
        digest.update(picture)
    else:
        return None  # an address may hold another picture tomorrow
    return digest.digest()
