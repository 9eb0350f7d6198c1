"""What plants and animals are called otherwise, and which terms are of the same species or genus.

`Ipomoea aquatica Forssk.` is water spinach, whose term may have no word of that. The names are
those of `species.csv` in `cascade/foodex2/data`; scientific names are also those of terms and of
what they imply. A name shares a species with another as far as the species is what it says:
`aubergines` is the whole of its species, `aubergine dip` half of it.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from cascade.foodex2.catalogue import SCIENTIFIC_NAMES, Term
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.pipeline.facets.naming import words
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.taxonomy.names import clean

FILES = ("species.csv", "species_ours.csv")
ORIGINS = ("F01", "F27")  # facet categories whose descriptors are plants, animals and raw foods
LONGEST = 5  # words of a name
LONG = 40  # words of a text from which on no name gives way to others
MOST = 5  # other names of a description
HALF = 0.5  # share of a text that a name is
SHORTEST = 3  # letters of a name that is looked up
LEVELS = ("species", "genus", "family")
IMPLIED = 0.9  # of what a term implies, beside what it is called
DISTANT = 0.25  # of a family, where the genus is said

LATIN = re.compile(r"\b([A-Za-z][a-z]{2,})\s+(?:x\s+)?([a-z]{3,}(?:-[a-z]+)*)\b")
GENUS = re.compile(r"^\W*(?:x\s+)?([A-Z][a-z]{2,})(?:\s+(?:spp?|species)\b\.?|$|\s+[A-Z(x])")
FAMILY = re.compile(r"\b([A-Z][a-z]+(?:idae|aceae))\b")
WITHIN = re.compile(r"within the [Ff]amily ([A-Z][a-z]+)")  # in scope notes of plants and animals
AUTHOR = r"(?:\([^)]*\)|(?:[A-Z][\w'’.-]*|f\.|ex|et|and|&)(?=[\s,(]|$))"
AFTER = re.compile(rf"^(?:\s*(?:{AUTHOR}|(?:var|subsp|ssp|convar|cv|group)\.?\s+[a-z-]+))+[\s.]*")
AUTHOR_AFTER = re.compile(r"\s+(?:\([A-Z][^)]*\)|[A-Z][\w'’-]*(?:\.|\s|$))")
ENDING = re.compile(r"(?:us|um|is|ii|ae|a|oides)$")
RANKS = frozenset({"spp", "species", "var", "subsp", "hybrid"})
ENGLISH = frozenset({"and", "with", "for", "from", "raw", "dried", "fresh"})

Array = NDArray[np.float32]


class Kind(NamedTuple):
    """A row of the table: a species, or a food with several names."""

    scientific: tuple[str, ...]
    names: tuple[str, ...]
    family: str


@dataclass(frozen=True)
class Said:
    """What a text says of species.

    Parameters
    ----------
    others
        The text with other names in the place of those that it says.
    kin
        Of each of `LEVELS`, what is named, in lower case, with the share of the text that does.
    latin
        Whether it has a scientific name.
    """

    others: tuple[str, ...]
    kin: tuple[dict[str, float], dict[str, float], dict[str, float]]
    latin: bool


class Species:
    """Looks names up.

    Parameters
    ----------
    kinds
        The rows of the table.
    scientific
        Scientific names besides, whose genera are known.
    known
        Names, as sets of words, in whose place no other is put: terms are called so.
    families
        Of genera besides, in lower case.
    everyday
        Words, in lower case, that make no scientific name where none such is known.
    """

    def __init__(
        self,
        kinds: Iterable[Kind],
        scientific: Iterable[str] = (),
        known: Collection[frozenset[str]] = (),
        families: Mapping[str, str] | None = None,
        everyday: frozenset[str] = frozenset(),
    ) -> None:
        self._known = known
        self._words = frozenset(word for name in known for word in name)
        self._kinds = list(kinds)
        self._species = [
            tuple(filter(None, map(species_of, kind.scientific))) for kind in self._kinds
        ]
        self._by_name: dict[tuple[str, ...], list[int]] = {}
        self._by_species: dict[str, list[int]] = {}
        self._family: dict[str, str] = dict(families or {})
        latin = set()
        for at, kind in enumerate(self._kinds):
            for name in kind.names:
                if key := words(name):
                    self._by_name.setdefault(key, []).append(at)
            for own in self._species[at]:
                self._by_species.setdefault(own, []).append(at)
                latin.add(own)
                if kind.family:
                    self._family.setdefault(own.partition(" ")[0], kind.family.casefold())
        latin.update(filter(None, map(species_of, scientific)))
        self._latin = frozenset(latin)
        self._genera = {own.partition(" ")[0] for own in latin}
        self._epithets = {own.partition(" ")[2] for own in latin}
        self._everyday = frozenset(word for name in self._by_name for word in name) | everyday

    @classmethod
    def of(cls, taxonomy: FacetedTaxonomy) -> Species:
        """The table that ships, with the names of a taxonomy."""
        terms = terms_of(taxonomy)
        names = [[name, *taxonomy.synonyms(n)] for n, name in enumerate(taxonomy.names)]
        known = {frozenset(words(name)) for own in names for name in own}
        scientific: list[str] = []
        families: dict[str, str] = {}
        for code, term in terms.items():
            own = _scientific(terms, code)
            scientific += own
            if own and (found := WITHIN.search(term.note)):
                families |= {name.partition(" ")[0].lower(): found[1].lower() for name in own}
        return cls(kinds(), scientific, known, families, foreign_words() | ENGLISH)

    def read(self, text: str, *, others: bool = True) -> Said:
        """What a text says of species; with `others` also what it says when it says them otherwise.

        A common name gives way to others only if it is most of the text, or the last half, or has a
        word that no term has: whoever writes `roast potatoes in goose fat` means no greylag goose.
        """
        text = plain(text)
        kin: tuple[dict[str, float], ...] = ({}, {}, {})
        said_otherwise: list[str] = []
        latin = False
        length = text.count(" ") + 1
        for own, start, end in self.scientific(text):
            latin = True
            rest, share = "", 1 / length
            if length <= LONG:
                rest = text[:start] + "\0" + AFTER.sub(" ", text[end:], count=1)
                share = 1 / (1 + len(words(rest.replace("\0", ""))))
            self._note(kin, own, share)
            for at in self._by_species.get(own, ()):
                for other in self._species[at]:
                    self._note(kin, other, share)
                if others and rest:
                    kind = self._kinds[at]
                    names = (*kind.names, *kind.scientific)
                    said_otherwise += [rest.replace("\0", name) for name in names]
        if not latin:
            if (found := GENUS.match(text)) and (genus := found[1].lower()) in self._genera:
                latin = True
                _more(kin[1], genus, 1)
                _more(kin[2], self._family.get(genus, ""), 1)
            for found in FAMILY.finditer(text):
                _more(kin[2], found[1].casefold(), 1)
            said_otherwise += self._common(text, kin, others=others)
        if not said_otherwise:
            return Said((), kin, latin)  # type: ignore[arg-type]
        said = words(text)
        unique = dict.fromkeys(" ".join(own.split()) for own in said_otherwise)
        unlike = [own for own in unique if words(own) != said]
        return Said(tuple(unlike[:MOST]), kin, latin)  # type: ignore[arg-type]

    def names_of(self, species: str) -> list[str]:
        """Common names of a species."""
        return [name for at in self._by_species.get(species, ()) for name in self._kinds[at].names]

    def synonyms_of(self, species: str) -> list[str]:
        """Other scientific names of a species, as `species_of` writes them."""
        rows = self._by_species.get(species, ())
        return [own for at in rows for own in self._species[at] if own != species]

    def scientific(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Species that a text has scientific names of, and where."""
        at = 0
        while found := LATIN.search(text, at):
            genus, epithet = found[1].lower(), found[2]
            at = found.start(2)
            if epithet not in RANKS and (
                f"{genus} {epithet}" in self._latin
                or (found[1][0].isupper() and self._is_new(text, found))
            ):
                at = found.end()
                yield f"{genus} {epithet}", found.start(), found.end()

    def _is_new(self, text: str, found: re.Match[str]) -> bool:
        """Whether two words are the name of a species that is not known, as after them and by them.

        `Salvia fritta` is Italian, though both words are Latin.
        """
        genus, epithet = found[1].lower(), found[2]
        strange = self._everyday.isdisjoint((genus, epithet))
        if found.start() == 0 and AUTHOR_AFTER.match(text, found.end()):
            return genus in self._genera or strange
        last = found.end() == len(text) and ENDING.search(epithet)
        return strange and genus in self._genera and bool(last or epithet in self._epithets)

    def _common(
        self, text: str, kin: tuple[dict[str, float], ...], *, others: bool
    ) -> Iterator[str]:
        """A text with other names for the longest names that it has, which `kin` is told of."""
        said = words(text)
        at = 0
        while at < len(said):
            for length in range(min(LONGEST, len(said) - at), 0, -1):
                own = said[at : at + length]
                rows = self._by_name.get(own)
                if rows is None or sum(map(len, own)) < SHORTEST:
                    continue
                share = length / len(said)
                telling = others and frozenset(own) not in self._known
                most = share > HALF or (share == HALF and at + length == len(said))
                telling = telling and (most or not self._words.issuperset(own))
                telling = telling and len(said) <= LONG
                before, after = (said[:at], said[at + length :]) if telling else ((), ())
                for row in rows:
                    for other in self._species[row]:
                        self._note(kin, other, share)
                    for name in self._kinds[row].names if telling else ():
                        if words(name) != own:
                            yield " ".join([*before, name, *after])
                at += length - 1
                break
            at += 1

    def _note(self, kin: tuple[dict[str, float], ...], species: str, share: float) -> None:
        if species:
            genus = species.partition(" ")[0]
            _more(kin[0], species, share)
            _more(kin[1], genus, share)
            _more(kin[2], self._family.get(genus, ""), share)


