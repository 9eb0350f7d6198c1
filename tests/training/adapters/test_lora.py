import copy
import json

import pytest
import torch
from tiny_llm import tiny_model, tiny_tokenizer

from cascade.errors import ConfigError, WeightsError
from cascade.models.language_models import load_llm
from cascade.models.weights import find_weights
from cascade.training.adapters.lora import LoraRecipe, attach_lora, save_adapter, trained

IDS = torch.tensor([[1, 5, 9, 30, 7]])


def fresh():
    return copy.deepcopy(tiny_model())


def changed(model):
    """The same model with LoRA whose second matrices are no longer zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trained(model).values():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(tmp_path):
    model = changed(attach_lora(fresh(), LoraRecipe(rank=4)))
    save_adapter(model, tmp_path / "adapter", "tiny")
    return tmp_path / "adapter", model


def load(base, adapter):
    return load_llm(find_weights(str(base)), "cpu", "float32", adapter=adapter)[0]


def test_a_new_adapter_changes_nothing():
    with torch.no_grad():
        adapted = attach_lora(fresh(), LoraRecipe()).eval()(IDS).logits
        assert torch.equal(adapted, tiny_model()(IDS).logits)


def test_only_what_lora_adds_is_trained_in_float32():
    half = attach_lora(fresh().to(torch.bfloat16), LoraRecipe(rank=3))
    added = trained(half)
    assert all("lora_" in name for name in added)
    assert {p.dtype for p in added.values()} == {torch.float32}
    # Seven projections in each of two layers, two matrices each.
    assert len(added) == 2 * 7 * 2
    assert {min(p.shape) for p in added.values()} == {3}


def test_targets_and_layers_say_what_is_adapted():
    added = trained(attach_lora(fresh(), LoraRecipe(targets=["q_proj"], layers=1)))
    assert {name.partition("layers.")[2].partition(".lora")[0] for name in added} == {
        "1.self_attn.q_proj"
    }


def test_all_projections_of_the_upper_layers_can_be_adapted():
    added = trained(attach_lora(fresh(), LoraRecipe(layers=1)))
    assert len(added) == 7 * 2
    assert all("layers.1." in name for name in added)


def test_the_seed_draws_the_first_numbers_and_leaves_those_of_the_caller_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    models = [attach_lora(fresh(), LoraRecipe(), seed=seed) for seed in (0, 0, 1)]
    assert torch.rand(1) == expected
    a, b, other = (next(iter(trained(model).values())) for model in models)
    assert torch.equal(a, b)
    assert not torch.equal(a, other)


def test_modules_that_are_not_there_are_named_with_those_that_are():
    with pytest.raises(ConfigError, match=r"lora\.targets: qkv is named; .*q_proj"):
        attach_lora(fresh(), LoraRecipe(targets=["qkv", "q_proj"]))


def test_a_loaded_adapter_is_part_of_the_weights(base, adapter, recwarn):
    folder, model = adapter
    loaded = load(base, folder)
    assert type(loaded) is type(tiny_model())
    with torch.no_grad():
        assert torch.allclose(loaded(IDS).logits, model(IDS).logits, atol=1e-4)
        assert not torch.allclose(loaded(IDS).logits, tiny_model()(IDS).logits, atol=1e-2)
    assert not [w for w in recwarn if "fetch" in str(w.message)]  # nothing is looked for on a hub


def test_an_adapter_names_its_model_and_no_folder_of_this_machine(adapter):
    folder, _ = adapter
    assert {f.name for f in folder.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"


def test_a_folder_without_an_adapter_is_refused(base, tmp_path):
    with pytest.raises(WeightsError, match=r"holds no adapter_config\.json"):
        load(base, tmp_path)


def test_pickled_weights_are_not_read(base, adapter):
    folder, _ = adapter
    (folder / "adapter_model.safetensors").unlink()
    torch.save({}, folder / "adapter_model.bin")
    with pytest.raises(WeightsError, match=r"holds no adapter_model\.safetensors"):
        load(base, folder)


@pytest.mark.parametrize("change", [{"num_hidden_layers": 3}, {"hidden_size": 16}])
def test_the_adapter_of_another_model_is_refused(base, tmp_path, change):
    from transformers import LlamaForCausalLM

    config = copy.deepcopy(tiny_model().config)
    for key, value in change.items():
        setattr(config, key, value)
    save_adapter(attach_lora(LlamaForCausalLM(config), LoraRecipe()), tmp_path, "other")
    with pytest.raises(WeightsError, match="is no adapter of"):
        load(base, tmp_path)


def test_a_truncated_adapter_is_refused(base, adapter):
    folder, _ = adapter
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"adapter_model\.safetensors: is no whole"):
        load(base, folder)
