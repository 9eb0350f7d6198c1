"""The folder that a run of `cascade finetune` fills: what may be in it, and when."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from cascade.errors import OutputError, UsageError

WORK = "checkpoints"
RECIPE, METRICS, README = "recipe.yaml", "metrics.json", "README.md"


@dataclass(frozen=True)
class ResultFolder:
    """A folder that is empty, has an interrupted run, or has a result.

    Parameters
    ----------
    made
        What a result is, for messages: `an adapter`.
    """

    path: Path
    made: str

    @property
    def work(self) -> Path:
        """Where checkpoints are until there is a result."""
        return self.path / WORK

    def _there(self) -> set[str]:
        return {file.name for file in self.path.iterdir()} if self.path.is_dir() else set()

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Make sure that nothing is in the way, and change nothing.

        Raises
        ------
        UsageError, OutputError
            It holds a result, an interrupted run, or something else.
        """
        if resume and overwrite:
            raise UsageError("--resume and --overwrite exclude each other; choose one")
        there = self._there()
        if self.path.is_file() or (there and RECIPE not in there):
            raise OutputError(
                f"{self.path} exists and is no result of `cascade finetune`; name another folder "
                "with --out"
            )
        if METRICS in there and not overwrite:
            raise OutputError(
                f"{self.path} has {self.made} already; replace it with --overwrite, or name "
                "another folder with --out"
            )
        begun = WORK in there and any(self.work.iterdir())
        if begun and not (resume or overwrite):
            raise OutputError(
                f"{self.path} has an interrupted run; go on with --resume, or begin anew with "
                "--overwrite"
            )

    def begin(self, recipe: str, *, resume: bool, overwrite: bool) -> None:
        """Make the folder, with the text of the recipe in it.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        there = self._there()
        try:
            if overwrite and there:
                shutil.rmtree(self.path)
            self.work.mkdir(parents=True, exist_ok=True)
            if not resume or RECIPE not in there:
                (self.path / RECIPE).write_text(recipe, "utf-8")
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from None
