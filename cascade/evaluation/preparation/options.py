"""What is prepared, and how."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

from cascade.errors import UsageError, did_you_mean
from cascade.evaluation.preparation.splits import SPLITS, Shares
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.making import LabelForm


@dataclass(frozen=True)
class PreparationOptions:
    """What is prepared, and how.

    Parameters
    ----------
    source
        The labelled rows; see `source_of`.
    label, text, also
        Columns; those of the text are guessed if none is named. `also` have other right answers.
    depth
        Labels below this level are cut to it; None cuts none.
    split
        A key of `SPLITS`.
    form
        How labels are read.

    Raises
    ------
    UsageError
        There is no such split, or a column of answers is one of the text columns.
    """

    source: TableFile
    label: str
    text: tuple[str, ...] = ()
    depth: int | None = None
    split: str = "stratified"
    shares: Shares = field(default_factory=Shares)
    seed: int = 0
    form: LabelForm = LabelForm()  # noqa: RUF009
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            hint = did_you_mean(self.split, list(SPLITS))
            raise UsageError(f"no split {self.split!r}{hint}; there are: {', '.join(SPLITS)}")
        for name in (self.label, *self.also):
            if name in self.text:
                raise UsageError(
                    f"column {name!r} is named as text and as label; the text must not hold the "
                    "answer"
                )


def source_of(
    file: str, limit: int | None = None, encoding: str | None = None, sheet: str | None = None
) -> TableFile:
    """The labelled rows of a file.

    Raises
    ------
    UsageError
        It is standard input or a pipe, which can be read only once.
    """
    path = Path(file)
    if file == "-" or (path.exists() and stat.S_ISFIFO(path.stat().st_mode)):
        what = "standard input" if file == "-" else f"{file} is a pipe, which"
        raise UsageError(
            f"{what} can be read only once, and preparing reads its rows twice; save it to a file "
            "and name that"
        )
    return TableFile(file, limit, encoding, sheet)
