"""GGUF files of many architectures compute what their source does, or are refused."""

import numpy as np
import pytest
import torch
from tiny_architectures import tiny_architecture
from tiny_gguf import gguf_of, write_gguf
from tiny_llm import tiny_model, tiny_tokenizer

from cascade.errors import WeightsError
from cascade.models.language_models import load_llm, safetensors_folder
from cascade.models.weights import find_weights

KINDS = ("llama", "llama3", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CASCADE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_converted_file_computes_what_its_source_does(kind, tmp_path):
    file = gguf_of(tmp_path / f"{kind}.gguf", kind, tiny_tokenizer())
    model, _ = load_llm(find_weights(str(file)), "cpu", "float32")
    # The form that llama.cpp has of Qwen2 knows no windows; elsewhere they are seen.
    n = 12 if kind == "qwen2" else 40
    ids = torch.arange(3, 3 + n)[None]
    with torch.inference_mode():
        found = model(ids).logits.log_softmax(-1).numpy()
        expected = tiny_architecture(kind)(ids).logits.log_softmax(-1).numpy()
    np.testing.assert_allclose(found, expected, atol=0.2)  # kept in half precision


def refused(file, *, says):
    with pytest.raises(WeightsError, match=says) as raised:
        safetensors_folder(find_weights(str(file)))
    assert str(file) in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("architecture", ["granite", "olmo2", "command-r", "whatever"])
def test_an_architecture_that_is_not_read_is_named_with_the_cure(architecture, tmp_path):
    file = write_gguf(
        tmp_path / "a.gguf", tiny_model(), tiny_tokenizer(), architecture=architecture
    )
    told = refused(file, says=f"architecture '{architecture}', which transformers does not read")
    assert "qwen2" in told
    assert "safetensors" in told
    assert "llm.engine: server" in told


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"general.type": "adapter"}, "an adapter; name a folder in llm.adapter"),
        ({"general.type": "mmproj"}, "reads pictures"),
        ({"split.count": "many"}, "is no whole GGUF file; copy it again"),
        ({"rope.scaling.type": "longrope"}, "stretches its positions in the way 'longrope'"),
    ],
)
def test_a_file_of_something_else_says_what_it_is(values, says, tmp_path):
    file = write_gguf(tmp_path / "a.gguf", tiny_model(), tiny_tokenizer(), values=values)
    refused(file, says=says)


def test_an_encoder_decoder_is_refused(tmp_path):
    file = write_gguf(tmp_path / "a.gguf", tiny_model(), tiny_tokenizer(), architecture="t5")
    refused(file, says="no causal language model")


def test_weights_that_transformers_would_leave_out_are_not_left_out(tmp_path):
    """A file of the LLaMA form with biases, which its config does not tell."""
    file = write_gguf(
        tmp_path / "a.gguf", tiny_architecture("qwen2"), tiny_tokenizer(), architecture="llama"
    )
    refused(file, says="this form of the architecture 'llama' is not known")


def test_weights_that_are_missing_are_missed(tmp_path):
    file = gguf_of(tmp_path / "a.gguf", "qwen3", tiny_tokenizer(), leave_out=r"1\.mlp\.up_proj")
    refused(file, says="weights")


def test_a_part_of_a_model_is_refused(tmp_path, monkeypatch):
    import gguf

    add = gguf.GGUFWriter.add_chat_template

    def split(writer, template):
        add(writer, template)
        writer.add_uint16("split.count", 3)

    monkeypatch.setattr(gguf.GGUFWriter, "add_chat_template", split)
    file = write_gguf(tmp_path / "a.gguf", tiny_model(), tiny_tokenizer())
    refused(file, says="one of 3 parts of a model; join them")


@pytest.mark.parametrize("kind", ["linear", "yarn"])
def test_stretched_positions_are_taken_from_the_file(kind, tmp_path):
    values = {"rope.scaling.type": kind, "rope.scaling.factor": 4.0}
    file = write_gguf(tmp_path / "a.gguf", tiny_model(), tiny_tokenizer(), values=values)
    model, _ = load_llm(find_weights(str(file)), "cpu", "float32")
    told = model.config.rope_parameters
    assert (told["rope_type"], told["factor"]) == (kind, 4.0)
