"""A language model searches, opens and compares nodes where retrieval doubts, and may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from cascade.errors import UsageError

if TYPE_CHECKING:
    from cascade.scoring.components import Components


def make(components: Components) -> NoReturn:
    """Nothing: the agent walks by itself, see `pipeline.agent`.

    Raises
    ------
    UsageError
        Always.
    """
    raise UsageError(
        "the agent walks by itself and is no part of other methods; name it with --method agent"
    )
