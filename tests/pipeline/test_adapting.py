import pickle

import pytest

import cascade
from cascade.errors import UsageError
from cascade.scoring.adaptation import LEAST
from cascade.taxonomy import Taxonomy

pytestmark = pytest.mark.weights
TREE = Taxonomy.from_paths(
    ["Tools > Hammers", "Tools > Saws", "Food > Milk", "Food > Cheese", "Music > Drums"]
)
MANY = [f"{kind} {i}" for i in range(15) for kind in ("cheese", "gouda", "cheddar", "brie")]
TORN = "a wheel of it"


@pytest.fixture
def clf(loaded):
    return cascade.load(TREE, method="retrieval")


def share(clf, name="Food"):
    """The probability of a top node for an item that may be anything."""
    levels = clf.classify(TORN).levels
    return sum(c.probability for c in levels[0].candidates if c.name == name)


def test_what_is_frequent_among_the_items_gets_likelier(clf):
    before = share(clf)
    learnt = clf.adapt(MANY)
    assert learnt is clf.adaptation and learnt.items == len(MANY)
    assert share(clf) > before + 0.05
    clf.adaptation = None
    assert share(clf) == before


def test_what_was_learnt_before_is_forgotten(clf):
    once = clf.adapt(MANY).log_weight
    clf.adapt([f"steel hammer {i}" for i in range(100)])
    assert (clf.adapt(MANY).log_weight == once).all()


def test_too_few_items_change_no_answer(clf):
    before = share(clf)
    assert not clf.adapt(MANY[: LEAST - 1]).applies
    assert share(clf) == before


def test_items_that_cannot_be_answered_are_passed_over(clf):
    learnt = clf.adapt([*MANY, None, "", float("nan")])
    assert learnt.items == len(MANY)
    assert clf.adapt([]).items == 0


def test_a_copy_keeps_what_was_learnt(clf):
    clf.adapt(MANY)
    copy = pickle.loads(pickle.dumps(clf))
    assert copy.adaptation.items == len(MANY)
    assert share(copy) == share(clf)


def test_searched_nodes_are_adapted_as_compared_ones(clf, loaded):
    before = share(clf)
    searched = cascade.load(TREE, method="retrieval", retrieval={"index": "hnsw"})
    assert share(searched) == pytest.approx(before, abs=1e-4)
    for each in (clf, searched):
        each.adapt(MANY)
    assert share(searched) == pytest.approx(share(clf), abs=1e-3)


@pytest.mark.parametrize("method", ["nli", "cascade", "llm"])
def test_other_methods_refuse_before_models_are_loaded(method, monkeypatch):
    from cascade.scoring.components import Components

    monkeypatch.setattr(Components, "scorer", None)
    with pytest.raises(UsageError, match=rf"--adapt .* the method {method}: .*--method retrieval"):
        cascade.load(TREE, method=method, retrieval={"adapt": True})


def test_a_taxonomy_with_facets_refuses(catalogue):
    from cascade.foodex2.taxonomy import FoodEx2Taxonomy

    with pytest.raises(UsageError, match="does not go with a taxonomy with facets"):
        cascade.load(
            FoodEx2Taxonomy.from_catalogue(catalogue), method="retrieval", retrieval={"adapt": True}
        )
