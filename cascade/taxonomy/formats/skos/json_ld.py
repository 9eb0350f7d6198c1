"""JSON-LD whose context is an address, or lost: its keys are read as those of SKOS.

Nothing is fetched.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any

from cascade.taxonomy.formats.file import TaxonomyFile

logger = logging.getLogger(__name__)

SKOS = "http://www.w3.org/2004/02/skos/core#"

_KEYS = re.compile(r'"@(?:context|graph)"\s*:')
_ADDRESS = re.compile(r'"@(?:context"\s*:\s*(?:"|\[[^{}\]]*")|import"\s*:)')

_NAMED = re.compile(r'"prefLabel"\s*:')
_LINKED = re.compile(r'"(?:narrower|broader|hasTopConcept|topConceptOf|inScheme)"\s*:')
_VALUES = re.compile(r'"@?value"\s*:')

_IN_LANGUAGES = (
    "prefLabel altLabel hiddenLabel definition scopeNote note example historyNote changeNote "
    "editorialNote"
)
_LINKS = (
    "broader narrower broaderTransitive narrowerTransitive related inScheme topConceptOf "
    "hasTopConcept member"
)
_PREFIXES = {
    "skos": SKOS,
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dct": "http://purl.org/dc/terms/",
    "dcterms": "http://purl.org/dc/terms/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "skosxl": "http://www.w3.org/2008/05/skos-xl#",
    "adms": "http://www.w3.org/ns/adms#",
}


def is_json_ld(text: str) -> bool:
    """Whether a JSON text has a key of JSON-LD, or names SKOS, or has its keys."""
    named = SKOS.partition(":")[2] in text or _KEYS.search(text) is not None
    return named or _is_bare(text)


def _is_bare(text: str) -> bool:
    """Whether a JSON text has keys of SKOS, and nothing that says what they are."""
    keys = _NAMED.search(text) is not None and _LINKED.search(text) is not None
    return keys and _KEYS.search(text) is None


def with_local_contexts(file: TaxonomyFile) -> str:
    """The text; where a context is an address, inside of one of SKOS's terms, with a warning.

    Raises
    ------
    TaxonomyError
        The JSON is broken or nested too deeply.
    """
    text = _as_one(file.text)
    bare = _is_bare(text)
    if not bare and not _ADDRESS.search(text):
        return text
    try:
        root = json.loads(text)
        addresses = dict.fromkeys(_remove(root))
        if not bare and not addresses:
            return text
        context = _context(maps=_VALUES.search(text) is None)
        text = json.dumps({"@context": context, "@graph": root}, ensure_ascii=False)
    except json.JSONDecodeError as error:
        raise file.error(f"broken JSON: {error.msg} (column {error.colno})", error.lineno) from None
    except RecursionError:
        raise file.error("JSON nested too deeply for a taxonomy") from None
    if bare:
        logger.warning(
            "%s: JSON-LD without @context; keys such as prefLabel are read as SKOS's", file.path
        )
        return text
    logger.warning(
        "%s: its @context is an address (%s), and addresses are never fetched; keys such as "
        "prefLabel and narrower are read as those of SKOS (if nodes or names are missing, put the "
        "context itself in place of its address)",
        file.path,
        ", ".join([*addresses][:3]),
    )
    return text


def _as_one(text: str) -> str:
    """JSON lines as one list, each object on the line that it was; other JSON as it is."""
    lines = text.rstrip().split("\n")
    objects = [line for line in lines if line.strip()]
    if len(objects) < 2 or not all(line[0] == "{" and line.rstrip()[-1] == "}" for line in objects):
        return text
    last = len(lines) - 1
    ends = ("," if at < last and line.strip() else "" for at, line in enumerate(lines))
    return "[" + "\n".join(line + end for line, end in zip(lines, ends, strict=True)) + "]"


def _context(*, maps: bool) -> dict[str, Any]:
    """A context of SKOS's terms, as vocabularies abbreviate them; `maps`: labels by language."""
    languages = {"@container": "@language"} if maps else {}
    return {
        "@version": 1.1,
        "@vocab": SKOS,
        **_PREFIXES,
        "id": "@id",
        "uri": "@id",
        "type": "@type",
        "graph": "@graph",
        "lang": "@language",
        "language": "@language",
        "value": "@value",
        "title": {"@id": "dct:title", **languages},
        "description": {"@id": "dct:description", **languages},
        "label": {"@id": "rdfs:label", **languages},
        "deprecated": "owl:deprecated",
        "isReplacedBy": {"@id": "dct:isReplacedBy", "@type": "@id"},
        **{word: {"@id": f"skos:{word}", **languages} for word in _IN_LANGUAGES.split()},
        **{word: {"@id": f"skos:{word}", "@type": "@id"} for word in _LINKS.split()},
    }


def _remove(root: Any) -> list[str]:
    """Take the addresses out of all contexts, and return them."""
    addresses: list[str] = []

    def kept(part: Any) -> bool:
        if isinstance(part, str):
            addresses.append(part)
        elif isinstance(part, dict) and isinstance(part.get("@import"), str):
            addresses.append(part.pop("@import"))
        return not isinstance(part, str)

    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "@context" in value:
                found = value["@context"]
                value["@context"] = [*filter(kept, found if isinstance(found, list) else [found])]
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return addresses
