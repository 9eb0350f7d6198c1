"""Which scorer answers which item, and what is loaded for it."""

import numpy as np
import pytest
from fixed_scorer import FixedScorer

from cascade.config import CascadeConfig
from cascade.errors import EngineError
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.runs.table import count
from cascade.retrieval.all_children import AllChildren
from cascade.scoring import components
from cascade.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_paths(["Clothing > Hats", "Clothing > Shoes", "Food > Cheese"])


class LikingScorer(FixedScorer):
    """Likes one leaf and the node above it; ranks that leaf first."""

    def __init__(self, name, path, weight):
        self.leaf = TAXONOMY.index(next(n.code for n in TAXONOMY if n.path == path))
        weights = np.zeros(len(TAXONOMY))
        weights[[self.leaf, TAXONOMY.parent[self.leaf]]] = weight
        super().__init__(weights, name)

    def rank(self, batch, k):
        others = [leaf for leaf in TAXONOMY.leaves if leaf != self.leaf]
        return np.array([[self.leaf, *others][:k]] * len(batch), np.int32)


@pytest.fixture
def scorers(monkeypatch):
    """Scorers by name, in place of those that need models."""
    made = {}
    monkeypatch.setattr(components, "make_scorer", lambda name, _: made[name])
    return made


@pytest.mark.parametrize(("candidates", "narrows"), [(10, True), (1, False)])
def test_a_method_whose_candidates_are_all_children_loads_no_encoder(scorers, candidates, narrows):
    scorers["llm"] = FixedScorer(np.arange(len(TAXONOMY)), "llm")
    scorers["llm"].wants_narrowing = narrows
    config = CascadeConfig(method="llm", retrieval={"candidates": candidates})
    clf = Classifier(TAXONOMY, config)
    assert clf.classify("cheddar").path == "Food > Cheese"
    assert not {"encoder", "retriever"} & vars(clf._components).keys()


def test_no_candidate_is_dropped_of_a_scorer_that_declines_narrowing(scorers):
    config = CascadeConfig(retrieval={"candidates": 1})
    parts = components.Components(TAXONOMY, config)
    vars(parts)["retriever"] = "loaded for another scorer"
    scorer = FixedScorer(np.zeros(len(TAXONOMY)))
    assert parts.narrower(scorer) == "loaded for another scorer"
    scorer.wants_narrowing = False
    assert isinstance(parts.narrower(scorer), AllChildren)


@pytest.mark.parametrize(
    ("sure", "source", "first"), [(9, "ttc", "Clothing > Hats"), (0.1, "main", "Food > Cheese")]
)
def test_a_classifier_that_routes_ranks_leaves_as_the_scorer_that_answered(
    scorers, sure, source, first
):
    scorers["ttc"] = LikingScorer("ttc", "Clothing > Hats", sure)
    scorers["cascade"] = LikingScorer("main", "Food > Cheese", 9)
    config = {"routing": {"fast": {"ttc": 1.0}, "threshold": 0.9}, "retrieval": {"ranking": 2}}
    found = Classifier(TAXONOMY, CascadeConfig.model_validate(config)).classify("a thing")
    assert (found.source, found.path) == (source, first)
    assert len(found.ranking) == 2 and TAXONOMY.path(TAXONOMY.index(found.ranking[0])) == first


class HalfFailingScorer(LikingScorer):
    """Fails on items whose text has `bad`."""

    def score(self, batch, choices):
        for row, item in enumerate(batch.items):
            if "bad" in item.text:
                error = EngineError("refused", reason="server answered 400")
                batch.failures.setdefault(row, error)
        return super().score(batch, choices)


def test_an_item_that_the_model_failed_on_is_the_fallbacks_alone(scorers, caplog):
    scorers["llm"] = HalfFailingScorer("llm", "Clothing > Hats", 5)
    scorers["retrieval"] = LikingScorer("retrieval", "Food > Cheese", 5)
    clf = Classifier(TAXONOMY, CascadeConfig(method="llm"))
    found = list(clf.classify_many(["a", "bad 1", "b", "c", "bad 2"]))
    assert [p.source for p in found] == ["llm", "retrieval", "llm", "llm", "retrieval"]
    assert [p.status for p in found] == ["ok", "partial", "ok", "ok", "partial"]
    assert [p.failure for p in found if p.failure] == ["server answered 400"] * 2
    assert found[1].path == "Food > Cheese"
    assert "llm failed (refused); retrieval answered" in found[1].message
    assert "llm failed on 2 items so far" in caplog.text
    assert count(found, [()] * 5).fallback == {"server answered 400": 2}
    list(clf.classify_many(["bad 3"]))
    assert "so far" not in caplog.text.split("2 items so far")[1]


def test_where_there_is_no_other_fallback_a_failure_is_raised(scorers):
    scorers["retrieval"] = HalfFailingScorer("retrieval", "Food > Cheese", 5)
    clf = Classifier(TAXONOMY, CascadeConfig(method="retrieval"))
    with pytest.raises(EngineError, match="refused"):
        clf.classify("bad")
