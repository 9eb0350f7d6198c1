"""What the statements of a vocabulary say, by concept: labels, codes, links, schemes, status."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from cascade.taxonomy.formats.skos.syntax import Term

_SKOS = "http://www.w3.org/2004/02/skos/core#"
_XL = "http://www.w3.org/2008/05/skos-xl#"
_DCT = "http://purl.org/dc/terms/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"

CONCEPT, SCHEME = f"{_SKOS}Concept", f"{_SKOS}ConceptScheme"

_KINDS = {
    f"{_RDF}type": "type",
    f"{_RDF}value": "form",
    f"{_XL}literalForm": "form",
    f"{_SKOS}prefLabel": "name",
    f"{_XL}prefLabel": "name",
    f"{_RDFS}label": "label",
    f"{_DCT}title": "title",
    "http://purl.org/dc/elements/1.1/title": "title",
    f"{_SKOS}altLabel": "synonym",
    f"{_XL}altLabel": "synonym",
    f"{_SKOS}definition": "definition",
    f"{_SKOS}scopeNote": "scope",
    f"{_DCT}description": "comment",
    f"{_RDFS}comment": "comment",
    f"{_SKOS}notation": "notation",
    f"{_SKOS}broader": "broader",
    f"{_SKOS}narrower": "narrower",
    f"{_RDFS}subClassOf": "class above",
    f"{_SKOS}broaderTransitive": "above",
    f"{_SKOS}narrowerTransitive": "below",
    f"{_SKOS}inScheme": "scheme",
    f"{_SKOS}topConceptOf": "top of",
    f"{_SKOS}hasTopConcept": "has top",
    f"{_SKOS}member": "member",
    f"{_SKOS}memberList": "member",
    f"{_DCT}isReplacedBy": "replaced by",
}
_LOCAL_KINDS = {
    "broaderGeneric": "broader",
    "broaderPartitive": "broader",
    "broaderInstantial": "broader",
    "broaderPreferred": "broader",
    "narrowerGeneric": "narrower",
    "narrowerPartitive": "narrower",
    "narrowerInstantial": "narrower",
    "deprecated": "deprecated",
    "retired": "deprecated",
    "status": "status",
    "term_status": "status",
}
"""By the last part of the address: special links of other vocabularies, and their status."""

_UNDECLARED = {
    "skos": _SKOS,
    "skosxl": _XL,
    "rdf": _RDF,
    "rdfs": _RDFS,
    "owl": "http://www.w3.org/2002/07/owl#",
    "dct": _DCT,
    "dcterms": _DCT,
}
_NO_HIERARCHY = re.compile(r".*[/#:](?:related\w*|\w+Match|sameAs|seeAlso|isDefinedBy|replaces)")
_SAMPLE = 50  # links of one kind that decide whether it leads from concept to concept
_LINKS = frozenset(("broader", "narrower", "above", "below", "scheme", "top of", "has top"))

_DEPRECATED = re.compile(r"(?:true|1)$|\d{4}(?:-|$)")  # the latter is the day from which on
_NOT_IN_USE = frozenset(
    ("deprecated", "withdrawn", "retired", "obsolete", "invalid", "superseded", "replaced")
)


class Text(NamedTuple):
    """A literal: its text, language tag (empty: none) and, of notations, its datatype's address."""

    text: str
    language: str
    datatype: str


