"""Labels that are FoodEx2 codes: malformed ones mended, and of several the one that says most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cascade.evaluation.preparation.cleaning import (
    CONFLICTING,
    DUPLICATE,
    KEPT,
    OUTDONE,
    CleanedRows,
    ScannedRows,
)
from cascade.foodex2.repair import RepairedCode, repair
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy


@dataclass(frozen=True)
class CodeLabels:
    """The different labels of a file as codes.

    Parameters
    ----------
    codes
        In the order of the labels.
    """

    labels: Sequence[str]
    codes: Sequence[RepairedCode]

    @classmethod
    def of(cls, labels: Sequence[str], taxonomy: FacetedTaxonomy) -> CodeLabels:
        """The labels read as codes of a taxonomy."""
        return cls(labels, [repair(label, taxonomy) for label in labels])

    @cached_property
    def mended(self) -> dict[str, tuple[str, str]]:
        """Of each label that is malformed the code that it means, and what was mended."""
        return {
            label: (str(found.code), "; ".join(found.repairs))
            for label, found in zip(self.labels, self.codes, strict=True)
            if found.code is not None and found.repairs
        }

    def facets(self, label: int) -> frozenset[object]:
        """What a label says beside its base term; nothing where it is no code."""
        code = self.codes[label].code
        return frozenset() if code is None else frozenset(code.facets)

    def keep_most_informative(
        self, rows: ScannedRows, cleaned: CleanedRows, taxonomy: Taxonomy
    ) -> CleanedRows:
        """Of rows with the same text the one whose code says most, where codes agree.

        They agree where their base terms lie on one path: the deepest says most, and of those with
        the same base term the one with the most facets; of several the first.

        Parameters
        ----------
        taxonomy
            What the nodes of `cleaned` are of.
        """
        reason, rival = cleaned.reason.copy(), cleaned.rival.copy()
        again = np.isin(reason, (DUPLICATE, CONFLICTING))
        keys = np.unique(rows.key[again])
        usable = np.flatnonzero(np.isin(rows.key, keys) & (again | (reason == KEPT)))
        usable = usable[np.argsort(rows.key[usable], kind="stable")]
        starts = np.flatnonzero(np.diff(rows.key[usable], prepend=~rows.key[usable[:1]]))
        for group in np.split(usable, starts[1:]) if len(usable) else ():
            members = [int(row) for row in group]
            nodes = {row: int(cleaned.node[row]) for row in members}
            says = {row: self.facets(int(rows.label[row])) for row in members}
            best = max(members, key=lambda row: (taxonomy.level[nodes[row]], len(says[row]), -row))
            above = set(taxonomy.path_nodes(nodes[best]).tolist())
            if not above.issuperset(nodes.values()):
                continue  # nobody knows which is right
            for row in members:
                same = nodes[row] == nodes[best] and says[row] == says[best]
                reason[row] = KEPT if row == best else DUPLICATE if same else OUTDONE
                rival[row] = -1 if row == best else best
        return replace(cleaned, reason=reason, rival=rival)
