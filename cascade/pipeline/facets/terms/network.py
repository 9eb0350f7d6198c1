"""The network that ranks the base terms of a shortlist.

Several networks with one hidden layer, whose outputs are averaged, as one with a wider layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from cascade.errors import ConfigError
from cascade.io.files import read_tensors, write_tensors
from cascade.pipeline.facets.terms.features import TERM_FEATURES, Array

SHIPPED_TERMS = "terms.safetensors"


@dataclass(frozen=True)
class TermNetwork:
    """Says how likely each candidate of a shortlist is, beside the others.

    Parameters
    ----------
    hidden, hidden_bias
        float32 [n_features, n_hidden], [n_hidden]; features are standardised by them.
    out
        float32 [n_hidden]
    """

    hidden: Array
    hidden_bias: Array
    out: Array

    @classmethod
    def load(cls, path: Path | None = None) -> TermNetwork:
        """The network in a file; by default the one that ships.

        Raises
        ------
        ConfigError
            The file cannot be read, or the network was fitted to other features.
        """
        path = path or Path(str(resources.files("cascade.foodex2") / "data" / SHIPPED_TERMS))
        about, arrays = read_tensors(path)
        features = about.get("features", [])
        width = arrays["out"].shape[-1] if "out" in arrays else 0
        expected = {"hidden": (len(features), width), "hidden_bias": (width,), "out": (width,)}
        found = {name: own.shape for name, own in arrays.items()}
        if not features or not set(features) <= set(TERM_FEATURES) or found != expected:
            raise ConfigError(
                f"{path}: is no ranking of base terms of this version; leave out "
                "facets.base.network, or fit it again"
            )
        # One of before says nothing of features that came later.
        hidden = np.zeros((len(TERM_FEATURES), width), np.float32)
        hidden[[TERM_FEATURES.index(name) for name in features]] = arrays["hidden"]
        return cls(**{**arrays, "hidden": hidden})

    def save(self, path: Path) -> None:
        """Write the network to a file."""
        arrays = {"hidden": self.hidden, "hidden_bias": self.hidden_bias, "out": self.out}
        write_tensors(path, {"features": list(TERM_FEATURES)}, arrays)

    def of(self, values: Array) -> Array:
        """float32 [n_items, k], logits, from float32 [n_items, k, n_features]."""
        return np.asarray(np.maximum(values @ self.hidden + self.hidden_bias, 0) @ self.out)