class Kinship:
    """Which terms are of the species, genus and family that texts name.

    Parameters
    ----------
    nodes
        int32 [n_allowed], of the taxonomy.
    species
        Reads names and texts.
    """

    def __init__(
        self, taxonomy: FacetedTaxonomy, nodes: NDArray[np.int32], species: Species
    ) -> None:
        self._species = species
        codes = [taxonomy.codes[node] for node in nodes.tolist()]
        origins = [
            [f.descriptor for f in taxonomy.implied(code) if f.category in ORIGINS]
            for code in codes
        ]
        names = [[taxonomy.names[n], *taxonomy.synonyms(n)] for n in nodes.tolist()]
        terms = terms_of(taxonomy)
        kin: dict[str, tuple[dict[str, float], ...]] = {}
        entries: list[dict[str, float]] = []
        for called, code, own in zip(names, codes, origins, strict=True):
            found: dict[str, float] = {}
            named = [(name, 1.0) for name in called]
            named += [(name, 1.0) for name in _scientific(terms, code)]
            for other in own:
                named += [(name, IMPLIED) for name in _scientific(terms, other)]
                if other in terms:
                    named.append((clean(terms[other].name), IMPLIED))
            for name, weight in named:
                if name not in kin:
                    kin[name] = species.read(name, others=False).kin
                for level, said in zip(LEVELS, kin[name], strict=True):
                    for what, share in said.items():
                        _more(found, f"{level} {what}", weight * share)
            entries.append(found)
        vocabulary = dict.fromkeys(what for own in entries for what in own)
        self._column = {what: at for at, what in enumerate(vocabulary)}
        rows = [row for row, own in enumerate(entries) for _ in own]
        columns = [self._column[what] for own in entries for what in own]
        values = np.array([share for own in entries for share in own.values()], np.float32)
        shape = len(entries), len(vocabulary)
        self._shares = scipy.sparse.csc_matrix((values, (rows, columns)), shape=shape)

    def read(self, texts: Sequence[str]) -> list[Said]:
        """What texts say of species."""
        return [self._species.read(text) for text in texts]

    def of(self, texts: Sequence[Said]) -> Array:
        """float32 [len(LEVELS), n_allowed, n_texts], the shares of both multiplied, at the most."""
        out = np.zeros((len(LEVELS), self._shares.shape[0], len(texts)), np.float32)
        for item, said in enumerate(texts):
            for at, (level, named) in enumerate(zip(LEVELS, said.kin, strict=True)):
                distant = level == "family" and said.kin[1]
                for what, share in named.items():
                    column = self._column.get(f"{level} {what}")
                    if column is not None:
                        own = self._shares[:, column]
                        both = own.data * np.float32(share * DISTANT if distant else share)
                        values = out[at, :, item]
                        values[own.indices] = np.maximum(values[own.indices], both)
        return out


