import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cascade.config import ENCODER, FITTED_ENCODER, CascadeConfig
from cascade.errors import EngineError, UsageError
from cascade.foodex2.code import FoodCode
from cascade.foodex2.rules import worst
from cascade.items import Batch, Item
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.facets.evidence import EvidenceFinder, FacetFeatureExtractor
from cascade.predictions import trace_as_dicts
from cascade.retrieval.encoder import Encoder
from cascade.scoring.components import settle_defaults
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import Facet, FacetedTaxonomy

pytestmark = pytest.mark.weights


@pytest.fixture
def tree(ecf, table):
    (table.parent / "BR_Data.csv").write_bytes(table.read_bytes())
    return Taxonomy.load(ecf)


@pytest.fixture
def made(tree, minilm, monkeypatch):
    """A classifier over the toy catalogue, by the settings of the walk."""
    monkeypatch.setattr(Encoder, "load", classmethod(lambda cls, name, **options: minilm))

    def made(**facets):
        return Classifier(tree, CascadeConfig.parse({"facets": facets}))

    return made


def test_its_networks_are_read_with_the_encoder_that_they_were_fitted_to(tree, made):
    assert made().config.retrieval.encoder == FITTED_ENCODER
    named = CascadeConfig.parse({"retrieval": {"encoder": ENCODER}})
    assert Classifier(tree, named).config.retrieval.encoder == ENCODER
    assert Classifier(tree.base_terms, CascadeConfig()).config.retrieval.encoder == ENCODER


def test_a_text_that_names_only_what_is_not_there_has_no_base_term(made):
    for text in ("without wheat", "sugar free", "not baked"):
        found = made().classify(text)
        assert (found.code, found.status) == (None, "review")
        assert "says only what is not there" in found.message
    assert len(made().classify("sugar free " * 100).message) < 200


def test_a_catalogue_is_a_taxonomy_with_facets(tree):
    assert isinstance(tree, FacetedTaxonomy)
    assert "MILL1" not in tree  # a descriptor
    assert "GONE0" not in tree  # deprecated
    assert set(tree.categories) == {"F01", "F03", "F04", "F27", "F28"}
    assert tree.categories["F28"].tree.node("MILL1").parent_code == "MILL0"
    assert not tree.categories["F28"].single
    assert tree.implied("FLOUR") == (Facet("F27", "WHEAT"), Facet("F28", "MILL1"))
    assert not tree.reportable[tree.index("GRAIN")]
    assert tree.synonyms(tree.index("OATS0")) == ("Toyus exemplaris",)
    assert len(tree.terms) == len(
        set(tree.codes) | {c for g in tree.categories.values() for c in g.tree.codes}
    )

    again = pickle.loads(pickle.dumps(tree))
    assert again.codes == tree.codes
    assert again.implied("FLOUR") == tree.implied("FLOUR")
    assert (again.reportable == tree.reportable).all()


def test_a_word_that_makes_another_food_of_one_must_be_said(made):
    wheat = made(base={"another": [["wheat", "durum"]], "unsaid": 9})
    assert made().classify("flour").code == "FLOUR"
    assert "wheat" not in wheat.classify("flour").path.casefold()
    for text in ("wheat flour", "flour of durum"):
        assert wheat.classify(text).code == "FLOUR"


def test_what_is_of_the_kind_of_the_base_term_is_not_said_of_it(tree, minilm):
    extractor = FacetFeatureExtractor(tree, EvidenceFinder(tree, minilm))
    column = extractor.codes.index("F04")
    flour = tree.categories["F04"].tree.index("FLOUR")

    def may_be_said(base):
        found = extractor.extract(Batch([Item({"text": "with wheat flour"})]), [base])
        return bool(np.isfinite(found.scores[column][flour, 0]))

    assert may_be_said("STEW0")
    assert not may_be_said("FLOUR")
    assert not may_be_said("OATS0")  # beside it


