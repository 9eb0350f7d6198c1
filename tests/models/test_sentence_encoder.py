import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cascade.config import ENCODER
from cascade.models import sentence_encoder
from cascade.models.classifiers import load_cross_encoder
from cascade.models.runtime import divided
from cascade.models.sentence_encoder import (
    PackedEncoder,
    PaddedEncoder,
    load_sentence_encoder,
    load_sentence_transformer,
)
from cascade.models.weights import Weights, find_weights

pytestmark = pytest.mark.weights

TEXTS = ["straw hat", "", "a much longer text about a straw hat with a ribbon " * 9, "rake", "oak"]


@pytest.fixture(scope="module")
def wheel():
    """The built-in encoder as sentence-transformers loads it."""
    model = load_sentence_transformer(find_weights("minilm"), "cpu")
    model.tokenizer.split_special_tokens = True
    return model


def made(wheel, folder, kind="bert", pooling="mean", extra=(), **settings):
    """A folder with an encoder of random weights, of one kind, with the tokenizer of MiniLM."""
    import transformers
    from sentence_transformers import SentenceTransformer, models

    settings = {
        "vocab_size": len(wheel.tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "initializer_range": 0.4,
        "max_position_embeddings": 80,
        "pad_token_id": wheel.tokenizer.pad_token_id,
        **settings,
    }
    torch.manual_seed(0)
    names = {"bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta", "mpnet": "MPNet"}
    config = getattr(transformers, f"{names[kind]}Config")(**settings)
    getattr(transformers, f"{names[kind]}Model")(config).save_pretrained(folder / "base")
    wheel.tokenizer.save_pretrained(folder / "base")
    reader = models.Transformer(str(folder / "base"), max_seq_length=64)
    pool = models.Pooling(32, pooling_mode=pooling)
    model = SentenceTransformer(modules=[reader, pool, *extra], device="cpu")
    model.save(str(folder / "made"), create_model_card=False)
    return folder / "made"


def opened(folder):
    return PackedEncoder.open(Weights("made", folder, "folder", ""))


def padded(folder):
    return PaddedEncoder(load_sentence_transformer(find_weights(str(folder)), "cpu"))


@pytest.mark.parametrize("name", ["minilm", ENCODER])
def test_a_built_in_encoder_is_that_of_sentence_transformers(wheel, name):
    """It is not compared when it is loaded, so that it is compared here."""
    own = load_sentence_encoder(find_weights(name), "cpu")
    assert isinstance(own, PackedEncoder)
    texts = [*TEXTS, "hat [SEP] cap", "帽子 👒 Hüte", "x" * 3000, "rake " * 400]
    model = wheel if name == "minilm" else load_sentence_transformer(find_weights(name), "cpu")
    expected = PaddedEncoder(model).encode(texts)
    np.testing.assert_allclose(own.encode(texts), expected, atol=1e-5)
    assert (own.encode(texts, half=True) * expected).sum(axis=1).min() > 1 - 5e-4


def test_the_encoder_that_ships_is_another_than_the_one_it_was_made_of(minilm):
    own = load_sentence_encoder(find_weights(ENCODER), "cpu").encode(TEXTS)
    assert 0.5 < (own * minilm.encode(TEXTS)).sum(axis=1).min() < 0.999


def test_a_cross_encoder_starts_from_the_weights_that_ship():
    weights = find_weights(ENCODER)
    found = load_cross_encoder(weights, "cpu").transformers_model.base_model.state_dict()
    before = load_file(weights.path / "model.safetensors")
    for name, tensor in weights.changed_tensors(before).items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("name", ["minilm", ENCODER])
def test_a_built_in_encoder_needs_no_library_that_loads_slowly(name):
    code = """if True:
        import sys
        from cascade.retrieval.encoder import Encoder
        Encoder.load(sys.argv[1], device="cpu").encode(["hat"], half=True)
        slow = {"transformers", "sentence_transformers", "sklearn", "scipy"}
        print(sorted(slow & set(sys.modules)))
    """
    command = [sys.executable, "-c", code, name]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta"])
def test_vectors_are_those_of_sentence_transformers(wheel, tmp_path, monkeypatch, kind, pooling):
    folder = made(wheel, tmp_path, kind, pooling)
    expected = padded(folder).encode(TEXTS)
    found = opened(folder)
    for most in (sentence_encoder.TOKENS, 20):
        monkeypatch.setattr(sentence_encoder, "TOKENS", most)
        np.testing.assert_allclose(found.encode(TEXTS), expected, atol=1e-5)
    assert found.encode([]).shape == (0, 32)


def test_weights_with_the_names_of_tensorflow_are_read(wheel, tmp_path):
    """So do many older models name them, and those that transformers 5.1 saves again."""
    folder = made(wheel, tmp_path)
    expected = padded(folder).encode(TEXTS)
    file = folder / "model.safetensors"
    weights = {
        n.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): value
        for n, value in load_file(file).items()
    }
    assert "embeddings.LayerNorm.gamma" in weights
    save_file(weights, file, {"format": "pt"})
    np.testing.assert_allclose(opened(folder).encode(TEXTS), expected, atol=1e-5)


