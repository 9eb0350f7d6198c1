"""What stands between the names of a path: `>` in most files, `/`, `|`, `->` and others in some.

A sign counts as a separator only where the texts together speak for it, since each of them also
belongs to names: `TV/Audio`, `A|B`. Where it stands between blanks, one without them is a part of a
name: `Tops / T/Shirts`.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.names import split_path

ARROW = ">"
_DOUBLED = {">>": re.compile("(?<!>)>>(?!>)"), "||": re.compile(r"(?<!\|)\|\|(?!\|)")}
_SURE = (
    *("->", "=>", "→", "»", "›", "::", "⇒", "⟶", "➔", "➜", "➤", "▸", "►", "▶", "❯", "＞"),
    *("&gt;", "&raquo;", "&rsaquo;", "&rarr;", "&#62;", "&#187;", "&#8250;"),
)
_LIKELY = ("|", "\\", ";", "/")
_DOUBTFUL = (
    *(":", "=", ".", "•", "·", "—", "–", " - ", "~", "^", "#", "@", "%", "__", "<", "｜", "／"),
)
_OTHERS = (">", "/", "|", "\\", "->", "=>", "→", "»", "›", "::")
_ENTITY = re.compile(r"&(#?\w{1,9});")
_HIDDEN = "\x00"  # stands for the `;` of an entity


def find_separator(texts: Iterable[str], *, paths: bool = False) -> str:
    """The separator of texts; `>` where no other is.

    One counts where no text has a `>`, and at least half of them have it. Signs that are common in
    names must also join most of those texts to others: the part before the first one is shared.
    Arrows that do so need not be in half of the texts, nor do paths above which all
    is given. What is returned has blanks around it where
    only those with blanks separate.

    Parameters
    ----------
    paths
        Whether it is known that these are paths; then a `|`, `;` or backslash needs no such proof.
    """
    texts = [text.strip() for text in texts]
    for sign, form in _DOUBLED.items():
        # One of them alone may leave out a name: `A||C` beside `A|B|C`.
        if 2 * sum(bool(form.search(text)) for text in texts) >= max(1, len(texts)) and not any(
            sign[0] in form.sub("", text) for text in texts
        ):
            return sign
    for sign in _SURE:
        found = sum(sign in text for text in texts)
        if 2 * found >= max(1, len(texts)) or (found and sign != "::" and _joins(texts, sign)):
            return _spaced(texts, sign)
    if any(ARROW in text for text in texts):
        return ARROW
    for sign in _LIKELY:
        common = is_common(texts, sign) and (_joins(texts, sign) or (paths and sign != "/"))
        if common or _is_whole(texts, sign):
            return _spaced(texts, sign)
    return ARROW


def _spaced(texts: Sequence[str], sign: str) -> str:
    """The sign between blanks, where it stands so in the texts and not bare in other paths."""
    form = re.compile(rf"\s{re.escape(sign)}\s")
    wide = [text for text in texts if form.search(text)]
    tops = {form.split(text)[0].strip() for text in wide}
    bare = [text for text in texts if sign in text and not form.search(text)]
    mixed = _joins(bare, sign) or any(split_at(text, sign)[0] in tops for text in bare)
    return f" {sign} " if wide and not mixed else sign


def refuse_mixed(file: TaxonomyFile, texts: Sequence[tuple[int, str]], separator: str) -> None:
    """Refuse a text with another sign behind a name that is at the top of others.

    Parameters
    ----------
    texts
        Lines and paths.

    Raises
    ------
    TaxonomyError
        With the line.
    """
    bare = separator.strip()
    odd = [
        (line, text, sign)
        for line, text in texts
        for sign in _OTHERS
        if sign in text and (bare not in text or (bare == ARROW and sign in ("->", "=>")))
    ]
    if not odd:
        return
    tops = {text.partition(bare)[0].strip() for _, text in texts if bare in text}
    for line, text, sign in odd:
        if text.partition(sign)[0].strip() in tops:
            raise file.error(
                f"{text.strip()[:80]!r} seems to be a path with another sign between its names "
                f"than the others, which have {bare!r}; write it as they are written",
                line,
            )


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


def doubt(texts: Sequence[str], what: str) -> str:
    """A sentence for texts (`what` they are) with an unclear separator; empty where none is."""
    sign = unclear_separator(texts)
    if not sign:
        return ""
    example = next(text for text in texts if sign in text)
    return (
        f"most {what} have a {sign!r}, as in {example[:80]!r}, but do not show whether it "
        "separates the names of a path; write paths as 'A > B > C', or a table with a header such "
        "as code,name,parent"
    )


def split_at(path: str, separator: str) -> list[str]:
    r"""Names of a path; separators at its ends do not count, nor those after a backslash.

    A backslash before a separator makes it a part of the name: `1\/2` is `1/2`.
    """
    if separator == ARROW:
        return split_path(path)
    sign, path = separator.strip(), " ".join(path.split())
    if sign == "/":
        path = path.removeprefix("./")
    if sign in (";", "#"):
        path = _ENTITY.sub(rf"&\1{_HIDDEN}", path)
    form = re.escape(sign) if sign == "\\" else rf"(?<!\\){re.escape(sign)}"
    ends = re.compile(rf"^(?:{re.escape(sign)})|{form}$")
    for _ in range(2):  # one at either end
        path = ends.sub("", path).strip()
    names = re.split(form if separator == sign else rf"\s{form}(?=\s)", path)
    names = [name.replace(f"\\{sign}", sign).replace(_HIDDEN, ";").strip() for name in names]
    return [*map(html.unescape, names)] if sign.startswith("&") else names


def _joins(texts: Sequence[str], sign: str) -> bool:
    """Whether most texts with the sign share their part before the first one with another text."""
    tops = Counter(split_at(text, sign)[0] for text in texts)
    cut = [split_at(text, sign) for text in texts]
    cut = [names for names in cut if len(names) > 1]
    return bool(cut) and 2 * sum(tops[names[0]] > 1 for names in cut) > len(cut)


def _is_whole(texts: Sequence[str], sign: str) -> bool:
    """Whether of each of several paths the part above its last name is a text of its own."""
    cut = [tuple(split_at(text, sign)) for text in texts if sign in text]
    found = [names for names in cut if len(names) > 1]
    known = {*cut, *((text,) for text in texts if sign not in text)} if len(found) > 1 else set()
    return bool(known) and all(names[:-1] in known for names in found)
