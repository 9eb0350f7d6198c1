import ast
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import cascade
from cascade.errors import WeightsError
from cascade.models.inspection import check_folder, reading
from cascade.models.language_models import adapter_config, load_tokenizer
from cascade.models.weights import find_weights

CODE = {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}
PLAIN = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}


def folder_of(path, **files):
    """A folder with a model, and JSON files by their names without the suffix."""
    path.mkdir(parents=True)
    save_file({"weight": np.zeros(2, np.float32)}, path / "model.safetensors")
    for name, values in {"config": {"model_type": "bert"}, **files}.items():
        (path / f"{name}.json").write_text(json.dumps(values))
    return path


class Touches:
    """Pickled, it leaves a file when it is read."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize(
    "name",
    [
        "config",
        "tokenizer_config",
        "processor_config",
        "preprocessor_config",
        "generation_config",
        "adapter_config",
        "sentence_bert_config",
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_config_that_names_code_is_refused(tmp_path, name, deep):
    told = {"auto_map": CODE}
    folder = folder_of(tmp_path / "m", **{name: {"text_config": [told]} if deep else told})
    with pytest.raises(WeightsError, match=rf"{name}\.json: auto_map asks to run code"):
        find_weights(str(folder))


def test_a_config_of_a_module_below_is_looked_at(tmp_path):
    folder = folder_of(tmp_path / "m")
    folder_of(folder / "1_Pooling", config={"auto_map": CODE})
    with pytest.raises(WeightsError, match=r"1_Pooling/config\.json: auto_map"):
        find_weights(str(folder))


def test_a_config_beside_a_gguf_file_is_looked_at(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"auto_map": CODE}))
    for name in (tmp_path, tmp_path / "m.gguf"):
        with pytest.raises(WeightsError, match=r"tokenizer_config\.json: auto_map"):
            find_weights(str(name))


@pytest.mark.parametrize("kind", ["mine.Reader", "os.system", "transformers.AutoModel", None, 3])
def test_modules_of_another_kind_than_the_librarys_are_refused(tmp_path, kind):
    module = {"idx": 0, "name": "0", "path": "", "type": kind}
    with pytest.raises(WeightsError, match=r"modules\.json: type asks to run code"):
        find_weights(str(folder_of(tmp_path / "a", modules=[module])))
    with pytest.raises(WeightsError, match=r"router_config\.json: type asks to run code"):
        find_weights(str(folder_of(tmp_path / "b", router_config={"types": {"0": kind}})))


@pytest.mark.parametrize("path", ["../other", "/etc", "a/../../b", "..\\b"])
def test_what_lies_outside_of_the_folder_is_not_read(tmp_path, path):
    kind = "sentence_transformers.models.Dense"
    folder = folder_of(tmp_path / "a", modules=[{"path": path, "type": kind}])
    with pytest.raises(WeightsError, match="outside of its folder"):
        find_weights(str(folder))
    index = {"model.safetensors.index": {"weight_map": {"w": f"{path}/x.safetensors"}}}
    with pytest.raises(WeightsError, match="outside of its folder"):
        find_weights(str(folder_of(tmp_path / "b", **index)))


def test_an_index_of_safetensors_names_no_pickle(tmp_path):
    index = {"model.safetensors.index": {"weight_map": {"w": "part.bin"}}}
    with pytest.raises(WeightsError, match=r"part\.bin: is a pickle"):
        find_weights(str(folder_of(tmp_path / "m", **index)))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.CKPT", "best.pth"])
def test_pickled_weights_are_refused_and_not_opened(tmp_path, name):
    folder = folder_of(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Touches(tmp_path / "ran")))
    with pytest.raises(WeightsError, match=r"is a pickle .*safetensors"):
        find_weights(str(folder))
    assert not (tmp_path / "ran").exists()


def test_a_module_below_has_no_pickled_weights_either(tmp_path):
    folder = folder_of(tmp_path / "m")
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text("{}")
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"2_Dense/pytorch_model\.bin: is a pickle"):
        find_weights(str(folder))


def test_pickles_that_nothing_reads_do_not_matter(tmp_path):
    folder = folder_of(tmp_path / "m")
    for name in ("pytorch_model.bin", "optimizer.pt", "training_args.bin", "rng_state.pth"):
        (folder / name).write_bytes(b"never read")
    assert find_weights(str(folder)).path == folder


@pytest.mark.parametrize("name", ["vocab.pkl", "head.joblib", "mean.npy", "rest.npz"])
def test_pickles_of_another_kind_are_refused(tmp_path, name):
    folder = folder_of(tmp_path / "m")
    (folder / name).write_bytes(b"")
    with pytest.raises(WeightsError, match=f"{name}: is a pickle"):
        find_weights(str(folder))


def test_a_pickle_named_as_safetensors_is_called_one(tmp_path):
    folder = folder_of(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(pickle.dumps(Touches(tmp_path / "ran")))
    with pytest.raises(WeightsError, match=r"model\.safetensors: is a pickle"):
        find_weights(str(folder))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", (2**60).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"[]"],
)
def test_broken_safetensors_are_named(tmp_path, data):
    folder = folder_of(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match=r"model\.safetensors: is no whole safetensors"):
        find_weights(str(folder))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a": 1', "\0", "", '{"a": ' * 5000 + "1", "9" * 5000]
)
def test_configs_that_are_no_json_are_named(tmp_path, text):
    folder = folder_of(tmp_path / "m")
    (folder / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"config\.json: is no JSON"):
        find_weights(str(folder))


@pytest.mark.parametrize(
    "size", [{"num_hidden_layers": 10**9}, {"n_layer": 300}, {"max_position_embeddings": 10**12}]
)
def test_sizes_that_no_model_has_are_refused(tmp_path, size):
    with pytest.raises(WeightsError, match=next(iter(size))):
        find_weights(str(folder_of(tmp_path / "m", config={"text_config": size})))


def test_what_the_libraries_write_is_accepted(tmp_path):
    folder = folder_of(
        tmp_path / "m",
        config={"num_hidden_layers": 96, "max_position_embeddings": 10_485_760, "auto_map": None},
        tokenizer_config={"model_max_length": int(1e30)},
        modules=[{"path": "", "type": "sentence_transformers.models.Transformer"}],
    )
    check_folder(folder)


def test_what_peft_writes_is_accepted(tmp_path):
    library = "transformers.models.llama.modeling_llama"
    mapping = {"base_model_class": "LlamaForCausalLM", "parent_library": library}
    assert adapter_config(adapter(tmp_path / "a", auto_mapping=mapping)) == PLAIN


@pytest.mark.parametrize("module", ["", "0_Transformer"])
def test_an_adapter_is_no_model_and_its_base_is_not_read(tmp_path, module):
    folder = folder_of(tmp_path / "m")
    told = {**PLAIN, "base_model_name_or_path": str(tmp_path / "elsewhere")}
    place = folder / module
    place.mkdir(exist_ok=True)
    (place / "config.json").write_text('{"model_type": "bert"}')
    (place / "adapter_config.json").write_text(json.dumps(told))
    with pytest.raises(WeightsError, match=r"adapter_config\.json: is of an adapter.*llm\.adapter"):
        find_weights(str(folder))


@pytest.mark.parametrize(
    "told",
    [
        {"attn_implementation": "kernels-community/flash-attn"},
        {"_attn_implementation": "paged|somebody/attention@main:forward"},
        {"text_config": {"_attn_implementation": {"": "somebody/attention"}}},
        {"experts_implementation": "somebody/experts"},
    ],
)
def test_programs_of_the_hub_for_attention_are_not_fetched(tmp_path, told):
    with pytest.raises(WeightsError, match=r"config\.json: .*implementation asks to run code"):
        find_weights(str(folder_of(tmp_path / "m", config=told)))
    assert os.environ["USE_HUB_KERNELS"] == "NO"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"tokenizer_class": "AutoModel"}, "'AutoModel', which is no tokenizer"),
        ({"tokenizer_class": ["BertTokenizer"]}, "which is no tokenizer"),
        ({"model_max_length": "many"}, "expected a number of tokens"),
        ({"model_max_length": True}, "expected a number of tokens"),
        ({"additional_special_tokens": [f"<{n}>" for n in range(10_001)]}, "10,001 tokens; the"),
        ({"added_tokens_decoder": {str(n): {} for n in range(10_001)}}, "10,001 tokens; the"),
    ],
)
def test_a_tokenizer_config_of_no_sense_is_refused(tmp_path, told, why):
    with pytest.raises(WeightsError, match=rf"tokenizer_config\.json: .*{why}"):
        find_weights(str(folder_of(tmp_path / "m", tokenizer_config=told)))


def test_what_transformers_takes_for_a_tokenizer_and_is_none_is_refused(tmp_path):
    folder = folder_of(tmp_path / "m", tokenizer_config={"tokenizer_class": "RagTokenizer"})
    with pytest.raises(WeightsError, match="no tokenizer that can be used"):
        load_tokenizer(folder)


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path):
    folder = folder_of(tmp_path / "m")
    os.mkfifo(folder / "tokenizer.json")
    with pytest.raises(WeightsError, match=r"tokenizer\.json: is no file"):
        find_weights(str(folder))


def adapter(path, **fields):
    path.mkdir()
    save_file({"w": np.zeros(2, np.float32)}, path / "adapter_model.safetensors")
    (path / "adapter_config.json").write_text(json.dumps({**PLAIN, **fields}))
    return path


def test_fields_of_an_adapter_that_name_modules_or_files_are_not_read(tmp_path):
    folder = adapter(
        tmp_path / "a",
        megatron_core="mine",
        megatron_config={"a": 1},
        corda_config={"cache_file": "x.pt"},
    )
    assert adapter_config(folder) == PLAIN


@pytest.mark.parametrize(
    "fields",
    [
        {"auto_mapping": {"base_model_class": "x", "parent_library": "mine"}},
        {"auto_map": CODE},
        {"peft_type": "CORDA"},
        {"r": "8"},
        {"r": True},
        {"r": -1},
        {"r": None},
        {"target_modules": "(a+)+$"},
        {"target_modules": "(a|a)*b"},
    ],
)
def test_adapters_that_ask_for_more_are_refused(tmp_path, fields):
    with pytest.raises(WeightsError, match=r"adapter_config\.json"):
        adapter_config(adapter(tmp_path / "a", **fields))


@pytest.mark.parametrize("targets", [r".*\.(q_proj|v_proj)", "all-linear", r".*language.*\.q_proj"])
def test_patterns_that_peft_writes_are_accepted(tmp_path, targets):
    found = adapter_config(adapter(tmp_path / "a", target_modules=targets))
    assert found["target_modules"] == targets


def test_whatever_a_library_raises_becomes_an_error_of_the_weights():
    for error in (Exception("a"), RecursionError("b"), AttributeError(), KeyError("x")):
        with (
            pytest.raises(WeightsError, match="here: cannot be read"),
            reading("here", "cannot be read"),
        ):
            raise error
    with pytest.raises(KeyboardInterrupt), reading("here", "cannot be read"):
        raise KeyboardInterrupt


LOADERS = {"SentenceTransformer", "CrossEncoder", "LLM", "pipeline", "load_dataset"}


def loading_calls():
    """Calls by which a library reads a folder of weights, with their place."""
    root = Path(cascade.__file__).parent
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        libraries = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("cascade")
            for alias in node.names
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name == "from_pretrained" or name in LOADERS & libraries:
                yield f"{path.relative_to(root)}:{node.lineno}", name, node


def is_safe(call):
    """Whether a call says that no code of the folder is run."""
    for keyword in call.keywords:
        if keyword.arg is None and getattr(keyword.value, "id", "") == "NO_CODE":
            return True
        if keyword.arg == "trust_remote_code":
            return isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        if keyword.arg == "config" and getattr(call.func.value, "id", "") == "PeftModel":
            return True  # peft is given what `adapter_config` has looked at
    return False


def test_every_call_that_loads_weights_refuses_their_code():
    calls = list(loading_calls())
    assert len(calls) >= 12
    assert [where for where, _, call in calls if not is_safe(call)] == []


def _without_pickle(call):
    """Whether a call says `allow_pickle=False`."""
    said = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
    return said.get("allow_pickle") is False


def test_nothing_is_unpickled():
    root = Path(cascade.__file__).parent
    found = set()
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = getattr(node.func.value, "id", "")
                if (owner, node.func.attr) in {
                    ("torch", "load"),
                    ("np", "load"),
                    ("joblib", "load"),
                    ("pickle", "load"),
                    ("pickle", "loads"),
                    ("yaml", "load"),
                    ("yaml", "unsafe_load"),
                    ("yaml", "full_load"),
                } and not _without_pickle(node):
                    found.add((path.name, f"{owner}.{node.func.attr}"))
    # One file, which is pinned by its SHA-256 and opened with weights_only; and YAML, with a safe
    # loader.
    assert found <= {("vision.py", "torch.load"), ("yaml_text.py", "yaml.load")}
