"""The figures of a review on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from cascade.cli.console import out
from cascade.values import printable


def show_figures(figures: Mapping[str, Any], name: str) -> None:
    """Print progress, the accuracy of the rest, and agreement."""
    out.print(
        f"{name}: {figures['decided']:,} of {figures['rows']:,} rows are decided, "
        f"{figures['conflicts']:,} conflicts are open",
        markup=False,
        highlight=False,
    )
    estimate = figures["estimate"]
    if not estimate["exact"]["rows"]:
        out.print("The accuracy of the rest is not known: decide rows of the random queue.")
    else:
        sample = f"{estimate['exact']['rows']:,} rows of the random part"
        out.print(f"Answers of the {estimate['rest']:,} rows that nobody looked at, by {sample}:")
        for key, what in (("exact", "exactly right"), ("above", "right as far as they go")):
            share = estimate[key]
            out.print(
                f"  {share['share']:.1%} {what} (95% interval {share['low']:.1%} to "
                f"{share['high']:.1%})",
                highlight=False,
            )
    agreement = figures["agreement"]
    if agreement["rows"]:
        out.print(
            f"Krippendorff's alpha {_number(agreement['alpha'])}, over the tree "
            f"{_number(agreement['alpha_tree'])}, on {agreement['rows']:,} rows",
            highlight=False,
        )
    if agreement["pairs"]:
        table = Table("reviewers", "rows", "same", "Cohen's kappa", box=None)
        for pair in agreement["pairs"]:
            names = printable(" and ".join(pair["reviewers"]))
            share = f"{pair['agreed'] / pair['rows']:.0%}"
            table.add_row(names, f"{pair['rows']:,}", share, _number(pair["kappa"]))
        out.print(table, markup=False)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
