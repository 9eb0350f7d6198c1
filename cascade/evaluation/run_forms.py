"""What the JSON files of a finished run must hold, as far as anything reads them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from cascade.config import describe_problems
from cascade.errors import InputError


class Form(BaseModel):
    """Fields of the right type; there may be others, of other versions."""

    model_config = ConfigDict(strict=True)


class _Columns(Form):
    text: list[str]
    image: str | None = None
    label: str


class _Data(Form):
    file: str
    sha256: str
    limit: int | None = None
    columns: _Columns


class _Taxonomy(Form):
    name: str
    nodes: int
    sha256: str
    made_of_labels: bool


class _Given(Form):
    file: str


class _Bootstrap(Form):
    resamples: int
    seed: int


class _Machine(Form):
    cores: int | None
    system: str


class ManifestForm(Form):
    """`manifest.json`, once the run is finished."""

    command: str
    finished: str
    method: str
    data: _Data
    predictions: _Given | None = None
    taxonomy: _Taxonomy
    bootstrap: _Bootstrap
    versions: dict[str, str]
    machine: _Machine


class _Interval(Form):
    value: float | None
    low: float | None
    high: float | None


class _Rows(Form):
    measured: int


class _Time(Form):
    rows_per_second: float | None


class MetricsForm(Form):
    """`metrics.json`."""

    rows: _Rows
    figures: dict[str, _Interval]
    ranking: dict[str, _Interval]
    time: _Time


def check_form(values: dict[str, Any], form: type[Form], file: Path) -> dict[str, Any]:
    """The values, which are those of a form.

    Raises
    ------
    InputError
        A field is missing, or of another type.
    """
    try:
        form.model_validate(values)
    except ValidationError as error:
        raise InputError(
            f"does not hold what a run writes ({describe_problems(error)}); make the run anew",
            file=file,
        ) from None
    return values
