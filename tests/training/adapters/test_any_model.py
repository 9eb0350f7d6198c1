"""LoRA on models of many architectures: what is learnt is what scoring reads."""

import copy

import numpy as np
import pytest
import torch
from tiny_architectures import OWN, architecture_engine, tiny_architecture
from tiny_llm import tiny_tokenizer

from cascade.features.text_embeddings import HiddenStates
from cascade.generation.engine import Prompt, Question
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.items import Item
from cascade.training.adapters.instructions import Instruction
from cascade.training.adapters.lora import LoraRecipe, attach_lora
from cascade.training.adapters.training import answer_loss

KINDS = [kind for kind in OWN if kind not in ("llama3", "phi3")]
EXAMPLES = "Product: rake\nCategory: Garden tools\n\nProduct: cap\nCategory: Caps\n\n"
ASKED = [
    Instruction(Prompt(shared=EXAMPLES, start=f"Product: {text}\nCategory:", end="\n"), answer)
    for text, answer in (("straw hat", " Hats"), ("a shoe for summer", " Shoe care"))
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_what_scoring_says_of_the_answers(kind):
    encoder = PromptEncoder(tiny_tokenizer())
    examples = [one.encode(encoder) for one in ASKED]
    model = copy.deepcopy(tiny_architecture(kind))
    found = float(answer_loss(model, examples))
    scored = architecture_engine(kind).score([Question(a.prompt, (a.answer,)) for a in ASKED])
    assert found == pytest.approx(-sum(float(own[0]) for own in scored), abs=1e-3)


@pytest.mark.parametrize("kind", ["qwen3", "gemma2", "gpt2", "mamba"])
def test_lora_learns(kind):
    encoder = PromptEncoder(tiny_tokenizer())
    examples = [one.encode(encoder) for one in ASKED]
    model = attach_lora(copy.deepcopy(tiny_architecture(kind)), LoraRecipe(rank=4))
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02)
    losses = []
    for _ in range(6):
        loss = answer_loss(model, examples)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert min(losses[1:]) < losses[0]


@pytest.mark.parametrize("kind", ["qwen2", "gemma3_text", "gpt2", "bloom", "mamba"])
def test_hidden_states_do_not_depend_on_what_is_read_beside(kind):
    states = HiddenStates(tiny_architecture(kind), tiny_tokenizer(), ["name"], 100)
    items = [Item({"name": text}) for text in ("hat", "a straw hat for summer", "rake")]
    together = states.rows(items)
    alone = np.concatenate([states.rows([item]) for item in items])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert np.abs(together[0] - together[1]).max() > 1e-3
