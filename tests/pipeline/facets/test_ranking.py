"""Which base terms are less likely, and what reranking does where a model fails."""

import numpy as np
import pytest
from toy_catalogue import packed, xml

from cascade.config import BaseTermConfig
from cascade.errors import EngineError
from cascade.items import Batch, Item
from cascade.pipeline.facets.evidence import EvidenceFinder
from cascade.pipeline.facets.ranking import BaseTermRanker
from cascade.pipeline.facets.reranking import Reranker
from cascade.taxonomy import Taxonomy

ITEMS = [Item.of(text) for text in ("milk", "bread", "tea")]
NAMES = [["Milk", "Cream"]] * 2


def test_where_the_model_fails_on_an_item_its_candidates_are_equally_likely():
    own = np.log([0.9, 0.1])
    batch = Batch(ITEMS)
    judge = Reranker("llm", lambda *_: [own, EngineError("refused")]).judge
    found = judge(batch, [0, 2], NAMES, ["", ""])
    np.testing.assert_allclose(found, [own, np.log([0.5, 0.5])])
    assert {row: str(error) for row, error in batch.failures.items()} == {2: "refused"}


def test_where_the_model_fails_altogether_all_are_left_to_evidence():
    def logprobs(*_):
        raise EngineError("gone")

    batch = Batch(ITEMS)
    found = Reranker("llm", logprobs).judge(batch, [1, 2], NAMES, ["", ""])
    np.testing.assert_allclose(found, np.log(0.5))
    assert sorted(batch.failures) == [1, 2]


def food(name, parent="root", kind="d", reportable=True):
    return (name, kind, "C", {"report": (parent, reportable), "ingred": ("root", True)}, [])


FOODS = {
    "YOGH0": food("Yoghurt", reportable=False),
    "YOGHC": food("Yoghurt, cow milk", "YOGH0"),
    "YCPLA": food("Yoghurt, cow milk, plain", "YOGHC"),
    "YCFLA": food("Yoghurt, cow milk, flavoured", "YOGHC"),
    "YOGHG": food("Yoghurt, goat milk", "YOGH0"),
    "OLIVE": food("Table olives"),
    "OIL00": food("Olive oil"),
    "WINE0": food("Wine"),
    "BEERF": food("Beer, alcohol-free"),
}


@pytest.fixture
def ranker(tmp_path, minilm):
    tree = Taxonomy.load(packed(tmp_path / "FOODS.ecf", xml(FOODS)))
    finder = EvidenceFinder(tree, minilm, folder=tmp_path)

    def made(**base):
        config = BaseTermConfig(learnt=False, **base)
        return BaseTermRanker(tree, finder, config, tree.reportable)

    return made


def scored(ranker, text):
    """The score of each base term for a text, by code."""
    scores = ranker.scores(ranker._finder.of(Batch([Item.of(text)])))[:, 0]
    codes = [ranker._taxonomy.codes[node] for node in ranker._nodes.tolist()]
    return dict(zip(codes, scores.tolist(), strict=True))


def taken_off(ranker, text):
    """The codes of terms that are less likely by the kinds of words, and how often they are."""
    with_, without = scored(ranker(unsaid=1), text), scored(ranker(unsaid=0), text)
    return {code: n for code in with_ if (n := round(without[code] - with_[code]))}


@pytest.mark.parametrize(
    ("text", "less"),
    [
        ("yoghurt, strawberry", {"YOGHC": 1, "YCPLA": 1}),  # the plain one, and that above it
        ("natural yoghurt", {}),
        ("yoghurt, goat", {"YOGHC": 2, "YCPLA": 2, "YCFLA": 2}),  # a cow is no goat
        ("goat or cow yoghurt", {}),
        ("wine, alcohol free", {"BEERF": 2}),
        ("yoghurt in oil", {"OIL00": 1}),  # what comes with the food is not the food
        ("oil in olives", {"OLIVE": 1}),
        ("xylophones in oil", {}),  # what the food is, nobody knows
        ("olive oil", {}),
    ],
)
def test_terms_are_less_likely_that_are_another_food(ranker, text, less):
    assert taken_off(ranker, text) == less


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("dog", "'dog', which is no food"),
        ("xylophone in wine", "no term has a word of 'xylophone'"),
        ("yoghurt with wine", ""),
    ],
)
def test_a_person_is_told_why_an_answer_may_be_none(ranker, text, doubt):
    own = ranker(likeness=0, certainty=0)
    found = own.doubt(own.rank(Batch([Item.of(text)])), 0)
    assert doubt in found if doubt else found == ""


def test_an_answer_that_comes_with_the_food_is_told(ranker):
    own = ranker(likeness=0, certainty=0)
    ranked = own.rank(Batch([Item.of("olives with oil and wine")]))
    assert own._aside("olives with wine", own._taxonomy.index("WINE0")) == (
        "the likeliest base term comes with the food: 'olives' says what that is"
    )
    assert own._aside("olives with wine", own._taxonomy.index("OLIVE")) == ""
    assert own._aside("wine", own._taxonomy.index("WINE0")) == ""
    assert len(ranked.aside) == 1
