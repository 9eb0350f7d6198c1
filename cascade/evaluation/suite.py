"""Suites: a YAML file that names data, a taxonomy, methods and metrics, run as a whole."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from cascade.config import NAMED, Columns, Section, TaxonomySource, describe_problems, read_yaml
from cascade.errors import ConfigError
from cascade.evaluation.floor import FLOORS, FloorKind
from cascade.evaluation.metrics.descriptions import describe_metric
from cascade.pipeline.load import is_shipped

DATA, USUAL_DATA = "CASCADE_DATA", "../shared/data"
"""Environment variable that names the folder of public data sets, and where else it may be."""


class SuiteRow(Section):
    """One row of the leaderboard: a method with settings, a script that predicts, or a floor."""

    name: str = Field(description="As it stands in the leaderboard; different for each row.")
    family: str = Field("", description="Heading that rows of one kind share.")
    method: str | None = Field(None, description="As `--method`.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Fields of a cascade.yaml.")
    small: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings to use where the weights are not found: the same architecture made "
        "small. It shows that the code runs; the row says so, and its figures mean nothing.",
    )
    script: Annotated[Path | None, NAMED] = Field(
        None, description="Python file, relative to the suite, that fits on `train` and predicts."
    )
    arguments: list[str] = Field(default_factory=list, description="More words for the script.")
    floor: FloorKind | None = Field(
        None,
        description="An answer that knows next to nothing: the class that is `most frequent` in "
        "`train` (without it, in `data`), a `uniform` draw of a leaf, or the leaf whose name is "
        "nearest by TF-IDF of `characters`.",
    )
    levels: int | None = Field(
        None,
        ge=1,
        le=10**6,
        description="Levels that the row answers for; figures below are left out.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> SuiteRow:
        if sum(kind is not None for kind in (self.method, self.script, self.floor)) != 1:
            raise ValueError("expected either a method or a script (or a floor)")
        return self


class Suite(TaxonomySource):
    """The contents of a suite file; paths are relative to it, or to the folder of public data."""

    title: str = Field("", description="Heading of the leaderboard.")
    data: Annotated[Path, NAMED] = Field(
        description="Labelled rows that everything is measured on."
    )
    train: Annotated[Path | None, NAMED] = Field(
        None, description="Labelled rows that scripts may fit on."
    )
    taxonomy: Annotated[str | None, NAMED] = Field(
        None,
        description="A file, or a shipped name; made of the labels of `data` and `train` if not "
        "given.",
    )
    columns: Columns = Field(description="Columns of the data.")
    depth: int | None = Field(
        None,
        ge=1,
        le=10**6,
        description="Taxonomy, labels and other right answers are cut to this many levels, and the "
        "rows cleaned, as `cascade prepare --depth` does; what is measured then lies in the run's "
        "folder.",
    )
    limit: int | None = Field(None, ge=1, le=10**15, description="Only the first rows.")
    metrics: list[str] = Field(
        default_factory=lambda: ["hf1_micro", "exact_match"],
        min_length=1,
        description="Columns of the leaderboard, the first with its interval; see metrics.json.",
    )
    baseline: str | None = Field(
        None, description="Row that the others are compared with on the first metric, in pairs."
    )
    rows: list[SuiteRow] = Field(min_length=1, description="What is measured, in this order.")
    floor: bool = Field(
        True,
        description="Whether three rows that know next to nothing come before the others: the "
        "least that figures must beat. A row of the same name takes the place of one.",
    )

    @model_validator(mode="after")
    def _with_floor(self) -> Suite:
        known = {slug(row.name) for row in self.rows}
        if self.floor:
            own = [(name, kind) for name, kind in FLOORS.items() if slug(name) not in known]
            rows = [SuiteRow(name=name, family="floor", floor=kind) for name, kind in own]
            self.rows = [*rows, *self.rows]
        return self

    @model_validator(mode="after")
    def _names(self) -> Suite:
        names = [row.name for row in self.rows]
        folders = [slug(name) for name in names]
        if repeated := [n for n, f in zip(names, folders, strict=True) if folders.count(f) > 1]:
            raise ValueError(f"rows of the same name, or folder: {', '.join(repeated)}")
        if unknown := [name for name in self.metrics if not describe_metric(name)]:
            raise ValueError(f"no such metrics: {', '.join(unknown)} (metrics.json has all names)")
        if self.baseline is not None and self.baseline not in names:
            raise ValueError(f"baseline {self.baseline!r} is none of the rows")
        return self

    @classmethod
    def load(cls, path: Path) -> Suite:
        """The suite in a YAML file, its paths made ready to open.

        A data file that is not there stays as it is named: its rows are skipped.

        Raises
        ------
        ConfigError
            The file cannot be read, or a field does not fit.
        """
        data = read_yaml(path)
        if not isinstance(data, dict):
            raise ConfigError(f"{path}: expected fields such as `data` and `rows`")
        try:
            suite = cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(f"{path}: {describe_problems(error, cls)}") from None
        return suite._placed(path.parent)

    def _placed(self, folder: Path) -> Suite:
        taxonomy = self.taxonomy
        if taxonomy is not None and not is_shipped(taxonomy, folder):
            taxonomy = str(_find(Path(taxonomy), folder))
        return self.model_copy(
            update={
                "data": _find(self.data, folder),
                "train": None if self.train is None else _find(self.train, folder),
                "taxonomy": taxonomy,
                "rows": [
                    row
                    if row.script is None
                    else row.model_copy(update={"script": folder / row.script})
                    for row in self.rows
                ],
            }
        )

    def missing(self) -> list[str]:
        """Files that are named and not there."""
        files = [self.data, *filter(None, [self.train])]
        if self.taxonomy is not None and not is_shipped(self.taxonomy):
            files.append(Path(self.taxonomy))
        return [str(file) for file in files if not file.is_file()]


def slug(name: str) -> str:
    """The name of a row as that of its folder: small letters, digits, and `-` for the rest."""
    return re.sub(r"[^\w.+-]+", "-", name.casefold()).strip("-.") or "row"


def _find(file: Path, folder: Path) -> Path:
    """A file beside the suite, or else in the folder of public data."""
    beside = folder / file
    try:
        here = beside.is_file()
    except (OSError, ValueError):  # no name that a file can have
        return beside
    return beside if here else Path(os.environ.get(DATA) or USUAL_DATA) / file
