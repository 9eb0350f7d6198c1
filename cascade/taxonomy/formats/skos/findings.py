"""What was untidy in a vocabulary and how it was read all the same, told in one warning."""

from __future__ import annotations

import logging
from pathlib import Path

logger = logging.getLogger(__name__)

SHOWN = 3  # examples of each kind


class Findings:
    """Collects concepts by what is untidy about them."""

    def __init__(self) -> None:
        self._examples: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, rule: str, example: str) -> None:
        """Count an example of a rule."""
        self._counts[rule] = self._counts.get(rule, 0) + 1
        examples = self._examples.setdefault(rule, [])
        if len(examples) < SHOWN:
            examples.append(example)

    def add_all(self, rule: str, count: int, examples: str) -> None:
        """Keep what is counted already."""
        self._counts[rule], self._examples[rule] = count, [examples]

    def tell(self, file: Path) -> None:
        """Log all that was found as one warning, if anything was."""
        parts = []
        for rule, count in self._counts.items():
            examples = self._examples[rule]
            more = ", ..." if SHOWN == len(examples) < count else ""
            parts.append(f"{rule}: {count:,} ({', '.join(examples)}{more})")
        if parts:
            logger.warning("%s: read with these rules: %s", file, "; ".join(parts))
