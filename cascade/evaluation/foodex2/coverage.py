"""How much of a catalogue some codes use: the tables of coverage of FEAST (arXiv 2603.03176)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from cascade.foodex2.code import FoodCode
from cascade.taxonomy.facets import FacetedTaxonomy


def coverage(taxonomy: FacetedTaxonomy, codes: Sequence[FoodCode]) -> list[dict[str, Any]]:
    """Of base terms, facet categories, descriptors and whole codes: how many there are, are used.

    `catalogue`: those that may be reported, empty for whole codes; `rows_median` and `rows_most` of
    those that are used; `once`: those of one row.
    """
    categories = taxonomy.categories.values()
    parts: dict[str, tuple[int | None, Counter[Any]]] = {
        "base terms": (int(taxonomy.reportable.sum()), Counter(c.base for c in codes)),
        "facet categories": (
            len(categories),
            Counter(own for c in codes for own in {f.category for f in c.facets}),
        ),
        "descriptors": (
            sum(int(own.reportable.sum()) for own in categories),
            Counter(facet for c in codes for facet in set(c.facets)),
        ),
        "whole codes": (None, Counter(map(str, codes))),
    }
    found = []
    for name, (there, used) in parts.items():
        rows = np.array(sorted(used.values()) or [0])
        found.append(
            {
                "what": name,
                "catalogue": there,
                "used": len(used),
                "share": None if not there else round(len(used) / there, 4),
                "rows_median": float(np.median(rows)),
                "rows_most": int(rows.max()),
                "once": int((rows == 1).sum()),
            }
        )
    return found


def category_coverage(taxonomy: FacetedTaxonomy, codes: Sequence[FoodCode]) -> list[dict[str, Any]]:
    """Of each facet category: descriptors in the catalogue and used, and rows that have it."""
    used: dict[str, set[str]] = {}
    rows: Counter[str] = Counter()
    for code in codes:
        rows.update({facet.category for facet in code.facets})
        for facet in code.facets:
            used.setdefault(facet.category, set()).add(facet.descriptor)
    found = []
    for category in taxonomy.categories.values():
        there, own = int(category.reportable.sum()), len(used.get(category.code, ()))
        found.append(
            {
                "code": category.code,
                "label": category.label,
                "catalogue": there,
                "used": own,
                "share": round(own / there, 4) if there else None,
                "rows": rows[category.code],
                "rows_share": round(rows[category.code] / max(len(codes), 1), 4),
            }
        )
    return found
