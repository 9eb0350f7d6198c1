import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_llm import tiny_engine

from cascade.errors import EngineError
from cascade.generation.engine import Message, Prompt, Question
from cascade.generation.grammar import list_grammar

ODD = (
    ' 6" nails',
    " back\\slash",
    " \\n is no newline",
    " Bücher & Wände",
    " 帽子",
    " 👒 hats",
    " a/b | c",
    " start: choice",
    " 'quoted'",
    " {braces} [brackets] %",
    " \\u0041",
    " \u2028 line",
    " \u00a0\u00ad\u3000 blanks",
)


@pytest.fixture(scope="module")
def engine():
    return tiny_engine()


def prompt(text="straw hat", *, end="\n"):
    return Prompt(start=f"Product: {text}\nCategory:", end=end)


def chat(text="straw hat"):
    return Prompt((Message("user", text),))


@pytest.mark.parametrize("answer", ODD)
@pytest.mark.parametrize("form", [prompt, chat])
def test_a_lone_answer_is_spelled_in_full_however_odd(engine, answer, form):
    ((index, logprob),) = engine.generate([Question(form(), (answer,))])
    assert index == 0
    assert logprob <= 1e-6


@pytest.mark.parametrize("form", [prompt, chat])
def test_a_name_that_spells_a_control_token_can_be_answered(engine, form):
    names = (" <|im_end|>", " a<|endoftext|>b")
    for name in names:
        assert engine.generate([Question(form(), (name,))])[0][0] == 0


@pytest.mark.parametrize("form", [prompt, chat])
def test_among_odd_answers_one_is_given(engine, form):
    questions = [Question(form(text), ODD) for text in ("hat", "帽子", 'nails 6"', "<|im_end|>")]
    for index, logprob in engine.generate(questions):
        assert 0 <= index < len(ODD)
        assert math.isfinite(logprob)


def test_rows_of_one_batch_are_held_to_their_own_answers(engine):
    questions = [Question(prompt("hat " * (i % 3)), (name,)) for i, name in enumerate(ODD)]
    questions.append(Question(prompt(), ODD))
    together = engine.generate(questions)
    assert [index for index, _ in together[:-1]] == [0] * len(ODD)


def test_an_answer_does_not_depend_on_its_neighbours_in_the_batch(engine):
    questions = [
        Question(prompt("straw hat for summer " * (i + 1)), ODD[i : i + 4]) for i in range(6)
    ]
    alone = [engine.generate([question])[0] for question in questions]
    together = engine.generate(questions)
    assert [index for index, _ in together] == [index for index, _ in alone]
    for (_, a), (_, b) in zip(together, alone, strict=True):
        assert a == pytest.approx(b, abs=1e-4)


def test_a_name_that_begins_another_can_be_answered(engine):
    for order in ((" Shoe", " Shoe care", " Shoes"), (" Shoes", " Shoe care", " Shoe")):
        for form in (prompt, chat):
            found = [engine.generate([Question(form(), (a, *order))])[0][0] for a in order]
            assert all(0 <= index < 4 for index in found)
    assert engine.generate([Question(prompt(), (" Shoe",))])[0][0] == 0


def test_greedy_decoding_takes_the_likelier_first_step(engine):
    """Where answers are one letter and an end, the likeliest is spelled."""
    answers = ("A", "B", "C", "D")
    question = Question(Prompt(start="Product: straw hat\nCategory: ", end="\n"), answers)
    (scores,) = engine.score([question], "local")
    ((index, logprob),) = engine.generate([question])
    assert index == scores.argmax()
    assert logprob == pytest.approx(scores[index], abs=1e-4)


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(names, min_size=1, max_size=3, unique=True), min_size=1, max_size=4))
def test_whatever_the_names_each_row_gets_one_of_its_own(engine, groups):
    questions = [Question(prompt(), tuple(f" {name}" for name in group)) for group in groups]
    for question, (index, logprob) in zip(questions, engine.generate(questions), strict=True):
        assert question.answers[index]
        assert logprob <= 1e-6


def test_a_grammar_that_cannot_be_is_an_engine_error(engine):
    with pytest.raises(EngineError, match="refused"):
        engine._grammars.logits_processor(["start: nowhere"])._setup(1)


@pytest.mark.weights
def test_the_built_in_model_answers_among_the_allowed(smollm):
    questions = [Question(prompt("panama hat"), ODD[:6]), Question(chat("nails"), ODD[3:])]
    for question, (index, logprob) in zip(questions, smollm.generate(questions), strict=True):
        assert 0 <= index < len(question.answers)
        assert logprob <= 1e-6


@pytest.mark.parametrize("form", [prompt, chat])
def test_a_list_of_names_is_written_in_their_order_each_once(engine, form):
    names = ["Shoe", "Shoe care", 'a "quoted" \\ name', "帽子", "x;y"]
    prompts = [form(text) for text in ("hat", "shoes and hats", "")]
    found = engine.choose_several(prompts, names)
    assert len(found) == 3
    for chosen in found:
        assert chosen == sorted(set(chosen))
        assert all(0 <= at < len(names) for at in chosen)
    assert engine.choose_several(prompts[:1], names)[0] == found[0]


def test_the_grammar_of_lists_has_every_ordered_part_and_no_other():
    from llguidance import LLMatcher, LLTokenizer

    names = ["a", "b", 'c"']
    spelled = LLTokenizer("byte")

    def allowed(text):
        matcher = LLMatcher(spelled, LLMatcher.grammar_from_lark(list_grammar(names, " ", "\n")))
        tokens = spelled.tokenize_str(text)
        return matcher.validate_tokens(tokens) == len(tokens) and matcher.consume_tokens(tokens)

    def written(*own):
        return f" {json.dumps(list(own))}\n"

    assert allowed(" []\n")
    for own in (["a"], ["b"], ['c"'], ["a", "b"], ["a", 'c"'], ["b", 'c"'], ["a", "b", 'c"']):
        assert allowed(written(*own))
    for own in (["b", "a"], ["a", "a"], ["d"]):
        assert not allowed(written(*own))
    assert not allowed('["a"]\n')
