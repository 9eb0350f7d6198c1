import numpy as np
import pytest
import torch

from cascade.models import sentence_encoder
from cascade.models.runtime import divided
from cascade.models.sentence_encoder import PackedEncoder

pytestmark = pytest.mark.weights

TEXTS = ["straw hat", "", "a much longer text about a straw hat with a ribbon " * 9, "rake", "oak"]


def made(minilm, folder, kind="bert", pooling="mean", extra=(), **settings):
    """A sentence encoder of random weights, of one kind, with the tokenizer of MiniLM."""
    import transformers
    from sentence_transformers import SentenceTransformer, models

    settings = {
        "vocab_size": len(minilm._model.tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "initializer_range": 0.4,
        "max_position_embeddings": 80,
        "pad_token_id": minilm._model.tokenizer.pad_token_id,
        **settings,
    }
    torch.manual_seed(0)
    names = {"bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta", "mpnet": "MPNet"}
    config = getattr(transformers, f"{names[kind]}Config")(**settings)
    getattr(transformers, f"{names[kind]}Model")(config).save_pretrained(folder)
    minilm._model.tokenizer.save_pretrained(folder)
    reader = models.Transformer(str(folder), max_seq_length=64)
    pool = models.Pooling(32, pooling_mode=pooling)
    model = SentenceTransformer(modules=[reader, pool, *extra], device="cpu")
    return model.eval()


def plain(model):
    return model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta"])
def test_vectors_are_those_of_sentence_transformers(minilm, tmp_path, monkeypatch, kind, pooling):
    model = made(minilm, tmp_path, kind, pooling)
    expected = plain(model)
    found = PackedEncoder.of(model, torch.float32)
    for most in (sentence_encoder.TOKENS, 20):
        monkeypatch.setattr(sentence_encoder, "TOKENS", most)
        np.testing.assert_allclose(found.encode(TEXTS), expected, atol=1e-5)
    np.testing.assert_array_equal(plain(model), expected)  # it is left as it was
    assert found.encode([]).shape == (0, 32)


def test_weights_are_shared_in_the_same_precision(minilm):
    own = PackedEncoder.of(minilm._model, torch.float32)._transformer
    theirs = minilm._model[0].auto_model
    assert own is not theirs
    assert all(a is b for a, b in zip(own.parameters(), theirs.parameters(), strict=True))
    half = PackedEncoder.of(minilm._model, torch.bfloat16)._transformer
    assert half.dtype is torch.bfloat16
    assert theirs.dtype is torch.float32


def test_other_kinds_are_not_packed(minilm, tmp_path):
    from sentence_transformers import models

    for name, settings in {
        "mpnet": {"kind": "mpnet"},
        "max": {"pooling": "max"},
        "decoder": {"is_decoder": True},
        "dense": {"extra": [models.Dense(32, 16)]},
    }.items():
        model = made(minilm, tmp_path / name, **settings)
        assert PackedEncoder.of(model, torch.float32) is None, name
    shortened = made(minilm, tmp_path / "shortened")
    shortened.truncate_dim = 16
    assert PackedEncoder.of(shortened, torch.float32) is None
    prompted = made(minilm, tmp_path / "prompted")
    prompted.prompts, prompted.default_prompt_name = {"query": "query: "}, "query"
    assert PackedEncoder.of(prompted, torch.float32) is None


def test_an_encoder_whose_vectors_would_differ_is_not_packed(minilm, tmp_path, monkeypatch):
    model = made(minilm, tmp_path)
    encode = PackedEncoder.encode
    monkeypatch.setattr(PackedEncoder, "encode", lambda self, texts: encode(self, texts[::-1]))
    assert PackedEncoder.of(model, torch.float32) is None


def test_parts_are_of_nearly_the_same_size_and_hold_all():
    sizes = np.array([5, 1, 9, 3, 3, 30, 2])
    order = np.argsort(sizes, kind="stable")
    parts = divided(order, sizes, 10)
    np.testing.assert_array_equal(np.concatenate(parts), order)
    assert [int(sizes[part].sum()) for part in parts] == [9, 5, 9, 30]
    assert divided(order[:0], sizes, 10) == []
    assert [len(part) for part in divided(np.arange(100), np.ones(100, int), 30)] == [25] * 4
