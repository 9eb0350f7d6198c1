"""EFSA's catalogue files (.ecf): a zip with one XML in it, read as a stream."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from xml.parsers.expat import ExpatError

from cascade.errors import TaxonomyError
from cascade.foodex2.catalogue import Attribute, Catalogue, Hierarchy, Term, implied_by
from cascade.foodex2.elements import Element, Refused, elements

LARGEST = 1 << 30  # bytes of XML; MTX 17.0 has 95 million
DEFAULT = re.compile(r"\[defaultHierarchy=(\w+)\]")
WANTED = {"catalogueDesc", "catalogueVersion", "hierarchyDesc", "attributeDesc", "term"}
ROOT = "root"  # what stands where a term has no parent
TEXTS = ("termType", "detailLevel", "allFacets", "implicitFacets")


def read_ecf(path: str | Path) -> Catalogue:
    """A catalogue from the file that EFSA publishes it in.

    Raises
    ------
    TaxonomyError
        The file cannot be read, is no catalogue, is cut short, or is not safe to read.
    """
    file = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(names) != 1 or not names[0].lower().endswith(".xml"):
                raise TaxonomyError(
                    f"is a zip with {len(names):,} files; a catalogue of EFSA has one XML in it",
                    file=file,
                )
            if archive.getinfo(names[0]).file_size > LARGEST:
                raise TaxonomyError(
                    f"holds more than {LARGEST >> 30} GiB of XML; no catalogue is so large",
                    file=file,
                )
            with archive.open(names[0]) as stream:
                return _read(_Bounded(stream), file)
    except FileNotFoundError:
        raise TaxonomyError("no such file", file=file) from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise TaxonomyError(
            f"is no whole zip ({error}); fetch the catalogue again", file=file
        ) from None
    except Refused:
        raise TaxonomyError(
            "its XML has a document type declaration, which may define entities and is refused",
            file=file,
        ) from None
    except (ExpatError, LookupError, ValueError) as error:
        raise TaxonomyError(f"its XML is broken: {error}", file=file) from None
    except (OSError, NotImplementedError, RuntimeError) as error:  # packed in an odd way, or locked
        raise TaxonomyError(f"cannot be read: {error}", file=file) from None


class _Bounded:
    """A stream that ends with an error where it is longer than it said."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._left = stream, LARGEST

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise OSError("its XML is longer than the zip says")
        return data


def _read(stream: Any, file: str) -> Catalogue:
    about: dict[str, str] = {}
    version = ""
    labels: dict[str, tuple[str, bool]] = {}
    attributes: dict[str, Attribute] = {}
    terms: dict[str, Term] = {}
    parents: dict[str, dict[str, tuple[int, str | None, bool]]] = {}
    for element in elements(stream, WANTED):
        text = element.said
        if element.tag == "catalogueDesc":
            about = {part.tag: part.text.strip() for part in element.children}
        elif element.tag == "catalogueVersion":
            version = text("version")
        elif element.tag == "hierarchyDesc":
            labels[text("code")] = text("label"), text("hierarchyApplicability") != "attribute"
        elif element.tag == "attributeDesc":
            attributes[text("code")] = _attribute(text, about.get("code", ""))
        elif element.tag == "term":
            term = _term(element, file)
            if term.code in terms:
                raise TaxonomyError(f"has the term {term.code} twice", file=file)
            terms[term.code] = term
            for place in element.within("hierarchyAssignments", "hierarchyAssignment"):
                own = place.said
                order = own("order")
                parents.setdefault(own("hierarchyCode"), {})[term.code] = (
                    int(order) if order.isdigit() else 0,
                    None if own("parentCode") in ("", ROOT) else own("parentCode"),
                    own("reportable") == "true",
                )
    if not about.get("code") or not terms:
        raise TaxonomyError(
            "is no catalogue of EFSA: it has no catalogueDesc or no term", file=file
        )
    default = DEFAULT.search(about.get("scopeNote", ""))
    code = about["code"]
    labels.setdefault(code, (about.get("label") or "Master hierarchy", True))
    hierarchies = {
        name: _hierarchy(name, *labels[name], parents.get(name, {}), terms, file) for name in labels
    }
    if unknown := sorted(parents.keys() - labels.keys()):
        raise TaxonomyError(f"puts terms into an unknown hierarchy {unknown[0]!r}", file=file)
    wanted = default[1] if default else code
    return Catalogue(
        code,
        version,
        terms,
        hierarchies,
        attributes,
        default=wanted if wanted in hierarchies else code,
        file=file,
    )


def _attribute(text: Callable[..., str], catalogue: str) -> Attribute:
    of, _, hierarchy = text("attributeCatalogueCode").partition(".")
    return Attribute(
        text("code"),
        text("name"),
        text("label"),
        text("scopeNote"),
        hierarchy if text("attributeType") == "catalogue" and of == catalogue else None,
        text("attributeSingleOrRepeatable") == "single",
    )


def _term(element: Element, file: str) -> Term:
    text = element.said
    code = text("termDesc", "termCode")
    values: dict[str, tuple[str, ...]] = {}
    for attribute in element.within("implicitAttributes", "implicitAttribute"):
        found = [v.text.strip() for v in attribute.within("attributeValues", "attributeValue")]
        values[attribute.said("attributeCode")] = tuple(found)
    facets, own_facets = implied_by(
        code, values.get("allFacets", ()), values.get("implicitFacets", ()), file
    )
    return Term(
        code,
        text("termDesc", "termExtendedName"),
        text("termDesc", "termScopeNote"),
        text("termDesc", "termShortName"),
        text("termVersion", "status") or "APPROVED",
        " ".join(values.get("termType", ())),
        " ".join(values.get("detailLevel", ())),
        facets,
        own_facets,
        {name: value for name, value in values.items() if name not in TEXTS},
    )


def _hierarchy(
    code: str,
    label: str,
    base: bool,
    placed: dict[str, tuple[int, str | None, bool]],
    terms: dict[str, Term],
    file: str,
) -> Hierarchy:
    for term, (_, parent, _) in placed.items():
        if parent is not None and parent not in terms:
            raise TaxonomyError(
                f"hierarchy {code}: {term} stands below {parent}, which is no term", file=file
            )
    ordered = sorted(placed, key=lambda term: placed[term][0])
    return Hierarchy(
        code,
        label,
        base,
        {term: placed[term][1] for term in ordered},
        {term: placed[term][2] for term in ordered},
    )
