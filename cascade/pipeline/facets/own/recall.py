"""Descriptions that were coded before, and their codes; the texts themselves are not kept."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from cascade.foodex2.code import FoodCode
from cascade.pipeline.facets.evidence import phrases


class Recall:
    """Finds the code of a description that is known; capitals, blanks and amounts do not matter.

    Parameters
    ----------
    codes
        By the key of a text, see `of`.

    Raises
    ------
    InputError
        One is no code.
    """

    def __init__(self, codes: Mapping[str, str]) -> None:
        self.codes = dict(codes)
        self._parsed = {key: FoodCode.parse(code) for key, code in codes.items()}

    @classmethod
    def of(cls, texts: Sequence[str], codes: Sequence[FoodCode]) -> Recall:
        """What labelled rows tell; of several codes the commonest, then the one that says most."""
        by_key: dict[str, Counter[str]] = {}
        for text, code in zip(texts, codes, strict=True):
            by_key.setdefault(_key(text), Counter())[str(code)] += 1
        return cls(
            {
                key: max(found, key=lambda code: (found[code], len(code), code))
                for key, found in by_key.items()
            }
        )

    def find(self, text: str) -> FoodCode | None:
        """The code of a text; None where it is not known."""
        return self._parsed.get(_key(text))


def _key(text: str) -> str:
    """A hash of what counts of a text."""
    whole = unicodedata.normalize("NFKC", phrases(text)[0]).casefold()
    told = " ".join(whole.split()).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=12).hexdigest()
