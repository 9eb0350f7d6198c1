"""Every kind out, from every kind in."""

import csv
import datetime as dt
import io
import json
import logging
import time
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from io_helpers import EXTRA, piped, read, run

from cascade.errors import OutputError, UsageError
from cascade.io import open_output, open_table
from cascade.io.tables import parquet
from cascade.io.tables.delimited.writing import CsvFormat
from cascade.io.tables.excel import writing as excel
from cascade.io.tables.layout import AnswerColumns, Layout
from cascade.io.tables.rows import Row, Table
from cascade.io.tables.writing import TableWriter

ITEMS = 'id,title,label\n007,"a, b",x\n2,=1+1,\n3,two words,z\n'


def rows_of(data, **options):
    return list(csv.reader(io.StringIO(data.decode(), newline=""), **options))


def test_csv_keeps_columns_values_and_order_and_appends_the_answer(write, tmp_path):
    out = run(write("items.csv", ITEMS), tmp_path / "out.csv")
    assert out.read_text() == (
        "id,title,label,cascade_code,cascade_confidence\n"
        '007,"a, b",x,c8,1.0\n2,=1+1,,c5,0.625\n3,two words,z,c11,1.375\n'
    )


def test_semicolons_line_ends_and_mark_of_the_input_stay(write, tmp_path):
    source = write("items.csv", "\ufeffid;title\r\n1;a;b\r\n2;c,d\r\n")
    data = run(source, tmp_path / "out.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfid;title;cascade_code;cascade_confidence\r\n")
    assert data.endswith(b"2;c,d;c4;0.5\r\n")


def test_bytes_that_are_not_utf8_are_written_as_they_were(write, tmp_path):
    out = run(write("a.csv", b"id,title\n1,caf\xe9\n2,x\n"), tmp_path / "out.csv")
    assert b"\n1,caf\xe9,,\n" in out.read_bytes()


def test_what_is_no_character_is_spelled_out_where_bytes_cannot_be_kept(write, tmp_path):
    source = write("a.jsonl", b'{"t": "x\\ud83d"}\n{"t": "caf\xe9"}\n')
    for ending in ("csv", "parquet", "xlsx"):
        _, rows = read(run(source, tmp_path / f"out.{ending}"))
        assert [row.cells[0] for row in rows] == ["x\\ud83d", "caf\\xe9"]


def test_an_earlier_answer_that_turns_up_late_is_kept_under_another_key(write, tmp_path):
    late = ['{"id": 2, "cascade": "old"}', '{"_cascade": 7, "cascade": "old"}']
    out = run(
        write("a.jsonl", "\n".join(['{"id": 1}'] * 1000 + late)), tmp_path / "out.jsonl", chunk=500
    )
    one, two = map(json.loads, out.read_text().splitlines()[-2:])
    assert one["_cascade"] == "old"
    assert (two["_cascade"], two["__cascade"]) == (7, "old")


def test_short_rows_are_filled_and_surplus_cells_do_not_shift_the_answer(write, tmp_path):
    out = run(write("a.csv", "id,title\n1\n2,a,b\n3,c\n"), tmp_path / "out.csv")
    assert rows_of(out.read_bytes())[1:] == [
        ["1", "", "", ""],
        ["2", "a", "", ""],
        ["3", "c", "c2", "0.25"],
    ]


CELL = st.text(
    # A file of little but control characters is rightly taken for a binary one.
    st.characters(codec="utf-8", exclude_categories=["Cc"]),
    max_size=12,
) | st.sampled_from(
    ['"', '""', "\r", "\n", "\r\n", ",", ";", "\t", "=1", " x ", '"a"b', "\ufeff", "\x85", "\u2028"]
)


@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=6), st.sampled_from(["csv", "tsv"]))
def test_cells_come_out_as_they_went_in(rows, kind):
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *rows])
    for newline in ("\r\n", "\n"):
        source = text.getvalue().replace("\r\n", newline, 1).encode()
        sink = io.BytesIO()
        with (
            open_table("-", stdin=io.BytesIO(source)) as table,
            open_output("-", table, EXTRA, kind=kind, stdout=sink) as output,
        ):
            for index, chunk in enumerate(table.chunks(2)):
                output.write(index, chunk, [{"cascade_code": "k"}] * len(chunk))
            output.finish()
        found = rows_of(sink.getvalue(), delimiter="\t" if kind == "tsv" else ",")
        assert [tuple(row[:3]) for row in found[1:]] == rows
        assert all(row[3:] == ["k", ""] for row in found[1:])


