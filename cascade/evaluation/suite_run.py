"""Running a suite: every row a run folder, what is absent skipped with its reason."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from cascade.config import CascadeConfig
from cascade.errors import CascadeError, ConfigError, MissingExtraError, OutputError, WeightsError
from cascade.evaluation.comparison import Run
from cascade.evaluation.evaluate import Predictor, RunOptions, evaluate
from cascade.evaluation.evaluation_task import EvaluationTask
from cascade.evaluation.external_predictions import ExternalPredictions, PredictionColumns
from cascade.evaluation.floor import FloorData, FloorKind, write_floor
from cascade.evaluation.metrics.ranking import DEEP
from cascade.evaluation.preparation.folder import PreparationFolder
from cascade.evaluation.preparation.options import PreparationOptions
from cascade.evaluation.preparation.prepare import prepare
from cascade.evaluation.preparation.splits import Shares
from cascade.evaluation.run_folder import RunFolder
from cascade.evaluation.suite import Suite, SuiteRow, slug
from cascade.io.files import write_json
from cascade.io.tables.opening import TableFile
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.labels.making import LabelForm, taxonomy_of_labels
from cascade.pipeline.load import load_taxonomy, merge
from cascade.processes import script_command
from cascade.scoring.methods import check_method
from cascade.taxonomy import Taxonomy

NEEDS = 3  # exit status of a script that misses something; its last line says what


@dataclass(frozen=True)
class Outcome:
    """What became of a row of a suite.

    Parameters
    ----------
    run
        The finished run, None where the row was skipped.
    skipped
        Why it was, empty where it was not.
    failed
        Whether it was because something went wrong, and not because something is absent.
    small
        Whether an untrained model of the same architecture answered; its figures mean nothing.
    facts
        What a script measured of itself: `fit_seconds`, `rows_per_second`.
    note
        What there is to say of the row.
    """

    row: SuiteRow
    run: Run | None = None
    skipped: str = ""
    failed: bool = False
    small: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


class SuiteRun:
    """A suite that is run into a folder.

    Parameters
    ----------
    options
        Of every row's run.
    report
        Called with the name of a row and what is happening to it.
    """

    def __init__(
        self,
        suite: Suite,
        folder: Path,
        options: RunOptions,
        *,
        report: Callable[[str, str], None] = lambda row, what: None,
    ) -> None:
        self.suite = suite
        self.folder = folder
        self.options = options
        self._report = report
        self._pictures: str | None = None  # where they are, if not beside what is measured

    def run(self) -> list[Outcome]:
        """Run every row, in order.

        A row that a resumed run had finished is not answered again.

        Raises
        ------
        OutputError
            The folder is not empty and neither may be replaced nor gone on with.
        InputError, TaxonomyError
            Data or taxonomy that are there cannot be read.
        ConfigError, UsageError
            The settings of a row do not fit, or its method is none.
        """
        for row in self.suite.rows:
            if row.method is not None:
                self._config(row, merge(row.settings, row.small))
        allowed = self.options.resume or self.options.overwrite
        if self.folder.is_dir() and any(self.folder.iterdir()) and not allowed:
            raise OutputError(
                f"{self.folder} is not empty; go on with --resume, begin again with --overwrite, "
                "or name another --out"
            )
        if missing := self.suite.missing():
            return [
                Outcome(row, skipped=f"not there: {', '.join(missing)}") for row in self.suite.rows
            ]
        taxonomy = self._taxonomy()
        if self.suite.depth is not None:
            taxonomy = self._cut(taxonomy, self.suite.depth)
        return [self._row(row, taxonomy) for row in self.suite.rows]

    def _taxonomy(self) -> Taxonomy:
        """The taxonomy that is named, or else one that is made of all labels and written."""
        suite, label = self.suite, self.suite.columns.label
        if suite.depth is not None and label is None:
            raise ConfigError("the suite cuts labels and names no label column; add one")
        if suite.taxonomy is not None:
            taxonomy = load_taxonomy(suite.taxonomy, **suite.taxonomy_reading)
            if any(suite.taxonomy_reading.values()):  # which scripts do not know
                self._write(taxonomy)
            return taxonomy
        if label is None:
            raise ConfigError("the suite names neither a taxonomy nor a label column; add one")
        files = [file for file in (suite.data, suite.train) if file is not None]
        taxonomy = taxonomy_of_labels(
            [TableFile(str(file)) for file in files],
            label,
            LabelForm(suite.columns.label_separator),
        )
        return load_taxonomy(self._write(taxonomy))

    def _cut(self, taxonomy: Taxonomy, depth: int) -> Taxonomy:
        """Cut the rows to a depth and clean them; what is written is measured from now on."""
        suite, columns = self.suite, self.suite.columns
        assert columns.label is not None
        cut: dict[str, Any] = {"limit": None}
        for name, file, limit in (("data", suite.data, suite.limit), ("train", suite.train, None)):
            if file is None:
                continue
            options = PreparationOptions(
                TableFile(str(file), limit),
                columns.label,
                tuple(filter(None, [*columns.text, columns.image])),
                depth,
                shares=Shares(0, 0),
                form=LabelForm(columns.label_separator),
                also=tuple(columns.also),
            )
            folder = PreparationFolder(self.folder / f"{name}-cut")
            folder.write(prepare(options, taxonomy))
            [cut[name]] = folder.path.glob("train.*")
        self._pictures = str(suite.data.parent)
        self.suite = suite.model_copy(update=cut)
        return load_taxonomy(self._write(taxonomy.trim(depth)))

    def _write(self, taxonomy: Taxonomy) -> Path:
        """Write the taxonomy as a file that methods and scripts read from now on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        made = self.folder / "taxonomy.csv"
        taxonomy.to_csv(made)
        self.suite = self.suite.model_copy(update={"taxonomy": str(made)})
        self.suite.forget_reading()
        return made

    def _row(self, row: SuiteRow, taxonomy: Taxonomy) -> Outcome:
        self._report(row.name, "runs")
        try:
            if row.script is not None:
                outcome = self._script(row, row.script, taxonomy)
            elif row.floor is not None:
                outcome = self._floor(row, row.floor, taxonomy)
            else:
                outcome = self._method(row, taxonomy)
        except CascadeError as error:
            absent = isinstance(error, WeightsError | MissingExtraError)
            outcome = Outcome(row, skipped=str(error), failed=not absent)
        self._report(row.name, f"skipped: {outcome.skipped}" if outcome.skipped else "done")
        return outcome

    def _method(self, row: SuiteRow, taxonomy: Taxonomy) -> Outcome:
        """Measure a method; where its weights are not found, the same architecture made small."""

        def measured(name: str, settings: dict[str, Any]) -> Run:
            config = self._config(row, settings)
            task = EvaluationTask(self._source(), taxonomy, config)
            return self._evaluate(name, task, partial(Classifier, taxonomy, config), self.options)

        try:
            return Outcome(row, measured(row.name, row.settings))
        except WeightsError as error:
            if not row.small:
                raise
            self._report(row.name, f"{error}; the same architecture made small stands in")
        return Outcome(
            row, measured(f"{row.name} small", merge(row.settings, row.small)), small=True
        )

    def _base(self) -> CascadeConfig:
        """What the configs of all rows have in common."""
        base = CascadeConfig(taxonomy=self.suite.taxonomy, columns=self.suite.columns)
        base.pictures.root = self._pictures
        return base

    def _config(self, row: SuiteRow, settings: dict[str, Any]) -> CascadeConfig:
        """The config of a row's method."""
        base = self._base()
        base.retrieval.ranking = DEEP
        values = merge(
            base.model_dump(), {**settings, "method": check_method(str(row.method), base.heads)}
        )
        return CascadeConfig.parse(values, f"suite row {row.name!r}")

    def _script(self, row: SuiteRow, script: Path, taxonomy: Taxonomy) -> Outcome:
        """Measure the predictions of a script, which is run unless it was for the same files."""
        made = self.folder / f"{slug(row.name)}.predictions.csv"
        arguments = self._arguments(row, script)
        options = self.options
        facts = self._facts(made, arguments) if options.resume else None
        if facts is None:
            options = replace(options, resume=False, overwrite=True)
            facts, reason = self._run_script(script, arguments, made)
            if reason:
                return Outcome(row, skipped=reason)
        return Outcome(row, self._given(row, made, taxonomy, options), facts=facts)

    def _floor(self, row: SuiteRow, kind: FloorKind, taxonomy: Taxonomy) -> Outcome:
        """Measure answers that know next to nothing; made anew each time, as they are cheap."""
        suite, made = self.suite, self.folder / f"{slug(row.name)}.predictions.csv"
        if suite.columns.label is None:
            raise ConfigError("the suite names no label column; add one")
        train = None if suite.train is None else TableFile(str(suite.train))
        data = FloorData(self._source(), train, taxonomy, suite.columns, self.options.seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        note, facts = write_floor(kind, data, made)
        options = replace(self.options, resume=False, overwrite=True)
        return Outcome(row, self._given(row, made, taxonomy, options), facts=facts, note=note)

    def _given(self, row: SuiteRow, made: Path, taxonomy: Taxonomy, options: RunOptions) -> Run:
        """Measure the predictions in a file."""
        config = self._base()
        task = EvaluationTask(self._source(), taxonomy, config)
        external = ExternalPredictions.match(
            task.source, TableFile(str(made)), taxonomy, PredictionColumns()
        )
        return self._evaluate(row.name, task, external, options)

    def _evaluate(
        self, name: str, task: EvaluationTask, predictor: Predictor, options: RunOptions
    ) -> Run:
        folder = RunFolder(self.folder / slug(name))
        evaluate(task, folder, predictor, options)
        return Run.read(folder.path)

    def _arguments(self, row: SuiteRow, script: Path) -> list[str]:
        """What a script is called with, but for where it writes."""
        suite = self.suite
        arguments = [str(script), "--test", str(suite.data)]
        arguments += ["--taxonomy", str(suite.taxonomy), "--label", str(suite.columns.label)]
        arguments += [word for name in suite.columns.text for word in ("--text", name)]
        arguments += ["--train", str(suite.train)] if suite.train else []
        arguments += ["--limit", str(suite.limit)] if suite.limit else []
        return [*arguments, *row.arguments]

    def _facts(self, made: Path, arguments: list[str]) -> dict[str, Any] | None:
        """What an earlier run of the same script on the same files measured, if there is one."""
        try:
            kept = json.loads(_beside(made).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        same = isinstance(kept, dict) and kept.get("made_by") == self._made_by(arguments)
        return dict(kept["facts"]) if same and made.is_file() else None

    def _made_by(self, arguments: list[str]) -> list[str]:
        """The arguments of a script, and hashes of the script and of the files it reads."""
        files = [arguments[0], *filter(None, (self.suite.data, self.suite.train))]
        return [*arguments, *(TableFile(str(file)).sha256 for file in files)]

    def _run_script(
        self, script: Path, arguments: list[str], made: Path
    ) -> tuple[dict[str, Any], str]:
        """Run a script: what it measured of itself, and why it could not run (empty if it did)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = made.with_name(f".{made.name}.partial.csv")
        command = script_command(arguments[0], [*arguments[1:], "--out", str(unfinished)])
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except BaseException:  # interrupted: the script is ended, and what it left goes
            unfinished.unlink(missing_ok=True)
            raise
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        if done.returncode == NEEDS:
            return {}, last
        if done.returncode or not unfinished.is_file():
            unfinished.unlink(missing_ok=True)
            raise CascadeError(f"{script.name} failed with status {done.returncode}: {last}")
        printed = (done.stdout.strip().splitlines() or ["{}"])[-1]
        try:
            facts = dict(json.loads(printed))
        except (ValueError, TypeError, RecursionError):
            unfinished.unlink(missing_ok=True)
            raise CascadeError(
                f"{script.name} ended with {printed[:80]!r}; expected JSON of what it took, "
                'such as {"fit_seconds": 1.5, "rows_per_second": 900}'
            ) from None
        os.replace(unfinished, made)
        write_json(_beside(made), {"made_by": self._made_by(arguments), "facts": facts})
        return facts, ""

    def _source(self) -> TableFile:
        return TableFile(str(self.suite.data), self.suite.limit)


def _beside(made: Path) -> Path:
    """The file that says how predictions were made."""
    return made.with_suffix(".json")
