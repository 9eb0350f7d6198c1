"""Reading a taxonomy from a file of any known format.

Each format is one module with `matches(source)`, which looks at the content alone, and
`read(source)`. A module is imported when its turn comes, so that a format costs nothing until it
is met.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from cascade.errors import TaxonomyError
from cascade.taxonomy.close import hint
from cascade.taxonomy.formats.source import Source
from cascade.taxonomy.records import Draft

FORMATS = {
    "skos": "SKOS as RDF/XML or Turtle",
    "gpc": "GS1 GPC as XML",
    "shopify": "Shopify's categories, 'id : A > B' lines or JSON",
    "google": "Google's product taxonomy, with or without '12 - ' before a path",
    "csv": "CSV, TSV or semicolons with columns code,name,parent, or one path column, or one "
    "column for each level",
    "nested": "nested YAML or JSON",
    "paths": "lines of 'A > B > C'",
}
"""Known formats, in the order in which they are tried."""


class Format(Protocol):
    """What a module of this package offers."""

    def matches(self, source: Source) -> bool:
        """Whether the content is of this format."""

    def read(self, source: Source) -> Draft:
        """The nodes, in file order."""


def read(path: str | Path, *, format: str | None = None, encoding: str | None = None) -> Draft:
    """Nodes of a file, in file order.

    Parameters
    ----------
    format
        A key of `FORMATS`; None tells it by the content.
    encoding
        Of text; None tells UTF-8, UTF-16 (with a byte order mark) and Windows-1252 apart.

    Raises
    ------
    TaxonomyError
        The file cannot be read, its format is not known, or it breaks the rules of its format.
    """
    if format is not None and format not in FORMATS:
        raise TaxonomyError(
            f"no format {format!r}{hint(format, list(FORMATS))}; there are: {', '.join(FORMATS)}"
        )
    source = Source.open(path, encoding)
    draft = _module(format or detect(source)).read(source)
    draft.file = source.file
    draft.name = draft.name or Path(path).name.split(".")[0]
    return draft


def detect(source: Source) -> str:
    """The format that the content is of, a key of `FORMATS`.

    Raises
    ------
    TaxonomyError
        It is of none; the message says what was found and what is understood.
    """
    for name in FORMATS:
        if _module(name).matches(source):
            return name
    known = "; ".join(FORMATS.values())
    raise TaxonomyError(f"{_seen(source)}. Understood are: {known}", file=source.file)


def _module(name: str) -> Format:
    return cast(Format, import_module(f"{__name__}.{name}"))


def _seen(source: Source) -> str:
    """What an unknown file looks like."""
    from cascade.taxonomy.formats.table import Table

    if source.is_xml:
        return f"XML, but neither SKOS nor GS1 GPC; its first element is <{source.root}>"
    table = Table.sniff(source)
    if table and len(table.header) > 1:
        columns = ", ".join(map(repr, table.header))
        return f"a table that is no taxonomy as far as its columns tell; found columns: {columns}"
    line, text = source.head[0]
    return f"no known form of a taxonomy; line {line} is {text[:80]!r}"
