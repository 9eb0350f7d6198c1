"""The errors that people meet; one hierarchy for the API and the command line.

Every message says what was found, what was expected and what to do. The command line prints
the message and exits with `exit_status`; a traceback is for defects of ours only.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

_MANY = 20_000  # options that are all compared with a misspelt word


class CascadeError(Exception):
    """Base of every error that cascade raises on purpose."""

    exit_status = 2


class UsageError(CascadeError):
    """An option or an argument that cannot be used as given."""


class ConfigError(CascadeError):
    """A cascade.yaml, a pack or a prompt file that does not hold what it should."""


class InputError(CascadeError):
    """A file or a value in it that cannot be read.

    Parameters
    ----------
    message
        What was found, what was expected, what to do.
    file, line, column
        Where; put before the message as `file, line 3, column 'name': ...`. Lines count from 1
        as an editor shows them.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        self.file, self.line, self.column = file, line, column
        where = [str(file)] if file is not None else []
        if line is not None:
            where.append(f"line {line}")
        if column is not None:
            where.append(f"column {column!r}")
        super().__init__(f"{', '.join(where)}: {message}" if where else message)


class TaxonomyError(InputError):
    """A taxonomy that is no tree of named, uniquely coded nodes."""


class OutputError(CascadeError):
    """An output that cannot be written, or that exists and may not be replaced."""


_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def unwritable(what: str | Path, error: OSError, then: str = "try again") -> OutputError:
    """The error of what the system does not let us write, with the cure of its cause.

    Parameters
    ----------
    then
        What to do when the cause is gone.
    """
    match error.errno:
        case errno.ENAMETOOLONG:
            return OutputError(
                f"{str(what)[:100]}... cannot be written: the name is too long; shorten it (most "
                "systems allow 255 bytes, of which up to 20 are needed for what lies beside it)"
            )
        case number if number in _FULL:
            cure = f"make room on the disk, and {then}"
        case number if number in _FORBIDDEN:
            cure = f"change its permissions or those of its folder, and {then}; or name another"
        case errno.ENOENT | errno.ENOTDIR:
            cure = f"make its folder, and {then}"
        case errno.EBADF:
            return OutputError(f"{what} is closed; name a file with --out, or open it")
        case _:
            cure = f"solve that, and {then}"
    return OutputError(f"{what} cannot be written: {error.strerror or error}; {cure}")


class WeightsError(CascadeError):
    """Model weights that are not found, or are not what they were pinned to be."""


class MissingExtraError(CascadeError):
    """An optional part that is not installed.

    Parameters
    ----------
    what
        What needed it, for example `reading Excel files`.
    package
        The package that could not be imported.
    extra
        The extra of this distribution that brings it.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what} needs {package}, which is not installed; "
            f"install it with: {install_command(extra)}"
        )


def install_command(extra: str) -> str:
    """The command that installs the packages of an extra; cascade itself is on no package index."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        needs = [need.partition(";") for need in requires("cascade-taxonomy") or ()]
    except PackageNotFoundError:
        needs = []
    of_extra = {f"extra == '{extra}'", f'extra == "{extra}"'}
    packages = [
        f"'{package.strip()}'" for package, _, marker in needs if marker.strip() in of_extra
    ]
    return " ".join(["pip install", *(packages or [f"-e '.[{extra}]'"])])


class EngineError(CascadeError):
    """A language model that failed to answer; the cascade falls back where it can.

    Parameters
    ----------
    message
        What happened and what to do.
    retry
        Whether the same call may succeed later.
    reason
        What happened, in few words that are the same for all calls that failed so, to be counted.
    """

    def __init__(
        self, message: str, *, retry: bool = False, reason: str = "the model failed"
    ) -> None:
        self.retry = retry
        self.reason = reason
        super().__init__(message)


def close_matches(word: str, options: Sequence[str], count: int = 3) -> list[str]:
    """The options most like `word`, best first, whatever their case.

    Among more than 20,000 options only those are compared that begin or end like `word`, as far as
    any does.
    """
    import difflib

    likely: Iterable[str] = options
    if len(options) > _MANY:
        likely = [*_sharing(word, options, str.startswith), *_sharing(word, options, str.endswith)]
    folded: dict[str, str] = {}
    for option in likely:
        folded.setdefault(option.casefold(), option)
    return [folded[found] for found in difflib.get_close_matches(word.casefold(), folded, n=count)]


def _sharing(word: str, options: Sequence[str], test: Callable[[str, str], bool]) -> Iterable[str]:
    """Options with the longest beginning (or end) of `word` that any has, at most 20,000."""
    for size in range(len(word) - 1, 0, -1):
        part = word[:size] if test is str.startswith else word[-size:]
        found = [option for option in options if test(option, part)]
        if found:
            return found[:_MANY]
    return []


def did_you_mean(word: str, options: Sequence[str]) -> str:
    """` (did you mean 'a' or 'b'?)`, or nothing where nothing is close."""
    found = close_matches(word, options)
    return f" (did you mean {' or '.join(map(repr, found))}?)" if found else ""
