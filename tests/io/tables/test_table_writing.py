"""Rows that are copied to another file are those that were read, in every kind."""

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from io_helpers import read
from openpyxl import Workbook

from cascade.errors import InputError
from cascade.io import open_table
from cascade.io.tables.writing import TableWriter, with_text

CSV = 'id;name;label\r\n1;"a ""b"";c";A\r\n2;é\tf;B\r\n3;"two\nlines";C\r\n'
LINES = '{"id":1.0, "name": "caf\\u00e9",  "tags": [1, 2]}\n{"name": "b"}\n{"id": 3, "new": null}\n'


def copy(source, target, wanted=lambda row: True, change=None, chunk=2):
    """Copy the wanted rows, in chunks; change is the column and text to put in place of it."""
    with open_table(source) as table, TableWriter(target, table) as file:
        for rows in table.chunks(chunk):
            kept = [row for row in rows if wanted(row)]
            if change:
                kept = [with_text(table, row, *change) for row in kept]
            file.write(kept)
        file.finish()
    assert [p.name for p in target.parent.iterdir() if "part" in p.name] == []
    return target


def test_csv_keeps_its_delimiter_line_ends_and_mark(tmp_path):
    source = tmp_path / "in.csv"
    source.write_bytes(b"\xef\xbb\xbf" + CSV.encode())
    assert copy(source, tmp_path / "out.csv").read_bytes() == source.read_bytes()


def test_json_lines_keep_every_character(tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text(LINES, "utf-8")
    assert copy(source, tmp_path / "out.jsonl").read_text("utf-8") == LINES
    some = copy(source, tmp_path / "some.jsonl", lambda row: row.number != 2)
    assert some.read_text("utf-8").splitlines() == [LINES.splitlines()[0], LINES.splitlines()[2]]


@pytest.fixture
def parquet(tmp_path):
    file = tmp_path / "in.parquet"
    codes = pa.array(["A1", "B1", None, "A1"]).dictionary_encode()
    table = pa.table(
        {
            "label": codes,
            "price": pa.array([1.5, None, 2.0, 3.0], pa.float32()),
            "when": pa.array([dt.date(2024, 1, day) for day in range(1, 5)]),
            "number": pa.array([1, 2, 3, 4], pa.int32()),
        }
    )
    pq.write_table(table, file, row_group_size=3)
    return file


def test_parquet_keeps_its_types(parquet, tmp_path):
    before = pq.read_table(parquet)
    assert pq.read_table(copy(parquet, tmp_path / "all.parquet")).equals(before)
    odd = pq.read_table(copy(parquet, tmp_path / "odd.parquet", lambda row: row.number % 2))
    assert odd.schema == before.schema
    assert odd.to_pylist() == before.to_pylist()[::2]


def test_excel_rows_follow_each_other_without_gaps(tmp_path):
    book = Workbook()
    for row in [("id", "name"), (1, "a"), (2, None), (3, dt.date(2024, 5, 1)), (4, True)]:
        book.active.append(row)
    book.save(tmp_path / "in.xlsx")
    _, rows = read(copy(tmp_path / "in.xlsx", tmp_path / "out.xlsx", lambda row: row.number != 2))
    assert [row.cells for row in rows] == [(1, "a"), (3, dt.date(2024, 5, 1)), (4, True)]
    assert [row.line for row in rows] == [2, 3, 4]


def test_no_row_makes_a_file_with_its_columns(tmp_path, parquet):
    source = tmp_path / "in.csv"
    source.write_text(CSV, "utf-8")
    none = copy(source, tmp_path / "out.csv", lambda row: False)
    assert none.read_bytes() == b"id;name;label\r\n"
    empty = pq.read_table(copy(parquet, tmp_path / "out.parquet", lambda row: False))
    assert (empty.num_rows, empty.schema) == (0, pq.read_schema(parquet))


def test_one_cell_is_changed_and_no_other(tmp_path, parquet):
    source = tmp_path / "in.csv"
    source.write_text(CSV, "utf-8", newline="")
    changed = copy(source, tmp_path / "out.csv", change=("label", "X;Y"))
    assert changed.read_bytes().decode() == (
        CSV.replace(";A\r", ';"X;Y"\r').replace(";B\r", ';"X;Y"\r').replace(";C\r", ';"X;Y"\r')
    )
    lines = tmp_path / "in.jsonl"
    lines.write_text(LINES, "utf-8")
    _, rows = read(copy(lines, tmp_path / "out.jsonl", change=("name", "é")))
    assert [row.cells for row in rows] == [
        {"id": 1.0, "name": "é", "tags": [1, 2]},
        {"name": "é"},
        {"id": 3, "new": None, "name": "é"},
    ]
    before = pq.read_table(parquet)
    after = pq.read_table(copy(parquet, tmp_path / "out.parquet", change=("label", "Z")))
    assert after.schema == before.schema
    assert after["label"].to_pylist() == ["Z"] * 4
    assert after.drop(["label"]).equals(before.drop(["label"]))


def test_a_column_that_cannot_hold_the_text_is_named(tmp_path, parquet):
    with pytest.raises(InputError, match=r"column 'number': found a column of int32.*'Z'"):
        copy(parquet, tmp_path / "out.parquet", change=("number", "Z"))


def test_extra_columns_stand_beside_the_others(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("id,name\n1,a\n2,b,c\n", "utf-8")
    extra = {"why": str, "line": int}
    with open_table(source) as table, TableWriter(tmp_path / "out.csv", table, extra) as file:
        rows = list(table)
        file.write(rows, [{"why": row.problem and "bad", "line": row.line} for row in rows])
        file.finish()
    assert (tmp_path / "out.csv").read_text("utf-8") == "id,name,why,line\n1,a,,2\n2,b,bad,3\n"


def test_a_folder_whose_name_is_no_text_takes_parquet(parquet, tmp_path):
    folder = tmp_path / "out\udcff"
    folder.mkdir()
    written = copy(parquet, folder / "all.parquet")
    with written.open("rb") as file:
        assert pq.read_table(file).equals(pq.read_table(parquet))
