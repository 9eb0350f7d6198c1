"""The network that ranks base terms: what it reads from a file."""

import numpy as np
import pytest

from cascade.errors import ConfigError
from cascade.io.files import write_tensors
from cascade.pipeline.facets.terms.features import TERM_FEATURES
from cascade.pipeline.facets.terms.network import TermNetwork


def written(file, features):
    rng = np.random.default_rng(0)
    arrays = {
        "hidden": rng.normal(size=(len(features), 3)).astype(np.float32),
        "hidden_bias": np.zeros(3, np.float32),
        "out": np.ones(3, np.float32),
    }
    write_tensors(file, {"features": list(features)}, arrays)
    return arrays


def test_a_network_of_before_says_nothing_of_features_that_came_later(tmp_path):
    before = [name for name in TERM_FEATURES if "same species" not in name]
    arrays = written(tmp_path / "terms.safetensors", before)
    network = TermNetwork.load(tmp_path / "terms.safetensors")
    values = np.random.default_rng(1).normal(size=(2, 5, len(TERM_FEATURES))).astype(np.float32)
    own = values[:, :, [TERM_FEATURES.index(name) for name in before]]
    np.testing.assert_allclose(
        network.of(values), np.maximum(own @ arrays["hidden"], 0).sum(axis=2), rtol=1e-5
    )


def test_a_network_of_other_features_is_refused(tmp_path):
    written(tmp_path / "terms.safetensors", ["likeness", "colour"])
    with pytest.raises(ConfigError, match="no ranking of base terms of this version"):
        TermNetwork.load(tmp_path / "terms.safetensors")


def test_the_shipped_network_reads_all_features():
    assert TermNetwork.load().hidden.shape[0] == len(TERM_FEATURES)
