"""Nodes of the concepts of a vocabulary.

The rules, each of which is told in a warning where it was needed:

- The code is the notation (of several, one of the kind that most concepts have), or else the last
  part of the address; the whole address where several concepts share these.
- The name is the preferred label in the main language: English where most concepts have it, else
  the language that most have. Without one it is the label in another language, and without any
  the code. Other languages become translations, other labels synonyms.
- The parent is found by `hierarchy`; where nothing is broader, the class above counts. A name that
  an earlier sibling has gets the code appended.
- Deprecated concepts are no nodes; labels that name them are told what replaces them.
- All concepts are read, or those of the scheme that is asked for.
"""

from __future__ import annotations

import re
from collections import Counter

from cascade.errors import TaxonomyError
from cascade.taxonomy.draft import LANGUAGE, Draft
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.skos.findings import SHOWN, Findings
from cascade.taxonomy.formats.skos.hierarchy import Hierarchy
from cascade.taxonomy.formats.skos.schemes import Schemes
from cascade.taxonomy.formats.skos.vocabulary import Text, Vocabulary, last_part
from cascade.taxonomy.names import PATH_SEPARATOR, clean

OTHER_LANGUAGE = "a concept without a label in {!r} is named in another language"
NO_LABEL = "a concept without a label is named by its code"
SEVERAL_LABELS = "of several preferred labels of one language the first is the name"
SHARED_NOTATION = "concepts that share a notation have their address for a code"
SAME_NAME = "a concept that is called like an earlier sibling has its code appended"
DEPRECATED = "deprecated concepts are no nodes"
BY_CLASSES = "without any skos:broader, what rdfs:subClassOf says is the parent"
UNREAD = "all concepts are at the top, and these links between them are not read"
SCHEMES = "concept schemes are read together, choose one with --scheme"


def draft_of(file: TaxonomyFile, vocabulary: Vocabulary) -> Draft:
    """The concepts of a vocabulary as nodes.

    Raises
    ------
    TaxonomyError
        It has no concepts, or none of the scheme that is asked for.
    """
    concepts = vocabulary.concepts()
    if not concepts:
        raise _no_concepts(file, vocabulary)
    findings = Findings()
    schemes = Schemes(vocabulary, concepts)
    scheme = schemes.chosen(file)
    if scheme is None and len(schemes) > 1:
        findings.add_all(SCHEMES, len(schemes), schemes.listed())
    wanted = concepts if scheme is None else schemes.within(scheme)
    deprecated = vocabulary.deprecated().intersection(concepts)
    kept = [one for one in wanted if one not in deprecated]
    if not kept:
        raise file.error(f"all {len(wanted):,} concepts are deprecated; none can be answered")
    reader = _Reader(vocabulary, kept, findings)
    # Some write that a scheme is broader than its top concepts; that leaves these at the top.
    others = {*concepts, *vocabulary.schemes()}.difference(kept, deprecated)
    draft = reader.draft(Hierarchy(vocabulary, kept, deprecated, others, reader.code, findings))
    if vocabulary.by_classes:
        findings.add_all(BY_CLASSES, vocabulary.by_classes, "classes")
    if max(draft.parent) < 0 and (links := vocabulary.unread_links(set(concepts))):
        findings.add_all(UNREAD, len(links), ", ".join(f"<{name}>" for name in links[:SHOWN]))
    draft.deprecated = reader.deprecated([one for one in wanted if one in deprecated])
    draft.file = file.path
    draft.title = schemes.title(scheme) if scheme else ""
    findings.tell(file.path)
    return draft


