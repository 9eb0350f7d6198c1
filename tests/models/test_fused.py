import copy

import pytest
import torch
from tiny_llm import tiny_model

from cascade.models import fused
from cascade.models.language_models import load_llm
from cascade.models.weights import find_weights

needs_onednn = pytest.mark.skipif(
    not fused.has_fused_product(), reason="torch multiplies no bfloat16 with a gate inside here"
)


def states(model, ids):
    with torch.inference_mode():
        return model.base_model(input_ids=ids, use_cache=False).last_hidden_state.float()


@needs_onednn
def test_fused_layers_are_as_near_to_exact_ones_as_plain_ones_are():
    exact = tiny_model()
    plain = copy.deepcopy(exact).to(torch.bfloat16)
    quick = copy.deepcopy(plain)
    fused.fuse(quick)
    ids = torch.randint(
        3, exact.config.vocab_size, (8, 40), generator=torch.Generator().manual_seed(0)
    )
    wanted = states(exact, ids)
    of_plain, of_quick = ((states(model, ids) - wanted).abs().mean() for model in (plain, quick))
    assert not torch.equal(states(plain, ids), states(quick, ids))
    assert of_quick < 1.25 * of_plain


@needs_onednn
@pytest.mark.parametrize("n_tokens", [1, 7, 300])
def test_packed_weights_give_the_same_products(n_tokens):
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(n, 96, generator=generator).bfloat16() for n in (n_tokens, 160))
    found = fused.product(x, fused.packed(weight))
    torch.testing.assert_close(found, torch.nn.functional.linear(x, weight))


def test_other_precisions_and_other_layers_stay_as_they_are():
    exact = copy.deepcopy(tiny_model())
    fused.fuse(exact)
    assert not any("forward" in vars(module) for module in exact.modules())
    other = copy.deepcopy(tiny_model()).to(torch.bfloat16)
    for layer in other.model.layers:
        layer.mlp.config = copy.deepcopy(layer.mlp.config)
        layer.mlp.config.hidden_act = "gelu"
        layer.mlp.act_fn = torch.nn.GELU()
    fused.fuse(other)
    assert not any("forward" in vars(layer.mlp) for layer in other.model.layers)


@needs_onednn
@pytest.mark.weights
def test_the_built_in_model_is_fused_and_no_less_exact():
    from cascade.generation.engine import Prompt, Question
    from cascade.generation.engines.transformers_engine import TransformersEngine

    model, tokenizer = load_llm(find_weights("smollm2-135m"), "cpu", "bfloat16")
    fused.fuse(model)
    quick = TransformersEngine(model, tokenizer)
    layer = model.model.layers[0]
    assert "forward" in vars(layer.mlp)
    assert "forward" in vars(layer.input_layernorm)
    exact = TransformersEngine.load(device="cpu", precision="float32")
    names = (" Hats", " Shoes", " Garden tools", " Pet food")
    asked = [
        Question(Prompt(start=f"Product: {text}\nCategory:", end="\n"), names)
        for text in ("straw hat", "leather boots", "rake with a long handle", "biscuits for dogs")
    ]
    for found, wanted in zip(quick.score(asked), exact.score(asked), strict=True):
        assert found.argmax() == wanted.argmax()
        assert abs(found - wanted).max() < 0.5
