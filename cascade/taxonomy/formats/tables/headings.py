"""The words that columns of taxonomies are headed with, and how headings are compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from cascade.taxonomy.draft import LANGUAGE
from cascade.taxonomy.formats.tables.machine import MACHINE


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


COLUMNS: Mapping[str, frozenset[str]] = {
    "code": words(
        "code id key identifier notation node node_id node_code category_id category_code "
        "term_code termcode uri gid kode codigo código schlüssel"
    ),
    "name": words(
        "name label title node_name category_name term term_name preflabel pref_label bezeichnung "
        "benennung titel nom libellé libelle intitulé intitule nombre denominación denominacion"
    ),
    "parent": words(
        "parent parent_code parentcode parent_id parentid parent_key parent_node parent_category "
        "parent_category_id parent_term broader oberbegriff padre"
    ),
    "description": words("description definition desc scope_note scopenote"),
    "synonyms": words("synonyms synonym aliases alias alt_labels alt_label altlabel altlabels"),
    "path": words(
        "path full_path fullpath category_path categorypath node_path full_name fullname "
        "breadcrumb breadcrumbs taxonomy hierarchy"
    ),
    "category": words("category categories label class product_category"),
    **{what: frozenset((what,)) for what in MACHINE},
}
"""What a column holds, by the words that it may be headed with; see `heading_key`."""

TRANSLATION = re.compile(rf"(?:name|label|title)[_ :@-]({LANGUAGE})", re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z]|(?:ID|URI|URL)\b)")
_PARENT = re.compile(
    r"(?!(?:is|has)_)(?:.*_)?"
    r"(?:parents?|broader|super_?(?:class|category|ordinate|type))(?:_(?!count).*)?"
)
OWN_CODE = re.compile(r"(?:.*_)?(?:id|notation|uri)|.*code|(?:id|code)_.*")


def heading_key(heading: str) -> str:
    """A heading as it is compared: `Parent ID` and `parentId` are `parent_id`.

    Lower case, anything but letters and digits as `_`, and one before a capital after a small
    letter.
    """
    return re.sub(r"[\W_]+", "_", _HUMP.sub("_", heading).casefold()).strip("_")


@lru_cache(maxsize=256)
def is_parent(heading: str) -> bool:
    """Whether a heading seems to say that its column names the node above."""
    return bool(_PARENT.fullmatch(heading_key(heading)))
