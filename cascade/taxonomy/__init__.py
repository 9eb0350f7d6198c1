"""Taxonomies: the tree, its nodes, and the file formats it is read from."""

from __future__ import annotations

from cascade.taxonomy.node import Node, spoken
from cascade.taxonomy.records import Record
from cascade.taxonomy.tree import Taxonomy

__all__ = ["Node", "Record", "Taxonomy", "spoken"]
