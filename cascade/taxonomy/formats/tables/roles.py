"""What the columns of a published vocabulary hold, by the words that their headings are made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cascade.taxonomy.formats.tables.headings import COLUMNS, heading_key, is_parent
from cascade.taxonomy.formats.tables.table import TaxonomyTable
from cascade.taxonomy.names import normalize_code

_PREFIX = re.compile(r"^(?:skos|skosxl|xl|rdfs|dct|dcterms|dc)_(?=.)")
_NAMES = (
    *("pref_label", "preferred_label", "preferredlabel", "preferred_term", "preferredterm"),
    *("prefterm", "concept_label", "class_title", "heading", "caption", "descriptor"),
)
ADDRESSES = ("concept_uri", "concept_id", "concept", "concept_code")
_CODE = re.compile(r"(?:\w+_)?code(?:_\w+)?")
_RANKS = ("code", "notation", "concept_code")  # before others; addresses and ids come last
_SYNONYMS = ("alt_label", "alt_labels", "alternative_label", "alternative_labels", "non_preferred")
_NOTES = (
    "description",
    "definition",
    "class_definition",
    "scope_note",
    "this_item_includes",
    "includes",
    "notes",
)
ABOVE = re.compile(r"(?:parent|broader|super)(?:_(?P<what>\w+))?")
NO_CODE = ("type", "label", "name", "title", "term", "level", "preferred_label", "pref_label")
IN_USE = ("active", "is_active", "enabled", "in_use")
_LEVELS = (
    "level",
    "lvl",
    "hierarchy_level",
    "hierarchical_level",
    "niveau",
    "ebene",
    "class_level",
)
_IN_LANGUAGE = re.compile(r"(?P<what>\w+?)_(?P<tag>[a-z]{2})")
_EU = frozenset(
    re.findall("..", "bgcsdadeelenesetfifrgahrhuitltlvmtnlplptroskslsv")  # languages of the EU
)


@dataclass(frozen=True)
class Roles:
    """Which column holds what; None where none does.

    Parameters
    ----------
    parent, above
        Code and name of the node above.
    descriptions
        The first that is not blank describes a node.
    status
        Whether the node is still in use.
    translations
        Language tags by column.
    language
        Tag of the names, empty where not stated.
    """

    code: int
    name: int
    parent: int | None = None
    above: int | None = None
    level: int | None = None
    descriptions: tuple[int, ...] = ()
    synonyms: int | None = None
    status: int | None = None
    translations: dict[int, str] = field(default_factory=dict)
    language: str = ""

    @property
    def telling(self) -> frozenset[int]:
        """Columns that tell codes, names, and what is above."""
        columns = (self.code, self.name, self.parent, self.above, self.level)
        return frozenset(at for at in columns if at is not None)


def key_of(heading: str) -> str:
    """A heading as it is compared, see `heading_key`, without the prefix of a vocabulary."""
    return _PREFIX.sub("", heading_key(heading))


def roles_of(table: TaxonomyTable) -> Roles | None:
    """The columns of codes and names and what else there is; None where either is missing."""
    keys = [*map(key_of, table.header)]
    used: set[int] = set()

    def first(words: Sequence[str]) -> int | None:
        for word in words:
            if word in keys and keys.index(word) not in used:
                return keys.index(word)
        return None

    translations = _translations(table, keys)
    name = table.columns.get("name")
    if name is not None and is_parent(table.header[name]):
        name = None
    if name is None:
        name = first(_NAMES)
    if name is None and translations:
        name = next(iter(translations))
        if table.header[name].casefold() == translations[name] and "en" in keys:
            name = keys.index("en")
    if name is None:
        name = first(("description", "desc"))
    if name is None:
        return None
    used.add(name)
    pair = _code_and_parent(table, keys, used)
    if pair is None:
        return None
    code, parent = pair
    used.update({code} if parent is None else {code, parent})
    above = None
    if parent is not None:
        named = [f"{word}_{what}" for word in ("broader", "parent") for what in NO_CODE[1:5]]
        above = first(named)
    synonyms = table.columns.get("synonyms")
    return Roles(
        code=code,
        name=name,
        parent=parent,
        above=above,
        level=first(_LEVELS),
        descriptions=tuple(
            keys.index(word) for word in _NOTES if word in keys and keys.index(word) not in used
        ),
        synonyms=first(_SYNONYMS) if synonyms is None else synonyms,
        status=first(("status", "deprecated", "obsolete", "retired", "inactive", *IN_USE)),
        translations={at: tag for at, tag in translations.items() if at not in used},
        language=translations.get(name, "") if name != table.columns.get("name") else "",
    )


def _translations(table: TaxonomyTable, keys: Sequence[str]) -> dict[int, str]:
    """Names by language: `Title EN`, `skos:prefLabel@en`, or columns headed by languages alone."""
    if sum(key in _EU for key in keys) > 2:
        return {at: key for at, key in enumerate(keys) if key in _EU}
    found = dict(table.translations)
    words = (*_NAMES, *COLUMNS["name"])
    for at, key in enumerate(keys):
        parts = _IN_LANGUAGE.fullmatch(key)
        if parts and parts["what"] in words and parts["tag"] in _EU:
            found[at] = parts["tag"]
    return found


def _code_and_parent(
    table: TaxonomyTable, keys: Sequence[str], used: set[int]
) -> tuple[int, int | None] | None:
    """Columns of codes and of parents that belong together, such as `code` and `parent_code`."""
    above = {
        at: found["what"] or ""
        for at, key in enumerate(keys)
        if (found := ABOVE.fullmatch(key)) and found["what"] not in NO_CODE
    }
    codes = [
        at
        for at, key in enumerate(keys)
        if at not in used
        and not is_parent(key)
        and (
            at == table.columns.get("code")
            or key in COLUMNS["code"]
            or key in ADDRESSES
            or _CODE.fullmatch(key)
        )
    ]
    codes.sort(key=lambda at: (keys[at] not in _RANKS, keys[at].endswith(("uri", "id")), at))
    if not codes:
        return None
    if not above:
        return codes[0], None
    for code in codes:
        for parent, what in above.items():
            if what and (keys[code] == what or keys[code].endswith(f"_{what}")):
                return code, parent
    parent = next(iter(above))
    if len(codes) == 1 or not table.sample:
        return codes[0], parent
    rows = [[cells[at] for at in (parent, *codes)] for _, cells in table.rows(short=True)]
    values, *held = ({*map(normalize_code, column)} - {""} for column in zip(*rows, strict=True))
    hits = [len(values & codes_held) for codes_held in held]
    return codes[hits.index(max(hits))] if hits else codes[0], parent
