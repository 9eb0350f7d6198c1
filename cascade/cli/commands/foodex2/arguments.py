"""What stands where codes or descriptions are expected: themselves, a file, standard input."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from cascade.errors import InputError, UsageError

NAMES = ("./", "../", "~/", "/", ".\\", "..\\")  # how names of files begin, and no food
OTHERS = (".txt", ".json", ".xls", ".ods", ".gz", ".zip", ".xml", ".ecf", ".yaml", ".pdf", ".md")
MOST_LINES = 64 << 20  # bytes of standard input


def given(words: list[str], what: str) -> list[str]:
    """What is to be read, one by one: the words, or for `-` the lines of standard input.

    Parameters
    ----------
    what
        What the words are expected to be: `codes` or `descriptions`.

    Raises
    ------
    UsageError
        A word is the name of a file or folder, there or not; says what to do.
    InputError
        Standard input is empty, or no text.
    """
    if words == ["-"]:
        return _lines(what)
    for word in words:
        if word == "-":
            raise UsageError(f"- is standard input, a line for each of the {what}; give it alone")
        alone = len(words) == 1
        if not (alone or _looks_like_file(word, what)):
            continue
        if _is(word, Path.is_file):
            raise UsageError(
                f"{word} is a file; name the column of its {what} with --text"
                + ("" if alone else ", and give it alone")
            )
        if _looks_like_file(word, what):
            if _is(word, Path.is_dir):
                raise UsageError(f"{word} is a folder; name a file in it, or give {what}")
            raise UsageError(f"{word}: no such file; give a file of {what}, or {what}")
    return words


def refuse_without_file(options: Mapping[str, Any], what: str) -> None:
    """Refuse options that are for a file, where there is no column and so no file.

    Raises
    ------
    UsageError
        One of them is given.
    """
    for option, value in options.items():
        if value not in (None, False):
            raise UsageError(f"{option} is for a file of {what}; name their column with --text")


def _looks_like_file(word: str, what: str) -> bool:
    """Whether a word can only be meant as the name of a file."""
    from cascade.io.tables.detection import KINDS

    if PurePath(word).suffix.lower() in (*KINDS, *OTHERS) or word.startswith(NAMES):
        return True
    return what == "codes" and any(sign in word for sign in "/\\")


def _is(word: str, kind: Any) -> bool:
    """Whether there is a file, or a folder, of a name; a text too long for a name is none."""
    try:
        return bool(kind(Path(word)))
    except (OSError, ValueError):
        return False


def _lines(what: str) -> list[str]:
    """The lines of standard input that are not blank."""
    from cascade.io.encodings import guess_encoding, marked_encoding

    data = sys.stdin.buffer.read(MOST_LINES + 1)
    if len(data) > MOST_LINES:
        raise InputError(
            f"has more than {MOST_LINES >> 20} MiB; give a table with --text, which is read row by "
            "row",
            file="standard input",
        )
    encoding = marked_encoding(data) or guess_encoding(data)
    lines = [line for line in data.decode(encoding, "replace").splitlines() if line.strip()]
    if not lines:
        raise InputError(f"is empty; expected {what}, one a line", file="standard input")
    return lines
