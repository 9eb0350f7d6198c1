"""The packed forward pass against its slow definition: each answer alone, with full softmax."""

import numpy as np
import pytest
import torch
from tiny_llm import tiny_engine, tiny_model, tiny_tokenizer

from cascade.errors import EngineError
from cascade.generation.engine import Message, Prompt, Question
from cascade.generation.engines.transformers_engine import TransformersEngine

NAMES = (" Shoe", " Shoes", " Shoe care", " Hats", " Hats", " a", " Garden tools & caps")
SYSTEM = Message("system", "Which department does the product belong to?")


def chat(text, **kwargs):
    return Prompt((SYSTEM, Message("user", text)), **kwargs)


def plain(text, shared=""):
    return Prompt(shared=shared, start=f"Product: {text}\nCategory:", end="\n")


def bare(text):
    return Prompt(start=text, end="\n")


def prompt_ids(tokenizer, prompt):
    """The prompt in the tokenizer's own way; right for texts that spell no control token."""
    if not prompt.messages:
        shared = tokenizer(prompt.shared)["input_ids"] if prompt.shared else []
        return shared + tokenizer(prompt.start)["input_ids"]
    turns = [{"role": m.role, "content": m.content} for m in prompt.messages]
    head = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    start = tokenizer(prompt.start, add_special_tokens=False)["input_ids"] if prompt.start else []
    return tokenizer(head, add_special_tokens=False)["input_ids"] + start


def answer_ids(tokenizer, answer, end):
    ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    if end is None:
        return [*ids, tokenizer.eos_token_id]
    return ids + tokenizer(end, add_special_tokens=False)["input_ids"]


def next_logprobs(engine, ids):
    """Full log-softmax after each token of one sequence, in a forward pass of its own."""
    with torch.inference_mode():
        logits = engine.model(input_ids=torch.tensor([ids]), use_cache=False).logits
    return logits[0].double().log_softmax(-1).numpy()


def slow_global(engine, question):
    tokenizer, end = engine.tokenizer, question.prompt.end
    prompt = prompt_ids(tokenizer, question.prompt)
    totals = []
    for answer in question.answers:
        ids = answer_ids(tokenizer, answer, end)
        logprobs = next_logprobs(engine, prompt + ids)
        totals.append(sum(logprobs[len(prompt) - 1 + i, t] for i, t in enumerate(ids)))
    return np.array(totals)


def slow_local(engine, question):
    """Step by step: at each step the tokens that some answer continues with share probability."""
    tokenizer, end = engine.tokenizer, question.prompt.end
    prompt = prompt_ids(tokenizer, question.prompt)
    spelled = [answer_ids(tokenizer, answer, end) for answer in question.answers]
    totals = []
    for ids in spelled:
        logprobs, total = next_logprobs(engine, prompt + ids), 0.0
        for i, token in enumerate(ids):
            allowed = sorted({other[i] for other in spelled if other[:i] == ids[:i]})
            at = logprobs[len(prompt) - 1 + i]
            total += at[token] - np.logaddexp.reduce(at[allowed])
        totals.append(total)
    return np.array(totals)


EXAMPLES = "Product: rake\nCategory: Garden tools\n\nProduct: cap\nCategory: Caps\n\n"
QUESTIONS = {
    "chat, one prompt": [Question(chat("straw hat"), NAMES)],
    "chat, shared prefix, many lengths": [
        Question(chat("straw hat for summer " * n), NAMES[: n + 2]) for n in range(5)
    ],
    "chat that begins the answer": [
        Question(chat(text, start="Category:", end="\n"), NAMES) for text in ("hat", "shoe polish")
    ],
    "plain": [Question(plain(text), NAMES) for text in ("hat", "a garden rake", "cap")],
    "plain, with examples": [
        Question(plain(text, EXAMPLES), NAMES) for text in ("hat", "a garden rake", "cap")
    ],
    "plain, some with examples": [
        Question(plain("hat", shared), NAMES)
        for shared in ("", EXAMPLES, EXAMPLES + "x\n", EXAMPLES)
    ],
    "one prompt begins another": [
        Question(bare(text), NAMES) for text in ("Shoe", "Shoe Shoe Shoe", "Shoe Shoe")
    ],
    "the same prompt twice": [Question(plain("hat"), NAMES[:3]), Question(plain("hat"), NAMES[2:])],
    "chat and plain together": [Question(chat("hat"), NAMES), Question(plain("hat"), NAMES)],
    "one answer alone": [Question(chat("hat"), (" Shoe",)), Question(chat("cap"), NAMES)],
}


