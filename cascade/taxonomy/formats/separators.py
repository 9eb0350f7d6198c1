"""What stands between the names of a path: `>` in most files, `/`, `|`, `->` and others in some.

A sign counts as a separator only where the texts together speak for it, since each of them also
belongs to names: `TV/Audio`, `A|B`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from cascade.taxonomy.names import split_path

ARROW = ">"
_SURE = ("->", "=>", "→", "»", "›", "::")
_LIKELY = ("|", "\\", ";", "/")
_DOUBTFUL = (":", "=", ".")


def find_separator(texts: Iterable[str], *, paths: bool = False) -> str:
    """The separator of texts; `>` where no other is.

    One counts where no text has a `>`, and at least half of them have it. Signs that are common in
    names must also join most of those texts to others: the part before the first one is shared.

    Parameters
    ----------
    paths
        Whether it is known that these are paths; then a `|`, `;` or backslash needs no such proof.
    """
    texts = [text.strip() for text in texts]
    for sign in _SURE:
        if 2 * sum(sign in text for text in texts) >= max(1, len(texts)):
            return sign
    if any(ARROW in text for text in texts):
        return ARROW
    for sign in _LIKELY:
        if is_common(texts, sign) and (_joins(texts, sign) or (paths and sign != "/")):
            return sign
    return ARROW


def is_common(texts: Sequence[str], sign: str) -> bool:
    """Whether at least half of the texts have a sign between names."""
    found = sum(len(split_at(text, sign)) > 1 for text in texts)
    return found > 0 and 2 * found >= len(texts)


def unclear_separator(texts: Sequence[str]) -> str:
    """A sign that half of the texts have though little shows that it separates; else empty."""
    for sign in _LIKELY:
        if is_common(texts, sign):
            return sign
    for sign in _DOUBTFUL:
        if is_common(texts, sign) and _joins(texts, sign):
            return sign
    return ""


def split_at(path: str, separator: str) -> list[str]:
    r"""Names of a path; separators at its ends do not count, nor those after a backslash.

    A backslash before a separator makes it a part of the name: `1\/2` is `1/2`.
    """
    if separator == ARROW:
        return split_path(path)
    path = path.strip()
    if separator == "\\":
        return path.strip("\\").split("\\")
    for _ in range(2):  # one at either end
        path = path.removeprefix(separator).strip()
        if not path.endswith("\\" + separator):
            path = path.removesuffix(separator).strip()
    names = re.split(rf"(?<!\\){re.escape(separator)}", path)
    return [name.replace("\\" + separator, separator).strip() for name in names]


def _joins(texts: Sequence[str], sign: str) -> bool:
    """Whether most texts with the sign share their part before the first one with another text."""
    tops = Counter(split_at(text, sign)[0] for text in texts)
    cut = [split_at(text, sign) for text in texts]
    cut = [names for names in cut if len(names) > 1]
    return bool(cut) and 2 * sum(tops[names[0]] > 1 for names in cut) > len(cut)
