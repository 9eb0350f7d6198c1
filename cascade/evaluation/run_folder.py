"""The folder of a measured run: what lies in it, and how it is written and read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml

from cascade.config import FITTED_METHOD, CascadeConfig
from cascade.errors import InputError, OutputError, TaxonomyError, unwritable
from cascade.io.files import MOST_JSON, write_text
from cascade.pipeline.load import is_shipped, load_taxonomy
from cascade.taxonomy import Taxonomy
from cascade.tracking.curves import LINES, PICTURE
from cascade.tracking.provenance import MANIFEST

KIND = "eval"  # what manifests call such a run


class RunFolder:
    """`config.yaml`, `predictions.parquet`, `metrics.json`, `report.html`, `manifest.json`, curves.

    Every file appears whole. The manifest is there from the start, and is `finished` at the end.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"  # `cascade classify -c` takes it too
        self.taxonomy = self.path / "taxonomy.csv"  # only where it was made of the labels
        self.predictions = self.path / "predictions.parquet"  # rows and their answers
        self.metrics = self.path / "metrics.json"
        self.report = self.path / "report.html"
        self.manifest = self.path / MANIFEST  # versions, seed, hashes, the command
        self.curves = (self.path / LINES, self.path / PICTURE)  # figures by rows

    def __str__(self) -> str:
        return str(self.path)

    @property
    def finished(self) -> bool:
        """Whether a whole run lies here."""
        return self.manifest.is_file() and bool(self.read_json(self.manifest).get("finished"))

    def check(self, fingerprint: str, *, resume: bool, overwrite: bool) -> dict[str, Any]:
        """The manifest of the run that is to go on, empty for a new one; nothing is changed.

        Parameters
        ----------
        fingerprint
            Hash of all that the predictions depend on; only the same run can go on.

        Raises
        ------
        OutputError
            The folder holds a run that may not be replaced or gone on with, or something else.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path} is a file; name a folder with --out")
        if not self.manifest.is_file():
            if self.path.is_dir() and any(self.path.iterdir()):
                raise OutputError(f"{self.path} is not empty, and holds no run; name another --out")
            return {}
        found = {} if overwrite and not self._is_json() else self.read_json(self.manifest)
        if (kind := found.get("kind", KIND)) != KIND:
            raise OutputError(f"{self.path} holds another kind of run ({kind}); name another --out")
        if overwrite:
            return {}
        if not resume:
            cure = "name another --out" if found.get("finished") else "go on with --resume"
            raise OutputError(
                f"{self.path} holds a run that began on {found.get('started')}; {cure}, or begin "
                "again with --overwrite"
            )
        if found.get("fingerprint") != fingerprint:
            raise OutputError(
                f"the run in {self.path} is of other data, another taxonomy or other settings, or "
                f"of a version of cascade with other settings (its command: "
                f"{found.get('command')}); use the same to go on, or begin again with --overwrite"
            )
        return found

    def _is_json(self) -> bool:
        """Whether the manifest can be read."""
        try:
            self.read_json(self.manifest)
        except InputError:
            return False
        return True

    def begin(self) -> None:
        """Make the folder, and remove what an earlier run in it had found.

        Raises
        ------
        OutputError
            It cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for old in (self.predictions, self.metrics, self.report, self.taxonomy, *self.curves):
                old.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self.path, error) from None

    def write_config(self, config: CascadeConfig, taxonomy: Taxonomy) -> None:
        """Write the config, its taxonomy relative to the folder; and one that has no file."""
        if config.taxonomy is None:
            taxonomy.to_csv(self.taxonomy)
        name = config.taxonomy or str(self.taxonomy)
        values = config.model_dump(exclude={"serve"})
        values["taxonomy"] = name if is_shipped(name) else os.path.relpath(name, self.path)
        write_text(self.config, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))

    def load(self) -> tuple[CascadeConfig, Taxonomy]:
        """The config of the run, and its taxonomy.

        Raises
        ------
        InputError, ConfigError, TaxonomyError
            The folder is that of no finished run, or the taxonomy is not there or has changed.
        """
        manifest = self.read_json(self.manifest)
        if not manifest.get("finished"):
            raise InputError(
                "the run is not finished; go on with the same `cascade eval` command and --resume",
                file=self.path,
            )
        for file in (self.config, self.predictions):
            _check_kind(file)
        config = CascadeConfig.load(self.config)
        config.method = config.method or FITTED_METHOD
        if config.taxonomy is None:
            raise InputError("names no taxonomy; make the run anew", file=self.config)
        known = manifest.get("taxonomy")
        if not isinstance(known, dict) or "sha256" not in known:
            raise InputError("does not tell its taxonomy; make the run anew", file=self.manifest)
        try:
            taxonomy = load_taxonomy(config.taxonomy, self.path, **config.taxonomy_reading)
        except TaxonomyError as error:
            raise InputError(
                f"its taxonomy cannot be read ({error}); a run finds it from its own folder: move "
                "both together, or make the run anew",
                file=self.path,
            ) from None
        if taxonomy.fingerprint != known["sha256"]:
            raise InputError(
                f"the taxonomy {config.taxonomy} has changed since the run; make the run anew",
                file=self.path,
            )
        return config, taxonomy

    def read_json(self, file: Path) -> dict[str, Any]:
        """One of the JSON files.

        Raises
        ------
        InputError
            It is not there, or is no JSON object.
        """
        _check_kind(file)
        try:
            with file.open("rb") as stream:
                data = stream.read(MOST_JSON + 1)
            if len(data) > MOST_JSON:
                raise InputError(f"has more than {MOST_JSON:,} bytes; make the run anew", file=file)
            values = json.loads(data.decode("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(
                "there is no such file, so this is not the folder of a run; make one with: "
                "cascade eval FILE -t TAXONOMY --label COL --out FOLDER",
                file=file,
            ) from None
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=file) from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"not JSON: {error}; make the run anew", file=file) from None
        if not isinstance(values, dict):
            raise InputError("expected a JSON object; make the run anew", file=file)
        return values


def _check_kind(file: Path) -> None:
    """Refuse what is there and is no file: a named pipe would be waited for without end."""
    if file.exists() and not file.is_file() and not file.is_dir():
        raise InputError("is no file; make the run anew", file=file)
