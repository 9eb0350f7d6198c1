"""What is doubtful about columns for levels: their order, columns that are left out, numbers."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Sequence

from cascade.taxonomy.formats.tables.headings import words
from cascade.taxonomy.formats.tables.table import TaxonomyTable
from cascade.taxonomy.names import clean

logger = logging.getLogger(__name__)

MISSING = frozenset(
    ("n/a", "n.a.", "#n/a", "<na>", "nan", "null", "-", "--", "\u2013", "\u2014", "\\n")
)
"""What files write where a level has no node."""

_CHAINS = (
    ("universe", "domain", "kingdom", "phylum", "class", "order", "family", "genus", "species"),
    ("segment", "family", "class", "brick"),
    ("sector", "industry_group", "industry", "sub_industry"),
    ("section", "division", "group", "class"),
    ("department", "category", "subcategory"),
)
"""Ranks that are one below another, by their words."""

_CODE = re.compile(r"[A-Z]{0,3}[\d.]*\d[\d.]*[A-Z]?")
_SUB = re.compile(r"sub_?(?P<rank>.+)")
_FACTS = words("description definition desc notes note comment comments remark remarks example")


def check_levels(
    table: TaxonomyTable,
    names: Sequence[int],
    used: Collection[int],
    rank_of: Callable[[str], str],
) -> None:
    """Refuse levels that are in the wrong order, numbers, or not all.

    Parameters
    ----------
    names
        Columns of names, top first.
    used
        All columns that are read.
    rank_of
        The word or number of a level that a heading has; empty where it has none.

    Raises
    ------
    TaxonomyError
        With the heading.
    """
    _check_order(table, names, [rank_of(table.keys[at]) for at in names])
    _check_names(table, names)
    left = [at for at in range(len(table.header)) if at not in used and table.header[at]]
    dropped = []
    for at in left:
        texts = [clean(row[at]) for row in table.sample]
        if not any(map(str.isalpha, "".join(texts))) or table.keys[at] in _FACTS:
            continue
        if rank_of(table.keys[at]) or _is_above(table, at, names):
            shown = ", ".join(repr(table.header[level]) for level in names)
            raise table.file.error(
                f"column {table.header[at]!r} seems to hold a level, too, but only {shown} are "
                "read as levels; head all of them 'level 1', 'level 2', ..., or remove it",
                table.line,
                table.header[at],
            )
        dropped.append(table.header[at])
    if dropped:
        logger.warning(
            "%s: columns beside the levels that are not used: %s",
            table.file.label,
            ", ".join(map(repr, dropped)),
        )


def _check_order(table: TaxonomyTable, names: Sequence[int], ranks: Sequence[str]) -> None:
    """Refuse ranks that are known to be the other way round."""
    for i, rank in enumerate(ranks):
        if not (sub := _SUB.fullmatch(rank)):
            continue
        for at, above in zip(names[i + 1 :], ranks[i + 1 :], strict=True):
            if above.removeprefix("main_").removeprefix("top_") == sub["rank"]:
                raise _reversed(table, names[i], at)
    chains = [chain for chain in _CHAINS if len(ranks) > 1 and set(ranks) <= {*chain}]
    if chains and all(_places(chain, ranks) != sorted(_places(chain, ranks)) for chain in chains):
        pairs = {(clean(row[names[0]]), clean(row[names[1]])) for row in table.sample}
        if len({upper for upper, _ in pairs}) == len(pairs):  # each has one below it
            raise _reversed(table, names[0], names[1])


def _places(chain: Sequence[str], ranks: Sequence[str]) -> list[int]:
    return [chain.index(rank) for rank in ranks]


def _reversed(table: TaxonomyTable, left: int, right: int) -> Exception:
    return table.file.error(
        f"column {table.header[left]!r} stands before {table.header[right]!r}, but seems to be "
        "below it; put the columns in the order of the tree, the top first, or head them "
        "'level 1', 'level 2', ...",
        table.line,
        table.header[left],
    )


def _check_names(table: TaxonomyTable, names: Sequence[int]) -> None:
    """Refuse numbers that are read as names: codes beside descriptions, or above texts."""
    described = table.columns.get("description")
    lowest = [row[names[-1]].strip() for row in table.sample if row[names[-1]].strip()]
    if described is not None and len(lowest) > 1 and all(map(_CODE.fullmatch, lowest)):
        heading = table.header[described]
        raise table.file.error(
            f"column {table.header[names[-1]]!r} is read as names, but holds codes, such as "
            f"{lowest[0]!r}, and {heading!r} seems to hold their names; give columns code, name "
            "and parent, a row for each node",
            table.line,
            table.header[names[-1]],
        )
    top, *below = ([row[at].strip() for row in table.sample if row[at].strip()] for at in names)
    texts = any(any(map(str.isalpha, cell)) for column in below for cell in column)
    if len(top) > 1 and texts and all(cell.replace(".", "").isdecimal() for cell in top):
        heading = table.header[names[0]]
        raise table.file.error(
            f"column {heading!r} is read as the names of the top level, but holds numbers, such as "
            f"{top[0]!r}; if they are codes, head it '{heading} code' and its names "
            f"'{heading} name', or give columns code, name and parent",
            table.line,
            heading,
        )


def _is_above(table: TaxonomyTable, at: int, names: Sequence[int]) -> bool:
    """Whether a column to the left of a level has few values, of which each node there has one."""
    right = next((name for name in names if name > at), None)
    if right is None:
        return False
    pairs = {(clean(row[at]), clean(row[right])) for row in table.sample if row[at].strip()}
    values = {value for value, _ in pairs}
    return 1 < len(values) <= len(pairs) == len({name for _, name in pairs})
