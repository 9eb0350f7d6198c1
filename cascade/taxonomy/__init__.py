"""Taxonomies: the tree, its nodes, and the file formats it is read from."""

from __future__ import annotations

from cascade.taxonomy.draft import Record
from cascade.taxonomy.names import spoken
from cascade.taxonomy.tree import Node, Taxonomy

__all__ = ["Node", "Record", "Taxonomy", "spoken"]
