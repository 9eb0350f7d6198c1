"""Free text after a prompt, against greedy decoding of each prompt on its own."""

import pytest
import torch
from tiny_llm import tiny_engine

from cascade.generation.engine import Message, Prompt

SHARED = "Product: rake\nType: garden tool\n\n"


def slow_greedy(engine, prompt, max_tokens):
    """The likeliest token of a full forward pass, again and again."""
    shared, rest = engine._encoder.prompt(prompt)
    ids, spelled = [*shared, *rest], []
    while len(spelled) < max_tokens:
        with torch.inference_mode():
            token = int(
                engine.model(torch.tensor([ids + spelled]), use_cache=False).logits[0, -1].argmax()
            )
        spelled.append(token)
        if token == engine.tokenizer.eos_token_id:
            break
    text = engine.tokenizer.decode(spelled, skip_special_tokens=True)
    return text.split(prompt.end)[0] if prompt.end else text


PROMPTS = [
    *[Prompt(start="Product: " + "straw hat " * n, end="\n") for n in range(1, 5)],
    *[Prompt(shared=SHARED, start=f"Product: {t}\nType:", end=",") for t in ("cap", "garden tool")],
    *[Prompt((Message("system", "Sort."), Message("user", t))) for t in ("hat", "a shoe brush")],
]


@pytest.mark.parametrize("batch_tokens", [16, 100_000])
@pytest.mark.parametrize("max_tokens", [1, 9])
def test_a_completion_is_that_of_the_prompt_on_its_own(max_tokens, batch_tokens):
    engine = tiny_engine(batch_tokens=batch_tokens)
    expected = [slow_greedy(engine, prompt, max_tokens) for prompt in PROMPTS]
    assert engine.complete(PROMPTS, max_tokens) == expected


def test_a_completion_ends_before_its_end():
    engine = tiny_engine()
    free = slow_greedy(engine, Prompt(start="Product: hat", end=None), 12)
    end = free[3:5]
    (text,) = engine.complete([Prompt(start="Product: hat", end=end)], 12)
    assert text == free.split(end)[0]


def test_nothing_completes_nothing():
    assert tiny_engine().complete([], 5) == []


@pytest.mark.weights
def test_the_built_in_model_completes_as_on_its_own(smollm, smollm_of_transformers):
    prompts = [
        Prompt(shared=SHARED, start=f"Product: {text}\nType:", end="\n")
        for text in ("straw panama hat", "Levi's 501 jeans, dark blue")
    ]
    expected = [slow_greedy(smollm_of_transformers, prompt, 6) for prompt in prompts]
    assert smollm.complete(prompts, 6) == expected