class _Reader:
    """Makes nodes of concepts: their codes and names, then the rest."""

    def __init__(self, vocabulary: Vocabulary, kept: list[str], findings: Findings) -> None:
        self._vocabulary, self._kept, self._findings = vocabulary, kept, findings
        self._labels = {one: vocabulary.said(one, "name") for one in kept}
        for one, labels in self._labels.items():
            if not labels:
                self._labels[one] = vocabulary.said(one, "label", "title")
        self._main, self.language = _main_language([*self._labels.values()])
        datatypes = Counter(
            notation.datatype for one in kept for notation in vocabulary.said(one, "notation")
        )
        self._datatypes = [kind for kind, _ in datatypes.most_common()]
        self._codes = dict(zip(kept, self._distinct_codes(), strict=True))

    def code(self, one: str) -> str:
        """The code of a concept; that of a blank node is empty until its path is known."""
        return self._codes.get(one) or self._notation(one) or self._own_part(one)

    def draft(self, hierarchy: Hierarchy) -> Draft:
        """All kept concepts with their side data."""
        draft = Draft(language=self.language)
        parents = hierarchy.parents()
        row_of = {one: row for row, one in enumerate(self._kept)}
        rows = [row_of.get(parents.get(one, ""), -1) for one in self._kept]
        for one, above in zip(self._kept, rows, strict=True):
            row = draft.add(self._name(one), self._codes[one], above)
            self._describe(draft, row, one)
        self._name_siblings_apart(draft)
        self._code_by_path(draft)
        return draft

    def deprecated(self, ones: list[str]) -> dict[str, str]:
        """What to say where a label names a deprecated concept, by its code."""
        found = {}
        for one in ones:
            names = [clean(text.text) for text in self._vocabulary.said(one, "name", "label")]
            instead = [
                f"{self.code(other)!r} ({self._name(other)})"
                for other in self._vocabulary.links.get("replaced by", {}).get(one, ())
                if other in self._codes
            ]
            code = self.code(one)
            called = f" ({names[0]})" if names else ""
            cure = f"it is replaced by {' and '.join(instead)}" if instead else "choose another"
            found[code] = f"{code!r}{called} is deprecated, and nothing is filed there; {cure}"
            self._findings.add(DEPRECATED, repr(code))
        current = set(self._codes.values())
        return {code: sentence for code, sentence in found.items() if code not in current}

    def _notation(self, one: str) -> str:
        notations = self._vocabulary.said(one, "notation")
        if len(notations) > 1:
            notations.sort(key=lambda text: _place(self._datatypes, text.datatype))
        return next((code for text in notations if (code := clean(text.text))), "")

    def _own_part(self, one: str) -> str:
        return "" if one.startswith("_:") else clean(last_part(one)) or clean(one)

    def _distinct_codes(self) -> list[str]:
        """A code for each kept concept; only those of blank nodes may be empty."""
        codes = [self._notation(one) or self._own_part(one) for one in self._kept]
        for own in (self._own_part, clean):
            counts = Counter(codes)
            for at, one in enumerate(self._kept):
                if counts[codes[at]] > 1 and codes[at]:
                    if own == self._own_part and codes[at] != self._own_part(one):
                        self._findings.add(SHARED_NOTATION, f"{codes[at]!r} of <{one}>")
                    codes[at] = "" if one.startswith("_:") else own(one)
        return codes

    def _name(self, one: str) -> str:
        labels = self._labels[one]
        for wanted in (self.language, self._main, ""):
            for text in labels:
                if wanted in (text.language, _primary(text.language)) and clean(text.text):
                    return clean(text.text)
        for text in labels:
            if clean(text.text):
                return clean(text.text)
        return self.code(one) or "unnamed"

    def _describe(self, draft: Draft, row: int, one: str) -> None:
        name, labels = draft.names[row], self._labels[one]
        texts = [(text.language, clean(text.text)) for text in labels if clean(text.text)]
        if not texts:
            self._findings.add(NO_LABEL, repr(self.code(one)))
        elif not any(_primary(tag) in (self._main, "") for tag, _ in texts):
            self._findings.add(OTHER_LANGUAGE.format(self.language), repr(self.code(one)))
        if len({tag for tag, _ in texts}) < len(set(texts)):
            self._findings.add(SEVERAL_LABELS, repr(self.code(one)))
        own = [text for tag, text in texts if tag == self.language and text != name]
        draft.describe(
            row,
            next(iter(self._in_language(one, "definition", "scope", "comment")), ""),
            [*own, *self._in_language(one, "synonym")],
            {
                tag: text
                for tag, text in reversed(texts)
                if tag != self.language and text != name and re.fullmatch(LANGUAGE, tag)
            },
        )

    def _in_language(self, one: str, *kinds: str) -> list[str]:
        """Texts in the main language, or else those without a language."""
        found = self._vocabulary.said(one, *kinds)
        main = [text.text for text in found if _primary(text.language) == self._main]
        return main or [text.text for text in found if not text.language]

    def _name_siblings_apart(self, draft: Draft) -> None:
        taken: set[tuple[int, str]] = set()
        numbers: Counter[tuple[int, str]] = Counter()
        for row, (name, above) in enumerate(zip(draft.names, draft.parent, strict=True)):
            if (above, name) in taken:
                self._findings.add(SAME_NAME, repr(name))
                code = draft.codes[row]
                while not code or (above, f"{name} ({code})") in taken:
                    numbers[above, name] += 1
                    code = str(numbers[above, name] + 1)
                name = draft.names[row] = f"{name} ({code})"
            taken.add((above, name))

    def _code_by_path(self, draft: Draft) -> None:
        """Give nodes that have neither notation nor address their path for a code."""
        taken = set(draft.codes)
        for row, code in enumerate(draft.codes):
            if code:
                continue
            names, above = [draft.names[row]], draft.parent[row]
            while above >= 0:
                names.append(draft.names[above])
                above = draft.parent[above]
            path = unique = PATH_SEPARATOR.join(reversed(names))
            number = 2
            while unique in taken:
                unique, number = f"{path} ({number})", number + 1
            taken.add(unique)
            draft.codes[row] = unique


def _main_language(labels: list[list[Text]]) -> tuple[str, str]:
    """The main language and the tag that it has most often, both empty where labels have none."""
    counts: Counter[str] = Counter()
    tags: Counter[str] = Counter()
    for texts in labels:
        counts.update({_primary(text.language) for text in texts})
        tags.update({text.language for text in texts})
    if 2 * counts["en"] >= len(labels):
        main = "en"
    else:
        main = counts.most_common(1)[0][0] if counts else ""
    own = [tag for tag, _ in tags.most_common() if _primary(tag) == main]
    return main, own[0] if own else ""


def _primary(tag: str) -> str:
    return tag.partition("-")[0].casefold()


def _place(known: list[str], datatype: str) -> int:
    return known.index(datatype)


def _no_concepts(file: TaxonomyFile, vocabulary: Vocabulary) -> TaxonomyError:
    most = vocabulary.types().most_common(SHOWN)
    types = ", ".join(f"{count:,} of type <{name}>" for name, count in most)
    found = f"it has {types}" if types else "nothing in it has a type"
    return file.error(
        f"RDF without any skos:Concept; {found}; expected concepts with skos:prefLabel and "
        "skos:broader (classes of an ontology can be written as such, or as CSV: code,name,parent)"
    )
