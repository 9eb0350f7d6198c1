"""SKOS vocabularies as Turtle, TriG, N-Triples, N-Quads, RDF/XML or JSON-LD.

`syntax` gives the triples of a file, `vocabulary` keeps those that matter here, and `reader` makes
nodes of them by the rules that are listed there, so that one untidy concept never sinks the rest;
`findings` says in one warning which of these rules were needed. Tables of vocabularies belong in
`cascade.taxonomy.formats.tables`.
"""

from __future__ import annotations

from cascade.errors import MissingExtraError
from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.skos.syntax import detect

__all__ = ["matches", "read"]


def matches(file: TaxonomyFile) -> bool:
    """Whether this is RDF of any kind."""
    return detect(file) is not None


def read(file: TaxonomyFile) -> Draft:
    """Concepts in the order of the file, those of one parent together.

    Raises
    ------
    MissingExtraError
        pyoxigraph is not installed.
    TaxonomyError
        The file is broken, its XML declares unsafe entities, it has no concept, or none of the
        scheme that is asked for.
    """
    try:
        import pyoxigraph  # noqa: F401
    except ImportError:
        raise MissingExtraError("reading SKOS", "pyoxigraph", "skos") from None
    from cascade.taxonomy.formats.skos.reader import draft_of
    from cascade.taxonomy.formats.skos.syntax import triples
    from cascade.taxonomy.formats.skos.vocabulary import Vocabulary, own_kinds

    own = own_kinds(triples(file)) if "subPropertyOf" in file.text else {}
    return draft_of(file, Vocabulary.collect(triples(file), own))
