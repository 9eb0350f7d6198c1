"""EFSA's catalogue files (.ecf): a zip with one XML in it, read as a stream."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO
from xml.parsers.expat import ExpatError

from cascade.errors import TaxonomyError
from cascade.foodex2.catalogue import Attribute, Catalogue, Hierarchy, Term, implied_facets
from cascade.io.zips import swollen

BLOCK = 1 << 16  # bytes that are parsed at once
LARGEST = 1 << 30  # bytes of XML; MTX 17.0 has 95 million
DEFAULT = re.compile(r"\[defaultHierarchy=(\w+)\]")
PARTS = {"catalogueDesc", "catalogueVersion", "hierarchyDesc", "attributeDesc", "term"}
NO_PARENT = ("", "root")
ASSIGNMENT = "hierarchyAssignments/hierarchyAssignment"  # places in a term
ATTRIBUTE = "implicitAttributes/implicitAttribute"
VALUES = f"{ATTRIBUTE}/attributeValues"
FIELDS = ("termType", "detailLevel", "allFacets", "implicitFacets")  # attributes that Term names


def read_ecf(path: str | Path) -> Catalogue:
    """A catalogue from the file that EFSA publishes.

    Raises
    ------
    TaxonomyError
        The file cannot be read, is no catalogue, is cut short, or is not safe to read.
    """
    from defusedxml import DefusedXmlException

    file = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(names) != 1 or not names[0].lower().endswith(".xml"):
                raise TaxonomyError(
                    f"is a zip with {len(names):,} files; a catalogue of EFSA has one XML in it",
                    file=file,
                )
            if (problem := swollen(archive)) is not None:
                raise TaxonomyError(problem, file=file)
            if archive.getinfo(names[0]).file_size > LARGEST:
                raise TaxonomyError(
                    f"holds more than {LARGEST >> 30} GiB of XML; no catalogue is so large",
                    file=file,
                )
            with archive.open(names[0]) as stream:
                return _read(stream, file)
    except FileNotFoundError:
        raise TaxonomyError("no such file", file=file) from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise TaxonomyError(
            f"is no whole zip ({error}); fetch the catalogue again", file=file
        ) from None
    except DefusedXmlException:
        raise TaxonomyError(
            "its XML has a document type declaration, which may define entities and is refused",
            file=file,
        ) from None
    except (ExpatError, LookupError, ValueError) as error:
        raise TaxonomyError(f"its XML is broken: {error}", file=file) from None
    except (OSError, NotImplementedError, RuntimeError) as error:  # packed in an odd way, or locked
        raise TaxonomyError(f"cannot be read: {error}", file=file) from None


def _read(stream: IO[bytes], file: str) -> Catalogue:
    about: dict[str, str] = {}
    version = ""
    labels: dict[str, str] = {}
    attributes: dict[str, Attribute] = {}
    terms: dict[str, Term] = {}
    places: dict[str, dict[str, tuple[int, str | None, bool]]] = {}
    for name, part in _parts(stream):
        texts = dict(reversed(part))  # of each element the first
        if name == "catalogueDesc":
            about = texts
        elif name == "catalogueVersion":
            version = texts.get("version", "")
        elif name == "hierarchyDesc":
            labels[texts.get("code", "")] = texts.get("label", "")
        elif name == "attributeDesc":
            attributes[texts.get("code", "")] = _attribute(texts, about.get("code", ""))
        else:
            term, own = _term(part, texts, file)
            if term.code in terms:
                raise TaxonomyError(f"has the term {term.code} twice", file=file)
            terms[term.code] = term
            for hierarchy, place in own:
                places.setdefault(hierarchy, {})[term.code] = place
    code = about.get("code")
    if not code or not terms:
        raise TaxonomyError(
            "is no catalogue of EFSA: it has no catalogueDesc or no term", file=file
        )
    labels.setdefault(code, about.get("label") or "Master hierarchy")
    if unknown := sorted(places.keys() - labels.keys()):
        raise TaxonomyError(f"puts terms into an unknown hierarchy {unknown[0]!r}", file=file)
    hierarchies = {
        name: Hierarchy.of(name, label, places.get(name, {}), terms, file)
        for name, label in labels.items()
    }
    default = DEFAULT.search(about.get("scopeNote", ""))
    return Catalogue(
        code,
        version,
        terms,
        hierarchies,
        attributes,
        default=default[1] if default and default[1] in hierarchies else code,
        file=file,
    )


def _parts(stream: IO[bytes]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The elements in `PARTS`, with the path and the text of each element within, as they end.

    All others are dropped, so that memory does not grow with them.

    Raises
    ------
    DTDForbidden
        There is a document type declaration, which may define entities: refused as by defusedxml,
        whose parsers of trees take three times as long.
    """
    from xml.parsers import expat

    from defusedxml import DTDForbidden

    done: list[tuple[str, list[tuple[str, str]]]] = []
    part: list[tuple[str, str]] = []
    paths: list[str] = []  # of the open elements of a part, within it
    name, text = "", ""
    known: dict[tuple[str, str], str] = {}

    def start(tag: str, _: object) -> None:
        nonlocal name, text, part
        if paths:
            key = paths[-1], tag
            if (path := known.get(key)) is None:
                path = known[key] = f"{paths[-1]}/{tag}" if paths[-1] else tag
            paths.append(path)
        elif tag in PARTS:
            name, part = tag, []
            paths.append("")
        text = ""

    def data(more: str) -> None:
        nonlocal text
        text += more

    def end(_: str) -> None:
        nonlocal text
        if not paths:
            return
        if path := paths.pop():
            part.append((path, text.strip()))
            text = ""
        else:
            done.append((name, part))

    def refuse(name: str, system: str | None, public: str | None, _: int) -> None:
        raise DTDForbidden(name, system, public)

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = refuse
    while some := stream.read(BLOCK):
        parser.Parse(some)
        yield from done
        done.clear()
    parser.Parse(b"", True)
    yield from done


