"""Which concepts are read: those of the concept scheme that is asked for, or all."""

from __future__ import annotations

from collections import Counter

from cascade.errors import did_you_mean
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.skos.vocabulary import Vocabulary, last_part
from cascade.taxonomy.names import clean

_SHOWN = 5


class Schemes:
    """The schemes of a vocabulary and the concepts in them.

    A concept that is said to be in no scheme is in that of the first concept above it that is.
    """

    def __init__(self, vocabulary: Vocabulary, concepts: list[str]) -> None:
        self._vocabulary = vocabulary
        self._stated = vocabulary.schemes_of()
        self._concepts = concepts
        self._counts: Counter[str] = Counter()
        self._of: dict[str, tuple[str, ...]] = {}
        for concept in concepts:
            self._of[concept] = self._schemes_of(concept)
            self._counts.update(self._of[concept])

    def chosen(self, file: TaxonomyFile) -> str | None:
        """The scheme that is asked for; else one that all concepts are in; else None.

        Raises
        ------
        TaxonomyError
            There is no such scheme, or it has no concepts.
        """
        if file.scheme is None:
            whole = [one for one, n in self._counts.items() if n == len(self._concepts)]
            return whole[0] if whole else None
        wanted = clean(file.scheme).casefold()
        names = {one: self._names(one) for one in self._vocabulary.schemes()}
        for one, words in names.items():
            if wanted in words:
                if self._counts[one]:
                    return one
                raise file.error(f"concept scheme {file.scheme!r} has no concept in this file")
        if not names:
            raise file.error(
                f"scheme {file.scheme!r} is asked for, but this vocabulary has no concept scheme; "
                "leave the scheme out"
            )
        words = [word for known in names.values() for word in known]
        raise file.error(
            f"no concept scheme {file.scheme!r}{did_you_mean(wanted, words)}; there are: "
            f"{self.listed()}"
        )

    def within(self, scheme: str) -> list[str]:
        """The concepts of a scheme."""
        return [concept for concept in self._concepts if scheme in self._of[concept]]

    def listed(self) -> str:
        """The schemes with most concepts, how many each has."""
        most = self._counts.most_common(_SHOWN)
        shown = ", ".join(f"{self.title(one) or last_part(one)!r} has {n:,}" for one, n in most)
        more = len(self._counts) - len(most)
        return shown + (f" and {more:,} more" if more else "")

    def __len__(self) -> int:
        return len(self._counts)

    def title(self, scheme: str) -> str:
        """Title of a scheme, in English if there is one; empty if there is none."""
        found = self._vocabulary.said(scheme, "title", "name", "label")
        found.sort(key=lambda text: text.language[:2] != "en")
        return clean(found[0].text) if found else ""

    def _names(self, scheme: str) -> list[str]:
        said = self._vocabulary.said(scheme, "title", "name", "label", "notation")
        names = [clean(text.text).casefold() for text in said]
        return [name for name in [*names, last_part(scheme).casefold(), scheme.casefold()] if name]

    def _schemes_of(self, concept: str) -> tuple[str, ...]:
        way: dict[str, None] = {}
        one: str | None = concept
        found: tuple[str, ...] = ()
        while one is not None and one not in way and not found:
            way[one] = None
            found = self._of.get(one) or tuple(self._stated.get(one, ()))
            one = (
                None if one in self._of else next(iter(self._vocabulary.parents.get(one, ())), None)
            )
        self._of.update(dict.fromkeys(way, found))
        return found