@dataclass
class Vocabulary:
    """Statements by what they say. Things are named by their address, blank nodes by `_:id`.

    Parameters
    ----------
    texts, links
        By kind of statement, then by subject: literals, and things, in the order of the file.
    parents, ancestors
        By concept: what is stated to be directly above it, and anywhere above it, from either side.
    subjects
        All things that something is said of, in the order of the file.
    unread
        By the address of a property that is not known: the first pairs of things that it links.
    by_classes
        How many parents are those of classes, since no concept has another one.
    """

    texts: dict[str, dict[str, list[Text]]] = field(default_factory=dict)
    links: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    ancestors: dict[str, list[str]] = field(default_factory=dict)
    subjects: dict[str, None] = field(default_factory=dict)
    unread: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    by_classes: int = 0

    @classmethod
    def collect(
        cls, triples: Iterable[tuple[Term, str, Term]], own: Mapping[str, str] | None = None
    ) -> Vocabulary:
        """What triples say; `own` are the kinds of a file's own properties, see `own_kinds`."""
        from pyoxigraph import BlankNode, Literal, NamedNode

        texts: Any = defaultdict(lambda: defaultdict(list))
        links: Any = defaultdict(lambda: defaultdict(list))
        parents: Any = defaultdict(list)
        ancestors: Any = defaultdict(list)
        subjects: dict[str, None] = {}
        kinds = dict(own or {})
        unread: dict[str, list[tuple[str, str]]] = defaultdict(list)
        loose: set[str] = set()
        shared: dict[str, str] = {}  # one string for each thing and each language
        for subject, predicate, value in triples:
            kind = kinds.get(predicate)
            if kind is None:
                kind = kinds[predicate] = _kind(predicate)
            if isinstance(subject, NamedNode):
                one = subject.value
            elif isinstance(subject, BlankNode):
                one = f"_:{subject.value}"
            else:
                continue
            one = shared.setdefault(one, one)
            subjects[one] = None
            if not kind:
                if isinstance(value, NamedNode) and len(unread[predicate]) < _SAMPLE:
                    unread[predicate].append((one, value.value))
                continue
            if isinstance(value, Literal) and kind in _LINKS:
                other = value.value.strip()  # an address or a code that is not marked as a link
                loose.add(other)
            elif isinstance(value, Literal):
                tag = value.language or ""
                datatype = value.datatype.value if kind == "notation" else ""
                datatype = shared.setdefault(datatype, datatype)
                texts[kind][one].append(Text(value.value, shared.setdefault(tag, tag), datatype))
                continue
            elif isinstance(value, NamedNode):
                other = _usual(value.value) if kind == "type" else value.value
            elif isinstance(value, BlankNode):
                other = f"_:{value.value}"
            else:
                continue
            other = shared.setdefault(other, other)
            if kind == "broader":
                parents[one].append(other)
            elif kind == "narrower":
                parents[other].append(one)
            elif kind == "above":
                ancestors[one].append(other)
            elif kind == "below":
                ancestors[other].append(one)
            else:
                links[kind][one].append(other)
        found = cls(dict(texts), dict(links), dict(parents), dict(ancestors), subjects)
        found.unread = {name: pairs for name, pairs in unread.items() if pairs}
        found._place_by_classes()
        found._tie(loose.difference(subjects))
        return found

    def _place_by_classes(self) -> None:
        """Concepts that are classes below others, where nothing else places any of them."""
        if self.parents or self.ancestors:
            return
        concepts = {one for one, types in self.links.get("type", {}).items() if CONCEPT in types}
        for one, classes in self.links.get("class above", {}).items():
            if one in concepts and (above := [name for name in classes if name in concepts]):
                self.parents[one] = above
                self.by_classes += 1

    def unread_links(self, concepts: Collection[str]) -> list[str]:
        """Properties that are not read though they lead from concept to concept."""
        return [
            name
            for name, pairs in self.unread.items()
            if not _NO_HIERARCHY.fullmatch(name)
            and all(one in concepts and other in concepts for one, other in pairs)
        ]

    def _tie(self, loose: set[str]) -> None:
        """Put things in place of the codes that links name them by, where these are clear."""
        if not loose:
            return
        meant: dict[str, list[str]] = defaultdict(list)
        for one in self.subjects:
            codes = {text.text.strip() for text in self.said(one, "notation")}
            for code in (codes | {last_part(one)}) & loose:
                meant[code].append(one)
        clear = {code: ones[0] for code, ones in meant.items() if len(ones) == 1}
        for links in (self.parents, self.ancestors, *self.links.values()):
            for one, others in [*links.items()]:
                others[:] = [clear.get(other, other) for other in others]
                if one in clear:
                    links.setdefault(clear[one], []).extend(links.pop(one))

    def concepts(self) -> list[str]:
        """All concepts, in the order of the file.

        What is called one; and what has no other type, or a place in the hierarchy, and is no
        scheme, collection or label.
        """
        types, members = self.links.get("type", {}), self.links.get("member", {})
        placed = self.ancestors.keys() | self.parents.keys() | self._linked("scheme", "top of")
        placed |= {one for ones in self.parents.values() for one in ones}
        placed |= {one for ones in self.links.get("has top", {}).values() for one in ones}
        named = self._linked("name") | self.texts.get("name", {}).keys()
        forms, schemes = self.texts.get("form", {}), set(self.schemes())
        found = []
        for one in self.subjects:
            called = types.get(one, ())
            if CONCEPT in called:
                if SCHEME not in called:
                    found.append(one)
            elif one in schemes or one in members or one in forms:
                continue
            elif one in placed or (one in named and not called):
                found.append(one)
        return found

    def schemes(self) -> list[str]:
        """All concept schemes, described or only named, in the order of the file."""
        called = [one for one, types in self.links.get("type", {}).items() if SCHEME in types]
        schemes = dict.fromkeys([*called, *self.links.get("has top", {})])
        for kind in ("scheme", "top of"):
            for ones in self.links.get(kind, {}).values():
                schemes.update(dict.fromkeys(ones))
        return [*schemes]

    def schemes_of(self) -> dict[str, dict[str, None]]:
        """The schemes that each concept is said to be in, in order."""
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for kind in ("scheme", "top of"):
            for concept, schemes in self.links.get(kind, {}).items():
                found[concept].update(dict.fromkeys(schemes))
        for scheme, concepts in self.links.get("has top", {}).items():
            for concept in concepts:
                found[concept][scheme] = None
        return found

    def deprecated(self) -> set[str]:
        """Things that are no longer in use.

        They are said to be deprecated (`owl:deprecated true` or a type such as
        `DeprecatedAuthority`), or to be replaced (`dct:isReplacedBy`), or have a status such as
        withdrawn, retired or obsolete.
        """
        found = set(self.links.get("replaced by", {}))
        for one, texts in self.texts.get("deprecated", {}).items():
            if any(_DEPRECATED.match(text.text.strip().casefold()) for text in texts):
                found.add(one)
        for one, texts in self.texts.get("status", {}).items():
            if any(text.text.strip().casefold() in _NOT_IN_USE for text in texts):
                found.add(one)
        for one, values in self.links.get("status", {}).items():
            if any(last_part(value).casefold() in _NOT_IN_USE for value in values):
                found.add(one)
        for one, types in self.links.get("type", {}).items():
            if any(last_part(name).startswith("Deprecated") for name in types):
                found.add(one)
        return found

    def said(self, one: str, *kinds: str) -> list[Text]:
        """The texts of a thing, kind by kind, those that stand in a resource of their own too."""
        found: list[Text] = []
        for kind in kinds:
            found += self.texts.get(kind, {}).get(one, ())
            for label in self.links.get(kind, {}).get(one, ()):
                found += self.texts.get("form", {}).get(label, ())
        return found

    def types(self) -> Counter[str]:
        """How many things there are of each type."""
        return Counter(name for names in self.links.get("type", {}).values() for name in names)

    def _linked(self, *kinds: str) -> set[str]:
        return {one for kind in kinds for one in self.links.get(kind, {})}


