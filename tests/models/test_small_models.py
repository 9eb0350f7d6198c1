import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from cascade.errors import WeightsError
from cascade.models.classifiers import load_sequence_classifier
from cascade.models.sentence_encoder import load_sentence_transformer
from cascade.models.small import KINDS, make_small
from cascade.models.weights import find_weights

TEXTS = ["straw hat", "garden rake"]


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CASCADE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def hashes(folder):
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}


def made(folder, kind, **options):
    folder.mkdir()
    make_small(kind, folder, TEXTS, **options)
    return hashes(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_bytes(tmp_path, kind):
    first = made(tmp_path / "a", kind)
    assert made(tmp_path / "b", kind) == first
    other = made(tmp_path / "c", kind, seed=1)
    assert {name for name in first if other[name] != first[name]} == {"model.safetensors"}


def test_the_random_numbers_of_the_caller_are_left_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    made(tmp_path / "a", "nli")
    assert torch.rand(1) == expected


@pytest.mark.parametrize(
    ("kind", "architecture", "labels"),
    [
        ("cross-encoder", "BertForSequenceClassification", ["LABEL_0"]),
        (
            "nli",
            "DebertaV2ForSequenceClassification",
            ["entailment", "neutral", "contradiction"],
        ),
    ],
)
def test_a_small_model_is_loaded_as_a_real_one(empty_cache, kind, architecture, labels):
    weights = find_weights(f"small:{kind}")
    assert weights.origin == "made"
    assert weights.path.parent == empty_cache / "models"
    model, tokenizer = load_sequence_classifier(weights, "cpu", "float32")
    assert type(model).__name__ == architecture
    assert list(model.config.id2label.values()) == labels
    assert not model.training
    text = "Straw hat 帽子 👒"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids).strip() == text


def test_a_small_clip_is_loaded_as_a_real_one(empty_cache):
    model = load_sentence_transformer(find_weights("small:clip"), "cpu")
    assert set(model.modalities) == {"text", "image"}
    assert type(model[0].model).__name__ == "CLIPModel"
    vectors = model.encode(["straw hat", "rake", "garden"], normalize_embeddings=True)
    assert (vectors @ vectors.T)[~np.eye(3, dtype=bool)].max() < 0.99


def test_a_small_model_is_made_once(empty_cache, caplog):
    first = find_weights("small:nli")
    stamps = {file.name: file.stat().st_mtime_ns for file in first.path.iterdir()}
    assert find_weights("small:nli") == first
    assert {file.name: file.stat().st_mtime_ns for file in first.path.iterdir()} == stamps
    assert "small:nli are random numbers: their answers mean nothing" in caplog.text


def test_those_who_need_a_small_model_together_get_one(empty_cache):
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(find_weights, ["small:nli"] * 4))
    (weights,) = found
    left = {path.name for path in (empty_cache / "models").iterdir()}
    assert left <= {weights.path.name, f"{weights.path.name}.lock"}
    load_sequence_classifier(weights, "cpu", "float32")


def test_a_kind_that_is_none_says_what_there_is(tmp_path):
    with pytest.raises(
        WeightsError, match=r"'small:llm'; there are small:cross-encoder, small:nli"
    ):
        find_weights("small:llm")
    with pytest.raises(WeightsError, match="'llm'; there are cross-encoder, nli"):
        make_small("llm", tmp_path, TEXTS)
