import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.errors import EngineError, WeightsError
from cascade.scoring.cross_encoder import CrossEncoder

PAIRS = [
    ("straw hat for summer", "Hats"),
    ("rake", "garden tools: rake, hose"),
    ("", "Hats"),
    ("leather shoes, brown, " * 20, "Shoes"),
    ("帽子 👒", "Shoes & Hats"),
]
CONTROL = ["[PAD]", "[CLS]", "[SEP]", "[MASK]"]


def logits_of(model, pairs):
    return model.logits([(model.tokens(first), model.tokens(second)) for first, second in pairs])


def test_pairs_read_together_are_as_transformers_reads_each_alone(pair_model, direct, kind):
    found = logits_of(pair_model(kind), PAIRS)
    expected = [direct(kind, first, second) for first, second in PAIRS]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(found, axis=0).min() > 0.1  # a wrong mask or frame would show


def test_a_cross_encoder_is_as_sentence_transformers_reads_it(pair_model, small):
    from sentence_transformers import CrossEncoder
    from torch.nn import Identity

    theirs = CrossEncoder(str(small["cross-encoder"]), device="cpu")
    expected = theirs.predict(PAIRS, activation_fn=Identity())
    np.testing.assert_allclose(
        logits_of(pair_model("cross-encoder"), PAIRS)[:, 0], expected, atol=1e-4
    )


@settings(deadline=None, max_examples=20)
@given(order=st.permutations(range(len(PAIRS))), batch_tokens=st.sampled_from([256, 512, 4096]))
def test_neither_order_nor_company_matters(small, order, batch_tokens):
    model = CrossEncoder.load(str(small["nli"]), device="cpu")
    model._batch_tokens = batch_tokens
    together = logits_of(model, [PAIRS[i] for i in order])
    alone = np.vstack([logits_of(model, [PAIRS[i]]) for i in order])
    np.testing.assert_allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("words", [1, 300, 2000])
def test_a_long_first_text_is_cut_at_its_end(pair_model, direct, kind, words):
    first = "straw " * words
    (found,) = logits_of(pair_model(kind), [(first, "Hats")])
    expected = direct(kind, first, "Hats", truncation="only_first", max_length=512)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_long_second_text_leaves_half_of_the_room(pair_model, monkeypatch):
    model = pair_model("nli", batch_tokens=256)
    sizes = []
    around = model._template.around
    monkeypatch.setattr(
        model._template,
        "around",
        lambda first, second: sizes.append((len(first), len(second))) or around(first, second),
    )
    long = "straw " * 1000
    logits_of(model, [(long, long), ("hat", long), (long, "hat")])
    assert [first + second for first, second in sizes] == [256 - 3] * 3
    one = len(model.tokens("hat"))
    assert sorted(sizes) == sorted([(127, 126), (one, 253 - one), (253 - one, one)])


def test_a_forward_pass_is_bounded_in_tokens(pair_model, monkeypatch):
    model = pair_model("cross-encoder", batch_tokens=256)
    shapes = []
    forward = model._model.forward

    def watched(**inputs):
        shapes.append(tuple(inputs["input_ids"].shape))
        return forward(**inputs)

    monkeypatch.setattr(model._model, "forward", watched)
    logits_of(model, [("straw " * n, "Hats") for n in range(1, 90, 3)])
    assert len(shapes) > 5
    assert all(rows * width <= 256 or rows == 1 for rows, width in shapes)
    assert sum(rows for rows, _ in shapes) == 30


def test_no_text_becomes_a_control_token(small):
    model = CrossEncoder.load(str(small["nli"]), device="cpu")
    control = {model._tokenizer.token_to_id(token) for token in CONTROL}
    pieces = st.sampled_from([*CONTROL, "[SE", "P]", " "]) | st.text(max_size=4)

    @settings(deadline=None, max_examples=60)
    @given(st.lists(pieces, max_size=6).map("".join))
    def check(text):
        ids = model.tokens(text).tolist()
        assert not set(ids) & control
        assert model._tokenizer.decode(ids).strip() == text.strip()

    check()


def test_halves_of_surrogate_pairs_are_no_obstacle(pair_model):
    model = pair_model("nli")
    assert np.isfinite(logits_of(model, [("hat \ud83d", "Hats \udc52")])).all()


def test_no_pairs_have_no_logits(pair_model):
    assert pair_model("nli").logits([]).shape == (0, 3)


def test_a_model_that_runs_out_of_memory_says_what_to_lower(pair_model, monkeypatch):
    import torch

    model = pair_model("nli")

    def fails(**inputs):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB")

    monkeypatch.setattr(model._model, "forward", fails)
    with pytest.raises(EngineError, match=r"CUDA out of memory\.; lower its batch_tokens \(4096\)"):
        logits_of(model, PAIRS)


def test_a_model_that_leaves_its_number_range_says_what_to_set(pair_model):
    model = pair_model("cross-encoder")
    model._model.classifier.bias.data.fill_(float("nan"))
    with pytest.raises(EngineError, match="float32"):
        logits_of(model, PAIRS)


@pytest.mark.parametrize("architectures", [["BertModel"], ["BertForMaskedLM"], None])
def test_a_model_without_a_trained_head_is_refused(changed, architectures):
    folder = changed("cross-encoder", architectures=architectures)
    named = architectures[0] if architectures else "no named kind"
    with pytest.raises(WeightsError, match=f"are of {named}; expected a sequence classifier"):
        CrossEncoder.load(folder, device="cpu")


@pytest.mark.weights
def test_a_sentence_encoder_is_refused():
    with pytest.raises(WeightsError, match="'minilm' are of BertModel"):
        CrossEncoder.load("minilm", device="cpu")


@pytest.mark.weights
def test_a_language_model_in_a_gguf_file_is_refused():
    with pytest.raises(WeightsError, match="no sequence classifier"):
        CrossEncoder.load("smollm2-135m", device="cpu")


@pytest.mark.parametrize("gone", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_folder_with_a_file_missing_is_refused(small, tmp_path, gone):
    shutil.copytree(small["nli"], tmp_path / "m")
    (tmp_path / "m" / gone).unlink()
    with pytest.raises(WeightsError, match=str(tmp_path / "m")):
        CrossEncoder.load(str(tmp_path / "m"), device="cpu")


def test_pickled_weights_are_not_read(small, tmp_path):
    import torch

    shutil.copytree(small["nli"], tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "m" / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="safetensors"):
        CrossEncoder.load(str(tmp_path / "m"), device="cpu")


def test_positions_that_begin_behind_the_padding_are_not_overrun(small, tmp_path):
    from transformers import AutoTokenizer, RobertaConfig, RobertaForSequenceClassification

    config = RobertaConfig(
        vocab_size=400,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=34,
        pad_token_id=1,
        type_vocab_size=2,
    )
    RobertaForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(small["nli"])
    tokenizer.model_max_length = 10**30
    tokenizer.save_pretrained(tmp_path)
    model = CrossEncoder.load(str(tmp_path), device="cpu")
    assert logits_of(model, [("straw hat " * 50, "Hats")]).shape == (1, 2)
    assert model._max_tokens == 34 - 2 - 3