def _attribute(texts: Mapping[str, str], catalogue: str) -> Attribute:
    source, _, hierarchy = texts.get("attributeCatalogueCode", "").partition(".")
    own = texts.get("attributeType") == "catalogue" and source == catalogue
    return Attribute(
        texts.get("code", ""),
        texts.get("name", ""),
        texts.get("label", ""),
        texts.get("scopeNote", ""),
        hierarchy if own else None,
        texts.get("attributeSingleOrRepeatable") == "single",
    )


def _term(
    part: Sequence[tuple[str, str]], texts: Mapping[str, str], file: str
) -> tuple[Term, list[tuple[str, tuple[int, str | None, bool]]]]:
    """A term, and for each hierarchy its order, parent, and whether it is reportable."""
    values: dict[str, tuple[str, ...]] = {}
    places = []
    own: dict[str, str] = {}
    several: list[str] = []
    for path, text in part:
        above, _, name = path.rpartition("/")
        if above == VALUES:
            several.append(text)
        elif above in (ASSIGNMENT, ATTRIBUTE):
            own.setdefault(name, text)
        elif path == ATTRIBUTE:
            values[own.get("attributeCode", "")] = tuple(several)
            own, several = {}, []
        elif path == ASSIGNMENT:
            order, parent = own.get("order", ""), own.get("parentCode", "")
            place = (
                int(order) if order.isdigit() else 0,
                None if parent in NO_PARENT else parent,
                own.get("reportable") == "true",
            )
            places.append((own.get("hierarchyCode", ""), place))
            own = {}
    code = texts.get("termDesc/termCode", "")
    term = Term(
        code,
        texts.get("termDesc/termExtendedName", ""),
        texts.get("termDesc/termScopeNote", ""),
        texts.get("termVersion/status") or "APPROVED",
        " ".join(values.get("termType", ())),
        " ".join(values.get("detailLevel", ())),
        *implied_facets(code, values.get("allFacets", ()), values.get("implicitFacets", ()), file),
        {name: value for name, value in values.items() if name not in FIELDS},
    )
    return term, places
