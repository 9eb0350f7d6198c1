"""CSV, TSV and semicolons: three forms of table, told apart by header and content."""

from __future__ import annotations

from itertools import islice

from cascade.errors import TaxonomyError
from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats import levels, parents, path_column
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.table import Table, key

_FORMS = (parents, path_column, levels)
_LOOK = 500


def matches(file: TaxonomyFile) -> bool:
    """Whether this is a table in one of the three forms."""
    if file.is_xml or file.is_json:
        return False
    table = Table.sniff(file)
    if table is None:
        return False
    sample = _sample(table)
    return any(form.matches(table, sample) for form in _FORMS)


def read(file: TaxonomyFile) -> Draft:
    """Nodes of a table, in the order of its rows.

    Raises
    ------
    TaxonomyError
        The columns are of no known form, two have one heading, or a row is broken.
    """
    table = Table.sniff(file)
    if table is not None:
        sample = _sample(table)
        for form in _FORMS:
            if form.matches(table, sample):
                _check_headings(table)
                draft: Draft = form.read(table, sample)
                return draft
    found = ", ".join(map(repr, table.header)) if table else repr(file.head[0][1][:80])
    raise TaxonomyError(
        f"a table that is no taxonomy as far as its columns tell; found columns: {found}; expected "
        "code,name,parent (an empty parent at the top), or one column with paths 'A > B > C', or "
        "one column for each level (level1,level2,...)",
        file=file.path,
        line=table.line if table else None,
    )


def _sample(table: Table) -> list[list[str]]:
    """The first rows, as far as they are sound: reading them again tells what is wrong."""
    sample: list[list[str]] = []
    try:
        for _, cells in islice(table.rows(short=True), _LOOK):
            sample.append(cells)
    except TaxonomyError:
        pass
    return sample


def _check_headings(table: Table) -> None:
    for i, word in enumerate(table.keys):
        if word and word in table.keys[:i]:
            raise TaxonomyError(
                f"two columns are headed {table.header[i]!r}; rename or remove one",
                file=table.file.path,
                line=table.line,
                column=key(word),
            )
