"""Packs: a folder with a cascade.yaml, and a seal that tells when a file is not what it was.

The seal is against accidents: whoever changes a pack can seal it again. So a pack is taken for the
work of a stranger: it sets only what is listed here, and names nothing outside of its folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade.config import CascadeConfig, Section, is_file_name, shown
from cascade.errors import ConfigError
from cascade.io.files import read_json, sha256_of

SEAL = "pack.json"
FORMAT = 1
FREE = (SEAL, "README.md", "metrics.json")  # no answer depends on them
MOST_FILES = 20_000

MAY_SET = (
    "taxonomy",
    "taxonomy_encoding",
    "taxonomy_scheme",
    "method",
    "columns",
    "reads",
    "retrieval",
    "llm.engine",
    "llm.model",
    "llm.adapter",
    "llm.prompt",
    "llm.type_prompt",
    "llm.answer",
    "llm.reading",
    "llm.prior",
    "llm.device",
    "llm.precision",
    "llm.batch_tokens",
    "llm.max_chars",
    "nli",
    "rerank",
    "backbones",
    "heads",
    "neighbours",
    "fusion",
    "routing",
    "calibration",
    "descent",
    "facets.base",
    "facets.categories",
    "facets.descriptors",
    "max_chars",
)
"""Fields, and sections with all in them, that a pack may set. What is not here needs the user's own
word: where pictures come from, servers and their keys, options of vLLM, downloads."""


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
        sealed = read_json(path)
        known, files = sealed["format"], dict(sealed["files"])
        listed = [(str(n), int(f["bytes"]), str(f["sha256"])) for n, f in files.items()]
    except (ConfigError, OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise ConfigError(f"{path}: is no seal of a pack; copy or fit the pack again") from None
    if known != FORMAT:
        raise ConfigError(f"{path}: a pack of format {known!r}, this version reads {FORMAT}")
    _check_links(folder)
    for name, size, digest in listed:
        file = folder / name
        if leads_out(name, folder) or not file.is_file():
            raise ConfigError(
                f"{folder}: {shown(name)} is missing from the pack; copy or fit the pack again"
            )
        if file.stat().st_size != size:
            raise ConfigError(
                f"{file}: has {file.stat().st_size:,} bytes, the pack was sealed with {size:,}; "
                "copy or fit the pack again"
            )
        if sha256_of(file) != digest:
            raise ConfigError(
                f"{file}: was changed since the pack was sealed; copy or fit the pack again"
            )


def _check_links(folder: Path) -> None:
    """Raise ConfigError where a link in a pack leads out of it, or it has far too many files."""
    seen = 0
    for place, folders, files in os.walk(folder):
        seen += len(files)
        if seen > MOST_FILES:
            raise ConfigError(f"{folder}: holds more than {MOST_FILES:,} files, so it is no pack")
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() and leads_out(str(path.relative_to(folder)), folder):
                raise ConfigError(
                    f"{path}: is a link that leads out of the pack; put a copy in its place"
                )


def leads_out(name: str, folder: Path) -> bool:
    """Whether a name leads out of a folder, by `..`, a root, `~` or links, or can be no name."""
    if name.startswith("~") or not is_file_name(name):
        return True
    try:
        return not (folder / name).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # too long when resolved; links in a circle
        return True


def confine(config: CascadeConfig, folder: Path, named_here: Mapping[str, Any]) -> dict[str, Any]:
    """Take out of a pack's config what a pack may not set.

    Parameters
    ----------
    folder
        The pack's.
    named_here
        Nested fields that the user sets; they come in the place of what the pack says.

    Returns
    -------
    What was taken out, by the dotted names of fields.

    Raises
    ------
    ConfigError
        Something that the pack may set, and that the user does not, lies outside of it.
    """
    taken = _take_out(config, (), named_here)
    for at, field, name in _names(config):
        if _is_set((*at, field), named_here) or not leads_out(name, folder):
            continue
        dotted = ".".join((*at, field))
        raise ConfigError(
            f"{folder}: its {dotted} lies outside of the pack, {name!r:.120}; put it into the pack "
            f"and name it from there, or name it yourself with --set {dotted}=..."
        )
    return taken


def _take_out(section: Section, at: tuple[str, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Set fields that a pack may not set to their defaults; those that the user sets are silent."""
    taken: dict[str, Any] = {}
    for field, info in type(section).model_fields.items():
        place = (*at, field)
        value = getattr(section, field)
        if ".".join(place) in MAY_SET:
            continue
        if isinstance(value, Section):
            taken |= _take_out(value, place, named)
            continue
        usual = info.get_default(call_default_factory=True)
        if value != usual:
            setattr(section, field, usual)
            if not _is_set(place, named):
                taken[".".join(place)] = value
    return taken


def _names(
    section: Section, at: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Place and field of each file, folder and weights that a config names, with the name."""
    for field, name in section.names():
        yield at, field, name
    for field, value in dict(section).items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for key, part in parts:
            if isinstance(part, Section):
                yield from _names(part, (*at, field, *([key] if key else [])))


def _is_set(place: Sequence[str], named: Mapping[str, Any]) -> bool:
    """Whether the user sets the field at a place."""
    found: Any = named
    for part in place:
        if not isinstance(found, Mapping) or part not in found:
            return False
        found = found[part]
    return found is not None


def resolve_paths(config: CascadeConfig, folder: Path) -> CascadeConfig:
    """The config with the files of its parts named from where we are, not from its folder."""
    resolved = config.model_copy(deep=True)
    resolved.resolve(folder)
    return resolved


def file_hashes(config: CascadeConfig) -> dict[str, str]:
    """SHA-256 of the fitted files that a config names, by name: answers depend on them."""
    return {name: sha256_of(Path(name)) for name in config.local_files() if Path(name).is_file()}
