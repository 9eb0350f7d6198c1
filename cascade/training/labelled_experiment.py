"""Experiments of `cascade finetune` whose rows are of one file, over one taxonomy."""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cascade.config import Columns
from cascade.errors import CascadeError, InputError, TaxonomyError
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.making import taxonomy_of_labels
from cascade.pipeline.load import load_taxonomy
from cascade.taxonomy import Taxonomy
from cascade.tracking.provenance import relative
from cascade.training.experiment import Experiment
from cascade.training.finetune_recipe import LabelledRecipe
from cascade.training.labelled import Labelled, read_labelled, readable, settled_columns
from cascade.training.sampling import balanced, hold_out_groups

R = TypeVar("R", bound=LabelledRecipe)


class LabelledExperiment(Experiment[R]):
    """An experiment on the rows of one file; see `Experiment`."""

    @property
    @abstractmethod
    def _in_use(self) -> tuple[str, dict[str, str]]:
        """Method and settings that classify with the result."""

    def usage(self) -> str:
        """The command that classifies with the result."""
        method, settings = self._in_use
        taxonomy = self.recipe.data.taxonomy or "TAXONOMY"
        words = ["cascade", "classify", "items.csv", "-t", taxonomy]
        words += [word for column in self.columns.text for word in ("--text", column)]
        words += ["--method", method]
        words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        return shlex.join([*words, "-o", "out.csv"])

    @cached_property
    def source(self) -> TableFile:
        """The rows to learn from."""
        data = self.recipe.data
        return TableFile(_existing("data.file", data.file), self.limit, data.encoding, data.sheet)

    @cached_property
    def validation(self) -> TableFile | None:
        """The rows to validate on, where they are in a file of their own."""
        data, file = self.recipe.data, self.recipe.validation.file
        if file is None:
            return None
        return TableFile(_existing("validation.file", file), None, data.encoding, data.sheet)

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy that the recipe names, or one of the labels."""
        data = self.recipe.data
        if data.taxonomy is not None:
            try:
                return load_taxonomy(data.taxonomy, **data.taxonomy_reading)
            except TaxonomyError as error:
                raise InputError(f"data.taxonomy: {error}") from error
        with _in_words_of_recipes():
            return taxonomy_of_labels([self.source, *filter(None, [self.validation])], data.label)

    @cached_property
    def columns(self) -> Columns:
        """Text and label; the text guessed where none is named."""
        data = self.recipe.data
        columns = Columns(text=data.text, image=getattr(data, "image", None), label=data.label)
        with _in_words_of_recipes():
            return settled_columns(self.source, columns)

    @property
    def data(self) -> dict[str, Any]:
        """Files with their hashes, columns, the taxonomy."""
        files = {"data": self.source, "validation": self.validation}
        found: dict[str, Any] = {
            name: {"file": relative(source.file), "sha256": source.sha256, "limit": source.limit}
            for name, source in files.items()
            if source is not None
        }
        found["data"]["columns"] = self.columns.model_dump(exclude_defaults=True)
        tree, named = self.taxonomy, self.recipe.data.taxonomy
        about = {"name": tree.name, "nodes": len(tree), "sha256": tree.fingerprint}
        return found | {"taxonomy": {**about, "made_of_labels": named is None}}

    @property
    def _contents(self) -> Any:
        _ = self.columns
        return [
            self.source.sha256,
            self.source.limit,
            self.validation and self.validation.sha256,
            self.taxonomy.fingerprint,
        ]

    @property
    def _places(self) -> dict[str, Any]:
        return {"data": {"file"}}

    def _rows(self) -> tuple[Labelled, Labelled, dict[str, Any]]:
        """The rows to learn from, those to validate on, and how many of what there are.

        Raises
        ------
        InputError
            A column is not there, or there is nothing to learn from.
        """
        recipe, seed = self.recipe, self.recipe.seed
        share, most = recipe.validation.share, recipe.validation.most_rows
        self.progress("reading rows", 0, None)
        with _in_words_of_recipes():
            read = self._read(self.source)
            if read.unread[0]:
                self.notify(f"{read.unread[0]:,} pictures cannot be used (first: {read.unread[1]})")
            for reason, (count, line) in read.skipped.items():
                self.notify(f"{count:,} rows are left out: {reason} (first: line {line})")
            if self.validation is not None:
                train, kept = read, self._read(self.validation)
            else:
                out = hold_out_groups(read.comparable_texts, share, most, seed)
                train, kept = read.part(~out), read.part(out)
        if not len(train):
            raise InputError(
                f"all of its {len(read)} rows are held out for validation; lower validation.share",
                file=self.source.file,
            )
        chosen = balanced(train.nodes, recipe.data.rows_per_class, seed)
        subset = train.part(np.isin(np.arange(len(train)), chosen))
        order = np.random.default_rng((seed, 1)).permutation(len(kept))
        kept = kept.part(np.isin(np.arange(len(kept)), order[:most]))
        counts = {
            "read": len(read),
            "left_out": {reason: count for reason, (count, _) in read.skipped.items()},
            "train": len(subset),
            "validation": len(kept),
            "classes": len(np.unique(subset.nodes)),
        }
        return subset, kept, counts

    def _read(self, source: TableFile) -> Labelled:
        """The rows of a file, without pictures that cannot be read."""
        found = read_labelled(
            source,
            self.columns,
            self.taxonomy,
            lambda rows: self.progress("reading rows", rows, None, f"{rows:,} rows"),
        )
        return found if self.columns.image is None else readable(found)


def _existing(field: str, file: str) -> str:
    if not Path(file).is_file():
        raise InputError(
            f"{field}: there is no file {file}; files are relative to the recipe, and in --set to "
            "the working folder"
        )
    return file


_OPTIONS = {"--label": "data.label", "--text": "data.text", "with -t": "with data.taxonomy"}


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
