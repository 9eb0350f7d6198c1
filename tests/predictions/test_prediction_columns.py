import numpy as np
import pytest
from fixed_scorer import FixedScorer
from hypothesis import given, settings
from hypothesis import strategies as st
from taxonomy.trees import trees

from cascade.confidence.acceptance import Acceptance
from cascade.config import CalibrationConfig
from cascade.items import Batch, Item
from cascade.pipeline.descent import Descent
from cascade.predictions import Prediction
from cascade.predictions.columns import COLUMNS, PredictionColumns
from cascade.retrieval.all_children import AllChildren
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.staying import staying

quick = settings(deadline=None, max_examples=60)
OTHER = Prediction(None, None, 0.0, "", "error", "not read", "7")


def walked(taxonomy, weights, n_items=3, **how):
    items = [Item({"text": f"item {at}"}, str(at)) for at in range(n_items)]
    return Descent(taxonomy, AllChildren(taxonomy), **how).walk(Batch(items), FixedScorer(weights))


@st.composite
def walks(draw):
    """A way to walk, again and again, a tree at whose inner nodes items may stay."""
    taxonomy = draw(trees(rich=False))
    inner = [code for at, code in enumerate(taxonomy.codes) if not taxonomy.is_leaf(at)]
    if inner:
        taxonomy = staying(taxonomy, draw(st.lists(st.sampled_from(inner), max_size=2)))
    weights = np.array(draw(st.permutations(range(len(taxonomy))))) * 0.37 % 3.1
    stop = draw(st.sampled_from([0.0, 0.3, 0.6]))
    return lambda: walked(taxonomy, weights, stop=stop)


def told(predictions):
    return [prediction.to_dict() for prediction in predictions]


@quick
@given(walks(), st.floats(0.01, 0.99), st.booleans())
def test_columns_say_what_the_objects_say_and_both_climb_alike(walk, least, climbs):
    wanted = {"least": least} if climbs else {"review_below": least}
    acceptance = Acceptance(CalibrationConfig(**wanted), "retrieval")
    columns = acceptance.apply(walk())
    assert not columns.made  # no object for any row
    for row, prediction in enumerate(columns):
        assert [getattr(columns, name)[row] for name in COLUMNS] == [
            getattr(prediction, name) for name in COLUMNS
        ]
    assert told(columns) == told(acceptance.apply(list(walk())))


@quick
@given(walks(), st.floats(0.01, 0.99))
def test_rows_that_others_have_replaced_stay_what_they_are(walk, least):
    acceptance = Acceptance(CalibrationConfig(least=least), "retrieval")
    columns, objects = walk(), list(walk())
    columns[0] = objects[0] = walk()[2]
    columns[1] = objects[1] = OTHER
    assert told(acceptance.apply(columns)) == told(acceptance.apply(objects))


@pytest.fixture
def small_walk():
    tree = Taxonomy.from_records([("A", "one", None), ("B", "two", None)])
    return lambda: walked(tree, np.array([0.0, 1.0]))


@pytest.mark.parametrize("rows", [(0, 1, 2), (1, 2, 4), (2, 3, 4)])
def test_columns_among_others_keep_the_order(rows, small_walk):
    found = small_walk().among(rows, {row: OTHER for row in {*range(5)} - {*rows}})
    ids = [str(rows.index(row)) if row in rows else "7" for row in range(5)]
    assert found.code == ["B" if row in rows else None for row in range(5)]
    assert [prediction.id for prediction in found] == ids
    assert told(PredictionColumns.of(list(found))) == told(found)


def test_slices_and_negative_places_are_those_of_a_list(small_walk):
    found = small_walk()
    assert found[-1].id == "2"
    assert [p.id for p in found[:2]] == ["0", "1"]
    with pytest.raises(IndexError):
        found[3]
