"""What Python callers hand over: frames, columns, records, series, arrays, values that are none."""

import datetime as dt
from collections import OrderedDict, namedtuple
from decimal import Decimal

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import cascade
from cascade.errors import InputError, UsageError
from cascade.items import Item

pytestmark = pytest.mark.weights

TEXTS = ["straw hat", "garden rake", "tomato seeds"]
PATHS = ["Clothing > Hats", "Garden > Rakes", "Garden > Seeds"]


@pytest.fixture(scope="module")
def clf(minilm):
    few = cascade.Taxonomy.from_paths(["Clothing > Hats", "Garden > Rakes", "Garden > Seeds"])
    return cascade.load("few", taxonomy=few, method="retrieval")


def paths(answers):
    return [answer.path for answer in answers]


def frame(**more):
    return pd.DataFrame({"sku": [7, 8, 9], "Title": TEXTS, **more})


TABLES = {
    "pandas": frame(),
    "pandas with an odd index": frame().set_index(pd.Index([5, 5, 5])),
    "pandas with categories": frame(Title=pd.Categorical(TEXTS)),
    "pandas of Arrow strings": frame(Title=pd.array(TEXTS, dtype="string[pyarrow]")),
    "an Arrow table": pa.table({"sku": [7, 8, 9], "title": TEXTS}),
    "an Arrow batch": pa.record_batch({"sku": [7, 8, 9], "title": TEXTS}),
    "an Arrow reader": lambda: pa.table({"sku": [7, 8, 9], "title": TEXTS}).to_reader(2),
    "columns": {"sku": [7, 8, 9], "title": TEXTS},
    "columns of arrays": {"title": np.array(TEXTS), "n": np.arange(3)},
    "columns of Arrow arrays": {"words": pa.array(TEXTS), "n": pa.array([1, 2, 3])},
    "columns of series": OrderedDict(words=pd.Series(TEXTS, index=[3, 1, 2]), n=(1.5, 2, 3)),
    "a structured array": np.array([*zip(TEXTS, range(3), strict=True)], "U20,i4"),
    "a data set": datasets.Dataset.from_dict({"title": TEXTS, "n": [1, 2, 3]}),
    "records of a frame": frame().to_dict("records"),
    "rows of a frame": lambda: (row for _, row in frame().iterrows()),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_rows_of_a_table_are_the_items(clf, table):
    assert paths(clf.classify_many(table() if callable(table) else table)) == PATHS


COLLECTIONS = {
    "array": np.array(TEXTS),
    "array of objects": np.array(TEXTS, dtype=object),
    "Arrow array": pa.array(TEXTS),
    "series": pd.Series(TEXTS, index=[2, 2, 2]),
    "index": pd.Index(TEXTS),
    "list of scalars": [*np.array(TEXTS)],
    "list of arrays without dimension": [np.array(text) for text in TEXTS],
    "generator": lambda: (text for text in TEXTS),
    "tuple": tuple(TEXTS),
    "values of a dict": dict(enumerate(TEXTS)).values(),
    "keys of a dict": dict.fromkeys(TEXTS).keys(),
    "items": [Item({"x": text}) for text in TEXTS],
}
if hasattr(np.dtypes, "StringDType"):  # since NumPy 2
    COLLECTIONS["array of string type"] = np.array(TEXTS, dtype=np.dtypes.StringDType())


@pytest.mark.parametrize("texts", COLLECTIONS.values(), ids=COLLECTIONS)
def test_the_members_of_a_collection_are_the_items(clf, texts):
    assert paths(clf.classify_many(texts() if callable(texts) else texts)) == PATHS


def test_columns_are_chosen_as_for_files(clf):
    rows = {"sku": ["a", "b"], "maker": ["x", "y"], "words": TEXTS[:2]}
    with pytest.raises(InputError, match=r"with text=; it has: sku, maker, words"):
        clf.classify_many(rows)
    assert paths(clf.classify_many(rows, text="words")) == PATHS[:2]
    (found, _) = clf.classify_many(rows, text=["maker", "words"], id="sku")
    assert found.id == "a"
    records = [{"words": "straw hat", "sku": "a"}, {"words": "rake"}]
    assert [p.id for p in clf.classify_many(records, text="words", id="sku")] == ["a", None]
    for missing in (records, iter(records)):
        with pytest.raises(InputError, match=r"no item has 'skuu', .*did you mean 'sku'"):
            list(clf.classify_many(missing, text="words", id="skuu"))
    with pytest.raises(InputError, match=r"'word' is not in the mapping.*did you mean 'words'"):
        clf.classify_many(rows, text="word")
    named = cascade.load("few", taxonomy=clf.taxonomy, method="retrieval", columns={"text": ["b"]})
    assert paths(named.classify_many(pd.DataFrame({"text": ["rake"], "b": ["hat"]}))) == PATHS[:1]
    assert "reads b; the item has c, d" in named.classify({"c": "hat", "d": "cap"}).message


def test_other_columns_of_a_record_are_not_read(clf):
    plain = clf.classify("straw hat")
    record = {"id": 4, "title": "straw hat", "price": 2.5, "shelf": "garden rakes and seeds"}
    assert clf.classify(record).confidence == plain.confidence
    assert clf.classify({"words": "straw hat", "price": 2.5}).confidence == plain.confidence
    assert clf.classify(frame().iloc[0]).path == PATHS[0]
    for record in ({"a": "hat", "b": "rake"}, {"a": 1, "b": 2}, {}):
        found = clf.classify(record)
        assert (found.status, "with text=" in found.message) == ("error", True)


def test_records_are_all_read_from_the_same_columns(clf):
    short, whole = {"sku": "scarf-13"}, {"sku": "A-12", "name": "straw hat"}
    for records in ([whole, short], [short, whole], {1: whole, 2: short}.values()):
        found = {p.status: p for p in clf.classify_many(records)}
        assert found["ok"].path == PATHS[0]
        assert "read from name, as of the other items; this one has sku" in found["error"].message
    streamed = list(clf.classify_many(iter([{"words": "straw hat"}, short, "garden rake", {}])))
    assert [p.status for p in streamed] == ["ok", "error", "ok", "error"]
    unclear = clf.classify_many([{"a": "hat", "b": "rake"}, {"a": "hat"}])
    assert ["with text=; it has: a, b" in p.message for p in unclear] == [True, True]
    two = clf.classify_many([{"title": "straw hat"}, {"name": "straw hat"}])
    assert paths(two) == PATHS[:1] * 2


NONE_THERE = [None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT, Decimal("nan")]
NONE_THERE += [np.datetime64("NaT"), np.ma.masked, pa.scalar(None), pa.scalar(None, pa.string())]


@pytest.mark.parametrize("value", NONE_THERE, ids=repr)
def test_a_missing_value_is_an_error_of_its_row(clf, value):
    for given in (value, {"text": value}, {"text": value, "n": 1}, Item({"text": value})):
        assert clf.classify(given).status == "error"
    tables = [["straw hat", value, "rake"], {"text": ["straw hat", value, "rake"]}]
    if not isinstance(value, Decimal | pa.Scalar | np.ma.core.MaskedConstant):
        tables.append(pd.DataFrame({"text": pd.Series(["straw hat", value, "rake"], dtype=object)}))
    for table in tables:
        assert [p.status for p in clf.classify_many(table)] == ["ok", "error", "ok"]


def test_bytes_that_are_no_text_are_an_error_of_their_row(clf):
    table = pa.table({"text": [b"straw hat", b"\xff\xfe", b"garden rake"]})
    for given in (table, table.to_pylist()):
        found = list(clf.classify_many(given))
        assert [p.status for p in found] == ["ok", "error", "ok"]
        assert "not UTF-8" in found[1].message


def test_lists_of_nothing_are_no_text(clf):
    empty = [[], {}, [None], [" "], {"a": [float("nan")]}, np.array([])]
    assert {clf.classify({"text": value}).status for value in empty} == {"error"}
    assert clf.classify({"text": [0]}).status == "ok"


def test_series_of_different_rows_are_refused(clf):
    texts, ids = pd.Series(TEXTS), pd.Series([1, 2, 3], index=[2, 1, 0])
    with pytest.raises(UsageError, match="'text' and 'id' have different indexes"):
        clf.classify_many({"text": texts, "id": ids})
    assert paths(clf.classify_many({"text": texts, "id": ids.reset_index(drop=True)})) == PATHS


def test_a_column_that_is_named_twice_is_read_once(clf):
    assert paths(clf.classify_many(frame(), text=["Title", "Title"])) == PATHS


def test_an_id_that_is_named_must_be_there(clf):
    with pytest.raises(InputError, match="column 'SKU' is not in"):
        clf.classify_many(frame(), id="SKU")


def test_an_item_of_a_text_is_told_what_to_write():
    with pytest.raises(UsageError, match="a mapping of column to text"):
        Item("straw hat")


def test_predictions_can_be_kept_in_sets(clf):
    assert len({clf.classify("straw hat"), clf.classify("straw hat")}) == 1


INVISIBLE = {
    "nothing": "",
    "blanks": " \t\r\n\u00a0\u3000\u2028",
    "zero width": "\u200b\u200c\u200d\u2060\ufeff",
    "soft hyphen": "\u00ad",
    "directions": "\u202e\u2066\u200f",
    "variation": "\ufe0f",
    "tags": "\U000e0041\U000e007f",
    "lone marks": "\u0301\u20e3",
    "control": "\0\x01\x1f\x7f\x85",
    "fillers": "\u3164\u115f\u1160\uffa0\u2800\u180e\u034f",
    "lost": "\ufffd\ufffd",
    "half a pair": "\ud83d",
    "no characters": "\ufffe\U0010ffff\U000e0fff",
}


@pytest.mark.parametrize("text", INVISIBLE.values(), ids=INVISIBLE)
def test_text_that_nobody_sees_is_an_error_of_its_row(clf, text):
    found = list(clf.classify_many([text, "straw hat", {"text": text}]))
    assert [p.status for p in found] == ["error", "ok", "error"]
    assert "empty" in found[0].message or "nobody sees (U+" in found[0].message


@pytest.mark.parametrize(
    "text", ["?", "7", "_", "👒", "帽", "\u200bhat", "é", "ก", "\ue000", "\U0001fae9"]
)
def test_text_that_somebody_sees_is_answered(clf, text):
    assert clf.classify(text).status == "ok"


def test_values_become_text_as_cells_of_files_do():
    values = {
        "5.0": 5.0,
        "half": np.float32(0.5),
        "n": np.int64(5),
        "yes": True,
        "no": np.bool_(False),
        "day": dt.date(2024, 5, 1),
        "time": np.datetime64("2024-05-01T10:00"),
        "list": ["a", np.int64(1), float("nan"), None],
        "array": np.array([1, 2]),
        "tuple": ("a", {"b": np.float32(1.5)}),
        "bytes": b"hat",
        "decimal": Decimal("1.50"),
    }
    assert [*Item(values).fields.values()] == [
        *("5", "0.5", "5", "true", "false", "2024-05-01", "2024-05-01T10:00"),
        *('["a", 1, null, null]', "[1, 2]", '["a", {"b": 1.5}]', "hat", "1.50"),
    ]


WRONG = {
    "one record": ({"text": "hat", "n": 1}, "one record; use classify"),
    "texts by id": ({"a": "hat", "b": "rake"}, "one record; use classify"),
    "a frame as dict": (frame().to_dict(), "inside a mapping"),
    "frames by name": ({"train": frame()}, "inside a mapping"),
    "uneven columns": ({"text": ["a"], "n": [1, 2]}, "'text' has 1, 'n' has 2"),
    "no columns": ({}, "no columns"),
    "a matrix": (np.array([TEXTS]), r"shape \(1, 3\)"),
    "an array of one": (np.array("hat"), "use classify for one text"),
    "a set": ({"hat", "rake"}, "no order"),
    "bytes": (b"hat", "decode them first"),
    "one item": (Item({"text": "hat"}), "use classify"),
    "nothing": (None, "found None"),
    "a number": (5, "found 5"),
    "columns of one name": (pd.DataFrame([["a", "b"]], columns=["x", "x"]), "DataFrame.*'x' 2"),
}


@pytest.mark.parametrize(("value", "message"), WRONG.values(), ids=WRONG)
def test_what_is_not_many_items_is_refused_at_once(clf, value, message):
    with pytest.raises((UsageError, InputError), match=message):
        clf.classify_many(value)


def test_what_is_no_item_has_its_place_with_a_reason(clf):
    Pair = namedtuple("Pair", "a b")
    odd = [b"hat", ["hat"], ("a", "hat"), Pair(1, 2), 5, True, frame(), object()]
    found = list(clf.classify_many(["straw hat", *odd, "straw hat"]))
    assert [p.status for p in found] == ["ok", *["error"] * len(odd), "ok"]
    assert all("expected a text" in p.message for p in found[1:-1])
    assert "decode" in found[1].message
    assert "classify_many" in found[7].message
    for value in odd:
        with pytest.raises(UsageError, match="expected a text"):
            clf.classify(value)


def test_tables_without_rows_have_no_answers(clf):
    for table in (frame()[:0], {"text": []}, pa.table({"a": pa.array([], pa.string())})):
        assert list(clf.classify_many(table)) == []


def test_tables_are_read_in_bounded_memory(clf):
    taken = []

    def batches():
        for at in range(10):
            taken.append(at)
            yield pa.record_batch({"title": TEXTS})

    reader = pa.RecordBatchReader.from_batches(pa.schema({"title": pa.string()}), batches())
    answers = clf.classify_many(reader, batch_size=3)
    next(answers)
    assert len(taken) < 5


def nested(levels, inside):
    for _ in range(levels):
        inside = [inside]
    return inside


def endless():
    found = []
    found.append(found)
    return found


@pytest.mark.parametrize("value", [nested(101, "x"), nested(5_000, "x"), endless()])
def test_values_nested_too_deeply_are_errors_of_their_row(clf, value):
    answers = list(clf.classify_many([{"title": value}, {"title": "garden rake"}]))
    assert "more than 100 levels deep" in answers[0].message
    assert answers[1].path == "Garden > Rakes"
    assert list(clf.classify_many([value, "garden rake"]))[1].path == "Garden > Rakes"


def test_a_value_that_cannot_be_written_as_text_is_an_error_of_its_row(clf):
    class Broken:
        def __str__(self):
            raise ValueError("no words")

    answers = list(clf.classify_many([{"title": Broken()}, Broken(), {"title": "garden rake"}]))
    assert "no words" in answers[0].message
    assert [answer.status for answer in answers] == ["error", "error", "ok"]


def test_text_of_arrow_that_is_not_utf8_is_an_error_of_its_row(clf):
    ends = pa.array([0, 3, 7], pa.int32()).buffers()[1]
    texts = pa.Array.from_buffers(pa.string(), 2, [None, ends, pa.py_buffer(b"ra\xffrake")])
    bad, good = clf.classify_many(pa.table({"title": texts}))
    assert "not UTF-8" in bad.message and good.path == "Garden > Rakes"


@pytest.mark.parametrize(
    "columns", [{"title": TEXTS}, {"title": pd.Series(TEXTS), "n": np.arange(3)}]
)
def test_columns_are_not_one_item(clf, columns):
    with pytest.raises(UsageError, match=r"columns of 3 rows.*classify_many"):
        clf.classify(columns)


def test_columns_are_named_by_numbers_too_and_by_nothing_else(clf):
    table = pd.DataFrame([["x", text] for text in TEXTS])
    assert paths(clf.classify_many(table, text=1)) == PATHS
    with pytest.raises(UsageError, match="expected the name of a column"):
        clf.classify_many(table, text=1.5)
