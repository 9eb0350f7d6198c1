"""`cascade.evaluate`: labelled rows in, the figures of `cascade eval` out, as a `Run`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.api.packs import TemporaryFolder
from cascade.api.wording import in_python
from cascade.config import CascadeConfig, Columns
from cascade.errors import CascadeError, OutputError, UsageError, did_you_mean, unwritable
from cascade.evaluation.evaluate import RunOptions
from cascade.evaluation.evaluate import evaluate as measure
from cascade.evaluation.evaluation_task import EvaluationTask
from cascade.evaluation.metrics.bootstrap import Interval
from cascade.evaluation.metrics.ranking import DEEP
from cascade.evaluation.run_folder import RunFolder
from cascade.evaluation.run_metrics import WITH_NOWHERE, RunMetrics
from cascade.io.tables.memory import rows_of
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.intake import names_of
from cascade.pipeline.load import load, load_taxonomy
from cascade.progress import working
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

HEADLINE = ("hf1_micro", "exact_match", WITH_NOWHERE, "ece", "coverage_at_risk_5")


def evaluate(
    classifier: Classifier | str | Path | Taxonomy,
    rows: Any,
    *,
    label: str | None = None,
    text: str | Sequence[str] | None = None,
    image: str | None = None,
    id: str | None = None,
    also: str | Sequence[str] | None = None,
    label_separator: str | None = None,
    limit: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    report_to: Sequence[str] = (),
    progress: bool | Callable[[int, int], None] = True,
) -> Run:
    """Measure a classifier on labelled rows: the figures of `cascade eval`.

    Parameters
    ----------
    classifier
        A `Classifier`, a `Pack`, or what `cascade.load` takes.
    rows
        As for `cascade.fit`: a data frame, records, a mapping of column to list, or a file.
    label
        Column of the known answers (codes, paths, or names that are unique); by default that of a
        pack.
    text, image, id
        Columns that are read; by default as for `Classifier.classify_many`.
    also
        Columns of other right answers.
    label_separator
        What stands between several right answers of a cell.
    limit
        Rows to read, from the start.
    resamples, seed
        Of the bootstrap that gives the intervals.
    out
        Folder that keeps the run, for `cascade compare` and `cascade runs`; by default a temporary
        one, until `Run.save`.
    overwrite, resume
        Replace a run in that folder; go on with one that was interrupted.
    report_to
        Trackers that are told the figures: `tensorboard`, `mlflow`, `wandb`, `trackio`.
    progress
        Whether a bar is shown, or what is called with (answered, all).

    Returns
    -------
    The `Run`.

    Raises
    ------
    InputError
        A column is not there, or no label is in the taxonomy.
    OutputError, UsageError
        The folder or the arguments cannot be used.

    Examples
    --------
    >>> import cascade
    >>> rows = [{"name": "straw panama hat", "label": "SHO-ACC-HAT"},
    ...         {"name": "garden rake", "label": "DIG-GTO-HAN"}]
    >>> run = cascade.evaluate("store", rows, label="label", progress=False)
    >>> run["exact_match"]
    1.0
    """
    if out is None and (overwrite or resume):
        raise UsageError("overwrite and resume are about a folder; name it with out=")
    asked = classifier if isinstance(classifier, Classifier) else load(classifier)
    named = {
        "text": names_of(text),
        "image": image,
        "id": id,
        "label": None if label is None else str(label),
        "also": names_of(also),
        "label_separator": label_separator,
    }
    with in_python():
        asked = asked.variant(ranking=DEEP)
        config = asked.config.model_copy(deep=True)
        columns = {key: value for key, value in named.items() if value}
        config.columns = config.columns.model_copy(update=columns)
        asked.check_pictures_are_read(Columns(image=image))
        in_memory = not _names(config, asked.taxonomy)
        if in_memory:
            config.taxonomy = None  # so that the folder has it
        task = EvaluationTask(
            rows_of(rows, limit), asked.taxonomy, config, image is not None, in_memory
        )
        if config.columns.label is None:
            raise UsageError("say which column holds the known answers with label=")
        temporary = None if out is not None else TemporaryFolder()
        folder = RunFolder(Path(out) if temporary is None else temporary.path / "run")  # type: ignore[arg-type]
        options = RunOptions(resume, overwrite, resamples, seed, "", tuple(report_to))
        with working("checking labels", shown=progress is True) as work:

            def shown(done: int, of: int) -> None:
                what = "measuring" if done == of else "classifying"
                work.show(what, done, of, f"{done:,} of {of:,} rows")
                if callable(progress):
                    progress(done, of)

            metrics = measure(task, folder, lambda: asked, options, progress=shown)
        return Run(folder, metrics, temporary)


def _names(config: CascadeConfig, taxonomy: Taxonomy) -> bool:
    """Whether the config names the very taxonomy, so that it is found again by that name."""
    if config.taxonomy is None:
        return False
    try:
        found = load_taxonomy(config.taxonomy, **config.taxonomy_reading)
    except CascadeError:
        return False
    return found.fingerprint == taxonomy.fingerprint


class Run(Mapping[str, float]):
    """What `cascade.evaluate` returns: figures by name, also as attributes.

    `run["hf1_micro"]` and `run.hf1_micro` are the figure, `run.figures["hf1_micro"]` has its 95%
    interval. A notebook shows the headline figures.

    Attributes
    ----------
    path
        The folder of the run; a temporary one, which goes away with this object, until it is saved.
    metrics
        Everything that was measured, as `metrics.json` has it.
    figures
        Every metric with its interval (`value`, `low`, `high`), those of rankings too.
    """

    def __init__(
        self, folder: RunFolder, metrics: RunMetrics, temporary: TemporaryFolder | None = None
    ) -> None:
        self._folder, self._temporary = folder, temporary
        self.path, self.metrics = folder.path, metrics
        self.figures: Mapping[str, Interval] = {**metrics.figures, **metrics.ranking}

    def __getitem__(self, name: str) -> float:
        return self.figures[name].value

    def __iter__(self) -> Iterator[str]:
        return iter(self.figures)

    def __len__(self) -> int:
        return len(self.figures)

    def __getattr__(self, name: str) -> float:
        figures: Mapping[str, Interval] = vars(self).get("figures", {})
        if name not in figures:
            close = did_you_mean(name, list(figures))
            raise AttributeError(f"this run has no figure {name!r}{close}")
        return figures[name].value

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self.figures])

    @property
    def predictions(self) -> pa.Table:
        """The rows that were measured with their answers; `to_pandas()` makes a data frame of it.

        Columns are those that were read, the label, `cascade_line` and those of an answer; text but
        for `cascade_confidence`.
        """
        import pyarrow.parquet as pq

        return pq.read_table(self._folder.predictions)

    def to_dict(self) -> dict[str, Any]:
        """The contents of `metrics.json`: rows, figures with intervals, curves, time."""
        return self.metrics.to_dict()

    def report(self, path: str | Path | None = None) -> str:
        """The report as one HTML page: figures, curves, errors with examples.

        Parameters
        ----------
        path
            A file to write it to.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        page = self._folder.report.read_text("utf-8")
        if path is not None:
            try:
                Path(path).write_text(page, "utf-8")
            except OSError as error:
                raise unwritable(path, error) from None
        return page

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Copy the folder of the run, for `cascade compare` and `cascade runs`.

        Raises
        ------
        OutputError
            The folder is there, or cannot be written.
        """
        target = RunFolder(path)
        if target.path.exists() and not (overwrite and target.manifest.is_file()):
            cure = "replace it with overwrite=True" if target.manifest.is_file() else "name another"
            raise OutputError(f"{target} is there; {cure}")
        staging = target.path.with_name(f"{target.path.name}.saving")
        try:
            shutil.rmtree(staging, ignore_errors=True)
            target.path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(self.path, staging)
            shutil.rmtree(target.path, ignore_errors=True)
            staging.rename(target.path)
        except OSError as error:
            raise unwritable(target.path, error) from None
        self._found_from(target)
        return target.path

    def _found_from(self, target: RunFolder) -> None:
        """Let the config of a copy name its taxonomy from where the copy is."""
        config = CascadeConfig.load(self._folder.config)
        name = config.taxonomy
        if name is None or not (self.path / name).exists() or (target.path / name).exists():
            return
        config.taxonomy = os.path.relpath(self.path / name)
        _, tree = RunFolder(self.path).load()
        target.write_config(config, tree)

    def plot(self) -> Figure:
        """Figures by level, confidences against what was right, and risk against coverage.

        Returns
        -------
        A matplotlib figure of up to three panels.
        """
        from cascade.api.run_plots import draw

        return draw(self.metrics)

    def __repr__(self) -> str:
        return f"Run({self})"

    def __str__(self) -> str:
        told = [
            f"{name} {found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
            for name, found in self._headline()
        ]
        rows = self.metrics.rows
        return f"{rows['measured']:,} of {rows['all']:,} rows measured: {', '.join(told)}"

    def _headline(self) -> list[tuple[str, Interval]]:
        return [(name, self.figures[name]) for name in HEADLINE if name in self.figures]

    def _repr_html_(self) -> str:
        rows = self.metrics.rows
        cells = "".join(
            f"<tr><td style='text-align:left'>{escape(name)}</td><td>{found.value:.3f}</td>"
            f"<td>{found.low:.3f} to {found.high:.3f}</td></tr>"
            for name, found in [*self._headline(), *self._levels()]
        )
        return (
            f"<div>{rows['measured']:,} of {rows['all']:,} rows measured</div><table>"
            f"<tr><th>figure</th><th>value</th><th>95% interval</th></tr>{cells}</table>"
        )

    def _levels(self) -> list[tuple[str, Interval]]:
        found = (
            (name, self.figures[name]) for name in self.figures if name.startswith("accuracy_l")
        )
        return [pair for pair in found if pair[0].removeprefix("accuracy_l").isdigit()]
