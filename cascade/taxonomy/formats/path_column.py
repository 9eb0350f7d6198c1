"""Tables with one column of paths, and perhaps a code for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from cascade.taxonomy.draft import Draft, PathTree
from cascade.taxonomy.formats.parents import words_of
from cascade.taxonomy.formats.table import Table
from cascade.taxonomy.names import split_path


def matches(table: Table, sample: Sequence[Sequence[str]]) -> bool:
    """Whether a column has paths, or is headed as one that has."""
    return _path_column(table, sample) is not None


def read(table: Table, sample: Sequence[Sequence[str]]) -> Draft:
    """Nodes in the order in which they are first mentioned.

    Raises
    ------
    TaxonomyError
        A row is broken, a path has a blank name or is given twice.
    """
    at = _path_column(table, sample)
    assert at is not None
    code_at, text_at, words_at = map(table.column, ("code", "description", "synonyms"))
    slashes = separator(row[at] for row in sample) == "/"
    tree = PathTree(table.file.path)
    sides: list[tuple[int, str, list[str], dict[str, str]]] = []
    for line, cells in table.rows():
        path = cells[at]
        names = path.strip().strip("/").split("/") if slashes else split_path(path)
        code = "" if code_at is None else cells[code_at]
        row = tree.add(names, code, line=line, once=True)
        description = "" if text_at is None else cells[text_at]
        synonyms = [] if words_at is None else words_of(cells[words_at])
        others = {tag: cells[i] for i, tag in table.translations.items() if i != at}
        if description or synonyms or others:
            sides.append((row, description, synonyms, others))
    draft = tree.draft()
    for side in sides:
        draft.describe(*side)
    return draft


def separator(paths: Iterable[str]) -> str:
    """`>` or `/`, whichever the paths are made with; `/` also belongs to names such as `TV/Audio`.

    It counts as a separator only where no path has a `>`, at least half of them have a `/`, and
    most of those share what stands before the first `/` with another.
    """
    paths = [path.strip() for path in paths]
    cut = [path.strip("/") for path in paths if "/" in path]
    if any(">" in path for path in paths) or 2 * len(cut) < len(paths):
        return ">"
    tops = Counter(path.strip("/").split("/")[0] for path in paths)
    return "/" if cut and 2 * sum(tops[p.split("/")[0]] > 1 for p in cut) > len(cut) else ">"


def _path_column(table: Table, sample: Sequence[Sequence[str]]) -> int | None:
    at = table.column("path")
    if at is not None:
        return at
    for what in ("category", "name"):
        at = table.column(what)
        if at is not None and _has_paths([row[at] for row in sample]):
            return at
    return None


def _has_paths(values: Sequence[str]) -> bool:
    return any(" > " in value for value in values) or separator(values) == "/"
