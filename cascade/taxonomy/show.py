"""How a taxonomy shows itself in a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cascade.taxonomy.tree import Taxonomy

_WIDE = 12


def to_html(taxonomy: Taxonomy) -> str:
    """Heading, counts, and a list of the top nodes that opens to their children."""
    shown = [f"<li>{_opening(taxonomy, i)}</li>" for i in taxonomy.children(-1)[:_WIDE].tolist()]
    if (more := len(taxonomy.children(-1)) - _WIDE) > 0:
        shown.append(f"<li>and {more:,} more</li>")
    counts = " / ".join(f"{len(taxonomy.level_nodes(k + 1)):,}" for k in range(taxonomy.depth)[:20])
    return (
        f"<div><b>{escape(taxonomy.title or 'Taxonomy')}</b>: {len(taxonomy):,} nodes, "
        f"{len(taxonomy.leaves):,} leaves, {taxonomy.depth} levels ({counts})"
        f"<ul>{''.join(shown)}</ul></div>"
    )


def _opening(taxonomy: Taxonomy, i: int) -> str:
    label = f"{escape(taxonomy.names[i])} <code>{escape(taxonomy.codes[i])}</code>"
    children = taxonomy.children(i).tolist()
    if not children:
        return label
    names = [escape(taxonomy.names[child]) for child in children[:_WIDE]]
    more = [f"and {len(children) - _WIDE:,} more"] if len(children) > _WIDE else []
    return (
        f"<details><summary>{label}, {len(taxonomy.subtree(i)) - 1:,} below</summary>"
        f"{'; '.join(names + more)}</details>"
    )
