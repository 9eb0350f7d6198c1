"""Packs: a folder with a cascade.yaml, and a seal that tells when a file is not what it was.

The seal is against accidents: whoever changes a pack can seal it again. So a pack is taken for the
work of a stranger: it sets only what is listed here, and names nothing outside of its folder. Only
one that was fitted on this machine may name the models that it was fitted with, wherever they are.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cascade.config import CascadeConfig, Section, is_file_name, shown
from cascade.errors import ConfigError
from cascade.io.files import cache_folder, read_json, readable_by_others, sha256_of
from cascade.io.kept_hashes import kept_sha256

SEAL = "pack.json"
FORMAT = 1
FREE = (SEAL, "README.md", "metrics.json", "manifest.json", "metrics.jsonl", "curves.png")
"""Files that no answer depends on."""
MOST_FILES = 20_000

MAY_SET = (
    "taxonomy",
    "taxonomy_encoding",
    "taxonomy_scheme",
    "taxonomy_sheet",
    "method",
    "columns",
    "reads",
    "item",
    "rows_together",
    "retrieval",
    "llm.engine",
    "llm.model",
    "llm.adapter",
    "llm.prompt",
    "llm.type_prompt",
    "llm.answer",
    "llm.reading",
    "llm.named",
    "llm.prior",
    "llm.device",
    "llm.precision",
    "llm.batch_tokens",
    "llm.max_chars",
    "nli",
    "rerank",
    "agent",
    "choose",
    "backbones",
    "heads",
    "neighbours",
    "fusion",
    "routing",
    "taught",
    "calibration",
    "descent",
    "facets.base",
    "facets.categories",
    "facets.descriptors",
    "facets.learnt",
    "facets.gloss",
    "max_chars",
)
"""Fields, and sections with all in them, that a pack may set. What is not here needs the user's own
word: where pictures come from, servers and their keys, options of vLLM, downloads."""


def seal(folder: Path, *, own: bool = False) -> None:
    """Write `pack.json`: SHA-256 and size of every file of the pack that its answers depend on.

    Parameters
    ----------
    own
        Whether the user made it here, of models that the user named: this machine then remembers
        the seal, so that the pack may name them. On others they have to be named again.
    """
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
    readable_by_others(folder, folder / SEAL)
    if own:
        with suppress(OSError):  # a cache that cannot be written: they have to be named here too
            mark = _mark(folder)
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


def is_own(folder: Path) -> bool:
    """Whether the user made a pack on this machine; no more so once any file of it is changed."""
    try:
        return _mark(folder).is_file()
    except OSError:  # there is no seal
        return False


def _mark(folder: Path) -> Path:
    """The file in the user's cache that tells that a pack of this seal was made here."""
    return cache_folder() / "packs" / sha256_of(folder / SEAL)


def work_folder(folder: Path) -> Path:
    """Where everything of a fit is until its pack is whole."""
    return folder.with_name(f"{folder.name}.fitting")


def verify(folder: Path, *, every_byte: bool = True) -> None:
    """Check that the files of a sealed pack are what they were.

    Parameters
    ----------
    every_byte
        Whether large files are read although they have not changed since they were; see
        `io.kept_hashes`.

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
    check_files(folder)
    digest_of = sha256_of if every_byte else kept_sha256
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
        # A hash that was kept wrongly is no reason to refuse what is whole.
        if digest_of(file) != digest and sha256_of(file) != digest:
            raise ConfigError(
                f"{file}: was changed since the pack was sealed; copy or fit the pack again"
            )


def check_files(folder: Path) -> None:
    """Raise ConfigError where a link in a pack leads out of it, or it has other than files.

    A named pipe would be waited for without end.
    """
    seen = 0
    for place, folders, files in os.walk(folder):
        seen += len(files)
        if seen > MOST_FILES:
            raise ConfigError(f"{folder}: holds more than {MOST_FILES:,} files, so it is no pack")
        for name in (*folders, *files):
            path = Path(place, name)
            if name in files and path.exists() and not path.is_file():
                raise ConfigError(f"{path}: is no file, and a pack has files only; remove it")
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


def confine(
    config: CascadeConfig, folder: Path, named_here: Mapping[str, Any], *, own: bool = False
) -> dict[str, Any]:
    """Take out of a pack's config what a pack may not set.

    Parameters
    ----------
    folder
        The pack's.
    named_here
        Nested fields that the user sets; they come in the place of what the pack says.
    own
        Whether the user made it here, so that it may name what lies outside of it.

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
        if own or _is_set((*at, field), named_here) or not _lies_outside(name, folder):
            continue
        raise ConfigError(
            f"{folder}: its {_dotted(*at, field)} lies outside of the pack, {name!r:.120}; if you "
            f"trust that, name it yourself with --set {_setting(*at, field, value=name)} (in "
            "Python as a keyword of load); or put it into the pack and name it from there"
        )
    return taken


def _lies_outside(name: str, folder: Path) -> bool:
    """Whether a name leads out of a folder, or is of something in the working folder."""
    if leads_out(name, folder):
        return True
    return not (folder / name).exists() and Path(name).exists()


def _dotted(*place: str) -> str:
    """The place of a field as `--set` takes it: parts with a dot in quotes."""
    return ".".join(f'"{part}"' if "." in part else part for part in place)


def _setting(*place: str, value: str) -> str:
    """What to write behind `--set`, as a shell takes it."""
    return shlex.quote(f"{_dotted(*place)}={value:.1000}")


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
    """Place and field of each file, folder and weights that a config sets, with the name."""
    for field, name in section.names():
        if name != type(section).model_fields[field].default:
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


def resolve_paths(config: CascadeConfig, folder: Path, *, is_pack: bool = False) -> CascadeConfig:
    """The config with the files of its parts named from where we are, not from its folder."""
    resolved = config.model_copy(deep=True)
    resolved.resolve(folder, named=is_pack)
    return resolved


def file_hashes(config: CascadeConfig) -> dict[str, str]:
    """SHA-256 of the fitted files that a config names, by name: answers depend on them."""
    return {name: kept_sha256(Path(name)) for name in config.local_files() if Path(name).is_file()}
