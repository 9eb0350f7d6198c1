"""`cascade.start`: the first hour with rows that nobody has labelled."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from cascade.api.packs import Pack, TemporaryFolder
from cascade.api.wording import in_python, in_words_of_python
from cascade.config import CascadeConfig, Columns
from cascade.errors import UsageError
from cascade.io.tables.memory import rows_of
from cascade.items import Item
from cascade.labelling.first_hour import FirstHour
from cascade.labelling.telling import Told, sentences
from cascade.pipeline.intake import names_of
from cascade.pipeline.load import load_taxonomy
from cascade.pipeline.runs.columns import guessed_columns
from cascade.progress import working
from cascade.scoring.components import settle_defaults
from cascade.taxonomy import Taxonomy

logger = logging.getLogger(__name__)


def start(
    rows: Any,
    *,
    taxonomy: str | Path | Taxonomy,
    text: str | Sequence[str] | None = None,
    out: str | Path | None = None,
    ask: int = 100,
    limit: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = True,
    **settings: Any,
) -> Start:
    """Begin with rows without labels, or go on: learn from them, and choose which to label.

    Parameters
    ----------
    rows
        A data frame, a list of records, a mapping of column to list, or a file.
    taxonomy
        A shipped name, a file, or a `Taxonomy`.
    text
        Columns that are read; guessed if None, as by `cascade.fit`.
    out
        Folder of the first hour; one that is there is gone on with. By default a temporary one.
    ask
        Rows to ask for at a time.
    limit
        Rows to read, from the start.
    seed
        Of all that is random.
    overwrite
        Begin anew in a folder that is there; its labels are forgotten.
    progress
        Whether a bar is shown.
    settings
        Sections of a config, such as `retrieval={"encoder": "minilm"}`.

    Returns
    -------
    What is known by now: `pack` answers, `asked` are the rows to label, `label` takes labels.

    Raises
    ------
    InputError
        A column is not there, or no row has text.
    UsageError, OutputError, TaxonomyError, WeightsError
        Arguments, folder, taxonomy or weights cannot be used; the message says what to do.

    Examples
    --------
    >>> import cascade
    >>> names = ["steel rake", "garden hose 20 m", "green tea", "filter coffee"]
    >>> begun = cascade.start({"name": names}, taxonomy="store", ask=2, progress=False)
    >>> len(begun.asked)
    2
    >>> begun = begun.label({row.number: row.suggestion for row in begun.asked})
    >>> begun.told.labels
    2
    """
    if ask < 1:
        raise UsageError(f"ask={ask}: expected 1 or more")
    with in_python():
        tree = taxonomy if isinstance(taxonomy, Taxonomy) else load_taxonomy(taxonomy)
        source = rows_of(rows, limit)
        config = CascadeConfig.parse(settings, "start")
        with source.open() as table:
            config.columns = guessed_columns(table, Columns(text=names_of(text)))
        settle_defaults(config, tree)
        temporary = TemporaryFolder() if out is None else None
        folder = temporary.path / "start" if temporary is not None else Path(str(out))
        hour = FirstHour(folder, source, tree, config, ask, seed, _warn)
        hour.begin(overwrite=overwrite)
        hour.take_labels()
        return Start(hour, _round(hour, progress), progress, temporary)


class Row:
    """A row to label.

    Parameters
    ----------
    number
        Its place among the rows, from 1.
    text
        Its text; several columns stand in lines of their own.
    fields
        Text by column.
    suggestion
        The path of the likeliest leaf.
    """

    def __init__(self, number: int, fields: Mapping[str, str], suggestion: str) -> None:
        self.number, self.fields, self.suggestion = number, fields, suggestion
        self.text = Item(fields).text

    def __repr__(self) -> str:
        return f"Row({self.number}, {self.text!r:.60}, {self.suggestion!r})"


class Start:
    """What is known of rows after a round; `cascade.start` makes it.

    Attributes
    ----------
    told
        Figures: rows, labels, what to expect.
    folder
        Where everything lies: the pack, the file to label, labels.
    """

    def __init__(
        self, hour: FirstHour, told: Told, progress: bool, temporary: TemporaryFolder | None
    ) -> None:
        self.told, self.folder = told, hour.folder
        self._hour, self._progress, self._temporary = hour, progress, temporary
        self._pack: Pack | None = None

    @property
    def pack(self) -> Pack:
        """A classifier of all that is known by now; `pack.save(folder)` keeps it."""
        if self._pack is None:
            self._pack = Pack(self._hour.pack)
            self._pack._temporary = self._temporary
        return self._pack

    @property
    def asked(self) -> list[Row]:
        """The rows to label next."""
        return list(self._asked())

    def label(self, labels: Mapping[int, str | None] | Any) -> Start:
        """Learn from labels, and choose what to ask next.

        Parameters
        ----------
        labels
            A code or path by the number of a row, None where no node fits; or the file that was
            written to be labelled (`to-label-1.csv` in the folder), or a data frame of it.

        Raises
        ------
        UsageError, InputError
            A row was not asked for, or a label is not in the taxonomy.
        """
        with in_python():
            given = labels if _is_by_row(labels) else rows_of(labels)
            self._hour.take_labels(given)
            told = _round(self._hour, self._progress)
            return Start(self._hour, told, self._progress, self._temporary)

    def _asked(self) -> Iterator[Row]:
        columns = self._hour.config.columns.text
        for number, cells in self._hour.rows_to_label():
            yield Row(number, {c: cells[c] for c in columns}, cells["cascade_path"])

    def __repr__(self) -> str:
        return "\n".join(sentences(self.told))

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences(self.told))


def _is_by_row(labels: Any) -> bool:
    """Whether labels are given by the numbers of rows."""
    numbers: Iterable[Any] = labels.keys() if isinstance(labels, Mapping) else ["none"]
    return all(isinstance(number, int) for number in numbers)


def _round(hour: FirstHour, progress: bool) -> Told:
    with working("reading", shown=progress) as work:
        return hour.run(lambda what, done, of: work.show(what, done, of))


def _warn(sentence: str) -> None:
    logger.warning("%s", in_words_of_python(sentence))
