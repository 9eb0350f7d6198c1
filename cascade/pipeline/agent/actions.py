"""What the model may do: actions as it writes them, and which of them a place allows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, cast

Verb = Literal["search", "open", "compare", "up", "choose", "none", "ask"]

LONGEST = 60  # characters of words that are searched, and of a question
_FORM = re.compile(r'(search|ask) "([^"]+)"|(open|choose) (\d+)|(compare) (\d+) (\d+)|(up|none)')


@dataclass(frozen=True, slots=True)
class Action:
    """An action.

    Parameters
    ----------
    numbers
        Of nodes as they are shown, from 1.
    text
        What is searched, or asked.
    """

    verb: Verb
    numbers: tuple[int, ...] = ()
    text: str = ""

    @classmethod
    def parse(cls, text: str) -> Action:
        """The action in a text such as `open 2`.

        Raises
        ------
        ValueError
            It is none.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r:.80} is no action")
        spoken, words, single, number, pair, first, second, bare = found.groups()
        verb = cast(Verb, spoken or single or pair or bare)
        numbers = tuple(int(n) for n in (number, first, second) if n is not None)
        return cls(verb, numbers, words or "")

    def __str__(self) -> str:
        text = f' "{self.text}"' if self.text else ""
        return " ".join([self.verb, *map(str, self.numbers)]) + text


@dataclass(frozen=True, slots=True)
class Allowed:
    """The actions that a place allows.

    Parameters
    ----------
    plain
        Those without a text, in full.
    quoted
        Verbs that a text follows.
    """

    plain: tuple[str, ...]
    quoted: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.plain or self.quoted)

    def __contains__(self, action: Action) -> bool:
        return str(action) in self.plain or (action.verb in self.quoted and bool(action.text))


def allowed(
    openable: Sequence[bool],
    choosable: Sequence[bool],
    *,
    above: bool,
    compared: frozenset[tuple[int, int]] = frozenset(),
    searches: bool = True,
    asks: bool = True,
    last: bool = False,
) -> Allowed:
    """The actions that a list of nodes allows.

    Parameters
    ----------
    openable, choosable
        Of each node that is shown, whether it may be opened, and be the answer.
    above
        Whether there is anywhere to go up to.
    compared
        Pairs that were compared already.
    searches
        Whether a search may find something new.
    asks
        Whether a question is left.
    last
        Whether this is the last action: it must be an answer.
    """
    count = len(openable)
    plain = [f"choose {n}" for n in range(1, count + 1) if choosable[n - 1]]
    if last:
        return Allowed((*plain, "none"), ())
    plain += [f"open {n}" for n in range(1, count + 1) if openable[n - 1]]
    pairs = combinations(range(1, count + 1), 2)
    plain += [f"compare {a} {b}" for a, b in pairs if (a, b) not in compared]
    plain += ["up"] * above + ["none"]
    verbs = {"search": searches, "ask": asks}
    return Allowed(tuple(plain), tuple(verb for verb, may in verbs.items() if may))
