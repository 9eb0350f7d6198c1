"""Which base terms a description names by the scientific name of their own species.

`Agaricus campestris` is the field mushroom, whose scientific name in the catalogue has an author.
Names are compared without authors, ranks and years. A term has a species of its own where its
scientific names, or those of the animal that it is from, say so; `Salmons` are several.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cascade.foodex2.catalogue import SCIENTIFIC_NAMES, Term
from cascade.pipeline.facets.naming import head_word, words
from cascade.pipeline.facets.terms.species import (
    AFTER,
    ORIGINS,
    Species,
    plain,
    species_of,
    terms_of,
)
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.taxonomy.names import clean

SOURCE = "F01"  # facet category whose descriptors are plants and animals
SAME = 5  # letters of the epithets of a species in two genera, whose gender may differ
RAW = "r"  # kind of terms of raw commodities
MOST_BLANKS = 400  # of a text that may be about one species
BELOW = re.compile(r"\b(?:subsp|subvar|ssp|convar|var|f|cv)\b\.?\s+\(?([A-Za-z][a-z-]{2,})")
TRINOMIAL = re.compile(r"^\s+([a-z][a-z-]{2,})\b")
NO_NAME = frozenset({"and", "ex", "et", "spp", "var", "subsp", "ssp", "convar", "only", "group"})
YEAR = re.compile(r"\b1[789]\d\d\b|\b(?:syn|sp|spp|species|genus)\b\.?", re.IGNORECASE)
NATURAL = frozenset(  # says nothing of another food, as `words` writes it
    word
    for text in (
        "raw fresh whole frozen wild farmed organic live edible piece fillet clean washed",
    )
    for word in words(text)
)
MADE = NATURAL | frozenset(
    word
    for text in ("flour powder meal ground dried roasted fried boiled toasted protein snack",)
    for word in words(text)
)
STAGES = {  # of the life of insects: words of names of terms, and what says that they are meant
    "adult": re.compile(r"\badults?\b|\bimago", re.IGNORECASE),
    "larva": re.compile(r"larva|worms?\b|\bgrubs?\b|caterpillar|maggot", re.IGNORECASE),
    "pupa": re.compile(r"\bpupa|\bnymphs?\b|chrysalis", re.IGNORECASE),
    "egg": re.compile(r"\beggs?\b|\broe\b|\bcaviar\b", re.IGNORECASE),
}


class OwnSpecies:
    """Finds terms by the scientific names in texts.

    Parameters
    ----------
    nodes
        int32 [n_allowed], of the taxonomy: the terms that may be answered.
    species
        Reads scientific names in texts.
    """

    def __init__(
        self, taxonomy: FacetedTaxonomy, nodes: NDArray[np.int32], species: Species
    ) -> None:
        self._taxonomy, self._species = taxonomy, species
        self._terms = terms = terms_of(taxonomy)
        self._codes = codes = [taxonomy.codes[node] for node in nodes.tolist()]
        self._words = [_words_of(taxonomy, node, terms) for node in nodes.tolist()]
        ranked: dict[str, list[tuple[tuple[bool, bool, bool], int]]] = {}
        for row, code in enumerate(codes):
            if (term := terms.get(code)) is None:
                continue
            several = len(term.attributes.get(SCIENTIFIC_NAMES, ())) > 1
            for key in _keys(term):
                classified = f"classified under the species {key}" in term.note.lower()
                rank = term.kind != RAW, several, not classified
                ranked.setdefault(key, []).append((rank, row))
        self._rows = {
            key: _topmost(taxonomy, nodes, [row for rank, row in own if rank == min(own)[0]])
            for key, own in ranked.items()
        }
        self._rows_named: dict[frozenset[str], set[int]] = {}
        for row, node in enumerate(nodes.tolist()):
            for name in (taxonomy.names[node], *taxonomy.synonyms(node)):
                self._rows_named.setdefault(frozenset(words(name)), set()).add(row)
        self._called = [taxonomy.names[node].lower() for node in nodes.tolist()]
        self._from = _rows_by_source(taxonomy, codes, terms)

    def lead(self, scores: NDArray[np.float32], text: str, least: float) -> None:
        """Raise the terms of the species that a text names, the best one above all others.

        Parameters
        ----------
        scores
            float32 [n_allowed], written to.
        least
            How much the best of them is above the best of others at the least.
        """
        rows, genera = self._named_in(text)
        if rows and genera.isdisjoint(self._genera(int(scores.argmax()))):
            others = np.delete(scores, rows).max(initial=-np.inf)
            scores[rows] += max(0, others + least - scores[rows].max())

    def of(self, text: str) -> Sequence[int]:
        """Rows of the terms of the species that a text names; none where it says another food.

        What it says besides must be said of the term too, or of how it comes: `fresh`.
        """
        return self._named_in(text)[0]

    def _named_in(self, text: str) -> tuple[list[int], set[str]]:
        """Rows, and the genera whose terms may stay first: a common name is there besides."""
        text = plain(text)
        if text.count(" ") > MOST_BLANKS:
            return [], set()
        if text.isupper() or text.istitle():
            text = text.capitalize()
        found: set[int] | None = None
        genera: set[str] = set()
        rest, end, known = "", 0, set(NATURAL)
        for own, start, stop in self._species.scientific(text):
            rest += text[end:start]
            key, after = self._key(own, text, stop)
            end = len(text) - len(after)
            rows = self._rows.get(key) or self._by_synonyms(own, key)
            names = self._species.names_of(own)
            if not rows and key in self._from:
                known |= MADE
                rows = self._of_stage(key, text, names)
            known.update(word for name in names for word in words(name))
            if not rows:
                return [], genera
            genera.add(own.partition(" ")[0])
            found = set(rows) if found is None else found & set(rows)
        if not found:
            return [], genera
        rest = YEAR.sub(" ", rest + text[end:])
        said = set(words(rest))
        aside = "(" in rest
        if not aside and found.isdisjoint(self._rows_named.get(frozenset(said), found)):
            return [], genera  # `Vitis vinifera wine`
        rows = [row for row in sorted(found) if said - known <= self._told_of(row, said, aside)]
        plainly = all(said <= NATURAL | self._words[row][0] for row in rows)
        return rows, set() if plainly else genera

    def _genera(self, row: int) -> set[str]:
        """The genera of a term and of what it is from."""
        code = self._codes[row]
        from_what = [f.descriptor for f in self._taxonomy.implied(code) if f.category in ORIGINS]
        return {
            name.partition(" ")[0].lower()
            for own in (code, *from_what)
            if (term := self._terms.get(own)) is not None
            for name in term.attributes.get(SCIENTIFIC_NAMES, ())
        }

    def _told_of(self, row: int, said: set[str], aside: bool) -> set[str]:
        """Words that may be said of a term; of `olives for oil production` no oil but by its name.

        Where the scientific name stands in brackets, any word of its names may stand before.
        """
        note, names = self._words[row]
        own = [own for own, head in names if aside or head in said]
        return note.union(*own)

    def _of_stage(self, key: str, text: str, names: Sequence[str]) -> list[int]:
        """Rows of the stage of life in which an insect is eaten: what a text says, or its names."""
        called, rows = self._from[key]
        for told in (text, " ".join([called, *names])):
            for stage, pattern in STAGES.items():
                own = [row for row in rows if stage in self._called[row]]
                if own and pattern.search(told):
                    return own
        return [row for row in rows if "adult" in self._called[row]]

    def _key(self, own: str, text: str, stop: int) -> tuple[str, str]:
        """Of a name in a text the key in the catalogue, and what comes after the name."""
        after = text[stop:]
        if (third := TRINOMIAL.match(after)) and f"{own} {third[1]}" in self._rows:
            return f"{own} {third[1]}", after[third.end() :]
        named = AFTER.match(after)
        if named is None:
            return own, after
        below = BELOW.findall(named[0])
        return _with(own, below[-1] if below else ""), after[named.end() :]

    def _by_synonyms(self, own: str, key: str) -> list[int]:
        """Rows of a species that was put into another genus, with what a key has below it."""
        epithet = own.partition(" ")[2][:SAME]
        others = {
            other + key.removeprefix(own)
            for other in self._species.synonyms_of(own)
            if other.partition(" ")[2][:SAME] == epithet
        }
        found = [self._rows[other] for other in others if other in self._rows]
        return found[0] if len(found) == 1 else []


def _topmost(taxonomy: FacetedTaxonomy, nodes: NDArray[np.int32], rows: Sequence[int]) -> list[int]:
    """Rows that are below no other of them: globe tomatoes are below tomatoes."""
    own = {int(nodes[row]) for row in rows}
    above = {row: set(taxonomy.path_nodes(int(nodes[row])).tolist()) for row in rows}
    return [row for row in rows if own & above[row] == {int(nodes[row])}]


def _keys(term: Term) -> set[str]:
    """The species of a term, each with the name of what is below the species."""
    return set(filter(None, map(_key_of, map(clean, term.attributes.get(SCIENTIFIC_NAMES, ())))))


def _key_of(name: str) -> str:
    """Genus, epithet and the epithet of a variety, in lower case; empty where it has no species."""
    own = species_of(name)
    if not own:
        return ""
    name = plain(name)
    after = name[re.search(re.escape(own.partition(" ")[2]), name).end() :]  # type: ignore[union-attr]
    below = BELOW.findall(after) or TRINOMIAL.findall(after)
    return _with(own, below[-1] if below and below[-1] not in NO_NAME else "")


def _with(own: str, below: str) -> str:
    """A key with what is below the species; `Zea mays mays` is the species that was named first."""
    return own if not below or own.endswith(f" {below.lower()}") else f"{own} {below.lower()}"


def _words_of(
    taxonomy: FacetedTaxonomy, node: int, terms: Mapping[str, Term]
) -> tuple[set[str], list[tuple[set[str], str]]]:
    """What a scope note says before the species, and names of a term with their head words."""
    names = [taxonomy.names[node], *taxonomy.synonyms(node)]
    before = told = ""
    if (term := terms.get(taxonomy.codes[node])) is not None:
        before, told, _ = term.note.partition("classified under")
    note = set(words(before)) if told else set()
    return note, [(set(words(name)), head_word(name)) for name in names]


def _rows_by_source(
    taxonomy: FacetedTaxonomy, codes: Sequence[str], terms: Mapping[str, Term]
) -> dict[str, tuple[str, list[int]]]:
    """Of species that no term is for, the name, and rows of the nearest group if it has stages."""
    if SOURCE not in taxonomy.categories:
        return {}
    tree = taxonomy.categories[SOURCE].tree
    from_source: dict[str, list[int]] = {}
    for row, code in enumerate(codes):
        for facet in taxonomy.implied(code):
            if facet.category == SOURCE:
                from_source.setdefault(facet.descriptor, []).append(row)
    found: dict[str, tuple[str, list[int]]] = {}
    for node, code in enumerate(tree.codes):
        if (term := terms.get(code)) is None or not (keys := _keys(term)):
            continue
        for above in reversed(tree.path_nodes(node).tolist()):
            if rows := from_source.get(tree.codes[above]):
                if any("adult" in terms[codes[row]].name.lower() for row in rows):
                    called = " ".join([tree.names[node], *tree.synonyms(node)])
                    found |= dict.fromkeys(keys, (called, rows))
                break
    return found
