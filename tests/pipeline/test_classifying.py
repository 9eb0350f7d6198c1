import pytest
from fixed_scorer import FailingScorer

from cascade.config import CascadeConfig
from cascade.errors import UsageError
from cascade.items import Item
from cascade.pipeline.classifier import Classifier
from cascade.scoring import components
from cascade.taxonomy import Taxonomy

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("loaded")]

TAXONOMY = Taxonomy.from_paths(
    ["Clothing > Hats", "Clothing > Shoes", "Garden > Rakes", "Food > Cheese", "Food > Milk"]
)


def classifier(**settings):
    return Classifier(TAXONOMY, CascadeConfig(**{"method": "retrieval", **settings}))


@pytest.fixture
def failing(monkeypatch):
    """A classifier whose method is a scorer that fails."""
    make = components.make_scorer
    monkeypatch.setattr(
        components,
        "make_scorer",
        lambda name, made: FailingScorer() if name == "failing" else make(name, made),
    )
    return lambda: classifier(method="failing")


def test_a_text_is_filed():
    found = classifier().classify("Handwoven straw Panama hat")
    assert (found.path, found.status, found.source) == ("Clothing > Hats", "ok", "retrieval")


def test_a_text_a_mapping_and_an_item_are_filed_alike():
    clf = classifier()
    text = "aged gouda cheese"
    found = [clf.classify(v) for v in (text, {"title": text}, Item({"title": text}))]
    assert {f.path for f in found} == {"Food > Cheese"}
    assert {f.confidence for f in found} == {found[0].confidence}
    assert clf.classify(Item({"t": text}, id="7")).id == "7"


def test_what_cannot_be_answered_comes_back_in_its_place():
    clf = classifier(max_chars=50)
    texts = ["straw hat", "", "x" * 51, " \n\t", "x " * 25, "whole milk"]
    found = clf.classify_batch([Item({"t": text}, str(i)) for i, text in enumerate(texts)])
    assert [f.status == "error" for f in found] == [False, True, True, True, False, False]
    assert [f.id for f in found] == ["0", "1", "2", "3", "4", "5"]
    assert "empty" in found[1].message
    assert "51 characters, the limit is 50" in found[2].message
    assert all(f.code is None and f.levels == () for f in found if f.status == "error")
    assert (found[0].path, found[5].path) == ("Clothing > Hats", "Food > Milk")


def test_only_items_that_cannot_be_answered_need_no_model(failing):
    assert [f.status for f in failing().classify_many(["", " "])] == ["error", "error"]


def test_no_items_have_no_answers():
    assert list(classifier().classify_many([])) == []


def test_items_are_taken_batch_by_batch_as_answers_are_asked_for():
    taken = []

    def items():
        for i in range(10):
            taken.append(i)
            yield f"straw hat {i}"

    answers = classifier().classify_many(items(), batch_size=3)
    assert taken == []
    next(answers)
    assert taken == [0, 1, 2]
    for _ in range(3):
        next(answers)
    assert taken == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 100])
def test_order_and_answers_do_not_depend_on_batches(batch_size):
    clf = classifier()
    texts = ["hat", "rake", "", "cheese", "milk", "shoes", "", "felt hat"]
    items = [Item({"t": text}, str(i)) for i, text in enumerate(texts)]
    found = list(clf.classify_many(items, batch_size=batch_size))
    whole = clf.classify_batch(items)
    assert [f.id for f in found] == [str(i) for i in range(len(texts))]
    assert [(f.code, f.status) for f in found] == [(w.code, w.status) for w in whole]
    assert [f.confidence for f in found] == pytest.approx([w.confidence for w in whole], abs=1e-4)


def test_retrieval_answers_where_a_model_failed(failing):
    found = list(failing().classify_many(["straw hat", "", "whole milk"]))
    expected = list(classifier().classify_many(["straw hat", "", "whole milk"]))
    assert [f.status for f in found] == ["partial", "error", "partial"]
    assert [f.source for f in found] == ["retrieval", "", "retrieval"]
    assert [f.code for f in found] == [e.code for e in expected]
    assert "failing failed (out of memory)" in found[0].message


def test_an_unknown_method_is_refused_with_a_close_one():
    with pytest.raises(UsageError, match=r"unknown method 'retrival'.*did you mean 'retrieval'"):
        classifier(method="retrival")


def test_halves_of_surrogate_pairs_do_not_lose_a_batch():
    found = list(classifier().classify_many(["straw hat \ud83d", "whole milk"]))
    assert found[1].path == "Food > Milk"


def test_values_that_are_no_text_are_filed_as_text():
    found = classifier().classify({"title": "straw hat", "price": 12.5, "brand": None})
    assert found.path == "Clothing > Hats"


def test_the_fused_methods_answer_with_nodes_and_tell_their_parts(smollm, monkeypatch):
    from cascade.generation.engines.transformers_engine import TransformersEngine

    monkeypatch.setattr(
        TransformersEngine, "load", classmethod(lambda cls, name, **options: smollm)
    )
    clf = Classifier(TAXONOMY, CascadeConfig(method="cascade"))
    found = list(clf.classify_many(["straw panama hat", "", "whole milk 1 l"]))
    assert [f.status for f in found] == ["ok", "error", "ok"]
    assert [f.path for f in found] == ["Clothing > Hats", None, "Food > Milk"]
    for prediction in (found[0], found[2]):
        top = prediction.levels[0].candidates
        assert sum(c.probability for c in top) == pytest.approx(1)
        assert all(c.scores for c in top)


@pytest.mark.parametrize(("index", "batches"), [("flat", [2, 2, 1]), ("ivf", [5])])
def test_batches_are_cut_where_a_number_is_held_for_every_node(monkeypatch, index, batches):
    monkeypatch.setattr("cascade.pipeline.classifier.CELLS", 2 * len(TAXONOMY))
    clf = classifier(retrieval={"index": index})
    walk, sizes = clf._walker.walk, []
    monkeypatch.setattr(clf._walker, "walk", lambda batch: sizes.append(len(batch)) or walk(batch))
    found = clf.classify_batch([Item({"t": "straw hat"})] * 5)
    assert [p.path for p in found] == ["Clothing > Hats"] * 5
    assert sizes == batches
