import duckdb
import pytest

import cascade
from cascade.errors import UsageError


@pytest.fixture
def con(pack):
    connection = duckdb.connect()
    cascade.register_duckdb(connection, pack, top=2)
    connection.execute("CREATE TABLE items (n INT, name VARCHAR)")
    connection.executemany(
        "INSERT INTO items VALUES (?, ?)", [[1, "garden rake"], [2, None], [3, "wool beanie"]]
    )
    return connection


def test_a_query_reads_fields_of_answers(con, pack):
    rows = con.execute("SELECT n, cascade_classify(name).path FROM items ORDER BY n").fetchall()
    assert rows == [
        (1, pack.classify("garden rake").path),
        (2, None),
        (3, pack.classify("wool beanie").path),
    ]


def test_a_null_is_an_error_of_its_row(con):
    found = con.execute("SELECT unnest(cascade_classify(name)) FROM items WHERE n = 2").fetchone()
    assert found[:3] == (None, None, None)
    assert (found[4], "no" in found[5]) == ("error", True)


def test_other_answers_are_a_list(con, pack):
    (found,) = con.execute(
        "SELECT cascade_classify(name).alternatives FROM items WHERE n = 1"
    ).fetchone()
    assert len(found) == 2
    assert {*found[0]} == {"code", "path", "confidence"}
    assert found[0]["code"] != pack.classify("garden rake").code


def test_a_function_is_replaced_by_one_of_its_name(con, pack):
    cascade.register_duckdb(con, pack)
    with pytest.raises(duckdb.Error):
        con.execute("SELECT cascade_classify(name).alternatives FROM items").fetchall()


def test_more_columns_than_are_read_are_told(con):
    with pytest.raises(duckdb.Error, match="2 columns are given, but 1 are read: name"):
        con.execute("SELECT cascade_classify(name, name) FROM items").fetchall()


@pytest.mark.parametrize(
    ("connection", "over", "told"),
    [
        ("a string", {}, "duckdb.connect"),
        (None, {"name": "x; DROP TABLE"}, "name="),
        (None, {"top": -1}, "top=-1"),
    ],
)
def test_what_makes_no_function_is_told(connection, over, told, pack):
    with pytest.raises(UsageError, match=told):
        cascade.register_duckdb(connection or duckdb.connect(), pack, **over)
