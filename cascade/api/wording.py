"""Errors in the words of Python: `--text` of a command is `text=` of a function."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from cascade.errors import CascadeError

SWITCHES = ("resume", "overwrite", "allow-download", "allow-urls", "keep-case")
_ARGUMENTS = {"-t": "taxonomy=", "--allow-host": "allow_hosts="}
_OPTION = re.compile(r"`[^`]*`|(?<![\w-])(?:--[a-z][a-z-]*[a-z]|-t)(?![\w-])")


@contextmanager
def in_python() -> Iterator[None]:
    """Tell errors with the names of arguments in the place of options."""
    try:
        yield
    except CascadeError as error:
        told = in_words_of_python(str(error))
        if told != str(error):
            error.args = (told, *error.args[1:])
        raise


def in_words_of_python(text: str) -> str:
    """A message with `--text` as `text=`, `--overwrite` as `overwrite=True`; commands stay."""
    return _OPTION.sub(_argument, text)


def _argument(found: re.Match[str]) -> str:
    option = found[0]
    if option.startswith("`"):  # a command
        return option
    name = option.removeprefix("--")
    known = f"{name.replace('-', '_')}={'True' if name in SWITCHES else ''}"
    return _ARGUMENTS.get(option, known)
