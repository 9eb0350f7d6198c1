"""What a round of the first hour found, as values and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cascade.labelling.bootstrap import Bootstrap
from cascade.labelling.expecting import LEAST, Expectation

ENOUGH = 0.01  # by which accuracy grows, below which more labels are hardly worth it


@dataclass(frozen=True)
class Told:
    """What is known after a round.

    Parameters
    ----------
    rows, unread, sampled
        Rows with text, rows without or that cannot be read, and different ones that are learnt
        from.
    labels, nowhere
        Rows with a label, and rows that are nowhere in the taxonomy.
    seen
        Nodes that labels name.
    bootstrap
        What the file taught without a label.
    expected
        None while labels are too few to tell.
    asked
        Numbers of the rows to label next, from 1.
    """

    rows: int
    unread: int
    sampled: int
    labels: int
    nowhere: int
    seen: int
    bootstrap: Bootstrap
    expected: Expectation | None
    asked: list[int]

    def to_values(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        boot, found = self.bootstrap, self.expected
        values: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("rows", "unread", "sampled", "labels", "nowhere", "seen", "asked")
        }
        values["bootstrap"] = {
            "kept": boot.corrections is not None,
            "gain": round(boot.gain, 4),
            "error": round(boot.error, 4),
            "moved": round(boot.moved, 4),
        }
        values["expected"] = None
        if found is not None:
            figures = {name: getattr(found, name).to_values() for name in ("exact", "hf1", "more")}
            values["expected"] = {**figures, "extra": found.extra}
        return values


def sentences(told: Told) -> list[str]:
    """What is known by now, a sentence or two for each matter."""
    found = [_rows(told), _bootstrap(told)]
    if told.labels:
        nowhere = f", and {told.nowhere:,} rows that fit nowhere" if told.nowhere else ""
        found.append(f"{told.labels:,} labels of {told.seen:,} nodes{nowhere}.")
    if told.expected is not None:
        found += _expected(told.expected)
    elif told.labels:
        found.append(f"From {LEAST} labels on you are told how right answers are.")
    return found


def _rows(told: Told) -> str:
    unread = f"; {told.unread:,} have no text or cannot be read" if told.unread else ""
    drawn = ""
    if told.sampled < told.rows:
        drawn = f", of which {told.sampled:,} different ones are learnt from"
    return f"{told.rows:,} rows with text{drawn}{unread}."


def _bootstrap(told: Told) -> str:
    boot = told.bootstrap
    if boot.corrections is not None:
        return (
            "Without a label the file itself taught something: held-out rows agree more with "
            f"what their words say, and {boot.moved:.0%} of the answers are other ones than by "
            "names alone."
        )
    if boot.error:
        return (
            "What the file teaches without a label did not make held-out rows agree more with "
            "what their words say, so it is left out: answers are by names alone."
        )
    return "There are too few rows to learn from without labels: answers are by names alone."


def _expected(found: Expectation) -> list[str]:
    more = found.more
    told = [
        f"Expect {found.exact} of the answers to be exactly right (95% interval), hierarchical "
        f"F1 {found.hf1.value:.2f} ({found.hf1.low:.2f} to {found.hf1.high:.2f})."
    ]
    if found.heaviest:
        told.append(
            f"Few labels stand for most of the rows (one for {found.heaviest:.0%} of them), so "
            "their weight is limited, and these figures are rougher than the number of labels says."
        )
    gain = f"{100 * more.value:+.0f} points ({100 * more.low:+.0f} to {100 * more.high:+.0f})"
    if more.value < ENOUGH:
        told.append(f"{found.extra:,} more labels would hardly change that: {gain}.")
    else:
        told.append(f"{found.extra:,} more labels would change that by about {gain}.")
    return told
