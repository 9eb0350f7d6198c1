"""The two consoles: answers go to standard output, everything else to standard error."""

from __future__ import annotations

from rich.console import Console

out = Console()
err = Console(stderr=True)