def test_other_weights_are_compared_once(wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("CASCADE_CACHE", str(tmp_path / "cache"))
    weights = find_weights(str(made(wheel, tmp_path)))
    slow = sentence_encoder.load_sentence_transformer
    loads = []
    monkeypatch.setattr(
        sentence_encoder, "load_sentence_transformer", lambda *a: loads.append(a) or slow(*a)
    )
    for _ in range(2):
        assert isinstance(load_sentence_encoder(weights, "cpu"), PackedEncoder)
    assert len(loads) == 1


def test_an_encoder_whose_vectors_would_differ_is_not_packed(wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("CASCADE_CACHE", str(tmp_path / "cache"))
    folder = made(wheel, tmp_path)
    encode = PackedEncoder.encode
    monkeypatch.setattr(PackedEncoder, "encode", lambda self, texts: encode(self, texts[::-1]))
    for _ in range(2):
        own = load_sentence_encoder(find_weights(str(folder)), "cpu")
        assert isinstance(own, PaddedEncoder)


def test_other_kinds_are_not_packed(wheel, tmp_path):
    from sentence_transformers import models

    for name, settings in {
        "mpnet": {"kind": "mpnet"},
        "max": {"pooling": "max"},
        "decoder": {"is_decoder": True},
        "dense": {"extra": [models.Dense(32, 16)]},
        "activation": {"hidden_act": "relu"},
    }.items():
        assert opened(made(wheel, tmp_path / name, **settings)) is None, name
    folder = made(wheel, tmp_path / "without prompts")
    path = folder / "1_Pooling" / "config.json"
    changed = {**json.loads(path.read_text("utf-8")), "include_prompt": False}
    path.write_text(json.dumps(changed), "utf-8")
    assert opened(folder) is None


def test_the_default_prompt_of_a_model_is_read_where_it_is_asked_for_alone(wheel, tmp_path):
    folder = made(wheel, tmp_path)
    plain = padded(folder).encode(TEXTS)
    path = folder / "config_sentence_transformers.json"
    changed = {"default_prompt_name": "query", "prompts": {"query": "query: "}}
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changed}), "utf-8")
    for encoder in (padded(folder), opened(folder)):
        np.testing.assert_allclose(encoder.encode(TEXTS), plain, atol=1e-5)
        expected = encoder.encode([f"query: {text}" for text in TEXTS])
        np.testing.assert_allclose(encoder.encode(TEXTS, prompt="query: "), expected, atol=1e-5)


@pytest.mark.parametrize("file", ["modules.json", "config.json", "model.safetensors"])
def test_a_broken_folder_is_left_to_sentence_transformers_to_refuse(wheel, tmp_path, file):
    folder = made(wheel, tmp_path)
    (folder / file).write_text("{", "utf-8")
    assert opened(folder) is None


def test_parts_are_of_nearly_the_same_size_and_hold_all():
    sizes = np.array([5, 1, 9, 3, 3, 30, 2])
    order = np.argsort(sizes, kind="stable")
    parts = divided(order, sizes, 10)
    np.testing.assert_array_equal(np.concatenate(parts), order)
    assert [int(sizes[part].sum()) for part in parts] == [9, 5, 9, 30]
    assert divided(order[:0], sizes, 10) == []
    assert [len(part) for part in divided(np.arange(100), np.ones(100, int), 30)] == [25] * 4
