"""The folder of a measured run: what lies in it, written so that a reader never sees half a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cascade.config import CascadeConfig
from cascade.errors import InputError, OutputError
from cascade.shipped import shipped_file


class RunFolder:
    """`config.yaml`, `predictions.parquet`, `metrics.json`, `report.html` and `manifest.json`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def config(self) -> Path:
        """What answered, with the taxonomy and the columns; `cascade classify -c` takes it too."""
        return self.path / "config.yaml"

    @property
    def predictions(self) -> Path:
        """A row for each row of the data: its columns that were used, and its answer."""
        return self.path / "predictions.parquet"

    @property
    def metrics(self) -> Path:
        """Every figure with its interval."""
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        """The same for people."""
        return self.path / "report.html"

    @property
    def manifest(self) -> Path:
        """Versions, seed, hashes of data and taxonomy, the command."""
        return self.path / "manifest.json"

    @property
    def measured(self) -> bool:
        """Whether the run is whole; its manifest is written last."""
        return self.manifest.is_file()

    def make(self) -> None:
        """Make the folder.

        Raises
        ------
        OutputError
            It cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be made: {error.strerror}") from None

    def write_config(self, config: CascadeConfig) -> None:
        """Write the config; a taxonomy file is named relative to the folder."""
        values = config.model_dump()
        if config.taxonomy is not None and not is_shipped(config.taxonomy):
            values["taxonomy"] = os.path.relpath(config.taxonomy, self.path)
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        self._write(self.config, text)

    def write_json(self, file: Path, values: Mapping[str, Any]) -> None:
        """Write one of the JSON files; undefined figures are null."""
        self._write(file, json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n")

    def write_report(self, page: str) -> None:
        """Write the report."""
        self._write(self.report, page)

    def read_json(self, file: Path) -> dict[str, Any]:
        """One of the JSON files.

        Raises
        ------
        InputError
            It is not there, or is no JSON object.
        """
        try:
            values = json.loads(file.read_text("utf-8"))
        except FileNotFoundError:
            raise InputError(
                "there is no such file, so this is not the folder of a finished run; make one with: "
                "cascade eval FILE -t TAXONOMY --label COL -o FOLDER",
                file=file,
            ) from None
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=file) from None
        except ValueError as error:
            raise InputError(f"not JSON: {error}; make the run anew", file=file) from None
        if not isinstance(values, dict):
            raise InputError("expected a JSON object; make the run anew", file=file)
        return values

    def _write(self, file: Path, text: str) -> None:
        partial = file.with_name(f".{file.name}.partial")
        try:
            partial.write_text(text, "utf-8")
            partial.replace(file)
        except OSError as error:
            raise OutputError(f"{file} cannot be written: {error.strerror}") from None


def is_shipped(taxonomy: str) -> bool:
    """Whether a taxonomy is named, and not a file."""
    return bool(shipped_file("taxonomies", taxonomy, ".yaml")) and not Path(taxonomy).is_file()
