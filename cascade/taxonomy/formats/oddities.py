"""What is odd about the nodes of a file of any format: told in warnings, and read all the same."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from cascade.taxonomy.draft import Draft

logger = logging.getLogger(__name__)

_TOTALS = frozenset(
    (
        *("total", "totals", "grand total", "subtotal", "sub-total", "sum", "gesamt", "insgesamt"),
        *("summe", "total general", "totale", "razem", "\u0438\u0442\u043e\u0433\u043e"),
    )
)
_NOTES = (
    "source:",
    "sources:",
    "note:",
    "notes:",
    "quelle:",
    "\u00a9",
    "copyright ",
    "last updated",
)
_SHOWN = 3


def tell_oddities(draft: Draft) -> None:
    """Warn of leaves that seem to be totals or notes, and of siblings alike but for their case."""
    inner = set(draft.parent)
    odd = [
        row
        for row, name in enumerate(draft.names)
        if row not in inner
        and ((form := name.casefold().rstrip(" :")) in _TOTALS or form.startswith(_NOTES))
    ]
    if odd:
        _tell(
            draft,
            odd,
            "read as nodes, though called like totals or notes",
            "remove those rows if they are none",
        )
    alike = _alike_but_for_case(draft)
    if alike:
        _tell(
            draft,
            alike,
            "siblings whose names differ in upper and lower case alone",
            "write them as one if they are one",
        )


def _alike_but_for_case(draft: Draft) -> list[int]:
    """Rows whose names differ from a sibling's in case alone; by hashes, for few bytes a node."""
    rows = len(draft.names)
    named = zip(draft.parent, draft.names, strict=True)
    exact = np.fromiter(map(hash, named), np.int64, rows)
    folded = zip(draft.parent, map(str.casefold, draft.names), strict=True)
    forms = np.fromiter(map(hash, folded), np.int64, rows)
    order = np.lexsort((exact, forms))
    forms_in_order, exact = forms[order], exact[order]
    differ = (np.diff(forms_in_order) == 0) & (np.diff(exact) != 0)
    return np.flatnonzero(np.isin(forms, forms_in_order[1:][differ])).tolist()


def _tell(draft: Draft, rows: Sequence[int], what: str, cure: str) -> None:
    shown = ", ".join(f"{draft.names[row][:60]!r}{draft.at(row)}" for row in rows[:_SHOWN])
    more = ", ..." if len(rows) > _SHOWN else ""
    logger.warning("%s: %s: %s%s; %s", draft.file, what, shown, more, cure)
