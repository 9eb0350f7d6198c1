"""What is kept of texts that a language model wrote about nodes.

A text is dropped where it says nothing new (it is the name, or stands there already), is no plain
text (markup, control tokens, a placeholder), is written in a script that the taxonomy is not, names
another node, or is a title that the encoder files elsewhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from cascade.generation.chat_markup import before_markup
from cascade.items import Batch, Item
from cascade.retrieval.retriever import Retriever
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.draft import MachineTexts
from cascade.taxonomy.names import PATH_SEPARATOR

NEAREST = 3  # leaves among which that of a title must be
SHORTEST = 3  # letters of a title or a description
_MARKUP = re.compile(r"</?[A-Za-z!][^>]*>|https?://|[{}\[\]\\]|\*\*|^#|\b(?:null|lorem ipsum)\b")
_LETTERS = re.compile(r"[^\W\d_]")
BLOCK = 512


@dataclass
class Checked:
    """Texts that are kept, and how many were dropped for what."""

    texts: dict[int, MachineTexts] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def kept(self) -> int:
        """How many texts are kept."""
        return sum(
            bool(t.description) + len(t.synonyms) + len(t.titles) for t in self.texts.values()
        )


def check(taxonomy: Taxonomy, written: Mapping[int, MachineTexts], retriever: Retriever) -> Checked:
    """The texts that are of use.

    Parameters
    ----------
    retriever
        Over the taxonomy as it was, without what was written.
    """
    found = Checked()
    scripts = set().union(*map(_scripts, taxonomy.names))
    named = _names(taxonomy)
    plain: dict[int, MachineTexts] = {}
    for node, texts in written.items():
        known = (taxonomy.names[node], taxonomy.path(node), *taxonomy.synonyms(node))
        seen = {_form(text) for text in (*known, taxonomy.description(node))}

        def kept(
            several: Iterable[str],
            *,
            unless: Mapping[str, int] | None = None,
            node: int = node,
            seen: set[str] = seen,
        ) -> tuple[str, ...]:
            out = []
            for text in several:
                why = _problem(text, seen, scripts)
                if not why and unless is not None and unless.get(_form(text), node) != node:
                    why = "names another node"
                if why:
                    found.dropped[why] += 1
                    continue
                seen.add(_form(text))
                out.append(text)
            return tuple(out)

        description = kept([texts.description] if texts.description else [])
        synonyms = kept(texts.synonyms, unless=named)
        plain[node] = MachineTexts("".join(description), synonyms, kept(texts.titles))
    titles = _filed_here(taxonomy, plain, retriever)
    for node, texts in plain.items():
        here = tuple(title for title in texts.titles if (node, title) in titles)
        found.dropped["is filed elsewhere by the encoder"] += len(texts.titles) - len(here)
        if any(own := MachineTexts(texts.description, texts.synonyms, here)):
            found.texts[node] = own
    found.dropped += Counter()  # without zeros
    return found


def _problem(text: str, seen: set[str], scripts: set[str]) -> str:
    """Why a text is of no use; empty where it may be."""
    if _form(text) in seen:
        return "is the name, or was there already"
    if _MARKUP.search(text) or before_markup(text) != text or PATH_SEPARATOR in text:
        return "has markup"
    if len(_LETTERS.findall(text)) < min(SHORTEST, len(text)) or len(text) < 2:
        return "has too few letters"
    if foreign := _scripts(text) - scripts:
        return f"is written in another script ({', '.join(sorted(foreign)).lower()})"
    return ""


def _form(text: str) -> str:
    """A text as it is compared: letters and digits alone, in one case."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"[^\W_]+", plain)) or plain.strip()


def _scripts(text: str) -> set[str]:
    """The scripts of a text's letters, by the first words of their Unicode names."""
    return {
        unicodedata.name(letter, "UNKNOWN").split()[0].split("-")[0]
        for letter in set(_LETTERS.findall(text))
    }


def _names(taxonomy: Taxonomy) -> dict[str, int]:
    """The node that a name or synonym is of, in the form in which texts are compared."""
    found: dict[str, int] = {}
    for node in range(len(taxonomy)):
        for name in (taxonomy.names[node], *taxonomy.synonyms(node)):
            found.setdefault(_form(name), node)
    return found


def _filed_here(
    taxonomy: Taxonomy, written: Mapping[int, MachineTexts], retriever: Retriever
) -> set[tuple[int, str]]:
    """Node and title where a leaf at or below the node is among the nearest."""
    pairs = [(node, title) for node, texts in written.items() for title in texts.titles]
    here: set[tuple[int, str]] = set()
    for start in range(0, len(pairs), BLOCK):
        some = pairs[start : start + BLOCK]
        batch = Batch([Item({"text": title}) for _, title in some])
        top = retriever.compare(batch).top_leaves(NEAREST)
        nodes = np.array([node for node, _ in some])[top.rows]
        inside = (nodes <= top.nodes) & (top.nodes < taxonomy.end[nodes])
        here |= {some[row] for row in top.rows[inside].tolist()}
    return here
