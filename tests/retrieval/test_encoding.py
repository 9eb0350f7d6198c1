import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.models import sentence_encoder
from cascade.models.sentence_encoder import PaddedEncoder, load_sentence_transformer
from cascade.models.weights import find_weights
from cascade.retrieval import encoder

pytestmark = pytest.mark.weights

SPECIAL = ["[SEP]", "[CLS]", "[PAD]", "[MASK]", "[UNK]"]


@pytest.fixture(scope="module", params=["packed", "padded"])
def read(minilm, request):
    """The token ids that the model gets for a text."""
    if request.param == "packed":
        return lambda text: minilm._model._tokenizer.encode(text).ids
    model = load_sentence_transformer(find_weights("minilm"), "cpu")
    encode = PaddedEncoder(model).encode
    seen = []

    def watch(_module, args, kwargs):
        seen.append(kwargs["input_ids"] if "input_ids" in kwargs else args[0])

    model[0].auto_model.embeddings.register_forward_pre_hook(watch, with_kwargs=True)

    def read(text):
        seen.clear()
        encode([text])
        (ids,) = seen
        return ids[0].tolist()

    return read


def special_tokens(minilm, ids):
    names = map(minilm._model._tokenizer.id_to_token, ids)
    return [name for name in names if name in SPECIAL and name != "[UNK]"]


@pytest.mark.parametrize("token", SPECIAL)
def test_text_that_spells_a_special_token_is_plain_text(minilm, read, token):
    for text in (token, f"hat {token} cap", f"{token}{token}"):
        assert special_tokens(minilm, read(text)) == ["[CLS]", "[SEP]"], text


def test_no_mixture_of_text_and_special_tokens_makes_one(minilm, read):
    pieces = st.sampled_from([*SPECIAL, "[SE", "P]", " "]) | st.text("ab[]SEPCLS", max_size=4)

    @settings(deadline=None, max_examples=30)
    @given(st.lists(pieces, max_size=6).map("".join))
    def mixed(text):
        assert special_tokens(minilm, read(text)) == ["[CLS]", "[SEP]"]

    mixed()


def test_vectors_are_of_unit_length_whatever_the_text(minilm):
    texts = ["straw hat", "", " ", "帽子 👒", "x" * 50_000, "\x00\u2028", "e\u0301"]
    vectors = minilm.encode(texts)
    assert vectors.shape == (len(texts), minilm.width)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_text_has_the_same_vector_alone_and_among_others(minilm):
    texts = ["hat", "a much longer text about a straw hat with a ribbon " * 3, "rake"]
    together = minilm.encode(texts)
    alone = np.vstack([minilm.encode([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_half_precision_moves_vectors_by_next_to_nothing(minilm):
    texts = ["hat", "", "a much longer text about a straw hat with a ribbon " * 30, "rake " * 9]
    half = minilm.encode(texts, half=True)
    assert half.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(half, axis=1), 1, atol=1e-5)
    assert (half * minilm.encode(texts)).sum(axis=1).min() > 1 - 5e-4
    np.testing.assert_array_equal(minilm.encode(texts, half=True), half)


def test_where_the_hardware_has_no_half_precision_full_is_used(minilm, monkeypatch):
    monkeypatch.setattr(sentence_encoder, "precision_dtype", lambda *_: torch.float32)
    np.testing.assert_array_equal(minilm.encode(["hat"], half=True), minilm.encode(["hat"]))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("packs", [False, True])
def test_each_text_gets_its_own_vector_in_whatever_batches(minilm, monkeypatch, half, packs):
    texts = [f"hat number {n} " * (n % 7) for n in range(60)]
    expected = minilm.encode(texts, half=half)
    monkeypatch.setattr(encoder, "BLOCK", 50)
    monkeypatch.setattr(sentence_encoder, "CHARACTERS", 400)
    monkeypatch.setattr(sentence_encoder, "TOKENS", 60)
    model = minilm._model
    if not packs:
        model = PaddedEncoder(load_sentence_transformer(find_weights("minilm"), "cpu"))
    other = encoder.Encoder(model, "other")
    found = other.encode(texts, half=half)
    np.testing.assert_allclose(found, expected, atol=0.01 if half else 1e-5)


def test_an_encoder_can_be_pickled_after_it_has_encoded():
    own = encoder.Encoder.load("minilm", device="cpu")
    vectors = own.encode(["hat"], half=True)
    again = pickle.loads(pickle.dumps(own))
    assert not again._model._half
    np.testing.assert_array_equal(again.encode(["hat"], half=True), vectors)


def test_similar_things_are_nearer_than_others(minilm):
    hat, cap, drill = minilm.encode(["straw hat", "baseball cap", "cordless drill"])
    assert hat @ cap > hat @ drill


def test_a_text_that_repeats_is_read_once(minilm, monkeypatch):
    read, encode = [], minilm._model.encode

    def watch(texts, **options):
        read.append(list(texts))
        return encode(texts, **options)

    monkeypatch.setattr(minilm._model, "encode", watch)
    found = minilm.encode(["straw hat", "cap", "straw hat", "straw hat", "rake"])
    assert read == [["straw hat", "cap", "rake"]]
    assert (found[[2, 3]] == found[0]).all()
    assert not (found[1] == found[4]).all()


def test_no_texts_have_no_vectors(minilm):
    assert minilm.encode([]).shape == (0, minilm.width)


def test_only_the_beginning_of_a_long_text_is_read(minilm):
    short = encoder.Encoder(minilm._model, "short", max_chars=9)
    np.testing.assert_array_equal(short.encode(["straw hat, a rake"]), short.encode(["straw hat"]))


def test_halves_of_surrogate_pairs_are_no_obstacle(minilm):
    assert minilm.encode(["hat \ud83d"]).shape == (1, minilm.width)
