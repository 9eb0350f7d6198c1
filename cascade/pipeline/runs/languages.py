"""Rows in a language that the encoder was not taught: counted on a sample, told when many are.

The built-in encoders were taught English. They read other languages by the words that these share
with it, and file them far less often right, with nothing in an answer that shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from cascade.config import ENCODER, FITTED_ENCODER
from cascade.items import Item
from cascade.taxonomy.facets import FacetedTaxonomy

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

    from cascade.pipeline.classifier import Classifier

ENGLISH_ENCODERS = frozenset({ENCODER, FITTED_ENCODER})
NAMES = {
    **{"ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cs": "Czech", "da": "Danish"},
    **{"de": "German", "el": "Greek", "es": "Spanish", "et": "Estonian", "fa": "Persian"},
    **{"fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian"},
    **{"hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean"},
    **{"lt": "Lithuanian", "lv": "Latvian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish"},
    **{"pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian"},
    **{"sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese"},
    "zh": "Chinese",
}
FOREIGN = 0.5  # probability of another language from which a row counts as one
ENGLISH = 0.01  # and of English, at the most
SAMPLE = 24  # rows of a chunk that are looked at, the first ones: about 2% of what encoding takes
MANY, LATER = 10_000, 1  # rows after which so few of a chunk are: a share is known well by then
FEW = 20  # rows of a chunk: for less the identifier, which loads in half a second, is not loaded
LONGEST = 200  # characters of a text that are looked at
SHARE, LEAST = 0.1, 5  # of rows looked at, and their number, from which it is told
SEEN = "rows looked at"


def reads_english_only(classifier: Classifier) -> bool:
    """Whether its answers hang on an encoder that was taught English, and on nothing fitted.

    FoodEx2 is left out: it has words for foods in other languages.
    """
    config = classifier.config
    encoder = config.retrieval.encoder or ENCODER
    fitted = bool(config.heads) or isinstance(classifier.taxonomy, FacetedTaxonomy)
    return encoder in ENGLISH_ENCODERS and not fitted


def look(items: Sequence[object], before: int = 0) -> dict[str, int]:
    """Of the first of some items: how many were looked at, and how many are in which language.

    Parameters
    ----------
    before
        Rows of the file before these.

    Returns
    -------
    Empty where there are too few; else `SEEN`, and for each other language its code.
    """
    sample = SAMPLE if before < MANY else LATER
    texts = [item.text[:LONGEST] for item in items[:sample] if isinstance(item, Item)]
    texts = [text for text in texts if any(map(str.isalpha, text))]
    if len(items) < FEW or not texts:
        return {}
    found = Counter({SEEN: len(texts)})
    found.update(filter(None, map(_foreign, texts)))
    return dict(found)


def _foreign(text: str) -> str | None:
    """The language of a text, where it is surely not English."""
    ranked = dict(_identifier().rank(text))
    likeliest = max(ranked, key=ranked.__getitem__)
    sure = ranked[likeliest] > FOREIGN and ranked["en"] < ENGLISH
    return str(likeliest) if sure else None


@cache
def _identifier() -> LanguageIdentifier:
    """What tells languages apart: naive Bayes over byte n-grams, langid.py (Lui, Baldwin 2012)."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(["en", *NAMES])
    return identifier


def in_words(languages: Mapping[str, int], rows: int) -> str | None:
    """What to tell of the languages of a run; None where nearly all rows are in English.

    Parameters
    ----------
    languages
        Summed over chunks, as of `look`.
    rows
        Of the run.
    """
    seen = languages.get(SEEN, 0)
    foreign = {code: n for code, n in languages.items() if code in NAMES}
    n = sum(foreign.values())
    if n < max(LEAST, SHARE * seen):
        return None
    most = sorted(foreign, key=lambda code: (-foreign[code], code))[:3]
    named = ", ".join(f"{NAMES[code]} {foreign[code]:,}" for code in most)
    whole = (
        f"{n:,} of {rows:,} rows"
        if seen == rows
        else (f"about {round(n / seen * rows):,} of {rows:,} rows ({n:,} of {seen:,} looked at)")
    )
    return f"{whole} are not in English ({named})"
