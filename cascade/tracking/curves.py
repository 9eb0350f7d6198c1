"""The curves of a run: `metrics.jsonl`, a line for each step, and their picture `curves.png`."""

from __future__ import annotations

import io
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from cascade.errors import unwritable
from cascade.io.files import write_text
from cascade.tracking.charts import new_figure
from cascade.tracking.trackers import Tracker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES, PICTURE = "metrics.jsonl", "curves.png"
STEP, PART, TIME = "step", "part", "seconds"
LOSSES = ("loss", "validation_loss")
APART = ("learning_rate",)  # figures that the picture leaves out
MOST = 64 << 20  # bytes of a metrics.jsonl that are read

Line = dict[str, Any]


class CurveLog:
    """Appends figures of steps to `metrics.jsonl`, and hands them to trackers.

    A run that goes on from a checkpoint repeats steps: lines of a part from the first repeated step
    on are dropped, so that each step has one.

    Parameters
    ----------
    file
        Where the lines go; its folder is there when the first comes.
    trackers
        What else is told of each step.
    timed
        Whether lines have the seconds since this process began with it.
    """

    def __init__(self, file: Path, trackers: Sequence[Tracker] = (), *, timed: bool = True) -> None:
        self.file = file
        self._trackers, self._timed = trackers, timed
        self._stream: IO[str] | None = None
        self._begun: set[str] = set()
        self._started = time.perf_counter()

    def write(self, step: int, figures: Mapping[str, float | None], part: str = "") -> None:
        """Add a step of a part; figures that are None or no numbers are left out.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        known = {k: _short(v) for k, v in figures.items() if v is not None and math.isfinite(v)}
        line: Line = {STEP: step, **({PART: part} if part else {}), **known}
        if self._timed:
            line[TIME] = round(time.perf_counter() - self._started, 2)
        try:
            if part not in self._begun:
                self._begin(step, part)
            if self._stream is None:
                self._stream = self.file.open("a", encoding="utf-8")
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()
        except OSError as error:
            raise unwritable(self.file, error) from None
        prefix = f"{part}/" if part else ""
        for tracker in self._trackers:
            tracker.log(step, {prefix + name: value for name, value in known.items()})

    def finish(self, title: str, figures: Mapping[str, Any]) -> None:
        """Write the picture beside the lines, where there are any, and end what trackers are told.

        Parameters
        ----------
        figures
            Of the whole run; what is no number is left out.
        """
        self._stop()
        lines = read_lines(self.file)
        if any(_figures(lines)):
            picture(lines, self.file.with_name(PICTURE), title)
        self._end({name: float(v) for name, v in figures.items() if is_number(v)})

    def close(self) -> None:
        """End a run that did not finish; after `finish` nothing is left to do."""
        self._stop()
        self._end({})

    def _end(self, figures: Mapping[str, float]) -> None:
        for tracker in self._trackers:
            tracker.finish(figures)
        self._trackers = ()

    def _stop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _begin(self, step: int, part: str) -> None:
        self._begun.add(part)
        if not self.file.is_file():
            return
        self._stop()
        kept = [line for line in read_lines(self.file) if _stays(line, step, part)]
        write_text(self.file, "".join(json.dumps(line) + "\n" for line in kept))


def read_lines(file: Path) -> list[Line]:
    """The lines of a `metrics.jsonl`; those that are none, as one that a kill cut, are left out."""
    if not file.is_file():  # a named pipe is waited for without end
        return []
    try:
        with file.open("rb") as stream:
            text = stream.read(MOST).decode("utf-8", "replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict) and isinstance(values.get(STEP), int):
            found.append(values)
    return found


def picture(lines: Sequence[Line], file: Path, title: str) -> None:
    """Draw curves as a PNG: a column for each part, the losses above its other figures.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    parts = list(dict.fromkeys(str(line.get(PART, "")) for line in lines))
    columns = [[line for line in lines if str(line.get(PART, "")) == part] for part in parts]
    panels = [[names for names in _split(own) if names] for own in columns]
    height = max(map(len, panels))
    with new_figure(4.8 * len(parts), 3.0 * height + 0.4) as chart:
        for at, (part, own, rows) in enumerate(zip(parts, columns, panels, strict=True)):
            for row, names in enumerate(rows):
                axes = chart.add_subplot(height, len(parts), row * len(parts) + at + 1)
                _panel(axes, own, names)
                if row == 0:
                    axes.set_title(part or title, fontsize=11)
        chart.tight_layout()
        buffer = io.BytesIO()
        chart.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    try:
        file.write_bytes(buffer.getvalue())
    except OSError as error:
        raise unwritable(file, error) from None


def running_means(values: Sequence[float], over: int) -> list[float]:
    """For each value the mean of it and of those before it, `over` values at the most."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - over, 0)
    means: list[float] = ((sums[ends] - sums[starts]) / (ends - starts)).tolist()
    return means


def series(lines: Sequence[Line], name: str) -> tuple[list[int], list[float]]:
    """Steps and values of a figure."""
    known = [(line[STEP], float(line[name])) for line in lines if is_number(line.get(name))]
    return [step for step, _ in known], [value for _, value in known]


def _panel(axes: Axes, lines: Sequence[Line], names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        steps, values = series(lines, name)
        colour = f"C{number}"
        many = len(values) > 60
        if many:  # single steps are noise
            axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
            values = running_means(values, max(2, len(values) // 30))
        marker = "o" if len(values) <= 30 else None
        axes.plot(steps, values, color=colour, label=name, marker=marker, markersize=3)
    axes.set_xlabel("step")
    axes.locator_params(axis="x", integer=True)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)


def _split(lines: Sequence[Line]) -> tuple[list[str], list[str]]:
    names = _figures(lines)
    return [n for n in names if n in LOSSES], [n for n in names if n not in LOSSES]


def _figures(lines: Sequence[Line]) -> list[str]:
    """Names of what is drawn, in the order in which they come."""
    found = dict.fromkeys(name for line in lines for name, v in line.items() if is_number(v))
    return [name for name in found if name not in (STEP, PART, TIME, *APART)]


def _stays(line: Line, step: int, part: str) -> bool:
    return str(line.get(PART, "")) != part or line[STEP] < step


def is_number(value: Any) -> bool:
    """Whether a value of a file is a number that a float can hold."""
    most = sys.float_info.max
    return isinstance(value, int | float) and not isinstance(value, bool) and -most <= value <= most


def _short(value: float) -> float:
    return float(f"{value:.6g}")
