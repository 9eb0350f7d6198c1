"""Reads descriptions in six other languages word by word as English.

Proper names of dishes, drinks and brands are read first, in any language, by `proper_names.csv`.
The other words are those of `food_words.csv`. A text is left as it is unless it has a word that the
catalogue does not know, and half of such words are words for foods in one of the languages: `rind`,
`pain au chocolat` and `jacket potato` are English here, and of a text with English small words only
the words that the catalogue does not know are read.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple

from cascade.retrieval.words.overlap import STOP_WORDS, singular

LANGUAGES = ("it", "de", "fr", "es", "pt", "pl")
SMALL = frozenset(  # English of small words
    {
        "with",
        "with the",
        "without",
        "containing no",
        "neither",
        "nor",
        "no",
        "not",
        "and",
        "in",
        "of",
    }
)
ENGLISH = frozenset({"the", "with", "of", "and", "or", "for", "from", "by", "than"})
COMMON = frozenset(  # English words that no name of a food has, and that are others elsewhere
    "a all also any are but can come do each has have if like made many more most my no not "  # noqa: SIM905
    "one only our out own pie per said same see some such tea ten three time to two very was we "
    "you".split()
)
TOKEN = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)?|[^\w\s'-]")
TELLING = frozenset(
    {"mit", "ohne", "avec", "senza", "sans", "sem", "sin", "bez"}
)  # small words of one language alone
LONGEST = 6  # tokens of an entry
LONGEST_WORD = 60  # letters of one that is inflected or taken apart
SHORTEST_PART = 3  # letters of a part of a German compound
JOINTS = ("", "s", "n", "en", "es", "e")  # between the parts of one
ENDINGS = {  # how a word may end, and how the listed one does then
    "it": [
        ("i", "o"),
        ("i", "e"),
        ("e", "a"),
        ("a", "o"),
        ("e", "o"),
        ("che", "ca"),
        ("chi", "co"),
    ],
    "de": [("e", ""), ("n", ""), ("en", ""), ("er", ""), ("es", ""), ("em", ""), ("s", "")],
    "fr": [("s", ""), ("x", ""), ("e", ""), ("es", ""), ("elle", "el"), ("euse", "eux")],
    "es": [("s", ""), ("es", ""), ("a", "o"), ("as", "o"), ("os", "o"), ("as", "a")],
    "pt": [("s", ""), ("es", ""), ("a", "o"), ("as", "o"), ("os", "o"), ("ns", "m")],
    "pl": [
        *((end, "y") for end in ("a", "e", "ego", "ej", "ym", "ych", "ymi")),
        *((end, "") for end in ("em", "u", "a", "ie", "i", "ow", "ami", "ach", "y", "e")),
    ],
}
STEM = 4  # letters that Polish nouns share at least, whatever their case


class _Language(NamedTuple):
    """Words of a language: entries of several tokens, and of one, with their English.

    Parameters
    ----------
    ends
        How many tokens entries of several have, by their first, and by their last.
    stems
        Words by the first letters that their cases share.
    """

    name: str
    entries: dict[tuple[str, ...], str]
    single: dict[str, str]
    ends: tuple[dict[str, set[int]], dict[str, set[int]]]
    stems: dict[str, list[str]]


class Reading(NamedTuple):
    """A text in English, and the language that it was in; empty if it is English."""

    text: str
    language: str


class Glossary:
    """Reads texts as English.

    Parameters
    ----------
    known
        English words as `words_of` writes them, which a text may have and be English.
    """

    def __init__(self, known: Collection[str]) -> None:
        self._known = frozenset(known)
        self.read = lru_cache(maxsize=10_000)(self._read)

    def __reduce__(self) -> tuple[type[Glossary], tuple[frozenset[str]]]:
        return Glossary, (self._known,)

    def _read(self, text: str) -> Reading:
        text = with_names_read(text)
        tokens, exact = _tokens(plain(text)), _tokens(_composed(text))
        if len(exact) != len(tokens):
            exact = tokens
        strange = {at for at, token in enumerate(tokens) if self._is_strange(token)}
        if not strange:
            return Reading(text, "")
        english = not ENGLISH.isdisjoint(exact)
        best = Reading(text, "")
        most = 0
        for language in _languages():
            parts = list(_parts(tokens, exact, language, inflected=not english))
            if english:
                parts = list(_strange_parts(parts, strange))
            covered = {at for start, end, _ in parts for at in range(start, end)}
            told = [part for part in parts if part[2] not in SMALL]
            content = {at for start, end, _ in told for at in range(start, end)}
            small = any(tokens[at] in TELLING for at in strange & covered)
            if not content or not (strange & content or small):
                continue
            if 2 * len(strange & covered) < len(strange):
                continue
            if len(covered) > most:
                most = len(covered)
                best = Reading(_joined(tokens, _turned(parts)), language.name)
        return best

    def _is_strange(self, token: str) -> bool:
        if len(token) < 2 or not token[0].isalpha():
            return False
        if token in STOP_WORDS or token in COMMON:
            return False
        if token in TELLING:
            return True
        return singular(token) not in self._known


def with_names_read(text: str) -> str:
    """A text with proper names of dishes, drinks and brands read as what the catalogue has.

    `Jack Daniel's and cola` is whisky and cola. A brand that says nothing of the food is left out,
    unless the text has no other word: `Red Robin burger` is a burger, and not red. A reading in
    brackets says more of the food, so it comes last: `burger (takeaway)`.
    """
    tokens, exact = _tokens(plain(text)), _tokens(_composed(text))
    parts, at = list[tuple[int, int, str]](), 0
    aside = ""
    names = _proper_names()
    while at < len(tokens):
        for length in range(min(LONGEST, len(tokens) - at), 0, -1):
            reading = names.get(tuple(tokens[at : at + length]))
            if reading or (reading == "" and length < len(tokens)):
                is_aside = reading.startswith("(")
                aside = reading if is_aside else aside
                parts.append((at, at + length, "" if is_aside else reading))
                at += length
                break
        else:
            at += 1
    if not parts:
        return text
    return f"{_joined(exact if len(exact) == len(tokens) else tokens, parts)} {aside}".strip()


def _strange_parts(
    parts: Sequence[tuple[int, int, str]], strange: Collection[int]
) -> Iterator[tuple[int, int, str]]:
    """The parts with a strange token, and what stands behind a small word: `sem carne`."""
    small = -1  # where a small word ended
    for start, end, english in parts:
        if start == small or not set(range(start, end)).isdisjoint(strange):
            yield start, end, english
            small = end if english in SMALL else -1


def _turned(parts: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """What stands after `of` before what it makes more precise: `dumplings of potatoes`."""
    turned, at = list[tuple[int, int, str]](), 0
    while at < len(parts):
        start, end, english = parts[at]
        found = [english]
        while english not in SMALL and at + 2 < len(parts):
            (of, until, small), (after, last, modifier) = parts[at + 1 : at + 3]
            if (end, until) != (of, after) or small != "of" or modifier in SMALL:
                break
            found.append(modifier)
            end, at = last, at + 2
        turned.append((start, end, " ".join(reversed(found))))
        at += 1
    return turned


def _tokens(text: str) -> list[str]:
    return TOKEN.findall(text)


def _composed(text: str) -> str:
    """In lower case, each letter with its accent one character."""
    return unicodedata.normalize("NFC", text.casefold().replace("’", "'").replace("œ", "oe"))


def plain(text: str) -> str:
    """In lower case and without accents; hyphens and apostrophes as blanks between words."""
    text = text.casefold().replace("ł", "l").replace("’", "'").replace("œ", "oe")
    parts = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in parts if not unicodedata.combining(sign))


def _parts(
    tokens: Sequence[str], exact: Sequence[str], language: _Language, *, inflected: bool
) -> Iterator[tuple[int, int, str]]:
    """Where entries stand among tokens, the longest first at each place: start, end, English.

    Parameters
    ----------
    exact
        The tokens with their accents, which tell `sucré` from `sucre`.
    inflected
        Whether other forms of words count, and compounds.
    """
    at = 0
    read: dict[tuple[str, ...], str | None] = {}  # words that come again
    lengths = _lengths(tokens, exact, language)
    while at < len(tokens):
        for length in (*sorted(lengths.get(at, ()), reverse=True), 1):
            own = slice(at, at + length)
            found = language.entries.get(tuple(exact[own])) or language.entries.get(
                tuple(tokens[own])
            )
            if found is None and inflected:
                words = tuple(tokens[own])
                if words not in read:
                    read[words] = _inflected(words, language)
                found = read[words]
            if found is not None:
                yield at, at + length, found
                at += length
                break
        else:
            at += 1


def _lengths(
    tokens: Sequence[str], exact: Sequence[str], language: _Language
) -> dict[int, set[int]]:
    """By the place where it may begin, of how many tokens an entry of several may be."""
    firsts, lasts = language.ends
    found: dict[int, set[int]] = {}
    for at, own in enumerate(zip(tokens, exact, strict=True)):
        for token in dict.fromkeys(own):
            for length in firsts.get(token, ()):
                if at + length <= len(tokens):
                    found.setdefault(at, set()).add(length)
            for length in lasts.get(token, ()):
                if at + 1 >= length:
                    found.setdefault(at + 1 - length, set()).add(length)
    return found


def _inflected(tokens: tuple[str, ...], language: _Language) -> str | None:
    """The English of another form of an entry, or of a compound; None where it is none."""
    if len(tokens) > 1:  # the last or the first word inflected
        firsts, lasts = language.ends
        first_may = len(tokens) in lasts.get(tokens[-1], ())
        last_may = len(tokens) in firsts.get(tokens[0], ())
        for place in [0] * first_may + [len(tokens) - 1] * last_may:
            for form in _forms(tokens[place], language.name):
                other = (*tokens[:place], form, *tokens[place + 1 :])
                if (found := language.entries.get(other)) is not None:
                    return found
        return None
    token = tokens[0]
    if not 3 <= len(token) <= LONGEST_WORD or not token.isalpha():
        return None
    for form in _forms(token, language.name):
        if (found := language.single.get(form)) is not None:
            return found
    if language.name == "de":
        return _compound(token, language)
    return _by_stem(token, language) if language.name == "pl" else None


def _forms(token: str, language: str) -> Iterator[str]:
    for ending, listed in ENDINGS[language]:
        if token.endswith(ending) and len(token) - len(ending) >= 3:
            yield token[: len(token) - len(ending)] + listed


def _compound(token: str, language: _Language) -> str | None:
    """The English of a German compound of two words: `Apfelsaft` is `apple juice`."""
    for at in range(len(token) - SHORTEST_PART, SHORTEST_PART - 1, -1):
        head = _one(token[at:], language)
        if head is None:
            continue
        for joint in JOINTS:
            if token[:at].endswith(joint):
                modifier = _one(token[: at - len(joint)], language)
                if modifier is not None:
                    return f"{modifier} {head}"
    return None


def _one(word: str, language: _Language) -> str | None:
    """The English of one word, inflected or not, that is no small word."""
    for form in (word, *_forms(word, language.name)):
        found = language.single.get(form)
        if found is not None and found not in SMALL and len(form) >= SHORTEST_PART:
            return found
    return None


def _by_stem(token: str, language: _Language) -> str | None:
    """The English of the word that shares the longest beginning, as Polish cases do."""
    best, most = None, STEM - 1
    for word in language.stems.get(token[:STEM], ()):
        if abs(len(word) - len(token)) > 3:
            continue
        shared = next(
            (at for at, (a, b) in enumerate(zip(word, token, strict=False)) if a != b),
            min(len(word), len(token)),
        )
        if shared > most and shared >= max(len(word), len(token)) - 3:
            best, most = language.single[word], shared
    return best


def _joined(tokens: Sequence[str], parts: Sequence[tuple[int, int, str]]) -> str:
    """The tokens with English in the place of parts."""
    out, at = [], 0
    for start, end, english in parts:
        out += [*tokens[at:start], "with" if english == "with the" else english]
        at = end
    text = " ".join(filter(None, [*out, *tokens[at:]]))
    return re.sub(r" ([,;:.)%])", r"\1", text).replace("( ", "(")


@cache
def _proper_names() -> dict[tuple[str, ...], str]:
    """Readings by the tokens of names; empty of brands that say nothing."""
    rows = csv.DictReader(io.StringIO(_data("proper_names.csv")))
    return {
        tuple(_tokens(plain(name))): row["reading"]
        for row in rows
        for name in row["names"].split("|")
    }


def _data(name: str) -> str:
    return (resources.files("cascade.foodex2") / "data" / name).read_text("utf-8")


@cache
def _languages() -> Sequence[_Language]:
    rows = list(csv.DictReader(io.StringIO(_data("food_words.csv"))))
    found = []
    for name in LANGUAGES:
        entries: dict[tuple[str, ...], str] = {}
        for spelled in (_composed, plain):  # one that is written so comes first
            for row in rows:
                for word in filter(None, row[name].split("|")):
                    entries.setdefault(tuple(_tokens(spelled(word))), row["en"])
        single = {tokens[0]: english for tokens, english in entries.items() if len(tokens) == 1}
        several = [tokens for tokens in entries if 1 < len(tokens) <= LONGEST]
        firsts, lasts = dict[str, set[int]](), dict[str, set[int]]()
        for tokens in several:
            firsts.setdefault(tokens[0], set()).add(len(tokens))
            lasts.setdefault(tokens[-1], set()).add(len(tokens))
        stems: dict[str, list[str]] = {}
        for word, english in single.items():
            if english not in SMALL:
                stems.setdefault(word[:STEM], []).append(word)
        found.append(_Language(name, entries, single, (firsts, lasts), stems))
    return found
