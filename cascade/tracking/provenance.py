"""Where a run comes from: versions, the machine, the commit of the folder that it was begun in."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cascade.version import __version__

MANIFEST = "manifest.json"
PACKAGES = ("torch", "transformers", "sentence-transformers", "numpy", "scipy")
PATIENCE = 5.0  # seconds that git may take


def provenance() -> dict[str, Any]:
    """Versions, machine and git, as a manifest has them."""
    return {"versions": versions(), "machine": machine(), "git": commit()}


def now() -> str:
    """The time as a manifest has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def relative(path: str) -> str:
    """A path as it may stand in a file that is passed on: never absolute."""
    return os.path.relpath(path) if os.path.isabs(path) else path


def versions() -> dict[str, str]:
    """Those of Python, of cascade and of the packages that figures depend on."""
    found = {"python": platform.python_version(), "cascade": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Cores and system; the accelerator where one is in use."""
    found: dict[str, Any] = {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    torch = sys.modules.get("torch")  # not imported for this alone
    if torch is not None and torch.cuda.is_available():
        found["accelerator"] = torch.cuda.get_device_name(0)
    return found


def commit() -> dict[str, Any] | None:
    """Commit of the working folder and whether files in it have changed since; None without git."""
    head = _git("rev-parse", "HEAD")
    if not head:
        return None
    return {"commit": head, "changed": bool(_git("status", "--porcelain", "-uno"))}


def _git(*words: str) -> str:
    """What git prints; nothing where there is no git, no repository, or no answer in time."""
    # Settings of a repository could name a program to run; this one asks for none.
    command = ["git", "-c", "core.fsmonitor=false", "--no-optional-locks", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