@pytest.mark.parametrize("batch_tokens", [16, 300, 100_000])
@pytest.mark.parametrize("case", QUESTIONS)
def test_a_score_is_what_the_model_gives_each_answer_on_its_own(case, batch_tokens):
    engine = tiny_engine(batch_tokens=batch_tokens)
    for question, found in zip(QUESTIONS[case], engine.score(QUESTIONS[case]), strict=True):
        np.testing.assert_allclose(found, slow_global(engine, question), atol=1e-4)


@pytest.mark.parametrize("batch_tokens", [16, 100_000])
@pytest.mark.parametrize("case", QUESTIONS)
def test_a_local_score_is_that_of_masked_decoding_step_by_step(case, batch_tokens):
    engine = tiny_engine(batch_tokens=batch_tokens)
    found = engine.score(QUESTIONS[case], "local")
    for question, scores in zip(QUESTIONS[case], found, strict=True):
        np.testing.assert_allclose(scores, slow_local(engine, question), atol=1e-4)
        distinct = dict(zip(question.answers, scores, strict=True))
        assert np.exp(list(distinct.values())).sum() == pytest.approx(1)


def test_scores_do_not_depend_on_what_was_asked_before():
    used = tiny_engine()
    fresh = {case: tiny_engine().score(questions) for case, questions in QUESTIONS.items()}
    for case in [*QUESTIONS, *reversed(QUESTIONS)]:
        for found, expected in zip(used.score(QUESTIONS[case]), fresh[case], strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-4, err_msg=case)


@pytest.mark.parametrize("reading", ["global", "local"])
@pytest.mark.parametrize("batch_tokens", [16, 100_000])
def test_what_is_kept_of_a_session_changes_no_score(batch_tokens, reading):
    engine, session = tiny_engine(batch_tokens=batch_tokens), object()
    for case in [*QUESTIONS, *reversed(QUESTIONS), *QUESTIONS]:
        expected = tiny_engine().score(QUESTIONS[case], reading)
        for found, own in zip(
            engine.score(QUESTIONS[case], reading, session), expected, strict=True
        ):
            np.testing.assert_allclose(found, own, atol=1e-4, err_msg=case)


def test_a_session_computes_each_prompt_once(monkeypatch):
    engine, computed = tiny_engine(), []
    forward = engine._prefixes.forward

    def counted(prefix, rows, *how):
        computed.append(sum(map(len, rows)))
        return forward(prefix, rows, *how)

    monkeypatch.setattr(engine._prefixes, "forward", counted)
    asked = [Question(chat(text), NAMES) for text in ("hat", "a garden rake", "hat")]
    session = object()
    nodes = len(engine._tries.of(asked)[0].plan("local").nodes)
    first = engine.score(asked, "local", session)
    lengths = sum(len(own) for own in {tuple(engine._encoder.prompt(q.prompt)[1]) for q in asked})
    assert computed == [lengths + 3 * nodes]
    again = engine.score(asked, "local", session)
    assert computed[1:] == [3 * nodes]
    np.testing.assert_allclose(first, again, atol=1e-5)
    engine.score(asked, "local", object())
    assert computed[2] == computed[0]


