"""What several annotators said about one row, as one label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice of one annotator.

    Parameters
    ----------
    node
        None where no node is called so.
    written
        What the choice is called in the export.
    again
        Whether it takes the place of what the annotator chose before: the first choice of an
        annotation.
    """

    annotator: str
    node: int | None
    written: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Labelled:
    """A row as it came back: its columns, and all decisions about it."""

    cells: dict[str, str]
    decisions: list[Decision]

    @property
    def votes(self) -> dict[int, int]:
        """How many annotators chose each node; who decided again counts by the last decision.

        Decisions come in the order in which they were made; several nodes that one annotator chose
        together count each.
        """
        last: dict[str, list[int]] = {}
        for decision in self.decisions:
            chosen = last.setdefault(decision.annotator, [])
            if decision.again:
                chosen.clear()
            if decision.node is not None and decision.node not in chosen:
                chosen.append(decision.node)
        return dict(Counter(node for chosen in last.values() for node in chosen))

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
