"""A fit as it is asked for: columns guessed where none is named, a taxonomy made of the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade.config import FITTED_ENCODER, CascadeConfig, Columns, TaxonomyReading
from cascade.errors import UsageError
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.making import LabelForm, taxonomy_of_labels
from cascade.pipeline.load import load_taxonomy
from cascade.pipeline.runs.columns import picture_places
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.training.foodex2.own.pack import OWN_CODES, OwnCodesFit
from cascade.training.labelled import settled_columns
from cascade.training.packs.fit import Fit, Notify
from cascade.training.packs.recipe import Recipe


@dataclass(frozen=True)
class FitRequest:
    """What `cascade fit` and `cascade.fit` are asked.

    Parameters
    ----------
    columns
        Those that are named, the label among them.
    recipe
        A recipe or its name; `foodex2` learns whole codes, base terms with facets.
    taxonomy
        A shipped name, a file, or one that is loaded; None makes it of the labels.
    reading
        How the file of the taxonomy is read.
    keep_case
        Whether labels that differ only in case are different classes.
    pictures
        A config that says where pictures may come from.
    """

    source: TableFile
    columns: Columns
    recipe: str | Recipe
    taxonomy: str | Path | Taxonomy | None = None
    reading: TaxonomyReading | None = None
    keep_case: bool = False
    pictures: CascadeConfig | None = None
    validation: TableFile | None = None
    seed: int = 0
    allow_download: bool = False
    command: str = ""
    report_to: Sequence[str] = ()
    processes: str | None = None
    encoder: str = FITTED_ENCODER

    def job(self, folder: Path, notify: Notify, inform: Notify) -> Fit | OwnCodesFit:
        """What is fitted into a folder.

        Parameters
        ----------
        notify
            Called with each sentence that a user should know.
        inform
            Called with what was guessed, and what was made of the labels.

        Raises
        ------
        ConfigError, InputError, TaxonomyError
            Recipe, columns or taxonomy cannot be used.
        """
        if self.recipe == OWN_CODES:
            return self._own_codes(folder, notify, inform)
        recipe = self.recipe if isinstance(self.recipe, Recipe) else Recipe.load(self.recipe)
        columns = settled_columns(self.source, self.columns)
        if columns.text and not self.columns.text:
            inform(f"text columns: {', '.join(columns.text)} (choose others with --text)")
        tree = self._tree(inform)
        if isinstance(tree, FacetedTaxonomy):
            notify(
                f"this recipe learns the base terms of {tree.name} alone; to learn whole codes "
                f"choose --recipe {OWN_CODES}"
            )
        return Fit(
            self.source,
            tree,
            columns,
            recipe,
            folder,
            validation=self.validation,
            seed=self.seed,
            allow_download=self.allow_download,
            places=picture_places(self.pictures or CascadeConfig()),
            command=self.command,
            report_to=self.report_to,
            notify=notify,
        )

    def _own_codes(self, folder: Path, notify: Notify, inform: Notify) -> OwnCodesFit:
        """The fit of whole codes.

        Raises
        ------
        UsageError
            The taxonomy is no catalogue of FoodEx2, or something is asked that it does not take.
        """
        tree = None if self.taxonomy is None else self._tree(inform)
        if not isinstance(tree, FoodEx2Taxonomy):
            raise UsageError(
                "whole codes are learnt of FoodEx2 alone; name EFSA's catalogue, MTX.ecf, with "
                "--taxonomy"
            )
        if self.columns.image is not None or self.validation is not None or self.report_to:
            raise UsageError(
                f"--recipe {OWN_CODES} reads texts, and measures on rows held out in turn; leave "
                "out --image, --validation and --report-to"
            )
        return OwnCodesFit(
            self.source,
            tree,
            self.columns,
            folder,
            processes=self.processes,
            encoder=self.encoder,
            seed=self.seed,
            command=self.command,
            notify=notify,
        )

    def _tree(self, inform: Notify) -> Taxonomy:
        if isinstance(self.taxonomy, Taxonomy):
            return self.taxonomy
        if self.taxonomy is not None:
            reading: Any = self.reading or {}
            return load_taxonomy(self.taxonomy, **reading)
        assert self.columns.label is not None
        form = LabelForm(self.columns.label_separator, self.keep_case)
        tree = taxonomy_of_labels([self.source], self.columns.label, form)
        inform(
            f"no taxonomy is named: made one of the labels, {len(tree):,} nodes (name one with -t)"
        )
        return tree
