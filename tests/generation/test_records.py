import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_llm import tiny_engine

from cascade.generation.engine import Prompt
from cascade.generation.records import RecordConstraint, RecordField

FIELDS = (
    RecordField("about", 12),
    RecordField("names", 6, 0, 2),
    RecordField("titles", 5, 2, 3),
)


def constraint(lead="", end="\n"):
    return RecordConstraint(FIELDS, lead, end)


def accepts(text, **options):
    """Whether llguidance takes a text as a whole sentence of the grammar."""
    from llguidance import LLMatcher, LLTokenizer, grammar_from

    tokenizer = LLTokenizer("byte")
    matcher = LLMatcher(tokenizer, grammar_from("lark", constraint(**options).lark))
    assert not matcher.get_error()
    return matcher.consume_tokens(list(text.encode())) and matcher.is_accepting()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"about": "hats", "names": [], "titles": ["a", "b"]}', True),
        ('{"about": "hüte", "names": ["x", "y"], "titles": ["a", "b", "c"]}', True),
        ('{"about": "", "names": [], "titles": ["a", "b"]}', False),
        ('{"about": "hats", "names": [], "titles": ["a"]}', False),
        ('{"about": "hats", "names": [], "titles": ["a", "b", "c", "d"]}', False),
        ('{"about": "hats", "names": ["1", "2", "3"], "titles": ["a", "b"]}', False),
        ('{"names": [], "about": "hats", "titles": ["a", "b"]}', False),
        ('{"about": "far more than twelve", "names": [], "titles": ["a", "b"]}', False),
        ('{"about": "a\\"b", "names": [], "titles": ["a", "b"]}', False),
    ],
)
def test_the_grammar_takes_objects_of_these_fields_alone(text, wanted):
    assert bool(accepts(f"{text}\n")) is wanted
    if wanted:
        assert constraint().read(f"{text}\n") == json.loads(text)


def test_what_a_model_writes_under_the_grammar_is_such_an_object():
    prompts = [Prompt(start=f"Product: {text}\n", end="\n") for text in ("hat", "shoe care")]
    for record in tiny_engine().write_records(prompts, FIELDS):
        assert list(record) == ["about", "names", "titles"]
        assert 1 <= len(record["about"]) <= 12
        assert len(record["names"]) <= 2 <= len(record["titles"]) <= 3


@pytest.mark.parametrize(
    "text", ["", "[]", '{"about": 1}', '{"about": "x", "names": "y"}', "[" * 9**5]
)
def test_what_is_no_such_object_is_refused(text):
    with pytest.raises(ValueError):
        constraint().read(text)


def test_texts_beyond_the_length_are_cut():
    found = constraint().read(json.dumps({"about": "x" * 20, "names": ["y"] * 9, "titles": []}))
    assert found == {"about": "x" * 12, "names": ["y"] * 2, "titles": []}


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), max_size=5)
)
def test_the_longest_object_has_room(text):
    whole = {"about": "x" * 12, "names": ["y" * 6] * 2, "titles": [text] * 3}
    shown = f"lead{json.dumps(whole, ensure_ascii=False)}\n"
    assert len(shown) <= constraint(lead="lead").longest


def test_names_of_rules_in_gbnf_are_of_letters():
    for line in constraint(lead=" ").gbnf.splitlines():
        assert line.partition(" ::=")[0].isalpha()
