"""Models of many architectures: the tree agrees with each answer on its own, by the model's own."""

import copy

import numpy as np
import pytest
from test_scoring_answers import EXAMPLES, NAMES, chat, plain, slow_global, slow_local
from tiny_architectures import OWN, architecture_engine, tiny_architecture
from tiny_llm import tiny_model, tiny_tokenizer

from cascade.generation.engine import Question
from cascade.generation.engines.transformers_engine import TransformersEngine

IN_TREES = [kind for kind in OWN if kind not in ("bloom", "mamba")]
LONG = [  # beyond the windows of attention, which are of 12 tokens
    Question(plain("a garden rake", EXAMPLES), NAMES),
    Question(plain("cap", EXAMPLES), NAMES[:3]),
    Question(chat("straw hat"), NAMES),
]


class Untouched:
    """A model with its own attention, as `slow_global` takes an engine."""

    def __init__(self, model):
        self.model = copy.deepcopy(model)
        self.tokenizer = tiny_tokenizer()


@pytest.fixture(params=OWN)
def kind(request):
    return request.param


@pytest.fixture
def untouched(kind):
    own = copy.deepcopy(tiny_architecture(kind))
    own.set_attn_implementation("eager")
    return Untouched(own)


def test_scores_are_those_of_each_answer_on_its_own(kind, untouched, caplog):
    engine = architecture_engine(kind)
    for question, found in zip(LONG, engine.score(LONG), strict=True):
        np.testing.assert_allclose(found, slow_global(untouched, question), atol=1e-4)
    session = object()
    for _ in range(2):  # afresh, and with what is kept of the prompts
        for question, found in zip(LONG, engine.score(LONG, "local", session), strict=True):
            np.testing.assert_allclose(found, slow_local(untouched, question), atol=1e-4)
    slow = "takes no tree attention mask" in caplog.text
    assert slow == (kind not in IN_TREES)


def test_what_a_grammar_spells_is_likely_by_the_model_itself(kind, untouched):
    engine = architecture_engine(kind)
    asked = [LONG[0], LONG[2]]
    for question, (index, logprob) in zip(asked, engine.generate(asked), strict=True):
        assert question.answers[index] in NAMES
        likely = slow_local(untouched, question)
        # Constrained decoding may spell a name in other tokens than the tokenizer.
        assert logprob <= 0
        assert np.isfinite(likely[index])


def test_a_window_that_is_not_told_to_attention_is_no_tree():
    narrow = copy.deepcopy(tiny_model())
    narrow.config.sliding_window = 20
    engine = TransformersEngine(narrow, tiny_tokenizer())
    assert engine._prefixes is None
    own = copy.deepcopy(tiny_model())
    found = engine.score(LONG[2:])[0]
    np.testing.assert_allclose(found, slow_global(Untouched(own), LONG[2]), atol=1e-4)


def test_a_model_that_reads_all_before_a_token_keeps_its_own_attention():
    own = tiny_architecture("mamba")
    engine = architecture_engine("mamba")
    assert engine.model is own
    assert engine.complete([LONG[0].prompt], 3)[0] is not None
