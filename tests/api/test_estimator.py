import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import cascade
from cascade.api.estimator import EstimatorError
from cascade.errors import CascadeError, UsageError

WORDS = {"rake": "Garden > Rakes", "hose": "Garden > Hoses", "hat": "Clothing > Hats"}
X = [f"{colour} {word} no {n}" for n in range(9) for colour in ("red", "blue") for word in WORDS]
Y = [WORDS[text.split()[1]] for text in X]
PLAIN = {"lexical": {"forms": ["leaf"]}, "sentence": None, "picture": None, "both": None}

EXPECTED_FAILURES = {
    "check_pipeline_consistency": "numbers are read as words, and rows of the same digits count as "
    "near duplicates, which are never on both sides, so that too few are left to measure on",
}


@pytest.fixture(scope="module")
def fitted():
    return cascade.CascadeClassifier(recipe="quick").fit(X, Y)


@parametrize_with_checks(
    [cascade.CascadeClassifier(recipe=PLAIN | {"routing": None})],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
)
def test_estimator_keeps_the_rules_of_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_labels_come_back_as_they_were_given(fitted):
    assert fitted.classes_.tolist() == sorted(WORDS.values())
    assert fitted.predict(["green hat", "long hose"]).tolist() == [WORDS["hat"], WORDS["hose"]]
    assert fitted.score(X, Y) == 1


@pytest.mark.parametrize("y", [[110, 210, 120], [True, False, True], [1.0, 2.0, 3.0]])
def test_labels_of_other_types_keep_their_type(y):
    labels = [y[[*WORDS].index(text.split()[1])] for text in X]
    found = cascade.CascadeClassifier(recipe=PLAIN).fit(X, labels)
    assert found.classes_.tolist() == sorted({*y})
    assert found.predict(X).dtype == np.array(y).dtype
    assert found.score(X, labels) == 1


def test_probabilities_are_of_leaves_and_of_any_level(fitted):
    p = fitted.predict_proba(["green hat", "??"])
    assert p.shape == (2, 3)
    assert p.sum(axis=1) == pytest.approx([1, 1])
    top = fitted.predict_proba(["green hat"], level=1)
    assert fitted.classes_at(1).tolist() == ["Garden", "Clothing"]
    assert top[0, 1] == pytest.approx(fitted.predictions(["green hat"])[0].levels[0].confidence)
    assert fitted.predict(["green hat"], level=1).tolist() == ["Clothing"]
    assert np.exp(fitted.predict_log_proba(["hat"])) == pytest.approx(fitted.predict_proba(["hat"]))
    with pytest.raises(UsageError, match="levels 1 to 2"):
        fitted.predict_proba(["hat"], level=3)
    for level in (3, 0, "1"):
        with pytest.raises(UsageError, match="levels 1 to 2"):
            fitted.predict(["hat"], level=level)


def test_leaves_without_rows_are_classes_too():
    tree = cascade.Taxonomy.from_paths([*WORDS.values(), "Garden > Spades"])
    found = cascade.CascadeClassifier(recipe=PLAIN).fit(X, Y, taxonomy=tree)
    assert found.classes_.tolist() == sorted([*WORDS.values(), "Garden > Spades"])
    assert found.predict_proba(X).shape == (len(X), 4)
    same = cascade.CascadeClassifier(recipe=PLAIN, taxonomy=tree).fit(X, Y)
    assert (same.predict_proba(X) == found.predict_proba(X)).all()


def test_a_row_without_text_gets_the_most_frequent_label(fitted):
    with pytest.warns(UserWarning, match="1 of 2 rows cannot be read"):
        found = fitted.predict(["hat", ""])
    assert found[0] == WORDS["hat"]
    with pytest.warns(UserWarning):
        p = fitted.predict_proba([""])
    assert p.sum() == pytest.approx(1)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_tables_are_read_by_their_columns(kind):
    table = kind({"name": X, "brand": ["acme"] * len(X), "n": range(len(X))})
    found = cascade.CascadeClassifier(recipe=PLAIN, text=["name", "brand"]).fit(table, Y)
    assert found.feature_names_in_.tolist() == ["name", "brand", "n"]
    assert found.pack_.config.reads == ["name", "brand"]
    assert found.score(table, Y) == 1


def test_it_goes_through_pipelines_grid_searches_and_processes(fitted):
    shout = FunctionTransformer(lambda texts: [text.upper() for text in texts])
    assert make_pipeline(shout, clone(fitted)).fit(X, Y).score(X, Y) == 1
    grid = {"recipe": [PLAIN, PLAIN | {"lexical": {"forms": ["conditional"]}}]}
    search = GridSearchCV(cascade.CascadeClassifier(), grid, cv=2).fit(X, Y)
    assert search.best_score_ > 0.9
    p = cross_val_predict(
        cascade.CascadeClassifier(recipe=PLAIN), X, Y, cv=2, method="predict_proba"
    )
    assert p.shape == (len(X), 3)
    again = pickle.loads(pickle.dumps(fitted))
    assert (again.predict_proba(X) == fitted.predict_proba(X)).all()
    assert again.pack_.path != fitted.pack_.path


def test_only_recipes_with_neighbours_learn_in_parts(fitted):
    assert not hasattr(fitted, "partial_fit")
    assert hasattr(cascade.CascadeClassifier(recipe="fast"), "partial_fit")


@pytest.mark.weights
def test_neighbours_learn_more_rows():
    recipe = PLAIN | {"sentence": {"balanced": 0, "neighbours": 5, "model": "minilm"}}
    found = cascade.CascadeClassifier(recipe=recipe).partial_fit(X, Y)
    before = found.pack_
    found.partial_fit(["quux 4711 whatsit", "quux 4711 whatsits"], [WORDS["hat"]] * 2)
    assert found.pack_ is not before
    near = found.pack_.with_settings(method="neighbours").classify("quux 4711 whatsit")
    assert near.path == WORDS["hat"]
    with pytest.raises(EstimatorError, match="Sheds"):
        found.partial_fit(["a shed"], ["Garden > Sheds"])


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        ("a text", ["a"], "expected texts of rows"),
        ([1, 2, 3], ["a", "b", "c"], "Reshape your data"),
        (X, Y[:-1], "inconsistent numbers of samples"),
        (X, [None, *Y[1:]], "each row needs a label"),
        (["a", "b"], ["x", "y"], "n_samples=2"),
        (pd.DataFrame({"name": X}), Y, "is no column of X"),
    ],
)
def test_what_cannot_be_learnt_from_is_a_value_error_and_ours(x, y, told):
    text = "nam" if isinstance(x, pd.DataFrame) else None
    with pytest.raises(ValueError, match=told) as caught:
        cascade.CascadeClassifier(recipe=PLAIN, text=text).fit(x, y)
    if "inconsistent" not in told:
        assert isinstance(caught.value, CascadeError)
