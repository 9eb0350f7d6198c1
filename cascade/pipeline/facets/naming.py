"""Which words of a description, or of a term, name the food.

`handful of blueberries` is about blueberries, the main part of `bread with oil seeds` is `bread`,
and its head word is the noun that the others make more precise.
"""

from __future__ import annotations

import re
from functools import lru_cache

from cascade.retrieval.words.overlap import words_of

_NUMBER = r"(?:\d+(?:[.,/]\d+)?|[¼½¾]|a|an|one|two|three|four|five|six|some|half|half an?|few)"
_UNIT = (
    r"(?:g|gr|kg|mg|ml|cl|dl|l|oz|lb|tsp|tbsp|gram|grams|grammes|litres?|liters?|pints?|ounces?|pounds?"
    r"|teaspoons?|tablespoons?|spoons?|spoonfuls?|cups?|mugs?|glass|glasses|bowls?|plates?|slices?"
    r"|pieces?|portions?|servings?|helpings?|handfuls?|pinch|dash|knobs?|cloves?|rashers?|scoops?"
    r"|bites?|bits?|dollops?|drops?|sprigs?|sticks?|heads?|bunch|bunches|packets?|packs?|bags?"
    r"|sachets?|bottles?|cans?|tins?|jars?|tubs?|cartons?|boxes|box|bars?|loaf|loaves|shots?|pots?"
    r"|chunks?|wedges?|cubes?|squares?|fillets?|halves|quarters?)"
)
_SIZE = r"(?:small|medium|large|big|medium-sized|heaped|level)"
MEASURE = re.compile(
    rf"^\s*(?:(?:{_NUMBER}\s*(?:x\s*)?)?(?:{_SIZE}\s+)?{_UNIT}\s+of\s+|{_NUMBER}\s*{_UNIT}\s+"
    rf"|{_NUMBER}\s+(?:{_SIZE}\s+)?)(?!and\b)(?=\w\w)",
    re.IGNORECASE,
)
PLACE = re.compile(  # an adjective of a place, which is the name of a food where it stands alone
    r"\b(?:wiener|frankfurter|hamburger|berliner|thüringer|nürnberger)\s+(?=[A-ZÄÖÜ]?[a-zäöü]{3,})"
    r"(?!(?:with|without|and|from|for|mit|sausages?|w[uü]rst\w*)\b)",
    re.IGNORECASE,
)
_BREAD = (
    r"(?:bread rolls?|buns?|rolls?|bap|baguette|ciabatta|bagel|pitt?a(?: bread)?|brioche|bread)"
)
SERVED_IN_BREAD = re.compile(
    rf"^(?P<filling>[^,;:()]+?)\s+in\s+(?:an?\s+)?(?:\w+\s+)?{_BREAD}(?P<rest>\b.*)$"
    rf"|^(?P<topping>(?:\w+\s)?(?:sausage|ham|cheese|fish|herring|salami|egg|meat|cutlet|bacon))"
    r" bread roll(?P<more>\b.*)$",
    re.IGNORECASE,
)
SAUSAGE_IN_BREAD = re.compile(
    r"\b(?:sausages?|bockwurst|bratwurst|wieners?|frankfurters?|knackwurst|hot ?dogs?)\b",
    re.IGNORECASE,
)
BURGER = re.compile(r"\bburgers?\b|\bpatt(?:y|ies)\b", re.IGNORECASE)
ASIDES = (re.compile(r"\([^)]*\)"), ")"), (re.compile(r"\[[^\]]*\]"), "]")
CLAUSE = re.compile(
    r"\b(?:with|without|w/|w/o|in|into|from|made|containing|for|by|plus|based on)"
    r"(?:\b|(?<=/))[^,;]*",
    re.IGNORECASE,
)
AFTER_HEAD = re.compile(
    r"\b(?:with|without|in|into|from|made|containing|and|or|for|by|plus|of|based|on|at|to|not|but)\b",
    re.IGNORECASE,
)
FIRST_PART = re.compile(r"[,;:/]")


@lru_cache(maxsize=100_000)
def words(text: str) -> tuple[str, ...]:
    """As `words_of`, remembered: names of terms and descriptors come many times."""
    return tuple(words_of(text))


def without_measure(text: str) -> str:
    """A text without how much of it there is: `3 cloves of garlic` is garlic."""
    for _ in range(2):  # `half an avocado`
        if measure := MEASURE.match(text):
            text = text[measure.end() :]
    return text


def without_places(text: str) -> str:
    """A text without adjectives of places that are foods when alone: `Wiener Melange`."""
    return PLACE.sub("", text)


def as_served(text: str) -> str:
    """A text in which what is served in bread comes behind what that makes of it.

    `Pork cutlet in a roll` is a sandwich, sausage in a bun is a hot dog, and a patty a hamburger.
    """
    found = SERVED_IN_BREAD.match(text)
    if found is None:
        return text
    filling = found["filling"] or found["topping"]
    rest = found["rest"] or found["more"] or ""
    if BURGER.search(filling):
        return text
    if SAUSAGE_IN_BREAD.search(filling) and found["filling"]:
        return f"hot dog with bread{rest}"
    return f"sandwich with {filling}{rest}"


def without_asides(text: str) -> str:
    """A text without what is in brackets; those that nothing closes stay."""
    for aside, closing in ASIDES:  # none is looked for behind the last that closes one
        end = text.rfind(closing) + 1
        text = aside.sub(" ", text[:end]) + text[end:]
    return text


def main_part(text: str) -> str:
    """A text without what is in brackets, and without clauses such as `with oil seeds`."""
    plain = CLAUSE.sub(" ", without_asides(text)).strip(" ,;")
    return plain if words(plain) else text


def head_word(text: str) -> str:
    """The noun that says what a food is, as `words_of` writes it; empty where there is no word.

    The last word before a comma or a small word: of `sour cream, plain` it is `cream`, of `cream of
    mushroom soup` too, which is wrong.
    """
    part = FIRST_PART.split(without_asides(text), maxsplit=1)[0]
    small = AFTER_HEAD.search(part)
    if small and small.start() > 2:
        part = part[: small.start()]
    found = [word for word in words(part) if not word.startswith("-")]
    return found[-1] if found else ""
