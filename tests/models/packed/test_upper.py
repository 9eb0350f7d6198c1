"""The upper layers of an encoder are trained over what the lower ones made of each text once."""

import numpy as np
import pytest
import torch
from tiny_encoder import save_tiny_encoder

from cascade.models.packed import upper
from cascade.models.packed.saving import save_like
from cascade.models.packed.upper import Kept, UpperLayers
from cascade.models.sentence_encoder import PackedEncoder
from cascade.models.weights import find_weights

TEXTS = ["steel rake", "wide straw hat for the summer", "steel rake", "oak"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return find_weights(str(save_tiny_encoder(tmp_path_factory.mktemp("tiny"), TEXTS)))


@pytest.fixture
def encoder(weights):
    return PackedEncoder.open(weights)


@pytest.mark.parametrize("layers", [None, 1, 2, 9])
def test_vectors_are_those_of_the_encoder(encoder, layers):
    kept = Kept()
    own = UpperLayers(encoder, layers, kept)
    ids = encoder.tokens(TEXTS, 100)
    expected = encoder.encode(TEXTS)
    for _ in range(2):  # computed, then kept
        np.testing.assert_allclose(own.vectors(ids).detach().numpy(), expected, atol=2e-2)
    np.testing.assert_allclose(own.encode(ids, lambda *_: None), expected, atol=2e-2)
    lower = encoder.transformer.n_layers - (layers or 99)
    assert len(kept.states) == (3 if lower > 0 else 0)  # each text once
    assert kept.size == sum(states.nbytes for states in kept.states.values())


def test_only_the_upper_layers_learn(encoder):
    own = UpperLayers(encoder, 1, Kept())
    last = encoder.transformer.n_layers - 1
    assert own.trained and all(name.startswith(f"encoder.layer.{last}.") for name in own.trained)
    own.vectors(encoder.tokens(TEXTS, 100)).sum().backward()
    assert all(weight.grad is not None for weight in own.trained.values())
    assert all(weight.grad is None for weight in encoder.weights.values())
    everything = UpperLayers(encoder, None, Kept()).trained
    assert "embeddings.word_embeddings.weight" in everything and len(everything) > len(own.trained)


def test_what_finds_no_room_is_computed_again(encoder, monkeypatch):
    monkeypatch.setattr(upper, "ROOM", 0)
    kept = Kept()
    own = UpperLayers(encoder, 1, kept)
    ids = encoder.tokens(TEXTS, 100)
    np.testing.assert_allclose(own.vectors(ids).detach().numpy(), encoder.encode(TEXTS), atol=2e-2)
    assert not kept.states and kept.size == 0


def test_what_was_trained_is_written_and_read_again(encoder, weights, tmp_path):
    own = UpperLayers(encoder, 1, Kept())
    with torch.no_grad():
        for weight in own.trained.values():
            weight.add_(0.05)
    save_like(weights, own.tensors, tmp_path / "model")
    read = PackedEncoder.open(find_weights(str(tmp_path / "model")))
    ids = encoder.tokens(TEXTS, 100)
    np.testing.assert_allclose(read.encode(TEXTS), own.vectors(ids).detach().numpy(), atol=2e-2)
    assert not np.allclose(read.encode(TEXTS), encoder.encode(TEXTS), atol=1e-3)