def test_what_a_description_says_beyond_its_base_term_is_in_its_code(made):
    prediction = made(categories={"threshold": 0.3}).classify("stew, baked, with salt")
    assert prediction.code == "STEW0#F04.SALT0$F28.BAKED"
    assert prediction.path == "Stew"
    assert [(f.category, f.code) for f in prediction.facets if f.code] == [
        ("F04", "SALT0"),
        ("F28", "BAKED"),
    ]
    assert 0 < prediction.confidence <= prediction.levels[-1].confidence <= 1
    trace = trace_as_dicts(prediction)
    assert [step.get("category") for step in trace] == [None, "F04", "F28"]
    assert trace[0]["candidates"][0]["code"] == "STEW0"
    assert prediction.to_dict()["facets"]


def test_what_a_base_term_implies_is_not_said_again(made):
    prediction = made(categories={"threshold": 0.3}).classify("wheat flour, finely milled")
    assert prediction.code == "FLOUR"
    assert not [f for f in prediction.facets if f.code == "MILL1"]


def test_a_facet_that_the_rules_refuse_is_left_out_and_says_why(made):
    prediction = made(categories={"threshold": 0.0}, descriptors={"candidates": 1}).classify(
        "wheat, a powder"
    )
    left = {f.category: f.message for f in prediction.facets if f.code is None}
    assert "BR13" in left["F03"]
    assert "#F03" not in prediction.code


SAID = (
    "wheat oats red flour stew powder drink milled coarsely baked diluted liquid salt with a , in"
)
WORDS = [*SAID.split(), "of", "grains", "held", "back", "plant"]


@pytest.fixture
def by_threshold(made):
    return {threshold: made(categories={"threshold": threshold}) for threshold in (0, 0.2, 0.6)}


@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=8),
    threshold=st.sampled_from([0, 0.2, 0.6]),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_code_is_clean_by_the_strict_rules(by_threshold, checker, words, threshold):
    prediction = by_threshold[threshold].classify(" ".join(words))
    if prediction.status == "error":
        assert not " ".join(words).strip()
        return
    if prediction.code is None:
        assert prediction.status == "review"
        return
    assert worst(checker.check(prediction.code)) in (None, "LOW")
    code = FoodCode.parse(prediction.code)
    assert str(code.normalised(checker.catalogue.terms[code.base].facets)) == prediction.code


def test_the_likeliest_come_first_and_bounds_are_kept(made):
    prediction = made(base={"candidates": 3, "tau": 0}).classify("red wheat grains")
    shares = [c.probability for c in prediction.levels[-1].candidates]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert len(prediction.alternatives) == 2
    confidences = [level.confidence for level in prediction.levels]
    assert confidences == sorted(confidences, reverse=True)
    assert [level.code for level in prediction.levels] == ["GRAIN", "WHEAT", "REDWH"]


def test_many_are_answered_as_one_is(made):
    classifier = made()
    texts = ["stew, baked", "", "oats, oats", "wheat flour in liquid", "x"] * 20
    many = list(classifier.classify_many(texts))
    assert [p.status for p in many[:5]] == ["ok", "error", "ok", "ok", "review"]
    assert "empty" in many[1].message
    assert "the text names no food of the catalogue" in many[4].message
    one = [classifier.classify(text).code for text in texts[:5]]
    assert [p.code for p in many] == one * 20


def test_base_terms_that_are_too_unsure_are_not_offered(made):
    text = "red wheat grains"
    every = made(base={"tau": 0}).classify(text)
    kept = [other.confidence for other in every.alternatives if other.confidence >= 0.05]
    prediction = made(base={"tau": 0.05}).classify(text)
    assert prediction.code == every.code
    assert [other.confidence for other in prediction.alternatives] == kept
    assert len(kept) < len(every.alternatives)
    none = made(base={"tau": 0.999}).classify(text)
    assert (none.code, none.status, none.alternatives) == (None, "review", ())
    assert "no base term is sure enough to be offered: the best has" in none.message
    assert "below 100% (facets.base.tau)" in none.message


