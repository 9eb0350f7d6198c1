"""Sets of labelled rows, each over a taxonomy of its own, or over several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError
from cascade.io import require_columns
from cascade.io.tables.opening import TableFile
from cascade.pipeline.load import load_taxonomy
from cascade.pipeline.runs.label_taxonomy import taxonomy_of_paths
from cascade.pipeline.runs.labels import LabelFinder
from cascade.taxonomy import Taxonomy
from cascade.training.encoders.augmentation import AugmentationRecipe
from cascade.training.encoders.forms import NodeForms
from cascade.training.encoders.recipe import SetRecipe

CHUNK = 1024


@dataclass(frozen=True)
class EncoderSet:
    """Rows over one taxonomy.

    Parameters
    ----------
    texts, nodes
        Of each row its text and the node that it is labelled with, int32 [n_rows].
    weight
        How often batches are drawn from it, against other sets.
    """

    name: str
    taxonomy: Taxonomy
    texts: Sequence[str]
    nodes: NDArray[np.int32]
    weight: float
    augmentation: AugmentationRecipe

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def forms(self) -> NodeForms:
        """The texts of its nodes."""
        return NodeForms(self.taxonomy)

    @cached_property
    def labelled(self) -> NDArray[np.int32]:
        """Nodes that have rows, in order."""
        return np.unique(self.nodes)

    @cached_property
    def rows_of(self) -> list[NDArray[np.int64]]:
        """The rows of each labelled node."""
        order = np.argsort(self.nodes, kind="stable")
        return np.split(order, np.searchsorted(self.nodes[order], self.labelled[1:]))

    @cached_property
    def right_of(self) -> dict[str, set[int]]:
        """The nodes of texts that are labelled with several."""
        found: dict[str, set[int]] = {}
        for text, node in zip(self.texts, self.nodes.tolist(), strict=True):
            found.setdefault(text.casefold(), set()).add(node)
        return {text: nodes for text, nodes in found.items() if len(nodes) > 1}


def read_set(
    recipe: SetRecipe, left_out: frozenset[str] = frozenset(), limit: int | None = None
) -> Iterator[EncoderSet]:
    """The set of a recipe, or one for each taxonomy that its column `by` tells apart.

    Parameters
    ----------
    left_out
        Texts, casefolded, that must not be learnt, since they are measured on.
    limit
        Rows that are read at the most.

    Raises
    ------
    InputError
        A column is not there, or no row has a text and a label of the taxonomy.
    """
    rows: dict[str, list[tuple[str, str]]] = {}
    with TableFile(recipe.file, limit).open() as table:
        require_columns(table, [*recipe.text, recipe.label, *filter(None, [recipe.by])])
        for chunk in table.chunks(CHUNK):
            for row in chunk:
                text = joined_fields_of(table.texts(row, recipe.text), recipe)
                if text and text.casefold() not in left_out:
                    by = table.text(row, recipe.by) if recipe.by else ""
                    rows.setdefault(by, []).append((text, table.text(row, recipe.label)))
    found = 0
    for by, pairs in rows.items():
        if recipe.taxonomy is None or recipe.by:
            taxonomy = taxonomy_of_paths(list(dict.fromkeys(label for _, label in pairs)), by)
        else:
            taxonomy = load_taxonomy(recipe.taxonomy)
        finder = LabelFinder(taxonomy)
        known = [(t, node) for t, label in pairs if (node := finder.find(label)) >= 0]
        found += len(known)
        nodes = np.array([node for _, node in known], np.int32)
        if len(np.unique(nodes)) < 2:
            continue
        share = len(pairs) / sum(map(len, rows.values()))
        total = float(sum(map(len, rows.values()))) ** recipe.power
        yield EncoderSet(
            f"{recipe.name}/{by}" if by else recipe.name,
            taxonomy,
            [t for t, _ in known],
            nodes,
            recipe.weight * total * share,
            recipe.augmentation,
        )
    if not found:
        raise InputError("no row has a text and a label of the taxonomy", file=recipe.file)


def joined_fields_of(fields: dict[str, str], recipe: SetRecipe) -> str:
    """The text of a row, each column shortened."""
    return " ".join(v.strip()[: recipe.max_chars] for v in fields.values() if v.strip())
