"""The folder in which a pack is made: begun, gone on with, one process at a time, put in place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade.errors import OutputError, unwritable
from cascade.io.files import alone, write_text
from cascade.pipeline.pack import SEAL, seal, work_folder

STATE = "fit.json"
LOCK = "lock"
REPLACES = "replaces"  # there if the pack in the way may be replaced


@dataclass(frozen=True)
class PackInTheMaking:
    """A pack until it is whole.

    Parameters
    ----------
    folder
        Where the pack goes.
    identity
        All that the pack depends on, as plain values.
    """

    folder: Path
    identity: Mapping[str, Any]

    @property
    def work(self) -> Path:
        """Where everything is until the pack is whole."""
        return work_folder(self.folder)

    @property
    def whole(self) -> Path:
        """The pack itself, in the work folder."""
        return self.work / "pack"

    @property
    def part(self) -> Path:
        """What is fitted to the rows that are not held out, in the work folder."""
        return self.work / "part"

    def prepare(self, *, resume: bool = False, overwrite: bool = False) -> None:
        """Make the work folder, or leave it as it is for a fit that goes on.

        Raises
        ------
        OutputError
            The pack exists, another fit was interrupted there, or one is under way.
        """
        if not self.folder.name:
            raise OutputError(f"{str(self.folder)!r} names no folder to write; name a new one")
        agreed, state = self.work / REPLACES, self.work / STATE
        if self.folder.exists() and not (self.folder / SEAL).is_file():
            raise OutputError(f"{self.folder} is there and is no pack; name another folder")
        if self.folder.exists() and not (overwrite or (resume and agreed.is_file())):
            raise OutputError(f"{self.folder} exists; replace it with --overwrite")
        if self.work.exists() and not state.is_file():
            raise OutputError(f"{self.work} is in the way and is not ours; move it")
        if self.work.exists() and not overwrite:
            if not resume:
                raise OutputError(
                    f"{self.work} has an interrupted fit; go on with --resume, or begin anew with "
                    "--overwrite"
                )
            if self._begun() != self.identity:
                raise OutputError(
                    f"{self.work} has an interrupted fit of other rows, columns or settings; go on "
                    "with those, or begin anew with --overwrite"
                )
            return
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            if not state.is_file():  # first, so that what a kill leaves here is known as ours
                write_text(state, json.dumps(self.identity))
            with self._locked():
                write_text(state, json.dumps(self.identity))
                for path in self.work.iterdir():
                    if path.is_dir():
                        shutil.rmtree(path)
                    elif path not in (state, self.work / LOCK):
                        path.unlink()
                if self.folder.exists():
                    agreed.touch()
        except OSError as error:
            raise unwritable(self.work, error) from None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from fitting the same pack; call `prepare` first.

        Raises
        ------
        OutputError
            Another process is fitting it, or did so since it was prepared.
        """
        self._check_begun()  # before, since a lock makes its folder
        with self._locked():
            self._check_begun()
            yield

    def _check_begun(self) -> None:
        """Raise OutputError unless the work folder is there and is of this fit."""
        if self._begun() != self.identity:
            raise OutputError(
                f"{self.folder}: another process began or ended a fit of it meanwhile; see what "
                "is there, then begin again with --overwrite, or name another --out"
            )

    def _begun(self) -> Any:
        """The identity of the fit that was begun; None where none can be read."""
        try:
            return json.loads((self.work / STATE).read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return None

    def _locked(self) -> AbstractContextManager[None]:
        return alone(
            self.work / LOCK,
            f"another process is fitting {self.folder}; wait for it to end, or name another --out",
        )

    def tidy(self) -> None:
        """Remove the work folder if nothing was fitted yet."""
        if self.work.is_dir() and not any(path.is_dir() for path in self.work.iterdir()):
            shutil.rmtree(self.work)

    @contextmanager
    def finished(self) -> Iterator[Path]:
        """The folder of the pack, for its last files; then it is sealed and put in its place.

        Raises
        ------
        OutputError
            The pack cannot be written; the fit can go on.
        """
        try:
            yield self.whole
            seal(self.whole, own=True)
            old = self.work / "old"
            shutil.rmtree(old, ignore_errors=True)
            if self.folder.exists():
                self.folder.rename(old)
            self.whole.rename(self.folder)
            shutil.rmtree(self.work)
        except OSError as error:
            raise unwritable(self.folder, error, "go on with --resume") from None
