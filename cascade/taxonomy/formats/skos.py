"""SKOS as RDF/XML or Turtle, read with rdflib (extra `skos`).

The notation is the code, or else the last part of the URI. Names are the preferred labels in the
main language: English where most concepts have it, else the language that most have. Other
languages become translations, alternative labels synonyms.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from cascade.errors import MissingExtraError, TaxonomyError
from cascade.taxonomy.draft import LANGUAGE, Draft
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.names import clean

if TYPE_CHECKING:
    from rdflib import Graph

_TURTLE = re.compile(r"^\s*(?:@prefix|@base|prefix|base)\s+[\w.-]*:?\s*<", re.I | re.M)
_TRIPLE = re.compile(r"<[^>\s]+>\s+<[^>\s]+>\s+[<\"_]")
_BASE = "http://localhost/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def matches(file: TaxonomyFile) -> bool:
    """Whether this is RDF, as XML, Turtle or N-Triples."""
    if file.is_json:
        return False
    if _TRIPLE.match(file.head[0][1]):
        return True
    if file.is_xml:
        return file.root.endswith(":RDF") or (file.root == "RDF" or _RDF in file.start)
    return bool(_TURTLE.search(file.start))


def read(file: TaxonomyFile) -> Draft:
    """Concepts in the order in which rdflib gives them, those of one parent together.

    Raises
    ------
    MissingExtraError
        rdflib is not installed.
    TaxonomyError
        The file is broken, its XML declares entities, it has no concept, or one has no label or
        more than one parent.
    """
    try:
        from rdflib import RDF
        from rdflib.namespace import SKOS
    except ImportError:
        raise MissingExtraError("reading SKOS", "rdflib", "skos") from None
    graph = _graph(file)
    concepts = dict.fromkeys(graph.subjects(RDF.type, SKOS.Concept))
    concepts.update(dict.fromkeys(graph.subjects(SKOS.prefLabel, None)))
    others = {*graph.subjects(RDF.type, SKOS.ConceptScheme)}
    others.update(graph.subjects(RDF.type, SKOS.Collection))
    return _Reader(file, graph, [c for c in concepts if c not in others]).draft()


def _graph(file: TaxonomyFile) -> Graph:
    from rdflib import Graph

    graph = Graph()
    xml = file.is_xml and not _TRIPLE.match(file.head[0][1])
    if xml:
        file.parse_xml()  # refuses what rdflib would not
    quiet = logging.getLogger("rdflib.term")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        if xml:
            graph.parse(data=file.data, format="xml", publicID=_BASE)
        else:
            graph.parse(data=file.text, format="turtle", publicID=_BASE)
    except Exception as error:  # rdflib and expat raise many kinds, BadSyntax is a SyntaxError
        line = getattr(error, "lines", None)
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise file.error(
            f"broken {'RDF/XML' if xml else 'Turtle'}: {first}",
            line + 1 if isinstance(line, int) else None,
        ) from None
    finally:
        quiet.setLevel(level)
    return graph


class _SkosDraft(Draft):
    """A draft that looks for a line in the text when an error asks; rdflib keeps none."""

    line_of: Callable[[int], int | None]

    def line(self, row: int) -> int | None:
        return self.line_of(row)


class _Reader:
    """Reads the concepts of a graph."""

    def __init__(self, file: TaxonomyFile, graph: Graph, concepts: list[Any]) -> None:
        from rdflib.namespace import SKOS

        self._file, self._graph, self._concepts, self._skos = file, graph, concepts, SKOS
        self._row = {concept: row for row, concept in enumerate(concepts)}
        tags: Counter[str] = Counter()
        for concept in concepts:
            tags.update({*map(_language, graph.objects(concept, SKOS.prefLabel))})
        common = tags.most_common()
        english = [tag for tag, count in common if tag[:2] == "en" and 2 * count >= len(concepts)]
        self._main = english[0] if english else (common[0][0] if common else "")

    def draft(self) -> Draft:
        """All concepts with their side data."""
        if not self._concepts:
            raise self._file.error(
                "RDF without any skos:Concept; expected concepts with skos:prefLabel"
            )
        skos = self._skos
        draft = _SkosDraft(
            title=self._title(),
            language=self._main,
            file=self._file.path,
            distinct_siblings=True,
        )
        draft.line_of = lambda row: self._line(self._concepts[row])
        for concept in self._concepts:
            names = self._names(concept)
            name = names.get(self._main) or names.get("") or next(iter(names.values()))
            row = draft.add(name, self._code(concept), self._parent(concept))
            draft.describe(
                row,
                next(iter(self._texts(concept, skos.definition, skos.scopeNote)), ""),
                self._texts(concept, skos.altLabel),
                {
                    tag: name
                    for tag, name in names.items()
                    if tag != self._main and re.fullmatch(LANGUAGE, tag)
                },
            )
        return draft

    def _names(self, concept: Any) -> dict[str, str]:
        """Preferred labels by language tag, `""` where untagged; the first of each."""
        names: dict[str, str] = {}
        for label in self._graph.objects(concept, self._skos.prefLabel):
            names.setdefault(_language(label), clean(str(label)))
        if not names:
            raise self._error(f"concept <{concept}> has no skos:prefLabel; give it one", concept)
        return names

    def _texts(self, concept: Any, *properties: Any) -> list[str]:
        """Texts of properties in the main language, or else those without a language."""
        found = [text for p in properties for text in self._graph.objects(concept, p)]
        tags = [*map(_language, found)]
        wanted = self._main if self._main in tags else ""
        return [str(text) for text, tag in zip(found, tags, strict=True) if tag == wanted]

    def _code(self, concept: Any) -> str:
        for notation in self._graph.objects(concept, self._skos.notation):
            if code := clean(str(notation)):
                return code
        uri = str(concept).rstrip("/#")
        return clean(re.split(r"[/#]", uri)[-1]) or uri

    def _parent(self, concept: Any) -> int:
        """Row of the only broader concept; -1 at the top."""
        skos = self._skos
        found: Iterable[Any] = [
            *self._graph.objects(concept, skos.broader),
            *self._graph.subjects(skos.narrower, concept),
        ]
        parents = list(dict.fromkeys(found))
        if len(parents) > 1:
            raise self._error(
                f"concept {self._code(concept)!r} has two parents, {self._code(parents[0])!r} and "
                f"{self._code(parents[1])!r}; a taxonomy is a tree, so keep one skos:broader",
                concept,
            )
        if parents and parents[0] not in self._row:
            raise self._error(
                f"concept {self._code(concept)!r} has the parent <{parents[0]}>, which is no "
                "skos:Concept of this file; add it, or remove skos:broader",
                concept,
            )
        return self._row[parents[0]] if parents else -1

    def _title(self) -> str:
        from rdflib import DCTERMS, RDF, RDFS
        from rdflib.namespace import DC

        for scheme in self._graph.subjects(RDF.type, self._skos.ConceptScheme):
            about = (DCTERMS.title, DC.title, self._skos.prefLabel, RDFS.label)
            if titles := self._texts(scheme, *about):
                return clean(titles[0])
        return ""

    def _line(self, concept: Any) -> int | None:
        """Where the concept is first mentioned, as far as the text shows."""
        uri = str(concept)
        last = re.split(r"[/#]", uri.rstrip("/#"))[-1]
        return self._file.line_of(f"<{uri}>", f'"{uri}"', f":{last} ", f":{last}\n", f"#{last}")

    def _error(self, message: str, concept: Any) -> TaxonomyError:
        return TaxonomyError(message, file=self._file.path, line=self._line(concept))


def _language(text: Any) -> str:
    return getattr(text, "language", None) or ""
