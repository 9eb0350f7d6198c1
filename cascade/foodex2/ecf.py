"""EFSA's catalogue files (.ecf): a zip with one XML in it, read as a stream."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ParseError

from cascade.errors import TaxonomyError
from cascade.foodex2.catalogue import Attribute, Catalogue, Hierarchy, Term, implied_facets
from cascade.io.zips import swollen

LARGEST = 1 << 30  # bytes of XML; MTX 17.0 has 95 million
DEFAULT = re.compile(r"\[defaultHierarchy=(\w+)\]")
PARTS = {"catalogueDesc", "catalogueVersion", "hierarchyDesc", "attributeDesc", "term"}
NO_PARENT = ("", "root")
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
    except (ParseError, LookupError, ValueError) as error:
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
    for part in _parts(stream):
        if part.tag == "catalogueDesc":
            about = {child.tag: (child.text or "").strip() for child in part}
        elif part.tag == "catalogueVersion":
            version = _text(part, "version")
        elif part.tag == "hierarchyDesc":
            labels[_text(part, "code")] = _text(part, "label")
        elif part.tag == "attributeDesc":
            attributes[_text(part, "code")] = _attribute(part, about.get("code", ""))
        else:
            term = _term(part, file)
            if term.code in terms:
                raise TaxonomyError(f"has the term {term.code} twice", file=file)
            terms[term.code] = term
            for place in part.iterfind("hierarchyAssignments/hierarchyAssignment"):
                order, parent = _text(place, "order"), _text(place, "parentCode")
                places.setdefault(_text(place, "hierarchyCode"), {})[term.code] = (
                    int(order) if order.isdigit() else 0,
                    None if parent in NO_PARENT else parent,
                    _text(place, "reportable") == "true",
                )
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


def _parts(stream: IO[bytes]) -> Iterator[Element]:
    """The elements in `PARTS`; all others are dropped, so that memory does not grow with them."""
    from defusedxml.ElementTree import iterparse

    opened: list[Element] = []
    part: Element | None = None
    for event, element in iterparse(stream, ("start", "end"), forbid_dtd=True):
        if event == "start":
            opened.append(element)
            if part is None and element.tag in PARTS:
                part = element
            continue
        opened.pop()
        if part is not None and element is part:
            yield part
            part = None
        if part is None and opened:
            opened[-1].clear()


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _attribute(element: Element, catalogue: str) -> Attribute:
    source, _, hierarchy = _text(element, "attributeCatalogueCode").partition(".")
    own = _text(element, "attributeType") == "catalogue" and source == catalogue
    return Attribute(
        _text(element, "code"),
        _text(element, "name"),
        _text(element, "label"),
        _text(element, "scopeNote"),
        hierarchy if own else None,
        _text(element, "attributeSingleOrRepeatable") == "single",
    )


def _term(element: Element, file: str) -> Term:
    code = _text(element, "termDesc/termCode")
    values = {
        _text(attribute, "attributeCode"): tuple(
            (value.text or "").strip()
            for value in attribute.iterfind("attributeValues/attributeValue")
        )
        for attribute in element.iterfind("implicitAttributes/implicitAttribute")
    }
    return Term(
        code,
        _text(element, "termDesc/termExtendedName"),
        _text(element, "termDesc/termScopeNote"),
        _text(element, "termVersion/status") or "APPROVED",
        " ".join(values.get("termType", ())),
        " ".join(values.get("detailLevel", ())),
        *implied_facets(code, values.get("allFacets", ()), values.get("implicitFacets", ()), file),
        {name: value for name, value in values.items() if name not in FIELDS},
    )
