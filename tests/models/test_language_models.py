import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from bounded_memory import bounded
from tiny_architectures import tiny_architecture
from tiny_gguf import write_gguf
from tiny_llm import tiny_model, tiny_tokenizer

from cascade.errors import WeightsError
from cascade.models.language_models import keep_softcap, load_llm, safetensors_folder
from cascade.models.weights import find_weights


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return write_gguf(path, tiny_model(), tiny_tokenizer())


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("CASCADE_CACHE", str(folder))
    return folder


def folders(cache):
    """Conversions in a cache, staging folders that were left behind too."""
    return [path for path in (cache / "models").iterdir() if path.is_dir()]


def test_a_converted_model_computes_what_the_source_does(source, own_cache):
    model, tokenizer = load_llm(find_weights(str(source)), "cpu", "float32")
    text = "Product: straw hat\nCategory: Shoe care"
    ids = tiny_tokenizer()(text)["input_ids"]
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == ids
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.chat_template == tiny_tokenizer().chat_template
    with torch.inference_mode():
        found = model(torch.tensor([ids])).logits.log_softmax(-1).numpy()
        expected = tiny_model()(torch.tensor([ids])).logits.log_softmax(-1).numpy()
    np.testing.assert_allclose(found, expected, atol=0.1)  # kept in half precision


def test_a_conversion_is_done_once_and_read_afterwards(source, own_cache):
    first = safetensors_folder(find_weights(str(source)))
    before = (first / "model.safetensors").stat().st_mtime_ns
    assert safetensors_folder(find_weights(str(source))) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == before
    assert folders(own_cache) == [first]


def test_a_truncated_conversion_is_redone(source, own_cache):
    folder = safetensors_folder(find_weights(str(source)))
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:1000])
    assert safetensors_folder(find_weights(str(source))) == folder
    assert (folder / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize("damage", ["not json", "{}", None])
def test_a_conversion_without_its_note_is_redone(source, own_cache, damage):
    folder = safetensors_folder(find_weights(str(source)))
    note = (folder / "conversion.json").read_text()
    (folder / "conversion.json").unlink()
    if damage is not None:
        (folder / "conversion.json").write_text(damage)
    safetensors_folder(find_weights(str(source)))
    assert (folder / "conversion.json").read_text() == note


def test_another_file_of_the_same_name_is_converted_anew(source, own_cache, tmp_path):
    other = tmp_path / source.name
    other.write_bytes(source.read_bytes())
    assert safetensors_folder(find_weights(str(source))) != safetensors_folder(
        find_weights(str(other))
    )


WORKER = """
import logging, sys, time
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM
from cascade.models.language_models import safetensors_folder
from cascade.models.weights import find_weights
logging.basicConfig(stream=sys.stdout, format="%(message)s")
logging.getLogger("cascade").setLevel(logging.INFO)
source, own, go = sys.argv[1:]
Path(own).touch()
while not Path(go).exists():
    time.sleep(0.01)
print("folder", safetensors_folder(find_weights(source)))
"""


def test_processes_that_start_together_convert_once(source, own_cache, tmp_path):
    ready = [tmp_path / f"ready{i}" for i in range(2)]
    go = tmp_path / "go"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, source, own, go], stdout=subprocess.PIPE, text=True
        )
        for own in ready
    ]
    deadline = time.monotonic() + 120
    while not all(path.exists() for path in ready) and time.monotonic() < deadline:
        time.sleep(0.02)
    go.touch()
    outputs = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    lines = [line for output in outputs for line in output.splitlines()]
    assert sum(line.startswith("converting ") for line in lines) == 1
    assert len({line for line in lines if line.startswith("folder ")}) == 1
    assert len(folders(own_cache)) == 1


def bytes_of(kind, source):
    whole = source.read_bytes()
    return {
        "text": b"this is no model",
        "empty": b"",
        "head alone": whole[:200],
        "cut in the tensors": whole[:-5000],
    }[kind]


@pytest.mark.parametrize("kind", ["text", "empty", "head alone", "cut in the tensors"])
def test_a_file_that_is_no_gguf_is_refused_with_its_name(kind, source, own_cache, tmp_path):
    file = tmp_path / "broken.gguf"
    file.write_bytes(bytes_of(kind, source))
    with pytest.raises(WeightsError, match=r"broken\.gguf: is no whole GGUF file; copy it again"):
        safetensors_folder(find_weights(str(file)))
    assert folders(own_cache) == []


@pytest.mark.parametrize("architecture", ["qwen2", "unheard-of"])
def test_another_architecture_than_it_says_is_refused(own_cache, tmp_path, architecture):
    file = tmp_path / "other.gguf"
    write_gguf(file, tiny_model(), tiny_tokenizer(), architecture=architecture)
    with pytest.raises(WeightsError, match=r"other\.gguf: "):
        safetensors_folder(find_weights(str(file)))


def test_a_folder_of_safetensors_is_taken_as_it_is(tmp_path, own_cache):
    tiny_model().save_pretrained(tmp_path / "model")
    weights = find_weights(str(tmp_path / "model"))
    assert safetensors_folder(weights) == weights.path
    assert not own_cache.exists()


@pytest.mark.parametrize(
    "key",
    [
        "llama.block_count",
        "llama.embedding_length",
        "llama.feed_forward_length",
        "llama.vocab_size",
    ],
)
@pytest.mark.parametrize("size", [10**5, 2**31 - 1, 2**32 - 1])
def test_a_gguf_file_that_declares_more_than_it_holds_is_refused(
    source, own_cache, tmp_path, key, size
):
    data = Path(source).read_bytes()
    at = data.index(key.encode()) + len(key) + 4  # behind the key the kind of its value
    file = tmp_path / "large.gguf"
    file.write_bytes(data[:at] + size.to_bytes(4, "little") + data[at + 4 :])
    with bounded(), pytest.raises(WeightsError, match=r"large\.gguf: cannot be read"):
        safetensors_folder(find_weights(str(file)))


@pytest.mark.parametrize(("kind", "kept"), [("gemma2", "eager"), ("gemma3_text", "sdpa")])
def test_attention_that_bounds_its_logits_is_not_computed_by_sdpa_which_does_not(kind, kept):
    model = tiny_architecture(kind)
    model.config._attn_implementation = "sdpa"  # as transformers before 5.22 has it
    keep_softcap(model)
    assert model.config._attn_implementation == kept