def test_json_lines_keep_the_object_character_by_character(write, tmp_path):
    lines = [
        '{"id":1.50,"t":"\\u00e9", "t2": {"b":1,"a":2}}',
        "{ }",
        '{"id": 12345678901234567890}',
    ]
    out = run(write("a.jsonl", "\n".join(lines)), tmp_path / "out.jsonl").read_text().splitlines()
    assert out[0].startswith('{"id":1.50,"t":"\\u00e9", "t2": {"b":1,"a":2}, "cascade": {')
    assert json.loads(out[1]).keys() == {"cascade"}
    assert out[2].startswith('{"id": 12345678901234567890, "cascade"')


def test_json_lines_that_were_no_objects_are_kept_under_a_key(write, tmp_path):
    source = write("a.jsonl", b'{"t": "x"}\n{"t": \n[1]\n{"t": "caf\xe9"}\n')
    out = run(source, tmp_path / "out.jsonl")
    found = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert [item.get("_raw") for item in found] == [None, '{"t":', "[1]", None]
    assert all("cascade" in item for item in found)
    assert found[3]["t"] == "caf\udce9"


def test_json_lines_from_a_table_have_its_columns(write, tmp_path):
    out = run(write("a.csv", "id,x,x\n1,a,b\n2,a,b,c\n"), tmp_path / "out.ndjson")
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert list(found[0]) == ["id", "x", "x_2", "cascade"]
    assert found[1]["_extra"] == ["c"] and found[1]["x_2"] == "b"


def test_a_table_from_json_lines_has_nested_values_as_json(write, tmp_path):
    source = write("a.jsonl", '{"id": 1, "n": {"a": [1, null]}}\n{"t": true, "id": 2.0}\n')
    found = rows_of(run(source, tmp_path / "out.csv").read_bytes())
    assert found[0] == ["id", "n", "t", *EXTRA]
    assert found[1][:3] == ["1", '{"a": [1, null]}', ""]
    assert found[2][:3] == ["2", "", "true"]


def test_keys_and_lines_without_a_column_are_kept_in_one_column(write, tmp_path):
    lines = ['{"id": 1}'] * 1000 + ['{"id": 2, "late": "x"}', "no json"]
    found = rows_of(
        run(write("a.jsonl", "\n".join(lines)), tmp_path / "out.csv", chunk=500).read_bytes()
    )
    assert found[0] == ["id", "_extra", *EXTRA]
    assert found[1][:2] == ["1", ""]
    assert found[1001][:2] == ["2", '{"late": "x"}']
    assert found[1002][:2] == ["", "no json"]


@pytest.fixture
def typed():
    return pa.table(
        {
            "id": pa.array([1, 2, None], pa.int16()),
            "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
            "when": pa.array([1, 2, 3], pa.timestamp("ns", tz="UTC")),
            "price": pa.array([1, None, 3], pa.decimal128(9, 2)),
            "tags": [["x"], [], None],
            "image": [{"bytes": b"\xff\0", "path": "p"}, None, None],
        }
    )


def test_parquet_keeps_its_types_and_values(typed, tmp_path):
    pq.write_table(typed, tmp_path / "in.parquet", row_group_size=2)
    found = pq.read_table(run(tmp_path / "in.parquet", tmp_path / "out.parquet"))
    assert found.drop_columns(list(EXTRA)).cast(typed.schema).equals(typed)
    assert found.schema.field("when").type == typed.schema.field("when").type
    assert found.schema.field("kind").type == typed.schema.field("kind").type
    assert found.schema.field("cascade_confidence").type == pa.float64()


def test_parquet_becomes_readable_text_in_csv_and_json(typed, tmp_path):
    pq.write_table(typed.drop_columns("when"), tmp_path / "in.parquet")
    found = rows_of(piped(tmp_path / "in.parquet"))
    assert found[1][:4] == ["1", "a", "1.00", '["x"]']
    assert found[2][:5] == ["2", "b", "", "[]", ""]
    line = piped(tmp_path / "in.parquet", kind="jsonl").splitlines()[0]
    assert json.loads(line) | {"cascade": 0} == {
        "id": 1,
        "kind": "a",
        "price": "1.00",
        "tags": ["x"],
        "image": {"bytes": "/wA=", "path": "p"},
        "cascade": 0,
    }


def test_parquet_from_csv_has_text_columns(write, tmp_path):
    found = pq.read_table(run(write("items.csv", ITEMS), tmp_path / "out.parquet"))
    assert found.column("id").to_pylist() == ["007", "2", "3"]
    assert found.column("label").to_pylist() == ["x", "", "z"]
    assert found.column("cascade_confidence").to_pylist() == [1.0, 0.625, 1.375]


