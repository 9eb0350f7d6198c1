"""Priors of names kept on disk, because they cost most of a language model's first answers.

A file holds those of one taxonomy as one model reads them after one prompt: a number for each node,
NaN where none was needed yet. Processes add to it whole; what one loses of another's is computed
again. The files lie in the user's cache and may be deleted.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.generation.engine import Reading
from cascade.generation.prompts import PromptTemplate
from cascade.io.files import cache_folder
from cascade.retrieval.text_vectors import write_whole
from cascade.taxonomy import Taxonomy

FORMAT = 1  # raised when the same key would mean other priors
MOST = 64  # files; those that were written longest ago go first
LEAST = -1e6  # of a log-probability
ALMOST_NONE = 1e-3  # above a probability of one, by rounding

logger = logging.getLogger(__name__)


class KeptPriors:
    """The file of some priors.

    Parameters
    ----------
    path
        The file, which need not be there.
    n_nodes
        Of the taxonomy.
    """

    def __init__(self, path: Path, n_nodes: int) -> None:
        self._path = path
        self._n_nodes = n_nodes

    @classmethod
    def of(
        cls, model: str, template: PromptTemplate, taxonomy: Taxonomy, reading: Reading
    ) -> KeptPriors:
        """Those of a model, named by all that its scores depend on."""
        made_of = [FORMAT, model, template.source, dict(template.values), reading]
        told = json.dumps([*made_of, taxonomy.fingerprint], sort_keys=True, default=repr)
        key = hashlib.sha256(told.encode()).hexdigest()[:32]
        return cls(cache_folder() / "priors" / f"{key}.npy", len(taxonomy))

    def read(self) -> NDArray[np.float64]:
        """float64 [n_nodes], log-probabilities; NaN where none is known."""
        nothing = np.full(self._n_nodes, np.nan)
        try:
            found: Any = np.load(self._path, allow_pickle=False)
        except FileNotFoundError:
            return nothing
        except (OSError, ValueError, EOFError) as error:
            logger.warning("kept priors are computed again: %s: %s", self._path, error)
            return nothing
        known = isinstance(found, np.ndarray) and found.dtype == float
        if not known or found.shape != nothing.shape:
            return nothing
        # NaN is neither.
        return nothing if np.any((found < LEAST) | (found > ALMOST_NONE)) else found

    def add(self, priors: NDArray[np.float64]) -> None:
        """Keep those [n_nodes] that are no NaN, beside what is there."""
        known = np.where(np.isnan(priors), self.read(), priors)
        try:
            write_whole(self._path, lambda staging: _write(Path(staging), known))
            files = sorted(self._path.parent.glob("*.npy"), key=lambda file: file.stat().st_mtime)
            for old in files[:-MOST]:
                old.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("priors of names are not kept for next time: %s", error)


def _write(path: Path, values: NDArray[np.float64]) -> None:
    with path.open("wb") as file:  # by its name, NumPy would add a suffix
        np.save(file, values, allow_pickle=False)
