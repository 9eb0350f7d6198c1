"""Chat templates of many makers: with and without a system role, thoughts, and none at all."""

import pytest
from tiny_llm import tiny_tokenizer

from cascade.errors import EngineError
from cascade.generation.chat_form import without_thoughts
from cascade.generation.engine import Message, Prompt
from cascade.generation.prompt_encoding import PromptEncoder

SYSTEM, USER = Message("system", "Sort."), Message("user", " hat ")
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "<turn>{{ m['role'] }}\n{{ m['content'] | trim }}</turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>model\n{% endif %}"
)
DROPS = "{% for m in messages if m.role != 'system' %}[INST] {{ m.content }} [/INST]{% endfor %}"
LAST = (  # the system message stands in the last turn, as in those of Mistral
    "{% if messages[0].role == 'system' %}{% set first = messages[0].content %}"
    "{% set messages = messages[1:] %}{% endif %}{% for m in messages %}[INST] "
    "{% if loop.last and first is defined %}{{ first }}\n\n{% endif %}{{ m.content }}[/INST]"
    "{% endfor %}"
)
TWICE = "{% for m in messages %}<t>{{ m.content }}</t><u>{{ m.content }}</u>{% endfor %}"
CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}"


def read(template, *messages, start=""):
    """The text that a model with this template reads, and how much of it all prompts share."""
    tokenizer = tiny_tokenizer()
    encoder = PromptEncoder(WithTemplate(template))
    shared, rest = encoder.prompt(Prompt(messages, start=start))
    options = {"clean_up_tokenization_spaces": False}
    return tokenizer.decode(shared, **options), tokenizer.decode(rest, **options)


class WithTemplate:
    """The tiny tokenizer with another chat template."""

    def __init__(self, template):
        self.chat_template = template

    def __getattr__(self, name):
        return getattr(tiny_tokenizer(), name)

    def get_chat_template(self):
        return self.chat_template

    def __call__(self, *args, **kwargs):
        return tiny_tokenizer()(*args, **kwargs)


def test_a_system_message_stands_before_the_first_turn_of_a_template_without_that_role():
    shared, own = read(GEMMA, SYSTEM, USER)
    assert shared == "<|im_start|><turn>user\nSort.\n\n"
    assert own == " hat </turn>\n<turn>model\n"


def test_a_system_message_that_a_template_would_drop_is_not_dropped():
    shared, own = read(DROPS, SYSTEM, USER)
    assert shared + own == "[INST] Sort.\n\n hat  [/INST]"


def test_turns_of_one_role_are_one_turn_where_they_must_alternate():
    shared, own = read(GEMMA, SYSTEM, Message("user", "a"), USER)
    assert shared + own == "<|im_start|><turn>user\nSort.\n\na\n\n hat </turn>\n<turn>model\n"


def test_a_template_that_moves_a_message_does_not_mix_up_contents():
    shared, own = read(LAST, SYSTEM, Message("user", "a"), USER)
    assert (shared + own).count("Sort.") == 1
    assert (shared + own).index("Sort.") < (shared + own).index("a") < (shared + own).index("hat")


def test_a_template_that_repeats_a_message_is_refused():
    with pytest.raises(EngineError, match="does not take the roles system, user"):
        read(TWICE, SYSTEM, USER)


def test_a_template_that_takes_nothing_says_what_it_says():
    with pytest.raises(EngineError, match=r"cannot be used .*not today"):
        read("{{ raise_exception('not today') }}", SYSTEM, USER)


def test_a_model_without_template_reads_paragraphs():
    shared, own = read(None, SYSTEM, USER, start="It is")
    assert (shared, own) == ("<|im_start|>Sort.\n\n", " hat \n\nIt is") or (
        shared + own == "Sort.\n\n hat \n\nIt is"
    )


@pytest.mark.parametrize(
    ("tail", "closed"),
    [
        ("<answer><think>\n", "<answer><think>\n\n</think>\n\n"),  # as of DeepSeek-R1
        ("<answer>[THINK]", "<answer>[THINK]\n\n[/THINK]\n\n"),
        ("<answer><think>\n\n</think>\n\n", "<answer><think>\n\n</think>\n\n"),
        ("<|start|>assistant", "<|start|>assistant<|channel|>final<|message|>"),  # gpt-oss
        ("<answer>", "<answer>"),
    ],
)
def test_a_thought_that_a_template_opens_is_closed(tail, closed):
    shared, own = read(f"{CHAT}{{{{ {tail!r} }}}}", SYSTEM, USER)
    assert shared + own == f"<system>Sort.</system><user> hat </user>{closed}"


def test_templates_that_ask_whether_to_think_are_told_not_to():
    tail = (
        "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>{% endif %}"
    )
    assert read(CHAT + tail, USER)[1].endswith("<think>\n\n</think>")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("<think>\nIt is a hat.\n</think>\n\nHats", "Hats"),
        ("It is a hat.</think>Hats", "Hats"),
        ("<think>I wonder", ""),
        ("Hats < caps", "Hats < caps"),
    ],
)
def test_thoughts_are_no_answer(written, kept):
    assert without_thoughts(written) == kept