def test_row_groups_do_not_depend_on_how_the_run_was_cut(write, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_ROWS", 7)
    source = write("a.csv", "id\n" + "".join(f"{n}\n" for n in range(40)))
    one = run(source, tmp_path / "one.parquet", chunk=3).read_bytes()
    two = run(source, tmp_path / "two.parquet", chunk=16).read_bytes()
    assert one == two
    assert pq.ParquetFile(tmp_path / "one.parquet").metadata.num_row_groups == 6


def test_excel_from_csv_keeps_text_as_text(write, tmp_path):
    nasty = 'id,t\n007,=1+1\n2,"a\r\nb"\n3,_x0041_ \x01 <&>\n4,x\ud83d\ude00\n'.encode(
        "utf-16", "surrogatepass"
    ).decode("utf-16")
    out = run(write("a.csv", nasty), tmp_path / "out.xlsx")
    sheet = openpyxl.load_workbook(out).active
    assert [cell.value for cell in sheet[1]] == ["id", "t", *EXTRA]
    assert sheet["A2"].value == "007" and sheet["A2"].data_type == "s"
    assert sheet["B2"].value == "=1+1" and sheet["B2"].data_type != "f"
    assert sheet["D2"].value == 0.875
    _, rows = read(out)
    assert [row.cells[1] for row in rows] == ["=1+1", "a\r\nb", "_x0041_ \x01 <&>", "x😀"]


def test_excel_keeps_numbers_dates_and_booleans(tmp_path):
    values = [
        1,
        2.5,
        True,
        dt.datetime(2024, 1, 2, 3, 4, 5),
        dt.date(2024, 1, 2),
        dt.time(3, 4, 5),
        dt.timedelta(hours=30),
        "text",
    ]
    book = openpyxl.Workbook()
    book.active.append([f"c{n}" for n in range(len(values))])
    book.active.append(values)
    book.save(tmp_path / "in.xlsx")
    run(tmp_path / "in.xlsx", tmp_path / "out.xlsx")
    before, after = (read(tmp_path / name)[1][0].cells for name in ("in.xlsx", "out.xlsx"))
    assert after[: len(values)] == before == tuple(values)


def test_excel_cuts_a_long_text_with_a_note_and_a_warning(write, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        out = run(write("a.csv", "t,u\n" + "x" * 40_000 + ",y\n"), tmp_path / "out.xlsx")
    text = openpyxl.load_workbook(out).active["A2"].value
    assert len(text) == 32_767 and text.endswith(excel.CUT)
    assert "cell A2 has 40,000 characters" in caplog.text


def test_excel_refuses_more_rows_than_it_holds(write, tmp_path, monkeypatch):
    monkeypatch.setattr(excel, "MAX_ROWS", 3)
    with pytest.raises(OutputError, match=r"does not fit into an Excel sheet.*write \.csv"):
        run(write("items.csv", ITEMS), tmp_path / "out.xlsx")
    assert not (tmp_path / "out.xlsx").exists()


def test_numbers_that_excel_would_round_become_text(write, tmp_path):
    out = run(write("a.jsonl", '{"n": 1234567890123456789}\n'), tmp_path / "out.xlsx")
    assert openpyxl.load_workbook(out).active["A2"].value == "1234567890123456789"


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "xlsx"])
def test_the_same_input_gives_the_same_bytes(write, tmp_path, ending):
    source = write("items.csv", ITEMS)
    one = run(source, tmp_path / f"one.{ending}").read_bytes()
    time.sleep(0.01)
    assert run(source, tmp_path / f"two.{ending}", chunk=1).read_bytes() == one
    if ending == "xlsx":
        dates = {e.date_time for e in zipfile.ZipFile(tmp_path / "one.xlsx").infolist()}
        assert dates == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "xlsx"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "xlsx"])
def test_an_input_without_rows_gives_an_output_without_rows(write, tmp_path, kind, ending):
    match kind:
        case "csv":
            source = write("a.csv", "id,title\n")
        case "jsonl":
            source = write("a.jsonl", '{"id": 1}\n')
        case "parquet":
            pq.write_table(pa.table({"id": pa.array([], pa.int8())}), tmp_path / "a.parquet")
            source = tmp_path / "a.parquet"
        case "xlsx":
            book = openpyxl.Workbook()
            book.active.append(["id"])
            book.save(tmp_path / "a.xlsx")
            source = tmp_path / "a.xlsx"
    out = run(source, tmp_path / f"out.{ending}")
    if kind != "jsonl" and ending != "jsonl":
        assert read(out)[1] == []
    elif kind == "jsonl":
        assert len(read(out)[1]) == 1
    else:
        assert out.read_bytes() == b""