@pytest.mark.parametrize("text", ["laptop", "monthly rent", "?!"])
def test_what_is_like_no_food_has_no_code(made, text):
    prediction = made().classify(text)
    assert (prediction.code, prediction.status) == (None, "review")
    assert "(facets.base.unlike)" in prediction.message
    forced = made(base={"unlike": 0}).classify(text)
    assert forced.code
    assert forced.status == "review"


def test_what_nobody_eats_is_for_review(made):
    prediction = made().classify("wheat flour soap")
    assert prediction.status == "review"
    assert prediction.message == "the text says 'soap', which is no food"


def test_methods_that_find_no_base_terms_are_refused(tree, minilm, monkeypatch):
    monkeypatch.setattr(Encoder, "load", classmethod(lambda cls, name, **options: minilm))
    with pytest.raises(UsageError, match="does not find base terms"):
        Classifier(tree, CascadeConfig.parse({"method": "nli"}))
    with pytest.raises(UsageError, match="fit one with"):
        Classifier(tree, CascadeConfig.parse({"facets": {"categories": {"method": "classifier"}}}))


def test_the_method_is_that_of_base_terms_unless_one_is_named(tree, made):
    assert (made().method, made().config.method) == ("retrieval", "retrieval")
    config = CascadeConfig.parse({"facets": {"base": {"method": "rerank"}}})
    assert settle_defaults(config, tree) == "rerank"
    assert settle_defaults(CascadeConfig.parse({"llm": {"prior": False}}), tree) == "retrieval"


def test_a_language_model_may_choose_at_every_stage(made, smollm, monkeypatch):
    from cascade.generation.engines.transformers_engine import TransformersEngine

    load = classmethod(lambda cls, name, **options: smollm)
    monkeypatch.setattr(TransformersEngine, "load", load)
    classifier = made(
        base={"method": "llm", "sure": 1.0},
        categories={"method": "llm"},
        descriptors={"method": "llm", "sure": 1.0},
    )
    prediction = classifier.classify("wheat flour, baked")
    assert prediction.source == "llm"
    candidates = prediction.levels[-1].candidates
    assert all(set(c.scores) == {"retrieval", "llm"} for c in candidates)
    assert np.isclose(sum(c.probability for c in candidates), 1)


class Refusing:
    """An engine that refuses whatever speaks of Zanzibar."""

    reads_pictures = False

    def __init__(self, engine):
        self.engine = engine

    def _refuse(self, prompts, found):
        return [
            EngineError("refused", reason="server answered 400") if "zanzibar" in str(p) else one
            for p, one in zip(prompts, found, strict=True)
        ]

    def score(self, questions, reading="global", session=None):
        found = self.engine.score(questions, reading, session)
        return self._refuse([q.prompt for q in questions], found)

    def choose_several(self, prompts, names, lead=" "):
        return self._refuse(prompts, self.engine.choose_several(prompts, names, lead))


def test_a_description_that_the_model_refuses_is_left_to_evidence_and_is_partial(
    made, smollm, monkeypatch
):
    from cascade.generation.engines.transformers_engine import TransformersEngine

    texts = ["wheat flour, baked", "zanzibar bread, baked"]
    by_evidence = made().classify(texts[1])
    llm = {"method": "llm", "sure": 1.0}
    found = []
    for engine in (smollm, Refusing(smollm)):
        load = classmethod(lambda cls, name, engine=engine, **options: engine)
        monkeypatch.setattr(TransformersEngine, "load", load)
        classifier = made(base=llm, categories={"method": "llm"}, descriptors=llm)
        found.append(list(classifier.classify_many(texts)))
    (alone, _), (beside, refused) = found
    assert (beside.code, beside.source, beside.failure) == (alone.code, "llm", "")
    assert (refused.source, refused.status) == ("retrieval", "partial")
    assert refused.failure == "server answered 400"
    assert refused.code == by_evidence.code
