"""Where the files that travel with the package are: prompts, taxonomies, recipes, weights and
examples.

In an installed wheel they lie inside the package, in a checkout beside it.
"""

from __future__ import annotations

from pathlib import Path


def shipped_folder(kind: str) -> Path:
    """The folder of shipped files of a kind, such as `prompts` or `taxonomies`."""
    package = Path(__file__).parent
    inside = package / "_data" / kind
    return inside if inside.is_dir() else package.parent / kind


def shipped_names(kind: str, suffix: str) -> list[str]:
    """Names of the shipped files of a kind, without their suffix, in order."""
    return sorted(
        path.name.removesuffix(suffix) for path in shipped_folder(kind).glob(f"*{suffix}")
    )


def shipped_file(kind: str, name: str, suffix: str) -> Path | None:
    """The shipped file called `name`, or None."""
    return shipped_folder(kind) / f"{name}{suffix}" if name in shipped_names(kind, suffix) else None