def test_standard_output_takes_the_kind_of_the_input(write):
    assert piped(write("a.csv", "id\n1\n")).startswith(b"id,cascade_code")
    assert piped(write("b.csv", "id\tt\n1\t2\n")).startswith(b"id\tt\tcascade_code")
    assert piped(write("c.csv", '{"id": 1}\n')).startswith(b'{"id": 1, "cascade"')
    with pytest.raises(UsageError, match="parquet cannot be written to standard output"):
        piped(write("a.csv", "id\n1\n"), kind="parquet")


def test_an_output_given_as_input_is_told(write, tmp_path):
    out = run(write("items.csv", ITEMS), tmp_path / "out.csv")
    with pytest.raises(UsageError, match=r"'cascade_code'.*output of an earlier run"):
        run(out, tmp_path / "again.csv")
    out = run(write("items.csv", ITEMS), tmp_path / "out.jsonl")
    with pytest.raises(UsageError, match=r"key 'cascade'.*output of an earlier run"):
        run(out, tmp_path / "again.jsonl")


@pytest.mark.parametrize("name", ["out.txt", "out", "out.csv.gz", "out.xls"])
def test_an_ending_that_is_not_known_is_told_with_the_known_ones(write, tmp_path, name):
    with pytest.raises(UsageError, match=r"\.csv, \.tsv, \.jsonl, \.ndjson, \.parquet, \.xlsx"):
        run(write("items.csv", ITEMS), tmp_path / name)
    assert not (tmp_path / f"{name}.parts").exists()


def test_arrow_types_that_cannot_be_gathered_keep_their_rows(tmp_path):
    texts = pa.array(["a", "b", "c"], pa.string_view())
    try:
        pq.write_table(pa.table({"text": texts}), tmp_path / "in.parquet")
    except pa.ArrowNotImplementedError:
        pytest.skip("this pyarrow writes no string views")
    out = pq.read_table(run(tmp_path / "in.parquet", tmp_path / "out.parquet"))
    assert out["text"].to_pylist() == ["a", "b", "c"]
    with open_table(tmp_path / "in.parquet") as table:
        rows = [row for row in table if row.number != 2]
        with TableWriter(tmp_path / "some.parquet", table) as writer:
            writer.write(rows)
            writer.finish()
    assert pq.read_table(tmp_path / "some.parquet")["text"].to_pylist() == ["a", "c"]


def test_deep_values_of_json_lines_spoil_their_row_only(write, tmp_path):
    deep = b'{"text": ' + b"[" * 500 + b"]" * 500 + b"}\n"
    source = write("a.jsonl", deep + b'{"text": "hat"}\n')
    lines = run(source, tmp_path / "out.csv").read_text().splitlines()
    assert len(lines) == 3 and lines[2].startswith("hat,")


TEXTS = st.text(st.sampled_from('a,;"\r\n\0 é\udcff'), max_size=4)
VALUES = st.one_of(TEXTS, st.none(), st.floats(allow_nan=False))


@given(
    st.lists(st.tuples(TEXTS, TEXTS, VALUES, VALUES), min_size=1, max_size=6),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_lines_of_csv_are_those_of_the_csv_module(rows, sign, newline):
    table = Table("in.csv", "csv", ("id", "title"), iter(()), lambda: None, sign, newline)
    columns = {"code": [row[2] for row in rows], "sure": [row[3] for row in rows]}
    out = CsvFormat(Layout(table, {"code": str, "sure": float}), "csv")
    read = [Row(at, at, row[:2]) for at, row in enumerate(rows, 1)]
    assert out.encode(read, AnswerColumns(columns)) == out._encoded(out._text(rows))
    one_by_one = [dict(zip(columns, row[2:], strict=True)) for row in rows]
    assert out.encode(read, one_by_one) == out._encoded(out._text(rows))


@given(st.lists(st.one_of(st.none(), st.text()), max_size=6))
def test_arrays_of_texts_are_those_of_pyarrow(values):
    assert parquet._array(values, pa.string()).equals(pa.array(values, pa.string()))


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), max_size=6))
def test_arrays_of_numbers_are_those_of_pyarrow(values):
    found = parquet._array(values, pa.float64())
    found.validate(full=True)
    assert found.equals(pa.array(values, pa.float64()))


def test_row_groups_are_bounded_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1 << 14)
    pq.write_table(pa.table({"text": ["x" * 1000] * 100}), tmp_path / "in.parquet")
    out = pq.ParquetFile(run(tmp_path / "in.parquet", tmp_path / "out.parquet", chunk=4))
    sizes = [out.metadata.row_group(at).num_rows for at in range(out.metadata.num_row_groups)]
    assert max(sizes) <= 20
    assert sum(sizes) == 100
