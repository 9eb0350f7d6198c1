"""One node of a taxonomy, as a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

PATH_SEPARATOR = " > "

_SLASH = re.compile(r"(?<!\d)\s*/\s*|\s*/\s*(?!\d)")


@dataclass(frozen=True, slots=True)
class Node:
    """A node with all that is known about it.

    Parameters
    ----------
    index
        Position in depth-first order, from 0.
    path
        Names from the top, `A > B > C`.
    level
        1 is the top.
    parent_code
        None at the top.
    translations
        Names by language tag.
    """

    index: int
    code: str
    name: str
    path: str
    level: int
    parent_code: str | None
    is_leaf: bool
    description: str = ""
    synonyms: tuple[str, ...] = ()
    translations: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.path}  [{self.code}]"


def spoken(name: str) -> str:
    """A name as a person would say it: `Tops/Upper Body Wear` is `Tops, Upper Body Wear`.

    Language models and encoders know lists with commas, not with slashes. A slash between two
    digits or with a blank beside it stays.
    """
    return _SLASH.sub(", ", name)
