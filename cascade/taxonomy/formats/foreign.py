"""Vocabularies in forms that are recognised and not read, so that nothing lax takes them.

Each has a sentence that says what it is and what to do.
"""

from __future__ import annotations

import re

from cascade.taxonomy.formats.file import TaxonomyFile

_HEAD = 1 << 16  # characters that decide
_CSV = "write it as CSV with columns code,name,parent"
_OFF = (
    "this is the text form of Open Food Facts' taxonomies (names as 'en: Apples', parents as "
    f"'< en:Fruits'), which is not read; {_CSV}"
)
_SIGNS = {
    r"<\s*[a-z]{2,3}\s*:[^<>=\n]+$|(?:synonyms|stopwords)\s*:\s*[a-z]{2,3}\s*:": _OFF,
    r"\[Term\]|format-version: ": (
        f"this is OBO (terms in '[Term]' stanzas), which is not read; {_CSV} from id, name, is_a"
    ),
    r"(?:Prefix|Ontology|Declaration|SubClassOf)\(": (
        f"this is OWL in functional syntax, which is not read; write it as SKOS, or {_CSV}"
    ),
    r"(?:INSERT INTO|CREATE TABLE)\s": f"this is SQL, which is not read; {_CSV}",
    r"<[a-z]+:[^\s>]*>\t": (
        "this is a list of subjects as Annif has it ('<address> TAB label'), which does not say "
        f"what is above what; give the vocabulary as SKOS, or {_CSV}"
    ),
    r"(?i:<!doctype html|<html|<table)\b": (
        "this is a web page, no taxonomy (some programs write one and call it .xls: open it in "
        "Excel, save it as .xlsx)"
    ),
    r"<(?:\w+:)?Workbook\b": "this is Excel's XML of 2003; open it in Excel, save it as .xlsx",
    r"<View\b": (
        "this is a labelling configuration of Label Studio, which is not read; write its choices "
        "as lines of 'A > B > C'"
    ),
    r"[^\n#]*\bskos:(?:Concept|prefLabel|broader|narrower|notation|inScheme) +[\"<:;.\w]": (
        "this is SKOS as Turtle without its first lines, which say what prefixes stand for; add "
        "'@prefix skos: <http://www.w3.org/2004/02/skos/core#> .' and the others"
    ),
    r"\[\[?[A-Za-z][^\[\]\n,\"']*\]\]?\s*$": (
        "lines in brackets head those below them, as in INI and TOML files, which are not read; "
        f"write lines of 'A > B > C', or {_CSV.removeprefix('write it as ')}"
    ),
    r"<ClaML\b": f"this is ClaML, in which ICD is published, and which is not read; {_CSV}",
}
_FORMS = {re.compile(rf"^(?:{sign})", re.MULTILINE): what for sign, what in _SIGNS.items()}
_OFF_NAMES = re.compile(r"([a-z]{2,3}(?:_[A-Z]{2})?)\s*:\s*\S")


def recognise(file: TaxonomyFile) -> str:
    """What a file is that no format reads, and the cure; empty where it is not recognised."""
    if file.is_json:
        return ""
    text = file.text[:_HEAD]
    for form, what in _FORMS.items():
        if form.search(text):
            return what
    tags = [_OFF_NAMES.match(line) for _, line in file.head]
    repeats = len({found[1] for found in tags if found}) < len(tags)
    return _OFF if repeats and all(tags) else ""