def test_many_questions_after_one_prompt_share_it_in_rows_of_bounded_width(monkeypatch):
    engine, widths = tiny_engine(), []
    forward = engine._prefixes.forward

    def measured(prefix, rows, *how):
        widths.extend(map(len, rows))
        return forward(prefix, rows, *how)

    monkeypatch.setattr(engine._prefixes, "forward", measured)
    names = [(f" Shoe{a}", f" Shoe{a}s", f" Hat {a}", f" Hat {a} b") for a in range(200)]
    questions = [Question(chat("hat"), own) for own in names]
    found = engine.score(questions, "global", object())
    assert max(widths) < 400 < sum(widths)
    for at in (0, 77, 199):
        np.testing.assert_allclose(found[at], engine.score([questions[at]])[0], atol=1e-4)


def test_a_wide_node_is_read_in_rows_of_bounded_width(monkeypatch):
    engine, widths = tiny_engine(), []
    forward = engine._prefixes.forward

    def measured(prefix, rows, *how):
        widths.extend(map(len, rows))
        return forward(prefix, rows, *how)

    monkeypatch.setattr(engine._prefixes, "forward", measured)
    names = tuple(f" {a}{b} x{c}" for a in "ABCDEFGH" for b in "abcdef" for c in range(12))
    question = Question(plain("hat"), names)
    (whole,), (local,) = engine.score([question]), engine.score([question], "local")
    few = Question(plain("hat"), names[::97])
    np.testing.assert_allclose(whole[::97], slow_global(engine, few), atol=1e-4)
    assert np.exp(local).sum() == pytest.approx(1)
    assert len(widths) >= 4
    assert max(widths) < 400


def test_a_score_outside_of_the_session_leaves_it_as_it_is(monkeypatch):
    engine, session, computed = tiny_engine(), object(), []
    forward = engine._prefixes.forward

    def counted(prefix, rows, *how):
        computed.append(sum(map(len, rows)))
        return forward(prefix, rows, *how)

    question = Question(chat("a garden rake"), NAMES)
    monkeypatch.setattr(engine._prefixes, "forward", counted)
    engine.score([question], "local", session)
    engine.score([question], "local")
    engine.score([question], "local", session)
    assert computed[0] == computed[1] > computed[2]


def test_equal_answers_have_equal_scores():
    (scores,) = tiny_engine().score([Question(chat("hat"), NAMES)])
    assert scores[3] == scores[4]


def test_the_order_of_answers_does_not_matter():
    forward, backward = tiny_engine().score(
        [Question(chat("hat"), NAMES), Question(chat("hat"), NAMES[::-1])]
    )
    np.testing.assert_allclose(forward, backward[::-1], atol=1e-5)


def test_no_questions_have_no_answers():
    assert tiny_engine().score([]) == []
    assert tiny_engine().generate([]) == []


def test_an_empty_prompt_is_refused():
    with pytest.raises(EngineError, match="prompt has no text"):
        tiny_engine().score([Question(bare(""), NAMES)])


class WithoutTemplate:
    """The tiny tokenizer without some attributes, as some models' tokenizers are."""

    def __init__(self, **without):
        self._without = without

    def __getattr__(self, name):
        return self._without[name] if name in self._without else getattr(tiny_tokenizer(), name)

    def __call__(self, *args, **kwargs):
        return tiny_tokenizer()(*args, **kwargs)


def test_a_model_without_end_of_turn_asks_for_an_end():
    engine = TransformersEngine(tiny_model(), WithoutTemplate(eos_token_id=None))
    with pytest.raises(EngineError, match="`end` text"):
        engine.score([Question(chat("hat"), NAMES)])


@pytest.mark.weights
def test_the_built_in_model_scores_as_by_the_slow_definition(smollm, smollm_of_transformers):
    questions = [
        Question(plain("straw hat"), NAMES[:3]),
        Question(chat("straw hat"), NAMES[:4]),
        Question(chat("shoe polish, black"), NAMES[:3]),
    ]
    for question, found in zip(questions, smollm.score(questions), strict=True):
        np.testing.assert_allclose(found, slow_global(smollm_of_transformers, question), atol=1e-3)
    local = smollm.score(questions[:1], "local")[0]
    np.testing.assert_allclose(local, slow_local(smollm_of_transformers, questions[0]), atol=1e-3)
