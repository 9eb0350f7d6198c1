"""What tools take in common: arguments with their bounds, and what is told of all tools."""

from __future__ import annotations

from typing import Annotated

from mcp.types import ToolAnnotations
from pydantic import Field

from cascade.serving.tools import LONGEST_TEXT, LONGEST_WORDS

Text = Annotated[str, Field(max_length=LONGEST_TEXT, description="The text of the item.")]
Fields = Annotated[
    dict[str, str] | None,
    Field(description="In place of text: the item's texts by column, as a fitted pack reads them."),
]
Code = Annotated[
    str, Field(max_length=LONGEST_WORDS, description="A code, or a path such as `A > B`.")
]
LOOKS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