@cache
def kinds() -> Sequence[Kind]:
    """The rows of the tables that ship."""
    found = []
    for name in FILES:
        text = (resources.files("cascade.foodex2") / "data" / name).read_text("utf-8")
        for row in csv.DictReader(io.StringIO(text)):
            own = [
                tuple(filter(None, row[column].split("|"))) for column in ("scientific", "names")
            ]
            found.append(Kind(own[0], own[1], row.get("family") or ""))
    return found


@cache
def foreign_words() -> frozenset[str]:
    """Words for foods in other languages, without accents."""
    text = (resources.files("cascade.foodex2") / "data" / "food_words.csv").read_text("utf-8")
    return frozenset(re.findall(r"[a-z]+", plain(text).lower()))


def terms_of(taxonomy: FacetedTaxonomy) -> Mapping[str, Term]:
    """The terms of a catalogue by code; none of another taxonomy."""
    return taxonomy.catalogue.terms if isinstance(taxonomy, FoodEx2Taxonomy) else {}


def _scientific(terms: Mapping[str, Term], code: str) -> list[str]:
    """The scientific names of a term."""
    term = terms.get(code)
    return list(map(clean, term.attributes.get(SCIENTIFIC_NAMES, ()))) if term else []


def plain(text: str) -> str:
    """Without accents, and with a plain x in the names of hybrids."""
    text = clean(text).replace("×", " x ").replace("æ", "ae").replace("œ", "oe")
    if text.isascii():
        return text.strip()
    parts = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in parts if not unicodedata.combining(sign)).strip()


def species_of(name: str) -> str:
    """Genus and epithet of a scientific name, in lower case; empty where it has not both."""
    found = re.match(r"([A-Z][a-z]{2,})\s+(?:x\s+)?([a-z]{3,}(?:-[a-z]+)*)", plain(name))
    if found is None or found[2] in RANKS:
        return ""
    return f"{found[1]} {found[2]}".lower()


def _more(shares: dict[str, float], what: str, share: float) -> None:
    if what:
        shares[what] = max(shares.get(what, 0.0), share)
