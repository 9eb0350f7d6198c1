"""Sets of labelled rows, each over a taxonomy of its own, or over several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError, TaxonomyError
from cascade.io import require_columns
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.finding import LabelFinder
from cascade.pipeline.labels.making import taxonomy_of_paths
from cascade.pipeline.load import load_taxonomy
from cascade.taxonomy import Taxonomy
from cascade.training.encoders.augmentation import AugmentationRecipe
from cascade.training.encoders.forms import NodeForms
from cascade.training.encoders.recipe import SetRecipe
from cascade.training.labelled import UNKNOWN

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
    def answers(self) -> NDArray[np.int32]:
        """Nodes that can be right: labelled ones and leaves, in order."""
        return np.union1d(self.labelled, self.taxonomy.leaves).astype(np.int32)

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


@dataclass(frozen=True)
class _Row:
    text: str
    label: str
    line: int


def read_set(
    recipe: SetRecipe,
    left_out: frozenset[str] = frozenset(),
    limit: int | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> list[EncoderSet]:
    """The set of a recipe, or one for each taxonomy that its column `by` tells apart.

    Parameters
    ----------
    left_out
        Texts, casefolded, that must not be learnt, since they are measured on.
    limit
        Rows that are read at the most.
    notify
        Called with whole sentences on rows and taxonomies that are left out.

    Raises
    ------
    InputError
        A column is not there, its taxonomy cannot be read, or no row has a text and a label of it.
    """
    groups, skipped = _rows(recipe, left_out, limit)
    total = sum(map(len, groups.values()))
    found = []
    for by, rows in groups.items():
        taxonomy = _taxonomy(recipe, by, rows)
        finder = LabelFinder(taxonomy)
        nodes = np.array([finder.find(row.label) for row in rows], np.int32)
        for row, node in zip(rows, nodes.tolist(), strict=True):
            if node < 0:
                skipped.add(UNKNOWN, row.line)
        kept = np.flatnonzero(nodes >= 0)
        if len(np.unique(nodes[kept])) < 2:
            if by:  # a list of one heading teaches nothing; others of the file may
                skipped.add("of a taxonomy with one label alone", rows[0].line, len(kept))
            continue
        found.append(
            EncoderSet(
                f"{recipe.name}/{by}" if by else recipe.name,
                taxonomy,
                [rows[at].text for at in kept.tolist()],
                nodes[kept],
                recipe.weight * total**recipe.power * len(rows) / total,
                recipe.augmentation,
            )
        )
    for reason, (count, line) in skipped.counts.items():
        notify(f"{recipe.name}: {count:,} rows are left out: {reason} (first: line {line})")
    if not found:
        why = ", ".join(f"{n:,} {reason}" for reason, (n, _) in skipped.counts.items())
        raise InputError(
            f"no two rows have texts and different labels of one taxonomy ({why or 'too few rows'}"
            "); name other columns with text and label, or the taxonomy that the labels are from",
            file=recipe.file,
            column=recipe.label,
        )
    return found


class _Skipped:
    """Rows that are left out, by reason: how many, and the line of the first."""

    def __init__(self) -> None:
        self.counts: dict[str, tuple[int, int]] = {}

    def add(self, reason: str, line: int, n: int = 1) -> None:
        count, first = self.counts.get(reason, (0, line))
        self.counts[reason] = (count + n, first)


def _rows(
    recipe: SetRecipe, left_out: frozenset[str], limit: int | None
) -> tuple[dict[str, list[_Row]], _Skipped]:
    """Rows with a text and a label, by the value of the column `by`, and the others."""
    if recipe.label in recipe.text:
        raise InputError(
            f"column {recipe.label!r} is named as text and as label; the text must not hold the "
            "answer",
            file=recipe.file,
        )
    if not Path(recipe.file).is_file():
        raise InputError(
            f"sets or held, {recipe.name}: there is no file {recipe.file}; files are relative to "
            "the recipe, and in --set to the working folder"
        )
    groups: dict[str, list[_Row]] = {}
    skipped = _Skipped()
    with TableFile(recipe.file, limit).open() as table:
        require_columns(table, [*recipe.text, recipe.label, *filter(None, [recipe.by])])
        for chunk in table.chunks(CHUNK):
            for row in chunk:
                if table.problem(row, recipe.text) is not None:
                    skipped.add("cannot be read", row.line)
                    continue
                fields = table.texts(row, recipe.text).values()
                text = " ".join(v.strip()[: recipe.max_chars] for v in fields if v.strip())
                label = table.text(row, recipe.label).strip()
                if not text or not label:
                    skipped.add("without a text" if not text else "without a label", row.line)
                elif text.casefold() in left_out:
                    skipped.add("measured, so not learnt", row.line)
                else:
                    by = table.text(row, recipe.by) if recipe.by else ""
                    groups.setdefault(by, []).append(_Row(text, label, row.line))
    return groups, skipped


def _taxonomy(recipe: SetRecipe, by: str, rows: Sequence[_Row]) -> Taxonomy:
    try:
        if recipe.taxonomy is not None and not recipe.by:
            return load_taxonomy(recipe.taxonomy, **recipe.taxonomy_reading)
        return taxonomy_of_paths(list(dict.fromkeys(row.label for row in rows)), by or recipe.name)
    except TaxonomyError as error:
        raise InputError(f"sets or held, {recipe.name}, taxonomy: {error}") from error