def _usual(address: str) -> str:
    """An address of the W3C as it is published; some write https, or SKOS's first namespace."""
    if address.startswith("https://www.w3.org/"):
        address = f"http{address[5:]}"
    prefix, _, rest = address.partition(":")
    if prefix in _UNDECLARED:  # a file may use a prefix and forget to say what it stands for
        return _UNDECLARED[prefix] + rest
    return address.replace("http://www.w3.org/2008/05/skos#", _SKOS)


def _kind(predicate: str) -> str:
    """What a property says, a value of `_KINDS`; empty where it is not known."""
    usual = _usual(predicate)
    return _KINDS.get(usual, _LOCAL_KINDS.get(last_part(usual), ""))


def own_kinds(triples: Iterable[tuple[Term, str, Term]]) -> dict[str, str]:
    """What the properties say that a file declares below known ones (`rdfs:subPropertyOf`)."""
    from pyoxigraph import NamedNode

    above = {
        subject.value: value.value
        for subject, predicate, value in triples
        if _usual(predicate) == f"{_RDFS}subPropertyOf"
        and isinstance(subject, NamedNode)
        and isinstance(value, NamedNode)
    }
    found: dict[str, str] = {}
    for own in above:
        name, seen = own, {own}
        while not (kind := _kind(name)) and above.get(name, own) not in seen:
            name = above[name]
            seen.add(name)
        if kind:
            found[own] = kind
    return found


def last_part(address: str) -> str:
    """What follows the last `/` or `#` of an address."""
    return re.split(r"[/#]", address.rstrip("/#"))[-1]
