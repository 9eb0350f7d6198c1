"""Where prompts lie, and their text; what it means is read in `prompts`, which imports Jinja."""

from __future__ import annotations

from pathlib import Path

from cascade.config import check_name
from cascade.errors import ConfigError
from cascade.resources import shipped_folder, shipped_names

SUFFIX = ".jinja"


def prompt_names() -> list[str]:
    """Names of the shipped prompts."""
    return shipped_names("prompts", SUFFIX)


def find_prompt(name: str) -> Path:
    """The file `name`, or that of the shipped prompt of that name.

    Raises
    ------
    ConfigError
        There is no such file or shipped prompt.
    """
    check_name("prompt", name)
    path = Path(name)
    if path.is_file():
        return path
    if name not in (names := prompt_names()):
        raise ConfigError(
            f"no prompt {name!r}: it is neither a file nor a shipped prompt ({', '.join(names)})"
        )
    return shipped_folder("prompts") / f"{name}{SUFFIX}"


def read_prompt(path: Path) -> str:
    """The text of a prompt file.

    Raises
    ------
    ConfigError
        It cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None
