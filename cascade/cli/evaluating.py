"""What commands that measure have in common: the config with rankings, and where the run goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.cli import options
from cascade.cli.console import err

if TYPE_CHECKING:
    from cascade.config import CascadeConfig, TaxonomyReading
    from cascade.evaluation.evaluate import RunOptions
    from cascade.io.tables.opening import TableFile
    from cascade.taxonomy import Taxonomy


def resolve(
    config: str | None,
    taxonomy: str | None,
    chosen: dict[str, Any],
    read: TaxonomyReading,
) -> tuple[CascadeConfig, Taxonomy | None]:
    """The config, with rankings as the metrics need them, and the taxonomy if one is named."""
    from cascade.config import CascadeConfig
    from cascade.evaluation.metrics.ranking import DEEP
    from cascade.scoring.components import settle_defaults
    from cascade.scoring.methods import check_method

    settings = [f"retrieval.ranking={DEEP}", *(chosen["settings"] or [])]
    tree = None
    if config is None and taxonomy is None:
        settled = options.settle(CascadeConfig(), **{**chosen, "settings": settings})
    else:
        settled, tree = options.resolve(
            config, taxonomy, **read, **{**chosen, "settings": settings}
        )
    check_method(settle_defaults(settled, tree), settled.heads)
    return settled, tree


def taxonomy_of_labels(source: TableFile, config: CascadeConfig, *, keep_case: bool) -> Taxonomy:
    """A taxonomy of the label paths, for rows whose taxonomy is not named."""
    from cascade.errors import UsageError
    from cascade.pipeline.labels.making import LabelForm, taxonomy_of_labels

    if config.columns.label is None:
        raise UsageError("say which column holds the known answers with --label")
    form = LabelForm(config.columns.label_separator, keep_case)
    tree = taxonomy_of_labels([source], config.columns.label, form)
    err.print(
        f"no taxonomy is named: made one of the labels, {len(tree):,} nodes (name one with -t)"
    )
    return tree


def free_folder(name: str, run: RunOptions) -> str:
    """The folder of a run that names none: `runs/NAME`, with a number where it is taken."""
    from cascade.errors import UsageError

    if run.resume or run.overwrite:
        raise UsageError("name the run that is meant with --out FOLDER")
    base = Path("runs") / name
    free, number = base, 1
    while free.exists():
        number += 1
        free = base.with_name(f"{base.name}-{number}")
    return str(free)
