"""Data frames in, the same data frames out with the answer beside each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from cascade.errors import UsageError
from cascade.pipeline.doors.asked import Asked
from cascade.pipeline.runs.answer_form import AnswerForm, is_answer_column
from cascade.progress import working

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw

Frame = TypeVar("Frame")

EXPECTED = "expected a data frame of pandas, Polars, PyArrow or what else narwhals knows"
MOST = 100  # other answers, which have three columns each


class Framing(Asked):
    """The part of `Classifier` that is about data frames."""

    def classify_frame(
        self,
        frame: Frame,
        *,
        text: str | Sequence[str] | None = None,
        image: str | None = None,
        id: str | None = None,
        top: int = 0,
        explain: bool = False,
        progress: bool | Callable[[int, int], None] = False,
    ) -> Frame:
        """The data frame with its answers in new columns: rows, order, index and types are kept.

        Parameters
        ----------
        frame
            Of pandas, Polars, PyArrow or what else narwhals knows; it is not changed.
        text, image, id
            Columns that are read; by default as for `classify_many`.
        top
            How many of the next best answers are added, each in three columns.
        explain
            Whether `cascade_trace` is added: JSON with what was considered at each level.
        progress
            Whether a bar is shown, or what is called with (done, all).

        Returns
        -------
        A frame of the same kind. Behind the columns of `frame` come

        - `cascade_code`, `cascade_path`: the node; missing where there is no answer,
        - `cascade_confidence`: float64, from 0 to 1; missing where there is no answer,
        - `cascade_source`, `cascade_status`, `cascade_message`: as of a `Prediction`; a row that
            cannot be answered keeps its place, with the status `error` and the reason,
        - `cascade_code_2`, `cascade_path_2`, `cascade_confidence_2`, `cascade_code_3`, ...: the
            next best answers, with `top`.

        Columns that an earlier call has added are replaced.

        Raises
        ------
        UsageError
            It is no data frame, or a lazy one.
        InputError
            A column is not there, or none of several is known to hold the text.

        Examples
        --------
        >>> import cascade
        >>> import pyarrow as pa
        >>> clf = cascade.load("store")
        >>> answered = clf.classify_frame(pa.table({"name": ["straw panama hat"]}), top=1)
        >>> answered["cascade_path"][0].as_py()
        'Shoes, Bags & Accessories > Fashion Accessories > Hats & Caps'
        """
        if isinstance(top, bool) or not isinstance(top, int) or not 0 <= top <= MOST:
            raise UsageError(
                f"top={top!r:.40}: expected how many other answers to add, 0 to {MOST}"
            )
        known = _known(frame)
        rows = known.drop([name for name in known.columns if is_answer_column(str(name))])
        form = AnswerForm(top, explain, question=self.method == "agent")
        asked = self.variant(beam=top + 1) if top else self
        found = asked.classify_many(rows.to_native(), text=text, image=image, id=id)
        answers: dict[str, list[Any]] = {name: [] for name in form.columns}
        with working("classifying", shown=progress is True) as work:
            for done, prediction in enumerate(found, 1):
                for name, value in form.answer(prediction, nested=False).items():
                    answers[name].append(value)
                if callable(progress):
                    progress(done, len(rows))
                work.show("classifying", done, len(rows), f"{done:,} of {len(rows):,} rows")
        answered: Frame = _beside(rows, answers, form)
        return answered


def _known(frame: Any) -> nw.DataFrame[Any]:
    """A frame as narwhals has it."""
    import narwhals.stable.v2 as nw
    from narwhals.exceptions import NarwhalsError

    kind = type(frame).__name__
    try:
        known = nw.from_native(frame, pass_through=True)
    except (NarwhalsError, ValueError) as error:
        why = " ".join(str(error).split())
        raise UsageError(f"the {kind} cannot be read: {why:.300}") from None
    if isinstance(known, nw.LazyFrame):
        raise UsageError(f"the {kind} is lazy: it has no rows yet; give those, as of its collect()")
    if not isinstance(known, nw.DataFrame):
        raise UsageError(f"{frame!r:.60} is a {kind}; {EXPECTED}, or use classify_many")
    return known


def _beside(rows: nw.DataFrame[Any], answers: dict[str, list[Any]], form: AnswerForm) -> Any:
    """The frame with answers in new columns."""
    import narwhals.stable.v2 as nw

    kinds = {str: nw.String(), float: nw.Float64()}
    columns = [
        nw.new_series(name, answers[name], kinds[kind], backend=rows.implementation)
        for name, kind in form.columns.items()
    ]
    if rows.implementation.is_pandas():  # itself, so that subclasses and attributes are kept
        native = rows.to_native()
        series = {column.name: column.to_native().set_axis(native.index) for column in columns}
        return native.assign(**series)
    return rows.with_columns(*columns).to_native()
