"""Files that appear whole or not at all (text, JSON, arrays), their hashes, the cache folder."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError, OutputError, unwritable
from cascade.io.encodings import escape_surrogates, replace_surrogates

MOST_JSON = 64 << 20  # bytes of a JSON file that is read whole
TENSORS_FORMAT = 1  # raised when the same file would mean something else
AT_ONCE = 1 << 17  # numbers of half precision that are looked at together, in the processor's cache


def cache_folder() -> Path:
    """The user's cache: `$CASCADE_CACHE`, else `cascade` under `$XDG_CACHE_HOME` or `~/.cache`.

    Raises
    ------
    ConfigError
        There is no home folder that it could be in, or no folder can have its name.
    """
    try:
        if given := os.environ.get("CASCADE_CACHE"):
            folder = Path(given).expanduser()
        else:
            base = os.environ.get("XDG_CACHE_HOME")
            folder = (Path(base).expanduser() if base else Path.home() / ".cache") / "cascade"
        folder.exists()  # raises where no folder can have this name
        return folder
    except OSError as error:
        raise ConfigError(
            f"the cache folder {str(error.filename)[:100]}... cannot be: {error.strerror}; set "
            "CASCADE_CACHE to another folder"
        ) from None
    except RuntimeError as error:  # ~ of somebody that there is not, or no home folder at all
        raise ConfigError(
            f"the cache folder cannot be found ({error}); set CASCADE_CACHE to a folder"
        ) from None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(file: Path) -> Any:
    """The values in a JSON file that cascade wrote: no NaN, no key twice, at most 64 MiB.

    Raises
    ------
    ConfigError
        It cannot be read, or is no JSON.
    """
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise ConfigError(f"{file}: is no file")  # a named pipe is waited for without end
        with file.open("rb") as stream:
            data = stream.read(MOST_JSON + 1)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    if len(data) > MOST_JSON:
        raise ConfigError(f"{file}: has more than {MOST_JSON:,} bytes")
    try:
        return strict_json(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: is no JSON: {error!s:.200}") from None


def strict_json(text: str) -> Any:
    """The values in a JSON text, without NaN and infinities, each key once.

    Raises
    ------
    ValueError, RecursionError
        It is no such JSON, or is nested too deeply.
    """
    return _STRICT.decode(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = Counter(key for key, _ in pairs)
        twice = next(key for key, count in keys.items() if count > 1)
        raise ValueError(f"{twice!r:.80} stands twice")
    return found


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


_STRICT = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)


def write_json(file: Path, values: Mapping[str, Any]) -> None:
    r"""Write a JSON file whole, or raise OutputError; nan and infinities become null.

    Names of files may have bytes that are no text, which are written as `\xff`.
    """
    text = json.dumps(_defined(values), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(file, text + "\n")


def write_text(file: Path, text: str) -> None:
    """Write a text file whole, or raise OutputError; lone surrogates become U+FFFD."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_text(replace_surrogates(text), "utf-8")
        partial.replace(file)
    except OSError as error:
        raise unwritable(file, error) from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def alone(lock: Path, busy: str) -> Iterator[None]:
    """Hold a lock, a file in a folder that is there; it is free again when the process ends.

    Raises
    ------
    OutputError
        Another process holds it, with `busy` as the message; or it cannot be written.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock, thread_local=False)
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise OutputError(busy) from None
    except OSError as error:
        raise OutputError(f"{lock}: cannot be written: {error.strerror}; begin again") from None
    try:
        yield
    finally:
        held.release()


def _defined(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return escape_surrogates(value)
    if isinstance(value, Mapping):
        return {key: _defined(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_defined(inner) for inner in value]
    return value


def readable_by_others(folder: Path, like: Path) -> None:
    """Give the files in a folder that a library made private the mode of another file there.

    What writes safetensors does, whatever the umask of the user is.

    Parameters
    ----------
    like
        A file that was written as files are here.
    """
    mode = like.stat().st_mode & 0o777
    for path in folder.rglob("*"):
        if not path.is_symlink() and path.is_file() and path.stat().st_mode & 0o777 == 0o600:
            path.chmod(mode)


def write_tensors(path: Path, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write arrays to a safetensors file, with plain values that tell what they mean.

    Raises
    ------
    OutputError
        It cannot be written; nothing half is left.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    partial = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()},
            partial,
            metadata={"cascade": json.dumps({"format": TENSORS_FORMAT, **about})},
        )
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, SafetensorError):  # of a library that tells the cause in words
            number = re.search(r"\b(?:os error|code:) (\d+)", str(error))
            told = int(number[1]) if number else None
            error = OSError(told, os.strerror(told) if told else str(error))
        raise unwritable(path, error) from None


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The plain values and the arrays of a file that `write_tensors` wrote.

    They are read at once, not mapped: a file that somebody writes over would end the process.

    Raises
    ------
    ConfigError
        The file cannot be read, was not written by cascade, is of another version, or holds NaN.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            about = strict_json((file.metadata() or {}).get("cascade", "null"))
        arrays = _arrays(path)
    except (OSError, SafetensorError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as safetensors: {error!s:.200}") from None
    if not isinstance(about, dict):
        raise ConfigError(f"{path}: was not written by cascade; expected a file of a pack")
    if about.get("format") != TENSORS_FORMAT:
        raise ConfigError(
            f"{path}: is of format {about.get('format')!r}, this version reads {TENSORS_FORMAT}; "
            "fit the pack again"
        )
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub" or not _is_finite(array):
            raise ConfigError(
                f"{path}: {name!r:.80} holds what is no number (NaN, infinite, or of type "
                f"{array.dtype}); fit or copy it again"
            )
    return about, arrays


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file that was found whole, in half the library's time.

    Raises
    ------
    OSError, ValueError, TypeError
        It has arrays of a type that NumPy has not, or was changed meanwhile.
    """
    data = np.fromfile(path, np.uint8)
    begin = 8 + int.from_bytes(data[:8].tobytes(), "little")
    told = json.loads(data[8:begin].tobytes())
    return {
        name: data[begin + about["data_offsets"][0] : begin + about["data_offsets"][1]]
        .view(_dtype(about["dtype"]))
        .reshape(about["shape"])
        for name, about in told.items()
        if name != "__metadata__"
    }


def _dtype(name: str) -> np.dtype[Any]:
    """The type of numbers that safetensors calls `F16`, `I32`, ..., `BOOL`."""
    kind, size = name[0].lower(), name[1:]
    return np.dtype(bool if name == "BOOL" else f"<{kind}{int(size) // 8}")


def _is_finite(array: NDArray[Any]) -> bool:
    """Whether no number is NaN or infinite; of half precision four times as quick as NumPy."""
    if array.dtype != np.float16:
        return bool(array.dtype.kind in "iub" or np.isfinite(array).all())
    bits = array.view(np.uint16).ravel()
    parts = (bits[at : at + AT_ONCE] & 0x7FFF for at in range(0, len(bits), AT_ONCE))
    return all(part.max() < 0x7C00 for part in parts)
