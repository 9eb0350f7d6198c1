"""Taxonomies: the tree and its nodes, facets, search, differences, and formats of files.

What is particular to FoodEx2 belongs in `cascade.foodex2`; choosing nodes for an item belongs in
`cascade.retrieval`, `cascade.scoring` and `cascade.pipeline`.
"""

from __future__ import annotations

from cascade.taxonomy.draft import Record
from cascade.taxonomy.tree import Node, Taxonomy

__all__ = ["Node", "Record", "Taxonomy"]
