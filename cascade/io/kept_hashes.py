"""Hashes of large files, kept in the user's cache: a file that stayed as it was is not read again.

Whether it did is told by its size and times, among them the time of the last change, which nobody
sets. That is no proof, so whoever asks for one takes `sha256_of`.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from cascade.errors import CascadeError
from cascade.io.files import cache_folder, sha256_of, write_text

LARGE = 1 << 20  # bytes from which on a file takes longer to hash than its hash to look up
SETTLED = 2.0  # seconds after a change in which another might leave the same times
DIGITS = 64  # of a hash


def kept_sha256(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits, as it was when the file was last changed."""
    told = path.stat()
    if told.st_size < LARGE:
        return sha256_of(path)
    stamp = f"{told.st_size}:{told.st_mtime_ns}:{told.st_ctime_ns}:{told.st_ino}"
    try:
        kept = _place(path)
        found = kept.read_text("utf-8").split() if kept.is_file() else []
        if found[:1] == [stamp] and len(found[-1]) == DIGITS:
            return found[-1]
    except (CascadeError, OSError, ValueError):  # no cache, or none of ours: it is hashed
        return sha256_of(path)
    settled = time.time() - max(told.st_mtime, told.st_ctime) > SETTLED
    digest = sha256_of(path)
    if settled:
        with suppress(CascadeError, OSError):  # a cache that cannot be written: hashed again
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_text(kept, f"{stamp} {digest}\n")
    return digest


def _place(path: Path) -> Path:
    """The file in the user's cache that holds the hash of another."""
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    return cache_folder() / "hashes" / name
