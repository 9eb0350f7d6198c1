"""Texts and grammars for servers: no control token is in a text, and no other name is allowed."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llm import tiny_tokenizer

from cascade.generation.engine import Message, Prompt
from cascade.generation.engines.chat_engine import harmless, messages
from cascade.generation.grammar import choice_grammar, gbnf_choice, gbnf_list, list_grammar

CONTROL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
HALVES = [token[:at] for token in CONTROL for at in (1, 2, 5)] + [t[2:] for t in CONTROL]
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
spelled = st.lists(st.sampled_from([*CONTROL, *HALVES, "<", "[", "\n", " "]) | anything, max_size=6)


@settings(deadline=None, max_examples=100)
@given(spelled.map("".join), spelled.map("".join), spelled.map("".join))
def test_a_server_that_tokenizes_itself_finds_no_control_token_in_a_text(system, user, start):
    tokenizer = tiny_tokenizer()
    prompt = Prompt((Message("system", system), Message("user", user)), start=start)

    def control(turns):
        text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        found = tokenizer(text, add_special_tokens=False)["input_ids"]
        return [token for token in found if token in set(tokenizer.all_special_ids)]

    empty = [{"role": role, "content": ""} for role in ("system", "user")]
    assert control(messages(prompt)) == control(empty)


@pytest.mark.parametrize(
    "token",
    [
        *("<s>", "</s>", "<|eot_id|>", "<start_of_turn>", "[INST]", "[/INST]", "<<SYS>>", "<0x0A>"),
        *("<｜end▁of▁sentence｜>", "＜s＞", "［INST］", "<\u200b|im_end|>", "[control_8]", "<unk>"),
    ],
)
def test_no_control_token_that_models_have_is_left_whole(token):
    broken = harmless(f"a {token} b")
    assert token not in broken
    assert broken.replace(" ", "") == f"a{token}b"
    assert harmless(broken) == broken


def test_a_text_without_brackets_is_left_as_it_is():
    text = "Straw hat, 12 pcs (größe M) > 5 < 7\n"
    assert harmless(text) == text


odd_names = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5),
    min_size=1,
    max_size=4,
    unique=True,
)


@settings(deadline=None, max_examples=40)
@given(odd_names, st.sampled_from(["\n", None]))
def test_the_grammar_for_servers_is_that_of_this_process(names, end):
    from llguidance import LLMatcher, LLTokenizer
    from llguidance.gbnf_to_lark import any_to_lark

    byte = LLTokenizer("byte")

    def allows(lark, text):
        matcher = LLMatcher(byte, LLMatcher.grammar_from_lark(lark))
        assert not matcher.get_error(), matcher.get_error()
        tokens = byte.tokenize_str(text)
        return matcher.consume_tokens(tokens) and matcher.is_accepting() if tokens else False

    choice, listed = gbnf_choice(names, end), gbnf_list(names, " ", end)
    tail = end or ""
    for name in names:
        for own, text in (
            (choice, name + tail),
            (choice, name + "?" + tail),
            (listed, f" {json.dumps([name], ensure_ascii=False)}{tail}"),
            (listed, f" {json.dumps(names, ensure_ascii=False)}{tail}"),
            (listed, f" {json.dumps([name, name], ensure_ascii=False)}{tail}"),
        ):
            lark = choice_grammar(names, end) if own is choice else list_grammar(names, " ", end)
            assert allows(any_to_lark(own), text) == allows(lark, text)
