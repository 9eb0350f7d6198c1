"""EFSA's catalogues as a format of taxonomies; where the files are, and a cache of their content.

The XML of a catalogue takes seconds to read, so what was read is kept in the user's cache.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cascade.errors import TaxonomyError, UsageError
from cascade.foodex2.catalogue import FOODEX1, Attribute, Catalogue, Hierarchy, Term
from cascade.foodex2.ecf import read_ecf
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.foodex2.workbook import TERMS, read_workbook
from cascade.io.files import cache_folder
from cascade.io.zips import BROKEN
from cascade.taxonomy.facets import Facet
from cascade.taxonomy.formats.file import TaxonomyFile

FOLDER_VARIABLE = "CASCADE_FOODEX2"
CATALOGUE = "MTX.ecf"
WORKBOOK = "xl/workbook.xml"
CACHE_VERSION = 2

logger = logging.getLogger(__name__)


def matches(file: TaxonomyFile) -> bool:
    """Whether this is an .ecf, or a workbook with a sheet of terms."""
    return is_catalogue(file.path)


def read(file: TaxonomyFile) -> FoodEx2Taxonomy:
    """The base terms and facet categories of a catalogue; see `load_catalogue`."""
    return FoodEx2Taxonomy.from_catalogue(load_catalogue(file.path))


def find_catalogue(name: str | None) -> Path:
    """The catalogue of a name; without one MTX.ecf, here or in the folder $CASCADE_FOODEX2.

    Raises
    ------
    UsageError
        There is no name and no such file; the message tells where to get it.
    """
    variable = os.environ.get(FOLDER_VARIABLE)
    folder = Path(variable) if variable else Path()
    if name is not None:
        inside = folder / name
        return inside if not Path(name).exists() and inside.is_file() else Path(name)
    file = folder if folder.is_file() else folder / CATALOGUE
    if file.is_file():
        return file
    raise UsageError(
        f"there is no {file}; name EFSA's catalogue with -t, or set {FOLDER_VARIABLE} to its "
        "folder. EFSA publishes it with its catalogue browser, as MTX.ecf and BR_Data.csv"
    )


def require_facets(catalogue: Catalogue) -> None:
    """Refuse a catalogue of EFSA whose codes are not those of FoodEx2.

    Raises
    ------
    UsageError
        It has no facet categories, as FoodEx1; says what it is good for.
    """
    if catalogue.categories:
        return
    cure = f"name EFSA's {CATALOGUE} with -t, or `cascade classify -t` files under this one"
    if any(FOODEX1.fullmatch(code) for code in catalogue.terms):
        cure += "; codes of FoodEx1 become codes of FoodEx2 by `cascade foodex2 migrate`"
    raise UsageError(
        f"{catalogue.file} is the catalogue {catalogue.code}, which has no facet categories, so "
        f"its codes are not those of FoodEx2; {cure}"
    )


def is_catalogue(path: str | Path) -> bool:
    """Whether a file is a zip with one XML in it, or a workbook with a sheet of terms.

    So is any file called .ecf; reading it then tells what is wrong with it.
    """
    if Path(path).suffix.lower() == ".ecf":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(names) == 1 and names[0].endswith(".xml") and names[0] != WORKBOOK:
                return True
            return WORKBOOK in names and f'name="{TERMS}"'.encode() in archive.read(WORKBOOK)
    except BROKEN:
        return False  # reading it as something else tells what is wrong


def load_catalogue(
    path: str | Path,
    folder: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Catalogue:
    """The catalogue in an .ecf file or a workbook of EFSA, told apart by the content.

    Parameters
    ----------
    folder
        Of the cache; by default in the user's cache.
    report
        Called with a sentence before a step that takes long.

    Raises
    ------
    TaxonomyError
        There is no such file, or it is no catalogue; see `read_ecf` and `read_workbook`.
    """
    try:
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TaxonomyError(
            f"cannot be read: {error.strerror}; name EFSA's catalogue, {CATALOGUE}", file=path
        ) from None
    if not is_catalogue(path):
        raise TaxonomyError(
            f"is no catalogue of EFSA, which is an .ecf file or a workbook with a sheet {TERMS!r}; "
            f"name {CATALOGUE}",
            file=path,
        )
    folder = folder or cache_folder() / "catalogues"
    cached = folder / f"{digest[:32]}.{CACHE_VERSION}.json.gz"
    if cached.is_file():
        try:
            return _unpack(json.loads(gzip.decompress(cached.read_bytes())), str(path))
        except (OSError, EOFError, ValueError, LookupError, TypeError):
            logger.warning("%s is damaged, and is made again", cached)
    report(f"reading {path}; its content is cached for the next time")
    catalogue = read_workbook(path) if _is_workbook(path) else read_ecf(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = cached.with_name(f".{cached.name}.partial")
        partial.write_bytes(gzip.compress(json.dumps(_pack(catalogue)).encode(), 3))
        partial.replace(cached)
    except OSError as error:
        logger.warning("%s cannot be written (%s), so nothing is cached", folder, error)
    return catalogue


def _is_workbook(path: str | Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return WORKBOOK in archive.namelist()
    except BROKEN:
        return False  # reading it as an .ecf tells what is wrong


def _pack(catalogue: Catalogue) -> dict[str, Any]:
    return {
        "about": [catalogue.code, catalogue.version, catalogue.default],
        "terms": [
            [
                *(t.code, t.name, t.note, t.status, t.kind, t.detail),
                *([f"{f.category}{f.descriptor}" for f in own] for own in (t.facets, t.own_facets)),
                t.attributes,
            ]
            for t in catalogue.terms.values()
        ],
        "hierarchies": [
            [h.code, h.label, h.parent, [h.reportable[term] for term in h.parent]]
            for h in catalogue.hierarchies.values()
        ],
        "attributes": [
            [a.code, a.name, a.label, a.note, a.hierarchy, a.single]
            for a in catalogue.attributes.values()
        ],
    }


def _unpack(cached: dict[str, Any], file: str) -> Catalogue:
    def facets(texts: list[str]) -> tuple[Facet, ...]:
        return tuple(Facet(text[:3], text[3:]) for text in texts)

    terms = {}
    for code, name, note, status, kind, detail, every, own, values in cached["terms"]:
        attributes = {attribute: tuple(value) for attribute, value in values.items()}
        both = facets(every), facets(own)
        terms[code] = Term(code, name, note, status, kind, detail, *both, attributes)
    hierarchies = {
        code: Hierarchy(code, label, parent, dict(zip(parent, reportable, strict=True)))
        for code, label, parent, reportable in cached["hierarchies"]
    }
    kinds = {row[0]: Attribute(*row) for row in cached["attributes"]}
    code, version, default = cached["about"]
    return Catalogue(code, version, terms, hierarchies, kinds, default, file)
