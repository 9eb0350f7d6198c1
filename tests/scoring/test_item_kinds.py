"""What items are, in prompts and priors: a word of the config, with examples of the taxonomy."""

import numpy as np
import pytest
from test_llm_scoring import choices_of

import cascade
from cascade.config import CascadeConfig
from cascade.errors import ConfigError
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch, Item
from cascade.scoring.components import Components
from cascade.scoring.item_prompts import make_question
from cascade.scoring.methods.llm import LLMScorer
from cascade.taxonomy import Record
from cascade.taxonomy.examples import examples_of

JOBS = cascade.Taxonomy.from_paths(
    ["Health > Nurses > Night nurses", "Health > Doctors", "Trades > Welders", "Trades > Plumbers"]
)
FLAT = cascade.Taxonomy.from_paths(["Alarm", "Music", "News"])


def rendered(kind, taxonomy=JOBS, **llm):
    config = CascadeConfig.parse({"method": "llm", "item": {"kind": kind}, "llm": llm})
    components = Components(taxonomy, config)
    template = components.prompt(config.child_prompt)
    return make_question(template, taxonomy, "welder", "", -1, taxonomy.children(-1)).prompt


def test_a_prompt_says_what_items_are():
    prompt = rendered("job title")
    assert prompt.start == "Job title: welder\nCategory:"
    assert rendered(None).start == "Text: welder\nCategory:"


def test_examples_are_of_the_taxonomy_and_of_different_levels():
    prompt = rendered("job title")
    assert prompt.shared.count("Job title: ") == prompt.shared.count("Category: ") == 4
    found = examples_of(JOBS)
    assert {one["item"] for one in found} == {"Night nurses", "Doctors", "Welders", "Plumbers"}
    assert all(one["name"] in one["path"][:-1] for one in found)
    assert [one["path"][0] for one in found[:2]] in (["Health", "Trades"], ["Trades", "Health"])
    assert rendered("job title") == rendered("job title")


def test_a_taxonomy_without_levels_has_no_examples():
    assert examples_of(FLAT) == []
    assert rendered(None, FLAT).shared == ""


def test_words_of_a_leaf_stand_in_for_an_item():
    tree = cascade.Taxonomy.from_records(
        [Record("a", "Animals", None), Record("b", "Felidae", "a", synonyms=("house cat",))]
    )
    assert examples_of(tree)[0]["item"] == "house cat"


def test_products_have_the_examples_of_products():
    prompt = rendered("product")
    assert prompt.shared.startswith("Product: Bosch Professional")
    assert prompt.start == "Product: welder\nType: \nCategory:"
    typed = PromptTemplate.load("item-type")
    assert typed.given(kind="product").render({"item": "x"}).shared.endswith("blocks, toys\n\n")
    own = typed.given(kind="job title", examples=examples_of(JOBS)).render({"item": "x"})
    assert "Bosch" not in own.shared
    assert own.start == "Job title: x\nType:"


def test_what_was_tuned_is_asked_as_it_was_tuned():
    config = CascadeConfig.parse({"llm": {"adapter": "a"}})
    assert (config.item_kind, config.child_prompt) == ("product", "file-under")
    config = CascadeConfig.parse({"llm": {"adapter": "a"}, "item": {"kind": "food"}})
    assert (config.item_kind, config.child_prompt) == ("food", "file-under")
    config = CascadeConfig.parse({"llm": {"prompt": "choose-child"}})
    assert (config.item_kind, config.child_prompt) == ("text", "choose-child")


@pytest.mark.parametrize("kind", ["", "a\nb", "<|im_end|>", "{{ x }}", "x" * 41, " food", "7"])
def test_a_kind_is_a_word_or_two(kind):
    with pytest.raises(ConfigError, match=r"item\.kind"):
        CascadeConfig.parse({"item": {"kind": kind}})


def test_the_prior_is_that_of_items_of_the_kind():
    asked = []

    class Listening:
        name, reads_pictures = "listening", False

        def score(self, questions, reading, session=None):
            asked.extend(question.prompt.start for question in questions)
            return [np.zeros(len(question.answers)) for question in questions]

    template = PromptTemplate.load("name-category").given(kind="job title")
    scorer = LLMScorer(Listening(), template, JOBS, None)
    scorer.score(Batch([Item({"name": "welder"})]), choices_of((0, -1), taxonomy=JOBS))
    assert "Job title: Job title\nCategory:" in asked
    assert not any("roduct" in text for text in asked)
