"""vLLM in this process against the transformers engine, on the same weights in float32."""

import numpy as np
import pytest
from questions import QUESTIONS, SPELLABLE, WIDE, chat, plain
from vllm_settings import ENVIRONMENT, OPTIONS

from cascade.errors import EngineError, WeightsError
from cascade.generation.engine import Prompt, Question

pytestmark = [pytest.mark.vllm, pytest.mark.weights]

ADAPTER = {"r": 12, "lora_alpha": 24, "target_modules": ["q_proj", "v_proj", "down_proj"]}


def load(**settings):
    from cascade.generation.engines.vllm_engine import VLLMEngine

    return VLLMEngine.load(precision="float32", options=OPTIONS, **settings)


@pytest.fixture(scope="module", autouse=True)
def environment():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def engine(environment):
    made = load()
    yield made
    made.close()


@pytest.mark.parametrize("reading", ["local", "global"])
def test_scores_are_those_of_the_transformers_engine(engine, smollm, reading):
    questions = [*QUESTIONS, WIDE]
    found, expected = engine.score(questions, reading), smollm.score(questions, reading)
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, other, atol=1e-3)
        if reading == "local":
            distinct = dict(zip(other, own, strict=True)).values()
            assert np.exp(list(distinct)).sum() == pytest.approx(1, abs=1e-3)


def test_nothing_scores_nothing(engine):
    assert engine.score([]) == engine.complete([], 3) == engine.generate([]) == []


def test_answers_are_those_of_the_transformers_engine(engine, smollm):
    found, expected = engine.generate(QUESTIONS), smollm.generate(QUESTIONS)
    assert [index for index, _ in found] == [index for index, _ in expected]
    for (_, own), (_, other) in zip(found, expected, strict=True):
        assert own == pytest.approx(other, abs=1e-3)


def test_completions_are_those_of_the_transformers_engine(engine, smollm):
    prompts = [question.prompt for question in QUESTIONS]
    assert engine.complete(prompts, 10) == smollm.complete(prompts, 10)


def test_lists_are_those_of_the_transformers_engine(engine, smollm):
    names = ["Shoe", "Shoe care", 'a "quoted" \\ name', "帽子", "x;y"]
    prompts = [plain("hat"), plain("shoes and hats"), chat("shoe polish")]
    assert engine.choose_several(prompts, names) == smollm.choose_several(prompts, names)


def test_what_prompts_share_is_computed_once(engine, monkeypatch):
    outputs = []
    generate = engine._llm.generate

    def recorded(*args, **kwargs):
        outputs.extend(generate(*args, **kwargs))
        return outputs

    monkeypatch.setattr(engine._llm, "generate", recorded)
    new = Prompt(shared="Never asked before. " * 20, start="Product: hat\nCategory:", end="\n")
    engine.score([Question(new, (" Shoe", " Shoes", " Hats", " Caps"))], "global")
    first, *rest = outputs
    assert first.num_cached_tokens == 0
    for output in rest:
        assert output.num_cached_tokens >= len(output.prompt_token_ids) - OPTIONS["block_size"] - 1


def test_an_answer_that_no_grammar_held_is_never_returned(engine, monkeypatch):
    """As where a version ignores the constraint without a word."""
    monkeypatch.setattr("cascade.generation.engines.vllm_engine._structured", lambda allowed: None)
    errors = [found for found in engine.generate(SPELLABLE) if isinstance(found, EngineError)]
    assert errors
    assert all("none of the allowed answers" in str(error) for error in errors)
    (error,) = engine.choose_several([chat("hat")], ["Shoe", "Hat"])
    assert isinstance(error, EngineError)
    assert "which is no JSON" in str(error)


def test_a_prompt_that_is_too_long_is_an_engine_error_and_the_next_is_answered(engine):
    with pytest.raises(EngineError, match="vLLM could not answer"):
        engine.score([Question(plain("hat " * 3000), (" a", " b")), *SPELLABLE])
    assert len(engine.generate(SPELLABLE[:1])) == 1


def test_pictures_are_refused(engine):
    assert not engine.reads_pictures
    with pytest.raises(EngineError, match="reads no pictures"):
        engine.score([Question(Prompt(start="x", image=object()), (" a", " b"))])


def test_an_option_that_vllm_does_not_know_is_named():
    from cascade.generation.engines.vllm_engine import VLLMEngine

    with pytest.raises(WeightsError, match="no_such_option"):
        VLLMEngine.load(options={"no_such_option": 1})


@pytest.fixture(scope="module")
def adapter(smollm_of_transformers, tmp_path_factory):
    """A LoRA adapter that changes what the model says."""
    import copy

    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    model = get_peft_model(copy.deepcopy(smollm_of_transformers.model), LoraConfig(**ADAPTER))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    folder = tmp_path_factory.mktemp("adapter") / "lora"
    model.save_pretrained(folder)
    return str(folder)


def test_an_adapter_is_part_of_the_model(engine, smollm, adapter):
    from cascade.generation.engines.transformers_engine import TransformersEngine

    engine.close()  # this test is the last that needs it
    expected = TransformersEngine.load(adapter=adapter, device="cpu", precision="float32").score(
        SPELLABLE, "local"
    )
    adapted = load(adapter=adapter)
    try:
        found = adapted.score(SPELLABLE, "local")
    finally:
        adapted.close()
    for own, other, bare in zip(found, expected, smollm.score(SPELLABLE, "local"), strict=True):
        np.testing.assert_allclose(own, other, atol=1e-3)
        assert len(own) == 1 or np.abs(own - bare).max() > 0.05


def test_a_classifier_answers_with_vllm_as_with_transformers(tmp_path):
    import cascade

    shop = tmp_path / "shop.txt"
    shop.write_text("Clothing > Hats\nClothing > Shoes\nGarden > Tools\nGarden > Plants\n")
    items = ["straw panama hat", "garden rake", "running shoes", "tulip bulbs"]
    llm = {"precision": "float32", "device": "cpu"}
    expected = list(cascade.load(shop, method="llm", llm=llm).classify_many(items))
    llm |= {"engine": "vllm", "vllm": {"options": OPTIONS}}
    found = list(cascade.load(shop, method="llm", llm=llm).classify_many(items))
    assert [p.code for p in found] == [p.code for p in expected]
    assert {p.source for p in found} == {"llm"}
    for own, other in zip(found, expected, strict=True):
        assert own.confidence == pytest.approx(other.confidence, abs=1e-3)
