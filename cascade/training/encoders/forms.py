"""The forms that a node is read in while an encoder learns: its name, its path, and others.

In use a node may be searched by any of them, so each is learnt.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import Field, model_validator

from cascade.config import Section
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import readable_name


class FormsRecipe(Section):
    """How often the nodes of a step are read in each form, against the others."""

    leaf: float = Field(4, ge=0, description="The name.")
    parent: float = Field(3, ge=0, description="The name, and its parent's in brackets.")
    path: float = Field(2, ge=0, description="The names from the top.")
    upward: float = Field(0.5, ge=0, description="The names from the node upward.")
    more: float = Field(
        0.5, ge=0, description="A synonym, or the name with its description; else the name."
    )

    @model_validator(mode="after")
    def _some(self) -> FormsRecipe:
        if not sum(self.shares().values()):
            raise ValueError("expected one form at the least that is greater than 0")
        return self

    def shares(self) -> dict[str, float]:
        """The weight of each form."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class NodeForms:
    """The texts of the nodes of one taxonomy."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        self._names = [readable_name(name) for name in taxonomy.names]

    def text(self, node: int, form: str, rng: np.random.Generator) -> str:
        """The text of a node in a form that `FormsRecipe` names.

        - `leaf`: the name
        - `path`: the names from the top
        - `parent`: the name, and its parent's in brackets
        - `upward`: the names from the node upward
        - `more`: a synonym, or the name with its description; without either the name
        """
        return _READERS[form](self, node, rng)

    def _leaf(self, node: int, rng: np.random.Generator) -> str:
        return self._names[node]

    def _path(self, node: int, rng: np.random.Generator) -> str:
        return " > ".join(self._upward_names(node)[::-1])

    def _parent(self, node: int, rng: np.random.Generator) -> str:
        parent = int(self._taxonomy.parent[node])
        if parent < 0 or self._names[parent] == self._names[node]:
            return self._names[node]
        return f"{self._names[node]} ({self._names[parent]})"

    def _upward(self, node: int, rng: np.random.Generator) -> str:
        return ", ".join(self._upward_names(node))

    def _more(self, node: int, rng: np.random.Generator) -> str:
        known = list(self._taxonomy.synonyms(node))
        if description := self._taxonomy.description(node):
            known.append(f"{self._names[node]}: {description}")
        return known[int(rng.integers(len(known)))] if known else self._names[node]

    def _upward_names(self, node: int) -> list[str]:
        names: list[str] = []
        while node >= 0:
            if not names or names[-1] != self._names[node]:
                names.append(self._names[node])
            node = int(self._taxonomy.parent[node])
        return names


_READERS: dict[str, Callable[[NodeForms, int, np.random.Generator], str]] = {
    "leaf": NodeForms._leaf,
    "path": NodeForms._path,
    "parent": NodeForms._parent,
    "upward": NodeForms._upward,
    "more": NodeForms._more,
}
