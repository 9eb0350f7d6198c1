"""How a taxonomy looks in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cascade.taxonomy.tree import Taxonomy

_SHOWN = 12  # nodes of a list


def taxonomy_html(taxonomy: Taxonomy) -> str:
    """Heading, counts, and a list of the top nodes that opens to their children."""

    def shown(parent: int, show: Callable[[int], str]) -> list[str]:
        children = taxonomy.children(parent).tolist()
        more = [f"and {len(children) - _SHOWN:,} more"] if len(children) > _SHOWN else []
        return [*map(show, children[:_SHOWN]), *more]

    def name(i: int) -> str:
        return escape(taxonomy.names[i])

    def opening(i: int) -> str:
        label = f"{name(i)} <code>{escape(taxonomy.codes[i])}</code>"
        if taxonomy.is_leaf(i):
            return label
        label = f"{label}, {len(taxonomy.subtree(i)) - 1:,} below"
        return f"<details><summary>{label}</summary>{'; '.join(shown(i, name))}</details>"

    counts = " / ".join(f"{len(taxonomy.level_nodes(k + 1)):,}" for k in range(taxonomy.depth)[:20])
    rows = "".join(f"<li>{row}</li>" for row in shown(-1, opening))
    return (
        f"<div><b>{escape(taxonomy.title or 'Taxonomy')}</b>: {len(taxonomy):,} nodes, "
        f"{len(taxonomy.leaves):,} leaves, {taxonomy.depth} levels ({counts})<ul>{rows}</ul></div>"
    )
