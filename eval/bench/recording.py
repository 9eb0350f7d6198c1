"""What a benchmark found, recorded with the command that found it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any


def command() -> str:
    """The command that is running, as it is typed at the root of the repository."""
    return shlex.join(["python", *sys.argv])


def record(out: Path, result: dict[str, Any], page: str) -> None:
    """Write what was found, with its command, as JSON, and as a page of Markdown beside it."""
    told = {"command": command(), **result}
    out.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    out.with_suffix(".md").write_text(page, "utf-8")
