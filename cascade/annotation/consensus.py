"""What several annotators said about one row, as one label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice of one annotator; `node` is None where no node is called so."""

    annotator: str
    node: int | None
    written: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """A row as it came back: its columns, and all decisions about it."""

    cells: dict[str, str]
    decisions: list[Decision]

    @property
    def votes(self) -> dict[int, int]:
        """How many annotators chose each node; one that chose a node twice counts once."""
        chosen = {(d.annotator, d.node) for d in self.decisions if d.node is not None}
        return dict(Counter(node for _, node in sorted(chosen, key=str)))

    @property
    def annotators(self) -> int:
        """How many decided about the row."""
        return len({decision.annotator for decision in self.decisions})

    def winner(self) -> int | None:
        """The node that more chose than any other; None without one, or with a tie."""
        ranked = Counter(self.votes).most_common(2)
        if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
            return None
        return ranked[0][0]
