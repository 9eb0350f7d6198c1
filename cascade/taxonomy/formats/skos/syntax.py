"""The triples of a file: which syntax of RDF its text is, parsed with pyoxigraph.

Nothing is ever fetched: pyoxigraph has no network, and a JSON-LD context that is an address is
replaced before (`json_ld`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.skos.json_ld import is_json_ld, with_local_contexts

if TYPE_CHECKING:
    from pyoxigraph import BlankNode, Literal, NamedNode, Triple

    Term = NamedNode | BlankNode | Literal | Triple

SYNTAXES = {
    "JSON-LD": "JSON_LD",
    "RDF/XML": "RDF_XML",
    "N-Triples": "N_QUADS",  # which are among N-Quads
    "Turtle": "TRIG",  # which Turtle is a part of
}
"""What each syntax is called in messages, and in pyoxigraph."""

_PREFIX = re.compile(r"^\s*(?:@prefix|@base|prefix|base)\s+[\w.-]*:?\s*<", re.I | re.M)
_TRIPLE = re.compile(r"(?:<[^>\s]*>|_:\S+)\s+(?:<[^>\s]+>|a)\s+[<\"_\[]")
_GRAPH = re.compile(r"(?:graph\s+)?<[^>\s]*>\s*\{", re.I)
_LINE = re.compile(r'\s*(?:<[^>]*>|_:\S+)\s+<[^>]*>\s+(?:<[^>]*>|_:\S+|".*"\S*)\s.*?\.\s*(?:#.*)?')
_BASE = "http://localhost/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_XML_DECLARATION = re.compile(r"\A\s*<\?xml\s.*?\?>", re.S)
_PROLOG = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.S)
_COMMENT = r"<!--(?:(?!-->).)*-->"
_ENTITY = r"<!ENTITY\s+([\w.-]+)\s+(?:\"([^\"%&<]{0,500})\"|'([^'%&<]{0,500})')\s*>"
_HARMLESS = re.compile(rf"<!DOCTYPE\s+[\w:.-]+\s*\[(?:\s+|{_ENTITY}|{_COMMENT})*\]\s*>", re.S)
_GROWTH = 1 << 20  # characters that entities may add to a file, beyond doubling it

_WHERE = re.compile(r"^Parser error at line \d+[^:]*: |\s*\(line \d+\)$")


def detect(file: TaxonomyFile) -> str | None:
    """The syntax of RDF that a text is, a key of `SYNTAXES`; None if it is no RDF."""
    if file.is_json:
        return "JSON-LD" if is_json_ld(file.text) else None
    lines = [line for _, line in file.head]
    if _TRIPLE.match(lines[0].lstrip()):
        return "N-Triples" if all(map(_LINE.fullmatch, lines[:-1] or lines)) else "Turtle"
    if _GRAPH.match(lines[0].lstrip()):
        return "Turtle"
    if file.is_xml:
        rdf = file.root.endswith(":RDF") or file.root == "RDF" or _RDF in file.start
        return "RDF/XML" if rdf else None
    return "Turtle" if _PREFIX.search("\n".join(lines)) else None


def triples(file: TaxonomyFile) -> Iterator[tuple[Term, str, Term]]:
    """Subject, predicate and object of each statement, in the order of the file.

    Raises
    ------
    TaxonomyError
        The text is broken, or its XML declares entities that may be unsafe; the line is named.
    """
    from pyoxigraph import RdfFormat, parse

    syntax = detect(file) or "Turtle"
    if syntax == "RDF/XML":
        text = _plain_xml(file)
    elif syntax == "JSON-LD":
        text = with_local_contexts(file)
    else:
        text = file.text
    form = getattr(RdfFormat, SYNTAXES[syntax])
    try:
        for quad in parse(text.encode(errors="replace"), form, base_iri=_BASE, lenient=True):
            yield quad.subject, quad.predicate.value, quad.object
    except MemoryError:  # so pyoxigraph says that one word of the text fills its buffer
        raise file.error(
            f"broken {syntax}: one text or name is longer than 16 MiB; is a quote missing?"
        ) from None
    except (SyntaxError, ValueError) as error:
        message = _WHERE.sub("", getattr(error, "msg", None) or str(error))
        raise file.error(f"broken {syntax}: {message}", getattr(error, "lineno", None)) from None


def _plain_xml(file: TaxonomyFile) -> str:
    """XML without declarations, its entities written out; lines keep their numbers.

    Many tools declare entities that name namespaces (`<!ENTITY skos "http://...">`). These may
    stand for texts that use no entity themselves, and may not make the file twice as long.

    Raises
    ------
    TaxonomyError
        The XML is broken, or its document type declaration does more than that.
    """
    from xml.parsers import expat

    text = _XML_DECLARATION.sub(_line_ends, file.text, count=1)  # from here on it is UTF-8
    start = _PROLOG.match(text)
    at = start.end() if start else 0
    if text.startswith("<!DOCTYPE", at):
        declared = _HARMLESS.match(text, at)
        entities = re.findall(_ENTITY, declared[0]) if declared else []
        values = {f"&{name};": double or single for name, double, single in entities}
        grown = sum(text.count(name) * len(value) for name, value in values.items())
        if declared is None or grown > len(text) + _GROWTH:
            raise file.error(
                "the XML has a document type declaration (<!DOCTYPE>) that does more than "
                "abbreviate addresses, and is refused for safety; write it without one: xmllint "
                "--noent --dropdtd",
                file.line_of("<!DOCTYPE"),
            )
        text = text[:at] + _line_ends(declared) + text[declared.end() :]
        if values:
            used = re.compile("|".join(map(re.escape, values)))
            text = used.sub(lambda name: values[name[0]], text)
    try:
        expat.ParserCreate("utf-8").Parse(text.encode(errors="replace"), True)
    except expat.ExpatError as error:
        raise file.error(f"broken XML: {expat.ErrorString(error.code)}", error.lineno) from None
    return text


def _line_ends(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")
