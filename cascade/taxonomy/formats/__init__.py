"""The file formats that a taxonomy is read from.

To add one, write a module with `matches(file)` and `read(file)`, as `Format` describes them, and
add a line for it to `FORMATS`. A format only reads nodes from a file: checks of the tree and search
belong in `cascade.taxonomy`, and files of items in `cascade.io`.

A format that recognises a file by strong signs (a header, the form of most lines, a key that only
it has) owns it: each line that does not fit is an error with its line, column and cure. No
laxer reader makes another tree of it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from cascade.errors import TaxonomyError, did_you_mean
from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.foreign import recognise
from cascade.taxonomy.formats.oddities import tell_oddities

if TYPE_CHECKING:
    from cascade.taxonomy.tree import Taxonomy

FORMATS = {
    "efsa": ("cascade.foodex2.format", "a catalogue of EFSA (.ecf or .xlsx)"),
    "excel": (
        "cascade.taxonomy.formats.tables.excel",
        "an Excel workbook (.xlsx) with a table like those of CSV",
    ),
    "skos": (
        "cascade.taxonomy.formats.skos",
        "SKOS as Turtle, RDF/XML, JSON-LD, N-Triples or TriG",
    ),
    "gpc": ("cascade.taxonomy.formats.gpc", "GS1 GPC as XML or JSON"),
    "shopify": (
        "cascade.taxonomy.formats.shopify",
        "Shopify's categories, 'id : A > B' lines or JSON",
    ),
    "google": (
        "cascade.taxonomy.formats.google",
        "Google's product taxonomy, with or without '12 - ' before a path",
    ),
    "csv": (
        "cascade.taxonomy.formats.tables.csv",
        "CSV, TSV or semicolons with columns code,name,parent, or one path column, or one column "
        "for each level",
    ),
    "outline": ("cascade.taxonomy.formats.outline", "names indented below others"),
    "nested": ("cascade.taxonomy.formats.structured.nested", "nested YAML or JSON"),
    "paths": ("cascade.taxonomy.formats.paths", "lines of 'A > B > C'"),
}
"""The module and a description of each format, in the order in which they are tried.

A module is imported when it is tried, not before.
"""

OURS = "nested"  # what taxonomies that ship, and those of packs, are written in
ARCHIVES = ("efsa", "excel")  # formats of zip archives; for other files they are not even imported


class Format(Protocol):
    """What the module of a format offers."""

    def matches(self, file: TaxonomyFile) -> bool:
        """Whether the content is of this format."""

    def read(self, file: TaxonomyFile) -> Draft | Taxonomy:
        """The nodes in file order; or a whole taxonomy, where it has more than nodes.

        Raises
        ------
        TaxonomyError
            The content breaks the rules of the format.
        """


def read(
    path: str | Path,
    *,
    format: str | None = None,
    encoding: str | None = None,
    scheme: str | None = None,
    sheet: str | None = None,
) -> Draft | Taxonomy:
    """What is in a file: its nodes, named like the file where it states no name.

    Parameters
    ----------
    format
        A key of `FORMATS`; by default the content decides.
    encoding
        Of text; by default a guess, see `TaxonomyFile.text`.
    scheme
        Concept scheme of a SKOS vocabulary: its title, code or address; all if None.
    sheet
        Of a workbook; if None, the one that alone looks like a taxonomy.

    Raises
    ------
    TaxonomyError
        The file cannot be read, its format is not known, or it breaks the rules of its format.
    """
    if format is not None and format not in FORMATS:
        raise TaxonomyError(
            f"no format {format!r}{did_you_mean(format, list(FORMATS))}; there are: "
            f"{', '.join(FORMATS)}"
        )
    file = TaxonomyFile(Path(path), encoding, scheme, sheet)
    name = format or detect(file)
    if scheme is not None and name != "skos":
        raise file.error(
            f"scheme {scheme!r} is asked for, but only SKOS has concept schemes, and this is read "
            f"as {name}; leave the scheme out"
        )
    if sheet is not None and name != "excel":
        raise file.error(
            f"sheet {sheet!r} is asked for, but this is no workbook with a table, and read as "
            f"{name}; leave the sheet out"
        )
    found = _module(name).read(file)
    if isinstance(found, Draft):
        tell_oddities(found)
        found.name = found.name or file.path.name.split(".")[0]
    return found


def detect(file: TaxonomyFile) -> str:
    """The format that the content is of, a key of `FORMATS`.

    Raises
    ------
    TaxonomyError
        It is of none; the message names what was found and the known formats.
    """
    if not file.is_archive and file.is_ours:
        return OURS
    for name in FORMATS:
        if (name not in ARCHIVES or file.is_archive) and _module(name).matches(file):
            return name
    if foreign := recognise(file):
        raise file.error(foreign)
    known = "; ".join(description for _, description in FORMATS.values())
    raise file.error(f"{_unknown(file)}. Known formats: {known}")


def _module(name: str) -> Format:
    return cast(Format, import_module(FORMATS[name][0]))


def _unknown(file: TaxonomyFile) -> str:
    """What an unknown file looks like."""
    from cascade.taxonomy.formats.tables.problems import problem
    from cascade.taxonomy.formats.tables.table import TaxonomyTable

    if file.is_xml:
        return (
            f"XML of no known form; its first element is <{file.root}>; write it as CSV with "
            "columns code,name,parent"
        )
    table = TaxonomyTable.sniff(file)
    if table and len(table.header) > 1:
        return problem(table)
    if all(text.startswith("#") for text in file.text.split("\n") if text.strip()):
        return "all lines begin with '#', and are comments, even if they are headings of Markdown"
    line, text = file.head[0]
    return f"no known form of a taxonomy; line {line} is {text[:80]!r}"
