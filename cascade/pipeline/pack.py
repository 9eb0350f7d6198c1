"""Packs: a folder with a cascade.yaml, and a seal that tells when a file is not what it was."""

from __future__ import annotations

import json
from pathlib import Path

from cascade.config import CascadeConfig
from cascade.errors import ConfigError
from cascade.io.files import sha256_of

SEAL = "pack.json"
FORMAT = 1
FREE = (SEAL, "README.md", "metrics.json")  # no answer depends on them


def seal(folder: Path) -> None:
    """Write `pack.json`: SHA-256 and size of every file of the pack that its answers depend on."""
    files = {
        path.relative_to(folder).as_posix(): {
            "sha256": sha256_of(path),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() not in FREE
    }
    staging = folder / f"{SEAL}.part"
    staging.write_text(json.dumps({"format": FORMAT, "files": files}, indent=1), "utf-8")
    staging.replace(folder / SEAL)


def work_folder(folder: Path) -> Path:
    """Where everything of a fit is until its pack is whole."""
    return folder.with_name(f"{folder.name}.fitting")


def verify(folder: Path) -> None:
    """Check that the files of a sealed pack are what they were.

    Raises
    ------
    ConfigError
        A file is missing, truncated or changed, or the seal itself cannot be read.
    """
    path = folder / SEAL
    if not folder.exists() and work_folder(folder).is_dir():
        raise ConfigError(
            f"{folder}: its fit was not finished; go on with the same command and --resume"
        )
    if not folder.is_dir():
        raise ConfigError(f"{folder}: is no folder, so it is no pack")
    if not path.is_file():
        raise ConfigError(
            f"{path}: is missing, without which a pack cannot be checked; copy or fit it again"
        )
    try:
        sealed = json.loads(path.read_text("utf-8"))
        known, files = sealed["format"], dict(sealed["files"])
        listed = [(str(n), int(f["bytes"]), str(f["sha256"])) for n, f in files.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{path}: is no seal of a pack; copy or fit the pack again") from None
    if known != FORMAT:
        raise ConfigError(f"{path}: a pack of format {known!r}, this version reads {FORMAT}")
    for name, size, digest in listed:
        file = folder / name
        if not file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
            raise ConfigError(f"{file}: is missing from the pack; copy or fit the pack again")
        if file.stat().st_size != size:
            raise ConfigError(
                f"{file}: has {file.stat().st_size:,} bytes, the pack was sealed with {size:,}; "
                "copy or fit the pack again"
            )
        if sha256_of(file) != digest:
            raise ConfigError(
                f"{file}: was changed since the pack was sealed; copy or fit the pack again"
            )


def resolve_paths(config: CascadeConfig, folder: Path) -> CascadeConfig:
    """The config with the files of its parts named from where we are, not from its folder."""
    resolved = config.model_copy(deep=True)
    resolved.resolve(folder)
    return resolved


def file_hashes(config: CascadeConfig) -> dict[str, str]:
    """SHA-256 of the fitted files that a config names, by name: answers depend on them."""
    return {name: sha256_of(Path(name)) for name in config.local_files() if Path(name).is_file()}
