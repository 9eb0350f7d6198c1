"""Columns of what a language model wrote about nodes, apart from what people did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cascade.taxonomy.draft import Draft, MachineTexts
from cascade.taxonomy.names import join_synonyms, split_synonyms

MACHINE = ("machine_description", "machine_synonyms", "machine_titles")


def keep_machine_texts(
    draft: Draft, row: int, columns: Mapping[str, int], cells: Sequence[str]
) -> None:
    """Keep what the cells of a row have of such texts; `columns` are by what they hold."""
    description, synonyms, titles = (
        cells[columns[what]] if what in columns else "" for what in MACHINE
    )
    found = MachineTexts.cleaned(description, split_synonyms(synonyms), split_synonyms(titles))
    if any(found):
        draft.machine[row] = found


def machine_cells(texts: MachineTexts) -> list[str]:
    """The cells of a row, in the order of `MACHINE`."""
    return [texts.description, join_synonyms(texts.synonyms), join_synonyms(texts.titles)]
