"""Which columns of a table are read, and how its rows become items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cascade.config import CascadeConfig, Columns
from cascade.errors import InputError, UsageError
from cascade.io import Row, Table
from cascade.io.pictures import PicturePlaces
from cascade.io.tables.rows import listed
from cascade.items import Item
from cascade.predictions import Prediction

GUESSED_FROM = 100  # rows
USUAL_TEXT_COLUMNS = ("text", "name", "title", "product", "product_name", "item", "description")
_HEADINGS = {
    *USUAL_TEXT_COLUMNS,
    *("texts", "names", "titles", "label", "category", "query", "sentence", "document", "content"),
    *("comment", "input", "utterance", "question", "product name", "item name"),
}


@dataclass(frozen=True, slots=True)
class RowReader:
    """How the rows of a table become items.

    Parameters
    ----------
    names
        What the texts of `columns.text` are called in items.
    places
        Where pictures may come from.
    """

    columns: Columns
    names: tuple[str, ...]
    places: PicturePlaces

    @classmethod
    def of(cls, columns: Columns, config: CascadeConfig) -> RowReader:
        """A reader of these columns for the classifier of a config.

        Raises
        ------
        UsageError
            More text columns are named than a pack was fitted to.
        """
        names = item_names(config.reads, columns.text)
        return cls(columns, tuple(names), picture_places(config))

    def items(self, table: Table, rows: Sequence[Row]) -> list[Item | Prediction]:
        """What each row holds, or why it cannot be answered."""
        columns = self.columns
        texts = [table.text_column(rows, column) for column in columns.text]
        if len(texts) == 1:  # the usual case, and quicker
            fields = [{self.names[0]: text} for text in texts[0]]
        else:
            fields = [dict(zip(self.names, own, strict=True)) for own in zip(*texts, strict=True)]
        ids: Sequence[str | None]
        ids = table.text_column(rows, columns.id) if columns.id else [None] * len(rows)
        problems = table.problems(rows, columns.text)
        if columns.image is not None:
            fields = fields or [{} for _ in rows]
            return list(self._with_pictures(table, rows, fields, ids, problems))
        found: list[Item | Prediction] = [*Item.of_texts(fields, ids)]
        for at, problem in enumerate(problems):
            if problem is not None:
                found[at] = Prediction.failed(problem)
        return found

    def _with_pictures(
        self,
        table: Table,
        rows: Sequence[Row],
        fields: Sequence[dict[str, str]],
        ids: Sequence[str | None],
        problems: Sequence[str | None],
    ) -> Iterator[Item | Prediction]:
        image = self.columns.image
        assert image is not None
        for row, own, id_, problem in zip(rows, fields, ids, problems, strict=True):
            if problem is not None:
                yield Prediction.failed(problem)
                continue
            try:
                yield Item(own, id_, self.places.find(table.value(row, image), table.folder))
            except InputError as error:
                yield Prediction.failed(str(error), id_)

    def labels(self, table: Table, rows: Sequence[Row]) -> list[str]:
        """The known answer of each row; empty where there is none."""
        label = self.columns.label
        return table.text_column(rows, label) if label else [""] * len(rows)


def picture_places(config: CascadeConfig) -> PicturePlaces:
    """Where the pictures of rows may come from."""
    settings = config.pictures
    root = None if settings.root is None else Path(settings.root)
    return PicturePlaces(root, settings.anywhere, settings.urls, tuple(settings.hosts))


def guessed_columns(
    table: Table, columns: Columns, reads: Sequence[str] = (), *, needs_image: bool = False
) -> Columns:
    """The columns with what is read, where nothing is named: pictures of a folder, or texts.

    The columns that a pack remembers need not all be there: a file without any of its text columns
    is read by its pictures, one without its pictures by its text.

    Parameters
    ----------
    reads
        The text columns that a pack was fitted to.
    needs_image
        Whether the column of pictures was named by the user, not remembered.

    Raises
    ------
    InputError
        No text column can be guessed.
    """
    remembered = list(columns.text) == list(reads)
    if remembered and not set(columns.text) & set(table.columns):
        image = table.pictures or columns.image
        if image is not None and image in table.columns:
            return columns.model_copy(update={"image": image, "text": []})
    if columns.text and reads and not needs_image and columns.image not in table.columns:
        return columns.model_copy(update={"image": None})
    if columns.text or columns.image is not None:
        return columns
    return columns.model_copy(update={"text": guess_text_columns(table, _others(columns))})


def _others(columns: Columns) -> list[str | None]:
    return [columns.id, columns.label, *columns.also]


def require_read(table: Table, columns: Sequence[str], reads: Sequence[str]) -> None:
    """Check that the columns that a pack reads are there, where no others were named.

    Raises
    ------
    InputError
        One is missing; tells how others stand for it.
    """
    missing = [name for name in columns if name not in table.columns]
    if missing and list(columns) == list(reads):
        raise InputError(
            f"has no column {missing[0]!r}; the pack reads {', '.join(reads)}: name the columns "
            f"that stand for them, in this order, with {_option(table)} (it has: "
            f"{listed(table.columns)})",
            file=table.name,
        )


def guess_text_columns(table: Table, besides: Iterable[str | None] = ()) -> list[str]:
    """The columns that hold text when none is named; see `text_column_names`.

    Parameters
    ----------
    besides
        Columns that hold something else.

    Raises
    ------
    InputError
        There is no such column, or the first line seems to be an item and no heading.
    """
    if len(table.columns) == 1 and _seems_item(table):
        heading = table.columns[0]
        raise InputError(
            f"the first line, {heading[:80]!r}, may be the heading of the only column or an item; "
            "put a line above it that is a heading, such as text, or say that it is one: "
            f"{_option(table)} {heading[:80]!r}",
            file=table.name,
        )

    def holds_text(name: str) -> bool:
        return any(isinstance(table.value(row, name), str) for row in table.peek(GUESSED_FROM))

    others = set(besides)
    found = text_column_names(table.columns, lambda name: name not in others and holds_text(name))
    if not found:
        first = next(iter(table.peek(1)), None)
        if not table.columns and first is not None and first.problem is not None:
            raise InputError(first.problem, file=table.name)
        raise no_text_error(table.name, table.columns, _option(table))
    return found


def text_column_names(names: Iterable[str], holds_text: Callable[[str], bool]) -> list[str]:
    """Which of some columns are text: those of usual names, else the only one that holds text.

    None where that is none or several. The only column of all is text whatever it holds.
    """
    known = {name.strip().casefold(): name for name in names}
    usual = [known[name] for name in USUAL_TEXT_COLUMNS if name in known]
    if usual or len(known) == 1:
        return usual or list(known.values())
    found = [name for name in names if holds_text(name)]
    return found if len(found) == 1 else []


def _seems_item(table: Table) -> bool:
    """Whether the heading of the only column may be the first item of a file without headings."""
    heading = table.columns[0].strip()
    if table.kind not in ("csv", "tsv") or heading.casefold() in _HEADINGS:
        return False
    words = heading.split()
    is_list = Path(table.name).suffix.casefold() == ".txt"
    return is_list or len(words) > 3 or any(map(str.isdigit, heading))


def no_text_error(what: str, names: Sequence[str], option: str) -> InputError:
    """The error of a table or a record of which no column is known to hold the text."""
    has = listed(names) or "no columns"
    return InputError(f"say which column holds the text with {option}; it has: {has}", file=what)


def _option(table: Table) -> str:
    """How a caller names text columns."""
    return "text=" if table.kind == "frame" else "--text"


def item_names(reads: Sequence[str], columns: Sequence[str]) -> list[str]:
    """What text columns are called in items: in a pack those of the columns that it was fitted to.

    Parameters
    ----------
    reads
        The text columns that a pack was fitted to; none of other configs.

    Raises
    ------
    UsageError
        There are more than those.
    """
    if not reads or set(columns) <= set(reads):
        return list(columns)
    if len(columns) > len(reads):
        raise UsageError(
            f"{len(columns)} text columns are named ({', '.join(columns)}), but the pack was "
            f"fitted to {len(reads)} ({', '.join(reads)}); name those that stand for them, in "
            "this order"
        )
    return list(reads[: len(columns)])
