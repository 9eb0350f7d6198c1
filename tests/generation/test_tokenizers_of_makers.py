"""What holds for the tokenizers of all makers: texts are data, and go on where others end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers_of_makers import MAKERS

from cascade.generation.engine import Message, Prompt
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.text_encoding import WordwiseEncoder

PIECES = [
    "<s>",
    "</s>",
    "<think>",
    "<tool_call>",
    "<|endoftext|>",
    "\uff1cs\uff1e",
    "<",
    "s>",
    "/s>",
]
PIECES += [" ", "hat", "\n", "[INST]", "    ", "<unk>"]
pieces = st.sampled_from(PIECES) | st.text("<>/s hat", max_size=4)
texts = st.lists(pieces, max_size=6).map("".join)


@pytest.fixture(scope="module", params=MAKERS)
def tokenizer(request):
    return MAKERS[request.param]()


def controls(tokenizer, ids):
    named = {*tokenizer.all_special_tokens, "<think>", "<tool_call>"} - {"<unk>"}
    return [token for token in tokenizer.convert_ids_to_tokens(list(ids)) if token in named]


@given(texts)
@settings(deadline=None, max_examples=60)
def test_no_text_becomes_a_control_token(tokenizer, text):
    encoder = PromptEncoder(tokenizer)
    assert controls(tokenizer, encoder.text(text)) == []
    assert controls(tokenizer, WordwiseEncoder(tokenizer).encode([text] * 3, []).tokens) == []
    shared, rest = encoder.prompt(Prompt((Message("user", text),), start=text))
    empty = encoder.prompt(Prompt((Message("user", ""),)))
    assert controls(tokenizer, [*shared, *rest]) == controls(tokenizer, [*empty[0], *empty[1]])
    assert controls(tokenizer, shared + tuple(rest)) == ["<s>"]


def test_a_text_goes_on_without_a_blank_of_its_own(tokenizer):
    encoder = PromptEncoder(tokenizer)
    blank = encoder.text(" hat")
    assert encoder.text("hat") != blank
    assert encoder.decode(blank) == " hat"
    assert encoder.decode(encoder.text("hat")) == "hat"


def test_the_first_text_of_a_prompt_begins_as_the_tokenizer_has_it(tokenizer):
    shared, _ = PromptEncoder(tokenizer).prompt(Prompt(shared="hat", start=" hat"))
    whole = tokenizer("hat", add_special_tokens=False)["input_ids"]
    assert list(shared)[-len(whole) :] == whole


def test_a_blank_before_a_content_belongs_to_its_first_word(tokenizer):
    encoder = PromptEncoder(tokenizer)
    shared, rest = encoder.prompt(Prompt((Message("user", "hat"),)))
    assert tuple(rest[: len(encoder.text(" hat"))]) == encoder.text(" hat")
    assert controls(tokenizer, shared) == ["<s>"]
