"""The ways in which texts in English say that something is not there, brought to one: `without`.

`Contains no milk`, `free from milk` and `with neither milk nor egg` say it of foods, and lists say
it of each: `bread without gluten and milk` is `bread without gluten without milk`. What is not
done to a food is taken out: of `not fried chicken` the chicken stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cascade.pipeline.facets.naming import words
from cascade.retrieval.words.overlap import singular, words_of

TOKEN = re.compile(r"w/o|[^\W_]+(?:['’][^\W_]+)*|[^\w\s]", re.IGNORECASE)
NEGATING = frozenset(
    "without w/o no minus excluding lacking zero non senza ohne sans bez zonder".split()  # noqa: SIM905
)
ONE_WORD = frozenset({"non", "zero"})  # which negate the next word alone
FILLERS = frozenset(
    {"any", "the", "of", "from", "added", "extra", "containing", "contains", "with"}
)
LISTING = frozenset({"and", "or", "nor", "&", "/", "und", "et", "e", "y", "oder", "ou", "o"})
EITHER = frozenset({"or", "nor", "oder", "ou", "/"})  # which never end what a negation is of
STOPS = frozenset("with in on for from but by to made into only plus mit avec con not".split())  # noqa: SIM905
LONGEST = 3  # words of a negated food
PARTS = frozenset("pod skin peel bone rind shell stone pit seed crust head tail core pith".split())  # noqa: SIM905
NO_FOOD = PARTS | frozenset(  # what is a quality or a part of a food, which facets or names say
    "sugar sugars salt sodium fat gluten lactose alcohol caffeine sweetener additive preservative "  # noqa: SIM905
    "colour color colouring coloring flavour flavor flavouring flavoring yeast cholesterol calorie "
    "carb carbohydrate gas fibre antibiotic hormone pesticide pulp bit piece range bake cook taste "
    "smell visible sulphite bubble carbonation acid vitamin name brand doubt waste gm gmo stalk "
    "cage lump filling topping coating dressing content specified unspecified similar other "
    "residue leaf food further".split()
)
MAY_BE_ADDED = frozenset({"sugar", "sugars", "salt", "sweetener", "sweeteners"})  # `no added sugar`
GASSY = frozenset({"carbonated", "sparkling", "fizzy", "gassy", "bubbly"})
QUALITIES = frozenset(  # what a food is not, beside words in -ed
    "frozen raw fresh ripe sweet spicy hot light lite organic homemade lean whole instant dry wild "  # noqa: SIM905
    "vegan vegetarian halal kosher decaf crunchy smooth thick thin hard soft white red green brown "
    "mature ground uht bio wholemeal wholegrain takeaway creamy crispy rare".split()
)
NAMES = {("non", "alcoholic"), ("non", "fat"), ("not", "packed")}  # by which terms are called
OF_CATALOGUES = frozenset(  # behind `not` in names of terms
    "listed separately elsewhere otherwise belonging mentioned specified included defined known "  # noqa: SIM905
    "emulsified concentrated".split()
)
ADVERBS = frozenset("too very yet fully so been even overly really entirely completely".split())  # noqa: SIM905
CLAUSE = frozenset({"in", "on", "from", "for", "suitable"})  # that begin what a food is not
CLAUSE_WORDS = 4
ENDS = frozenset({"but", "and", "with", "without", "not", "no", "yet"})  # of such a clause
ABSENT_ONLY = frozenset(  # words that name no food where nothing else stands beside them
    "less san without no not non nor neither free zero minus added any extra vegan vegetarian "  # noqa: SIM905
    "unsweetened unsalted unsugared sans sin sem ohne senza bez zonder lacking excluding but "
    "containing".split()
)

_HINT = re.compile(
    r"\b(?:without|w/o|no|not|non|neither|nor|free|minus|excluding|lacking|exempt|devoid|"
    r"senza|ohne|sans|bez|zonder)\b|n['’]t\b|dont\b|doesnt\b|(?:un|non)carbonated\b",
    re.IGNORECASE,
)
_SAYINGS = re.compile(
    r"(?:\b(?:that|which) )?\b(?:(?:does|do|did)(?: not|n['’]?t) (?:contain|include|have)"
    r"|not (?:containing|including|having|made with|with)"
    r"|(?:contain(?:s|ing)?|includ(?:es?|ing)|has|having|have|made with|with) (?:no|neither)"
    r"|neither|devoid of|exempt from)(?: (?:any|traces? of))*(?= )",
    re.IGNORECASE,
)
_IS_NOT = re.compile(
    r"(?:\b(?:that|which) )?\b(?:(?:is|are|was|were)(?: not|n['’]?t)|ain['’]?t)(?= )", re.IGNORECASE
)
_NOT_ADDED = re.compile(r"\b(\w+) (?:is |are )?(?:not|never) added\b", re.IGNORECASE)
_NO_ADDED = re.compile(r"\b(?:no|without) (?:(?:any|extra) )?(\w+) added\b", re.IGNORECASE)
_ADDED = re.compile(r"\b(?:no|without) (?:any )?(?:added|extra) (\w+)", re.IGNORECASE)
_STILL = re.compile(
    r"\b(?:(?:without|no)(?: any)? (?:gas|bubbles|carbonation|carbon dioxide|fizz)|uncarbonated"
    r"|non-?carbonated)\b",
    re.IGNORECASE,
)

Knows = Callable[[str], bool]


class Token(NamedTuple):
    """A word, or a sign, in lower case, and where it stands."""

    word: str
    start: int
    end: int


class Plain(NamedTuple):
    """A text that says by `without` what is not there, and what is not done to the food.

    Parameters
    ----------
    unlike
        Words of what the food is not, as `words_of` writes them: of `not fried` `fried`.
    said
        How the text says these.
    """

    text: str
    unlike: frozenset[str] = frozenset()
    said: tuple[str, ...] = ()


def tokens_of(text: str) -> list[Token]:
    """The words and signs of a text."""
    return [Token(found[0].casefold(), *found.span()) for found in TOKEN.finditer(text)]


def names_nothing(text: str) -> bool:
    """Whether a text holds nothing but what is not there: `sugar free`, `without milk`."""
    before, found = "", False
    for word in words(text):
        absent = word.startswith("-") or word in ABSENT_ONLY or is_less(word)
        found |= absent
        if not (absent or before in ("-added", "-any", "-extra") or word.isdigit()):
            return False
        before = word
    return found


def is_less(word: str) -> bool:
    """Whether a word says that something is not there: `sugarless`."""
    return word.endswith("less") and len(word) > 6


def is_quality(word: str) -> bool:
    """Whether a word says what is done to a food, or how it is: `fried`, `ripe`."""
    return word in QUALITIES or (word.endswith("ed") and not word.endswith(("seed", "reed")))


def plainly(text: str, knows: Knows) -> Plain:
    """A text in English with `without` before each thing that is not there.

    Parameters
    ----------
    knows
        Whether a word is one of a name of a food.
    """
    if not _HINT.search(text):
        return Plain(text)
    text = " ".join(text.split())
    text = _STILL.sub("still", text)
    text = _IS_NOT.sub("not", _NOT_ADDED.sub(r"no added \1", _SAYINGS.sub("without", text)))
    text = _ADDED.sub(_kept_if_added, _NO_ADDED.sub(_kept_if_added, text))
    tokens = tokens_of(text)
    reader = _Reader(text, tokens, knows)
    edits = list(reader.edits())
    return Plain(_edited(text, edits), frozenset(reader.unlike), tuple(reader.said))


def _kept_if_added(found: re.Match[str]) -> str:
    kept = found[1].casefold() in MAY_BE_ADDED
    return found[0] if kept else f"without {found[1]}"


def _edited(text: str, edits: Sequence[tuple[int, int, str]]) -> str:
    """A text with other words at some places, in their order."""
    out, at = [], 0
    for start, end, instead in edits:
        out += [text[at:start], instead]
        at = end
    kept = "".join([*out, text[at:]])
    return " ".join(kept.split()).replace(" ,", ",").strip(" ,;") if edits else kept


class _Reader:
    """Finds what is not there in the tokens of a text, each token looked at a few times at most."""

    def __init__(self, text: str, tokens: Sequence[Token], knows: Knows) -> None:
        self._text, self._tokens, self._knows = text, tokens, knows
        self.unlike: set[str] = set()
        self.said: list[str] = []

    def edits(self) -> Iterator[tuple[int, int, str]]:
        """Where the text changes: start, end, what stands there then."""
        at = done = 0  # the tokens before are as they will be
        while at < len(self._tokens):
            word = self._tokens[at].word
            if word == "not" or word == "non":
                edit, until = self._not(at)
            elif word == "free" and not self._is_free_from(at):
                edit, until = self._before_free(at, done)
            elif word in NEGATING or word == "nor" or self._is_free_from(at):
                edit, until = self._without(at)
            else:
                edit, until = None, at + 1
            if edit:
                yield edit
                done = until
            at = until

    def _word(self, at: int) -> str:
        return self._tokens[at].word if 0 <= at < len(self._tokens) else ""

    def _is_free_from(self, at: int) -> bool:
        here, after = self._word(at), self._word(at + 1)
        return here == "free" and after in ("from", "of") and self._word(at - 1) != "-"

    def _is_named(self, at: int) -> bool:
        """Whether a word is one of a food, or of what foods have."""
        own = singular(self._word(at))
        if own == "free":
            return False
        return own in NO_FOOD or (len(own) > 1 and own.isalpha() and self._knows(own))

    def _is_quality(self, at: int) -> bool:
        word = self._word(at)
        return is_quality(word) and self._knows(singular(word))

    def _is_undone(self, item: tuple[int, int]) -> bool:
        """Whether a thing of a list is but what is not done, as in `potatoes no fried`."""
        alone = item[1] - item[0] == 1
        return alone and self._word(item[0]) != "added" and self._is_quality(item[0])

    def _item(self, place: int, longest: int) -> tuple[int, int]:
        """One thing of a list: the first word, and behind the last one."""
        while self._word(place) in FILLERS - {"with"} or self._word(place) == "-":
            place += 1
        last = place
        for at in range(place, min(place + longest, len(self._tokens))):
            word = self._word(at)
            if not word[0].isalpha() or word in STOPS | LISTING | NEGATING | {"free"}:
                break
            if self._is_named(at) or at == place:
                last = at + 1
        return place, last

    def _list(self, start: int, longest: int) -> list[tuple[int, int]]:
        """The things that a negation before them is of: `milk, egg and gluten`."""
        item = self._item(start, longest)
        found: list[tuple[int, int]] = []
        waiting: list[tuple[int, int]] = []  # behind commas, which a word such as `and` may close
        joined = True
        while item[0] < item[1]:
            waiting.append(item)
            if joined:
                found += waiting
                waiting = []
            place = item[1]
            comma = self._word(place) == ","
            place += comma
            joined = self._word(place) in LISTING
            place += joined
            if not comma and not joined:
                break
            before, item = item, self._item(place, longest)
            if joined and not comma and not self._goes_on(before, item, self._word(place - 1)):
                break
            if comma and not joined and not all(map(self._is_named, range(item[0], item[1]))):
                break
        return found

    def _goes_on(self, before: tuple[int, int], item: tuple[int, int], joint: str) -> bool:
        """Whether what stands behind `and` is not there either: not so in `no skin and chips`."""
        if item[0] >= item[1]:
            return False
        own, other = singular(self._word(before[1] - 1)), singular(self._word(item[1] - 1))
        return joint in EITHER or own not in PARTS or other in NO_FOOD

    def _without(self, at: int) -> tuple[tuple[int, int, str] | None, int]:
        """What `without` and a list become, and where to go on."""
        word = self._word(at)
        short = word in ONE_WORD or (word == "no" and at == 0)
        other = word in ("free", "nor")
        items = self._list(at + 1 + (word == "free"), 1 if short else LONGEST)
        if not items or (word == "free" and not self._is_named(items[0][1] - 1)):
            return None, at + 1
        until = items[-1][1]
        if (at or len(items) > 1) and all(map(self._is_undone, items)):
            return self._out(at, items[0][0], until)
        lasts = [singular(self._word(last - 1)) for _, last in items]
        commas = any(self._word(last) == "," for _, last in items[:-1])
        if not other and (len(items) == 1 or (not commas and NO_FOOD.isdisjoint(lasts))):
            return None, until
        said = " ".join(f"without {self._shown(*item)}" for item in items)
        return (self._tokens[at].start, self._tokens[until - 1].end, said), until

    def _before_free(self, at: int, done: int) -> tuple[tuple[int, int, str] | None, int]:
        """What a list before `free` becomes: `gluten and dairy free`."""
        before = at - 1 - (self._word(at - 1) == "-")
        if before < done or "range" in (self._word(at + 1), self._word(at + 2)):
            return None, at + 1
        items = [before]
        before_noun = self._word(at + 1).isalpha() and self._word(at + 1) not in STOPS | LISTING
        while items[-1] - 2 >= done and self._is_named(items[-1] - 2):
            if is_quality(self._word(items[-1] - 2)):
                break
            joint = self._word(items[-1] - 1)
            if joint not in LISTING and not (joint == "," and len(items) > 1):
                break
            items.append(items[-1] - 2)
        if not before_noun and items[-1] == 0 and self._word(1) == ",":
            items.pop()  # the food: `cake, egg and milk free`
        own = [singular(self._word(item)) for item in items]
        if len(items) == 1 or (NO_FOOD.isdisjoint(own) and len(items) == 2):
            return None, at + 1
        said = " ".join(f"{self._shown(item, item + 1)} free" for item in reversed(items))
        return (self._tokens[items[-1]].start, self._tokens[at].end, said), at + 1

    def _shown(self, first: int, until: int) -> str:
        return self._text[self._tokens[first].start : self._tokens[until - 1].end]

    def _not(self, at: int) -> tuple[tuple[int, int, str] | None, int]:
        """What `not` or `non` and what stands behind it become, and where to go on."""
        place = at + 1
        while self._word(place) in ADVERBS or self._word(place) == "-":
            place += 1
        word, plain = self._word(place), self._word(at) == "not"
        bracketed = self._word(at - 1) == "(" and word == "stuffed"  # which names of pasta say
        if not word or (self._word(at), word) in NAMES or word in OF_CATALOGUES or bracketed:
            return None, at + 1
        start, end = self._tokens[at].start, self._tokens[place].end
        if word == "organic":
            return (start, end, "not organic"), place + 1
        if word in GASSY:
            return (start, end, "still"), place + 1
        if word.isalpha() and self._knows(singular(f"un{word}")):
            return (start, end, f"un{word}"), place + 1
        if plain and word in CLAUSE:
            return self._out(at, place, self._until(place))
        if self._is_quality(place):
            until = place + 1
            while self._word(until) in EITHER and self._is_quality(until + 1):
                until += 2
            return self._out(at, place, until)
        if plain and word[0].isalpha() and self._is_named(place) and word not in NO_FOOD:
            items = self._list(place, LONGEST)
            if not items:
                return None, at + 1
            said = " ".join(f"without {self._shown(*item)}" for item in items)
            until = items[-1][1]
            return (start, self._tokens[until - 1].end, said), until
        return None, at + 1

    def _until(self, place: int) -> int:
        """Where a clause such as `in oil` ends."""
        until = place + 1
        while until < min(place + 1 + CLAUSE_WORDS, len(self._tokens)):
            if not self._word(until)[0].isalnum() or self._word(until) in ENDS:
                break
            until += 1
        return until

    def _out(self, at: int, place: int, until: int) -> tuple[tuple[int, int, str], int]:
        """What a food is not, taken out, with `and` or `but` before it."""
        own = words_of(" ".join(token.word for token in self._tokens[place:until]))
        self.unlike.update(word for word in own if self._knows(word))
        self.said.append(self._shown(at, until))
        first = at
        while first > 1 and self._word(first - 1) in ("and", "but"):
            first -= 1
        if self._word(until) == "but":
            until += 1
        return (self._tokens[first].start, self._tokens[until - 1].end, " "), until
