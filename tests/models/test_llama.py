"""The plain LLaMA against that of transformers."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny_llm import tiny_model, tiny_tokenizer

from cascade.generation.engine import Message, Prompt, Question
from cascade.generation.engines.transformers_engine import TransformersEngine
from cascade.generation.tree_scoring.prefix_cache import PrefixCache, Row
from cascade.models.fused import fuse
from cascade.models.language_models import load_for_inference, load_llm
from cascade.models.llama import Llama
from cascade.models.weights import find_weights

WITHIN = {"float32": 1e-5, "bfloat16": 0.25}
SYSTEM = Message("system", "Which department does the product belong to?")
NAMES = (" Shoe", " Shoes", " Shoe care", " Hats", " Garden tools")
QUESTIONS = [
    Question(Prompt(shared="Product: rake\nCategory: Garden\n", start=f"{text}:", end="\n"), NAMES)
    for text in ("straw hat", "a shoe brush for leather shoes")
] + [Question(Prompt((SYSTEM, Message("user", "straw hat"))), NAMES)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def same_answers(weights, precision):
    own = load_for_inference(weights, "cpu", precision)
    assert isinstance(own[0], Llama)
    theirs = load_llm(weights, "cpu", precision)
    fuse(theirs[0])
    own, theirs = TransformersEngine(*own), TransformersEngine(*theirs)
    for reading in ("global", "local"):
        for found, wanted in zip(
            own.score(QUESTIONS, reading), theirs.score(QUESTIONS, reading), strict=True
        ):
            np.testing.assert_allclose(found, wanted, atol=WITHIN[precision])
    for found, wanted in zip(own.generate(QUESTIONS), theirs.generate(QUESTIONS), strict=True):
        assert found[0] == wanted[0]
        assert found[1] == pytest.approx(wanted[1], abs=WITHIN[precision])
    prompts = [question.prompt for question in QUESTIONS]
    assert own.complete(prompts, 5) == theirs.complete(prompts, 5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_answers_are_those_of_transformers(folder, precision):
    same_answers(find_weights(str(folder)), precision)


@pytest.mark.weights
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_answers_of_the_built_in_model_are_those_of_transformers(precision):
    same_answers(find_weights("smollm2-135m"), precision)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_states_that_are_asked_for_are_those_of_all_tokens(folder, precision):
    model, _ = load_for_inference(find_weights(str(folder)), "cpu", precision)
    prefix, rows = (5, 6, 7), [Row.plain([8, 9, 10, 11]), Row.plain([8, 4, 3, 9, 5])]
    cache = PrefixCache(model)
    with torch.inference_mode():
        whole = cache.forward(prefix, rows)
        some = cache.forward(prefix, rows, np.array([7, 3]))
    torch.testing.assert_close(some.states, whole.states[[7, 3]])
    assert len(some.layers[0][0]) == 9


@pytest.mark.parametrize(
    "changed",
    [
        {"model_type": "mistral"},
        {"hidden_act": "gelu"},
        {"attention_bias": True},
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0}},
        {"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}},
        {"num_hidden_layers": 1},
        {"num_hidden_layers": 3},
    ],
)
def test_other_forms_are_left_to_transformers(folder, tmp_path, changed):
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (tmp_path / "config.json").write_text(json.dumps({**config, **changed}), "utf-8")
    (tmp_path / "model.safetensors").symlink_to(folder / "model.safetensors")
    assert Llama.open(tmp_path, torch.float32) is None


@pytest.mark.weights
def test_the_built_in_model_needs_no_models_of_transformers():
    code = """if True:
        import sys
        from cascade.generation.engine import Prompt, Question
        from cascade.generation.engines.transformers_engine import TransformersEngine
        engine = TransformersEngine.load(device="cpu")
        engine.score([Question(Prompt(start="hat:", end=","), (" a", " b"))])
        slow = ("transformers.modeling_utils", "torch._dynamo", "sympy", "scipy", "sklearn")
        print([name for name in slow if name in sys.modules])
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
