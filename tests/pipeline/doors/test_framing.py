import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import cascade
from cascade.errors import InputError, UsageError
from cascade.taxonomy import Taxonomy

pytestmark = pytest.mark.weights

TEXTS = ["straw panama hat", None, "garden rake", "  ", "aged gouda"]
PATHS = ["Clothing > Hats", "Garden > Rakes", "Garden > Hoses", "Food > Cheese"]
ANSWER = ["code", "path", "confidence", "source", "status", "message"]


@pytest.fixture(scope="module")
def clf():
    return cascade.load(Taxonomy.from_paths(PATHS))


@pytest.fixture(scope="module")
def expected(clf):
    return list(clf.classify_many(TEXTS))


KINDS = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "pandas over arrow": lambda columns: pd.DataFrame(columns).convert_dtypes(
        dtype_backend="pyarrow"
    ),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_frame_comes_back_as_it_was_with_its_answers(clf, expected, kind):
    given = kind({"name": TEXTS, "n": [1, 2, 3, 4, 5]})
    found = clf.classify_frame(given)
    assert type(found) is type(given)
    rows = found.to_pylist() if hasattr(found, "to_pylist") else None
    rows = rows or (found.to_dicts() if hasattr(found, "to_dicts") else found.to_dict("records"))
    assert list(rows[0]) == ["name", "n", *(f"cascade_{key}" for key in ANSWER)]
    assert [row["n"] for row in rows] == [1, 2, 3, 4, 5]
    for row, p in zip(rows, expected, strict=True):
        code, sure = row["cascade_code"], row["cascade_confidence"]
        assert (None if pd.isna(code) else code) == p.code
        assert pd.isna(sure) if p.code is None else sure == pytest.approx(p.confidence, abs=1e-6)
        assert row["cascade_status"] == p.status
        assert bool(row["cascade_message"]) == bool(p.message)


def test_index_types_attributes_and_subclasses_of_pandas_are_kept(clf):
    class Own(pd.DataFrame):
        @property
        def _constructor(self):
            return Own

    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 1), ("b", 2)], names=["x", "y"])
    given = Own({"name": TEXTS[:3]}, index=index)
    given["kind"] = pd.Categorical(["u", "v", "u"])
    given["when"] = pd.to_datetime(["2026-01-01"] * 3)
    given["few"] = np.array([1, 2, 3], "int8")
    given.attrs["from"] = "me"
    before = given.copy()
    found = clf.classify_frame(given)
    pd.testing.assert_frame_equal(given, before)
    assert isinstance(found, Own)
    assert found.index.equals(index)
    assert found.attrs == {"from": "me"}
    assert found.dtypes[:4].equals(given.dtypes)
    assert found["cascade_confidence"].dtype == "float64"


def test_alternatives_are_flat_columns(clf, expected):
    found = clf.classify_frame(pl.DataFrame({"name": TEXTS}), top=3)
    assert found.columns[-9:] == [
        f"cascade_{key}_{n}" for n in (2, 3, 4) for key in ("code", "path", "confidence")
    ]
    assert found.schema["cascade_confidence_4"] == pl.Float64
    first = found.row(0, named=True)
    codes = [first[f"cascade_code{n}"] for n in ("", "_2", "_3", "_4")]
    assert len({*codes} - {None}) == 4
    assert first["cascade_code"] == expected[0].code
    sure = [first[f"cascade_confidence{n}"] for n in ("", "_2", "_3", "_4")]
    assert sure == sorted(sure, reverse=True)
    assert found["cascade_code_2"][1] is None


def test_columns_of_an_earlier_call_are_replaced_and_not_read(clf):
    once = clf.classify_frame(pd.DataFrame({"product": TEXTS}), top=2, explain=True)
    assert json.loads(once["cascade_trace"][0])
    again = clf.classify_frame(once)
    assert list(again) == ["product", *(f"cascade_{key}" for key in ANSWER)]


def test_columns_of_the_user_that_begin_alike_stay(clf):
    own = pd.DataFrame({"product": TEXTS, "cascade_label": "x", "cascade_foo": 1})
    assert list(clf.classify_frame(own))[:3] == ["product", "cascade_label", "cascade_foo"]


def test_a_frame_without_rows_keeps_its_columns(clf):
    found = clf.classify_frame(pl.DataFrame({"name": []}, schema={"name": pl.String}), text="name")
    assert (found.height, found.schema["cascade_confidence"]) == (0, pl.Float64)


def test_progress_is_told(clf):
    told = []
    clf.classify_frame(pd.DataFrame({"name": TEXTS}), progress=lambda *n: told.append(n))
    assert told[-1] == (5, 5)


@pytest.mark.parametrize(
    ("frame", "over", "kind", "told"),
    [
        (["a"], {}, UsageError, "use classify_many"),
        ({"name": ["a"]}, {}, UsageError, "expected a data frame"),
        (pd.Series(["a"]), {}, UsageError, "expected a data frame"),
        (pl.LazyFrame({"name": ["a"]}), {}, UsageError, "lazy"),
        (pd.DataFrame({"name": ["a"]}), {"text": "nam"}, InputError, "did you mean 'name'"),
        (pd.DataFrame({"a": ["a"], "b": ["b"]}), {}, InputError, "text="),
        (pd.DataFrame({"name": ["a"]}), {"top": -1}, UsageError, "top=-1"),
        (pd.DataFrame([["a", "b"]], columns=["a", "a"]), {}, UsageError, "nique column names"),
    ],
)
def test_what_is_no_frame_to_read_is_told(clf, frame, over, kind, told):
    with pytest.raises(kind, match=told):
        clf.classify_frame(frame, **over)
