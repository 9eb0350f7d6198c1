"""`Pack`: a folder that `cascade fit` made, as a classifier that can be saved and passed on."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade.api.hub import pull, push
from cascade.api.wording import in_python
from cascade.errors import ConfigError, OutputError, unwritable
from cascade.io.files import read_json
from cascade.io.tables.memory import rows_of
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.load import settled
from cascade.pipeline.pack import SEAL
from cascade.retrieval.text_vectors import Progress
from cascade.training.packs.examples import add_examples
from cascade.training.packs.fit import METRICS


class Pack(Classifier):
    """What `cascade.fit` returns: a classifier, and the folder that it lies in.

    Parameters
    ----------
    path
        The folder.
    progress, **settings
        As for `cascade.load`.

    Attributes
    ----------
    path
        The folder; a temporary one, which goes away with this object, until the pack is saved.

    Raises
    ------
    ConfigError
        There is no pack, or it is not what it was when it was fitted.

    Examples
    --------
    >>> import cascade
    >>> rows = [{"name": f"{kind} {size}", "label": f"Garden > {kind}s"}
    ...         for kind in ("rake", "hose") for size in range(20)]
    >>> pack = cascade.fit(rows, label="label", text="name", recipe="quick", progress=False)
    >>> pack.classify("a garden rake").path
    'Garden > rakes'
    """

    def __init__(
        self, path: str | Path, *, progress: Progress | None = None, **settings: Any
    ) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise ConfigError(f"{self.path}: is no folder, so it is no pack")
        self._settings = settings
        self._temporary: TemporaryFolder | None = None
        tree, config = settled(self.path, None, settings)
        super().__init__(tree, config, progress=progress)

    @classmethod
    def load(cls, path: str | Path, **settings: Any) -> Pack:
        """The pack in a folder; `settings` as for `cascade.load`.

        Raises
        ------
        ConfigError
            There is no pack, or it is not what it was when it was fitted.
        """
        return cls(path, **settings)

    @classmethod
    def in_temporary(cls, make: Callable[[Path], object], **settings: Any) -> Pack:
        """A pack that `make(path)` makes in a temporary folder."""
        folder = TemporaryFolder()
        make(folder.path / "pack")
        pack = cls(folder.path / "pack", **settings)
        pack._temporary = folder
        return pack

    @property
    def classifier(self) -> Pack:
        """The pack itself, which answers as every `Classifier` does."""
        return self

    @property
    def report(self) -> dict[str, Any]:
        """What was measured on held-out rows while it was fitted.

        Returns
        -------
        `pack` has the figures by name, `scorers` those of each part alone, `rows` how many rows
        were learnt from, held out and left out, `risk` what `max_risk` accepts.
        """
        found = read_json(self.path / METRICS) if (self.path / METRICS).is_file() else {}
        return found if isinstance(found, dict) else {}

    def with_settings(self, **settings: Any) -> Pack:
        """The same pack under other settings, as of `cascade.load`; those of this one stay.

        Examples
        --------
        >>> sure = pack.with_settings(max_risk=0.05)  # doctest: +SKIP
        """
        found = type(self)(self.path, **{**self._settings, **settings})
        found._temporary = self._temporary
        return found

    def with_examples(self, rows: Any, *, label: str | None = None) -> Pack:
        """A pack in which more labelled rows vote as neighbours; nothing is fitted again.

        Parameters
        ----------
        rows
            As for `cascade.fit`, with the columns that the pack reads.
        label
            Column of the known answers; that of the pack if None.

        Returns
        -------
        A new pack, in a temporary folder until it is saved; this one stays as it is.

        Raises
        ------
        ConfigError
            The pack has no neighbours: those of the recipes `fast` and `full` do.
        InputError
            A column is not there, or no row can be used.
        """
        source = rows_of(rows)

        def make(folder: Path) -> None:
            shutil.copytree(self.path, folder)
            add_examples(folder, source, label=label)

        with in_python():
            return type(self).in_temporary(make, **self._settings)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Copy the pack to a folder, from where `Pack.load` and `cascade -c` open it.

        Returns
        -------
        The folder.

        Raises
        ------
        OutputError
            The folder is there (and no pack, or `overwrite` is not set), or cannot be written.
        """
        target = Path(path)
        if target.exists() and target.resolve() == self.path.resolve():
            return target
        if target.exists() and not (target / SEAL).is_file():
            raise OutputError(f"{target} is there and is no pack; name another folder")
        if target.exists() and not overwrite:
            raise OutputError(f"{target} exists; replace it with overwrite=True")
        staging = target.with_name(f"{target.name}.saving")
        try:
            shutil.rmtree(staging, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(self.path, staging)
            if target.exists():
                shutil.rmtree(target)
            staging.rename(target)
        except OSError as error:
            raise unwritable(target, error) from None
        return target

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = True,
        token: str | None = None,
        license: str | None = None,
        language: str | Sequence[str] | None = None,
        description: str = "",
        message: str | None = None,
    ) -> str:
        """Upload the pack to the Hugging Face hub, with a model card.

        What the pack was fitted to shows in it: words of the rows, and the names of labels. So the
        repository is private unless you say otherwise.

        Parameters
        ----------
        repo_id
            `owner/name`; it is made if it is not there.
        private
            Whether a repository that is made is private.
        token
            Of the hub; by default that of `hf auth login`.
        license, language, description
            For the model card: `apache-2.0`, `en` or a list, a sentence or more.
        message
            Of the commit.

        Returns
        -------
        The address of the repository.

        Raises
        ------
        OutputError
            The hub does not take it; the message says why.
        UsageError
            `repo_id` is no such name.
        """
        return push(
            self,
            repo_id,
            private=private,
            token=token,
            license=license,
            language=language,
            description=description,
            message=message,
        )

    @classmethod
    def from_hub(
        cls,
        repo_id: str,
        *,
        revision: str | None = None,
        token: str | None = None,
        **settings: Any,
    ) -> Pack:
        """Fetch a pack from the Hugging Face hub into the cache, and load it.

        Only the files that its seal names are fetched, and they are checked against it. A pack of
        somebody else sets what packs may set, and runs no code.

        Parameters
        ----------
        repo_id
            `owner/name`.
        revision
            A branch, tag or commit; name a commit to be sure that it stays what it is.
        token
            Of the hub; by default that of `hf auth login`.
        **settings
            As for `cascade.load`.

        Raises
        ------
        ConfigError
            There is no such pack, it is damaged, or the hub cannot be reached.
        UsageError
            `repo_id` is no such name.
        """
        return cls(pull(repo_id, revision=revision, token=token), **settings)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and other processes load the folder anew; a temporary one travels whole."""
        state = self.learnt_of_items
        if self._temporary is None:
            return _loaded, (str(self.path.resolve()), self._settings), state
        files = {
            file.relative_to(self.path).as_posix(): file.read_bytes()
            for file in sorted(self.path.rglob("*"))
            if file.is_file()
        }
        return _unpacked, (files, self._settings), state

    def __repr__(self) -> str:
        where = "not saved" if self._temporary is not None else str(self.path)
        return f"Pack({where}, {self.taxonomy!r}, method={self.method!r})"


class TemporaryFolder:
    """A folder that is removed with this object, by the process that made it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="cascade-"))
        weakref.finalize(self, _remove, self.path, os.getpid())


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child has its parent's folder
        shutil.rmtree(path, ignore_errors=True)


def _loaded(path: str, settings: Mapping[str, Any]) -> Pack:
    return Pack(path, **settings)


def _unpacked(files: Mapping[str, bytes], settings: Mapping[str, Any]) -> Pack:
    def unpack(folder: Path) -> None:
        for name, data in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)

    return Pack.in_temporary(unpack, **settings)
