"""The rows of an experiment: read, held out, drawn so that classes are balanced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import Columns
from cascade.errors import CascadeError, InputError, TaxonomyError
from cascade.io.source import Source
from cascade.pipeline.labels import taxonomy_of_labels
from cascade.pipeline.load import load_taxonomy
from cascade.taxonomy import Taxonomy
from cascade.training.finetune_recipe import FinetuneRecipe, SeenDataRecipe
from cascade.training.instructions import balanced
from cascade.training.labelled import Labelled, read_labelled, readable, settled_columns
from cascade.training.splits import near_duplicate_groups

_OPTIONS = {"--label": "data.label", "--text": "data.text", "with -t": "with data.taxonomy"}


class ExperimentData:
    """What a recipe learns from.

    Parameters
    ----------
    limit
        Rows of the data file that are read.

    Raises
    ------
    InputError
        A file is not there.
    """

    def __init__(self, recipe: FinetuneRecipe, limit: int | None = None) -> None:
        self._recipe = recipe
        data, file = recipe.data, recipe.validation.file
        for name, named in (("data.file", data.file), ("validation.file", file)):
            if named is not None and not Path(named).is_file():
                raise InputError(
                    f"{name}: there is no file {named}; files are relative to the recipe, and in "
                    "--set to the working folder"
                )
        self.source = Source(data.file, limit, data.encoding, data.sheet)
        self.validation = None if file is None else Source(file, None, data.encoding, data.sheet)

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy that the recipe names, or one of the labels."""
        data = self._recipe.data
        if data.taxonomy is not None:
            try:
                return load_taxonomy(data.taxonomy)
            except TaxonomyError as error:
                raise InputError(f"data.taxonomy: {error}") from error
        with _in_words_of_recipes():
            return taxonomy_of_labels([self.source, *filter(None, [self.validation])], data.label)

    @cached_property
    def columns(self) -> Columns:
        """Text and label; the text guessed where none is named."""
        data = self._recipe.data
        image = data.image if isinstance(data, SeenDataRecipe) else None
        with _in_words_of_recipes():
            return settled_columns(
                self.source, Columns(text=data.text, image=image, label=data.label)
            )

    @property
    def identity(self) -> list[Any]:
        """All that the rows depend on, as plain values."""
        return [
            self.source.sha256,
            self.source.limit,
            self.validation and self.validation.sha256,
            self.taxonomy.fingerprint,
        ]

    def rows(
        self, said: Callable[[str], None], progress: Callable[[int], None]
    ) -> tuple[Labelled, Labelled, dict[str, Any]]:
        """The rows to learn from, those to look at, and how many of what there are.

        Parameters
        ----------
        said
            Called with what a user should know about the rows.
        progress
            Called with the rows that are read.

        Raises
        ------
        InputError
            A column is not there, or there is nothing to learn from.
        """
        recipe, seed = self._recipe, self._recipe.seed
        with _in_words_of_recipes():
            read = self._read(self.source, progress)
            if read.unread[0]:
                said(f"{read.unread[0]:,} pictures cannot be used (first: {read.unread[1]})")
            for reason, (count, line) in read.skipped.items():
                said(f"{count:,} rows are left out: {reason} (first: line {line})")
            if self.validation is not None:
                train = read
                kept = self._read(self.validation, progress)
            else:
                out = held_out(read, recipe.validation.share, recipe.validation.most_rows, seed)
                train, kept = read.part(~out), read.part(out)
        if not len(train):
            raise InputError(
                f"all of its {len(read)} rows are held out for validation; lower validation.share",
                file=self.source.file,
            )
        chosen = balanced(train.nodes, recipe.data.rows_per_class, seed)
        subset = train.part(np.isin(np.arange(len(train)), chosen))
        order = np.random.default_rng((seed, 1)).permutation(len(kept))
        kept = kept.part(np.isin(np.arange(len(kept)), order[: recipe.validation.most_rows]))
        counts = {
            "read": len(read),
            "left_out": {reason: count for reason, (count, _) in read.skipped.items()},
            "train": len(subset),
            "validation": len(kept),
            "classes": len(np.unique(subset.nodes)),
        }
        return subset, kept, counts

    def _read(self, source: Source, progress: Callable[[int], None]) -> Labelled:
        """The rows of a file, without pictures that cannot be read."""
        found = read_labelled(source, self.columns, self.taxonomy, progress)
        return found if self.columns.image is None else readable(found, lambda *_: None)


def held_out(rows: Labelled, share: float, most: int, seed: int) -> NDArray[np.bool_]:
    """Which rows are held out, drawn by the seed; near duplicates stay together.

    Parameters
    ----------
    share, most
        Of the rows, and how many at the most.

    Returns
    -------
    bool [n_rows]
    """
    group = near_duplicate_groups([text.casefold() for text in rows.told_by])
    sizes = np.bincount(group)
    order = np.random.default_rng((seed, 0)).permutation(len(sizes))
    wanted = min(round(share * len(rows)), most)
    chosen = order[np.cumsum(sizes[order]) <= wanted]
    return np.isin(group, chosen)


@contextmanager
def _in_words_of_recipes() -> Iterator[None]:
    """Errors that name options of other commands name fields of the recipe."""
    try:
        yield
    except CascadeError as error:
        message = str(error)
        for option, name in _OPTIONS.items():
            message = message.replace(option, name)
        raise InputError(message) from error
