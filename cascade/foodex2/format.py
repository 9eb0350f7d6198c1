"""EFSA's catalogues as a format; the user's cache keeps them, as their XML takes long to read."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cascade.errors import TaxonomyError
from cascade.foodex2.catalogue import Attribute, Catalogue, Hierarchy, Term
from cascade.foodex2.ecf import read_ecf
from cascade.foodex2.taxonomy import base_terms
from cascade.foodex2.workbook import TERMS, read_workbook
from cascade.io.files import cache_folder
from cascade.taxonomy.facets import Facet, FacetedTaxonomy
from cascade.taxonomy.formats.file import TaxonomyFile

WORKBOOK = "xl/workbook.xml"
FORMAT = 1  # of the cache; higher where it changes

logger = logging.getLogger(__name__)


def matches(file: TaxonomyFile) -> bool:
    """Whether this is an .ecf, or a workbook with a sheet of terms."""
    return is_catalogue(file.path)


def read(file: TaxonomyFile) -> FacetedTaxonomy:
    """The base terms of a catalogue and its facets; see `load_catalogue` and `base_terms`."""
    return base_terms(load_catalogue(file.path))


def load_catalogue(
    path: str | Path,
    folder: Path | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> Catalogue:
    """The catalogue in a file of EFSA: an .ecf or a workbook, told apart by its content.

    Parameters
    ----------
    folder
        Where catalogues are remembered; by default in the user's cache.
    told
        Called with a sentence before something that takes long.

    Raises
    ------
    TaxonomyError
        The file is not there or is no catalogue; see `read_ecf` and `read_workbook`.
    """
    try:
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TaxonomyError(f"cannot be read: {error.strerror}", file=path) from None
    folder = folder or cache_folder() / "catalogues"
    kept = folder / f"{digest[:32]}.{FORMAT}.json.gz"
    if kept.is_file():
        try:
            return _unpacked(json.loads(gzip.decompress(kept.read_bytes())), str(path))
        except (OSError, EOFError, ValueError, LookupError, TypeError):
            logger.warning("%s is damaged, and is made again", kept)
    told(f"reading {path}, which is remembered afterwards")
    catalogue = read_workbook(path) if _is_workbook(path) else read_ecf(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = kept.with_name(f".{kept.name}.partial")
        partial.write_bytes(gzip.compress(json.dumps(_packed(catalogue)).encode(), 3))
        partial.replace(kept)
    except OSError as error:
        logger.warning("%s cannot be written (%s), so nothing is remembered", folder, error)
    return catalogue


def is_catalogue(path: str | Path) -> bool:
    """Whether a file is a zip with one XML in it, or a workbook with a sheet of terms.

    What is called .ecf is taken for one too, so that reading it says what is wrong with it.
    """
    if Path(path).suffix.lower() == ".ecf":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(names) == 1 and names[0].endswith(".xml") and names[0] != WORKBOOK:
                return True
            return WORKBOOK in names and f'name="{TERMS}"'.encode() in archive.read(WORKBOOK)
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return False  # reading it as something else says what is wrong


def _is_workbook(path: str | Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return WORKBOOK in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False  # reading it as an .ecf says what is wrong


def _packed(catalogue: Catalogue) -> dict[str, Any]:
    return {
        "about": [catalogue.code, catalogue.version, catalogue.default],
        "terms": [
            [
                *(t.code, t.name, t.note, t.short_name, t.status, t.kind, t.detail),
                *([f"{f.category}{f.descriptor}" for f in own] for own in (t.facets, t.own_facets)),
                t.attributes,
            ]
            for t in catalogue.terms.values()
        ],
        "hierarchies": [
            [h.code, h.label, h.base, h.parent, [h.reportable[term] for term in h.parent]]
            for h in catalogue.hierarchies.values()
        ],
        "attributes": [
            [a.code, a.name, a.label, a.note, a.hierarchy, a.single]
            for a in catalogue.attributes.values()
        ],
    }


def _unpacked(kept: dict[str, Any], file: str) -> Catalogue:
    def facets(found: list[str]) -> tuple[Facet, ...]:
        return tuple(Facet(text[:3], text[3:]) for text in found)

    terms = {}
    for row in kept["terms"]:
        code, name, note, short, status, kind, detail, all_facets, own_facets, values = row
        others = {attribute: tuple(value) for attribute, value in values.items()}
        own = facets(all_facets), facets(own_facets)
        terms[code] = Term(code, name, note, short, status, kind, detail, *own, others)
    hierarchies = {
        code: Hierarchy(code, label, base, parent, dict(zip(parent, reportable, strict=True)))
        for code, label, base, parent, reportable in kept["hierarchies"]
    }
    attributes = {row[0]: Attribute(*row) for row in kept["attributes"]}
    code, version, default = kept["about"]
    return Catalogue(code, version, terms, hierarchies, attributes, default, file)
