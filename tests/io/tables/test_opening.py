"""Opening any kind of table, and saying why something is none."""

import datetime as dt
import gzip
import io
import json
import logging
import os
import threading
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from io_helpers import read

from cascade.errors import InputError
from cascade.io import open_table, require_columns


def test_json_lines_are_told_by_content_and_give_objects(write):
    table, rows = read(write("a.csv", '\n{"id": 1, "t": "x"}\n{"t": null, "n": {"a": [1]}}\n'))
    assert table.kind == "jsonl" and table.columns == ("id", "t", "n")
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 3)]
    assert [table.text(row, "t") for row in rows] == ["x", ""]
    assert table.text(rows[1], "n") == '{"a": [1]}'
    assert table.text(rows[0], "nowhere") == ""


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[1, 2]", "holds an array"),
        ('"text"', "holds a string"),
        ("null", "holds null"),
        ("12", "holds a number"),
        ('{"t": ', "is not JSON"),
        ('{"t": "a\\ud', "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"n": ' + "9" * 5000 + "}", "thousands of digits"),
        ('{"n": ' + "[" * 500 + "]" * 500 + "}", "nested too deeply"),
    ],
)
def test_a_line_that_is_no_object_spoils_itself_only(write, line, says):
    _, rows = read(write("a.jsonl", f'{{"t": "x"}}\n{line}\n{{"t": "y"}}\n'))
    assert [bool(row.problem) for row in rows] == [False, True, False]
    assert "line 2" in rows[1].problem and says in rows[1].problem


def test_names_with_signs_that_nobody_sees_are_shown_with_them(write):
    table, _ = read(write("a.csv", "id,te\u200bxt,na me, b\n1,x,y,z\n"))
    with pytest.raises(InputError, match=r"has: id, 'te\\u200bxt', na me, ' b'"):
        require_columns(table, ["text"])


def test_json_lines_with_bad_bytes_spoil_their_row_only(write):
    _, rows = read(write("a.jsonl", b'{"t": "caf\xe9"}\n{"t": "y"}\n'))
    assert "0xE9" in rows[0].problem and rows[1].problem is None


def test_half_a_surrogate_pair_becomes_a_replacement_character(write):
    table, rows = read(write("a.jsonl", '{"t": "x\\ud83d"}\n'))
    assert rows[0].problem is None
    assert table.text(rows[0], "t") == "x\ufffd"


def test_json_lines_in_utf16_are_read(write):
    _, rows = read(write("a.jsonl", '{"t": "é"}\n{"t": "y"}\n'.encode("utf-16")))
    assert [row.cells["t"] for row in rows] == ["é", "y"]


@pytest.mark.parametrize(
    ("content", "cure"),
    [
        ('[{"t": "x"}]', "jq -c '.[]'"),
        ('{\n  "t": "x"\n}\n{\n  "t": "y"\n}\n', "jq -c . "),
        ('{"t":\n "x"}\n', "jq -c . "),
    ],
)
def test_json_of_another_shape_is_an_error_with_the_command_that_mends_it(write, content, cure):
    with pytest.raises(InputError, match="expected") as caught:
        read(write("a.json", content))
    assert cure in str(caught.value)


SHAPES = {
    "columns of lists": ('{"t": ["x", "y"], "id": [1, 2]}\n', "holds columns"),
    "columns by row": ('{"t": {"0": "x", "1": "y"}}\n', "holds columns"),
    "columns by name": ('{"t": {"a": "x"}, "u": {"a": "y"}}', "holds columns"),
    "columns apart": ('{"columns": ["t"], "index": [0], "data": [["x"]]}', "holds columns"),
    "one key": ('{"stock": [{"t": "x"}]}\n\n', "jq -c '.[\"stock\"][]'"),
    "a usual key": ('{"count": 1, "results": [{"t": "x"}]}', "jq -c '.[\"results\"][]'"),
    "lines of arrays": ('["x", 1]\n["y", 2]\n', "each line of this JSON is an array"),
    "an array of texts": ('["x", "y"]', "jq -c '.[] | {text: .}'"),
}


@pytest.mark.parametrize(("content", "says"), SHAPES.values(), ids=SHAPES)
def test_one_object_that_holds_all_rows_is_no_row(write, content, says):
    with pytest.raises(InputError) as caught:
        read(write("a.json", content))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        '{"t": ["x", "y"]}',
        '{"t": "x", "sizes": [{"s": 1}]}',
        '{"t": {"title": "x"}}',
        '{"data": [{"t": "x"}]}\n{"data": [{"t": "y"}]}',
        '{"t": ["x"], "u": ["y", "z"]}',
    ],
)
def test_a_single_object_is_a_row(write, content):
    _, rows = read(write("a.json", content))
    assert [row.problem for row in rows] == [None] * len(content.splitlines())


def test_what_its_name_calls_json_lines_is_never_read_as_csv(write):
    for lines in (['"x"', '"y"'], ["x", '{"t": "y"}'], ["t,u", "x,y"]):
        table, rows = read(write("a.jsonl", "\n".join(lines)))
        assert table.kind == "jsonl"
        assert rows[0].problem is not None


def test_a_key_that_is_there_twice_is_an_error_of_its_row(write):
    _, rows = read(write("a.jsonl", '{"t": "x", "t": "y"}\n{"t": {"a": 1, "a": 2}}\n'))
    assert "line 1 has the key 't' twice" in rows[0].problem
    assert rows[1].problem is None


@pytest.mark.parametrize("note", ["sep=;\n", "SEP=;\r\n", "\ufeffsep=;\n"])
def test_a_line_for_excel_names_the_delimiter(write, note):
    table, rows = read(write("a.csv", f"{note}t;id\nx, y;1\n".encode()))
    assert (table.columns, table.delimiter) == (("t", "id"), ";")
    assert [(row.cells, row.line) for row in rows] == [(("x, y", "1"), 3)]


NOTES = {
    "a comment": "# exported on Monday\nt,id\nx,1\n",
    "comments": "#a\n# b\nt;id\nx;1\ny;2\n",
    "a title and an empty line": "Stock of May\n\nt\tid\nx\t1\n",
    "a title and a line of delimiters": "\nStock of May\n,\nt,id\nx,1\n",
}


@pytest.mark.parametrize("content", NOTES.values(), ids=NOTES)
def test_what_stands_above_the_header_is_not_taken_for_it(write, content):
    at = 1 + next(n for n, line in enumerate(content.splitlines()) if line.startswith("t"))
    with pytest.raises(InputError, match=f"header, which seems to be in line {at}"):
        read(write("a.csv", content))


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("#,t\n1,x\n2,y\n", ("#", "t")),
        ("# of pieces\n1\n2\n", ("# of pieces",)),
        ("text\nx, y\nz, u\n", ("text",)),
        ("text\n\nx, y\nz\n", ("text",)),
        ("text\n\nx, y\n", ("text",)),
        ("#tag,t\n", ("#tag", "t")),
    ],
)
def test_a_header_that_looks_like_a_note_is_one(write, content, columns):
    assert read(write("a.csv", content))[0].columns == columns


OTHERS = {
    b"%PDF-1.7\n%\xe2\xe3\n": "a PDF",
    b"{\\rtf1 text}": "RTF",
    b"ARROW1\0\0\xff\xff": "Feather",
    b"SQLite format 3\0\x10\0": "SQLite",
    b"\x80\x04\x95\x10\0\0\0\0": "never read",
    b"ORC\x1a\n": "ORC",
}


@pytest.mark.parametrize(("head", "says"), OTHERS.items())
def test_files_of_other_kinds_are_named(write, head, says):
    with pytest.raises(InputError, match=says):
        read(write("a.csv", head))


def test_zeros_here_and_there_are_not_called_utf_16(write):
    with pytest.raises(InputError, match="binary file") as caught:
        read(write("a.csv", bytes(range(9)) + b"\0" * 90 + b"abc" * 9))
    assert "utf-16" not in str(caught.value)


@pytest.mark.parametrize("empty", ["[]", "{}", '[""]', '[null, {"a": " "}]', "null", "NaN"])
def test_a_list_of_nothing_is_no_text(write, empty):
    table, rows = read(write("a.jsonl", f'{{"t": {empty}}}\n{{"t": [0]}}\n'))
    assert [table.text(row, "t") for row in rows] == ["", "[0]"]
    assert table.text_column(rows, "t") == ["", "[0]"]


def test_parquet_gives_values_and_text(tmp_path):
    moment = dt.datetime(2024, 1, 2, 3, 4, 5)
    table = pa.table(
        {
            "id": pa.array([1, None], pa.int32()),
            "price": [12.0, 2.5],
            "when": pa.array([moment, None], pa.timestamp("ns")),
            "tags": [["a", "b"], None],
            "ok": [True, None],
        }
    )
    pq.write_table(table, tmp_path / "a.bin")
    table, rows = read(tmp_path / "a.bin")
    assert table.kind == "parquet" and table.columns == ("id", "price", "when", "tags", "ok")
    assert rows[0].cells[:3] == (1, 12.0, moment)
    texts = table.texts(rows[0], table.columns)
    assert list(texts.values()) == ["1", "12", "2024-01-02T03:04:05", '["a", "b"]', "true"]
    assert set(table.texts(rows[1], ["id", "when", "tags", "ok"]).values()) == {""}


def test_a_damaged_parquet_file_is_an_error(write):
    with pytest.raises(InputError, match=r"a\.parquet: this Parquet file cannot be read"):
        read(write("a.parquet", b"PAR1" + b"\x00" * 50))


def test_parquet_text_that_is_not_utf8_spoils_its_row_only(tmp_path):
    column = pa.array([b"x", b"caf\xe9"], pa.binary()).cast(pa.string(), safe=False)
    pq.write_table(
        pa.table({"t": pa.Array.from_buffers(pa.string(), 2, column.buffers())}), tmp_path / "a"
    )
    _, rows = read(tmp_path / "a")
    assert rows[0].problem is None and "column 't'" in rows[1].problem


@pytest.fixture
def workbook(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Items"
    sheet.append(["id", "title", "when", "price", None])
    sheet.append([1, "a hat", dt.datetime(2024, 1, 2), 12.0])
    sheet.append([])
    sheet.append([2, "_x000D_tall", dt.datetime(2024, 1, 2, 3, 4), 2.5])
    sheet.append([3, "too", None, None, None, "far right"])
    sheet.cell(20, 1).font = openpyxl.styles.Font(bold=True)
    book.create_sheet("Other").append(["x"])
    book.save(tmp_path / "book.xlsx")
    return tmp_path / "book.xlsx"


def test_a_workbook_gives_its_first_sheet_with_a_warning_about_the_others(workbook, caplog):
    with caplog.at_level(logging.WARNING):
        table, rows = read(workbook)
    assert "2 sheets" in caplog.text and "--sheet" in caplog.text
    assert table.kind == "xlsx" and table.columns == ("id", "title", "when", "price")
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 3), (3, 4), (4, 5)]
    assert [table.text(row, "when") for row in rows] == [
        "2024-01-02",
        "",
        "2024-01-02T03:04:00",
        "",
    ]
    assert table.text(rows[0], "price") == "12"
    assert rows[2].cells[1] == "\rtall"
    assert "far right" in rows[3].problem


def test_a_sheet_is_chosen_by_name(workbook):
    assert read(workbook, sheet="Other")[0].columns == ("x",)
    with pytest.raises(InputError, match=r"it has: Items, Other .did you mean .Items."):
        read(workbook, sheet="items")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(b"id,title\n"), "gzip-compressed; unpack it first: zcat"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "old .xls or a password-protected workbook"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, "binary file"),
        (b"id,title\n1,x\n" + bytes(range(256)) * 40, r"binary file \(byte 0x00 at offset 13\)"),
        ("id,title\n1,x\n".encode("utf-16-le"), "--encoding utf-16-le"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"PK\x03\x04" + b"\0" * 50, "cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "bytes",  # some hold the time
)
def test_what_is_no_table_is_an_error_with_a_cure(write, content, says):
    with pytest.raises(InputError, match=says):
        read(write("a.csv", content))


def test_errors_of_formulas_are_problems_where_the_cell_is_read(tmp_path):
    book = openpyxl.Workbook()
    for row in (["t", "n"], ["x", "#REF!"], ["#N/A", 1], ["#1", 2]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    table, rows = read(tmp_path / "a.xlsx")
    problems = [table.problem(row, ["t"]) for row in rows]
    assert problems[0] is None and problems[2] is None
    assert "row 2, column 't' has the error '#N/A'" in problems[1]
    assert table.text(rows[0], "n") == "#REF!"


def test_formulas_that_were_never_computed_are_told(tmp_path, caplog):
    book = openpyxl.Workbook()
    for row in (["t", "n"], ["x", 1], ['="a"&"b"', 2]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    table, rows = read(tmp_path / "a.xlsx")
    assert "never computed (first: cell A3)" in caplog.text
    assert [table.text(row, "t") for row in rows] == ["x", ""]


@pytest.mark.parametrize("cell", ["XFD1048576", "A1048576", "B10005"])
def test_a_cell_far_below_the_rows_is_refused_at_once(tmp_path, cell):
    book = openpyxl.Workbook()
    for row in (["name"], ["hat"], [], ["rake"]):
        book.active.append(row)
    book.active[cell] = "stray"
    book.save(tmp_path / "far.xlsx")
    if cell == "B10005":  # as many blank rows as may be
        assert len(read(tmp_path / "far.xlsx")[1]) == 10_004
        return
    with pytest.raises(InputError, match=r"line 1048576: rows 5 to 1,048,575 are empty.*delete"):
        open_table(tmp_path / "far.xlsx")


def test_rows_far_below_that_are_formatted_only_do_not_count(tmp_path):
    book = openpyxl.Workbook()
    for row in (["name"], ["hat"]):
        book.active.append(row)
    book.active["A900000"].font = openpyxl.styles.Font(bold=True)
    book.save(tmp_path / "a.xlsx")
    with open_table(tmp_path / "a.xlsx") as table:
        assert next(iter(table)).cells == ("hat",)


def test_a_workbook_with_an_odd_part_is_told_in_plain_words(tmp_path):
    book = openpyxl.Workbook()
    book.create_chartsheet()
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(InputError, match="damaged, or of a kind that is not known"):
        read(tmp_path / "a.xlsx")


def test_a_zip_that_is_no_workbook_is_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("items.csv", "a,b\n")
    with pytest.raises(InputError, match="zip archive and no"):
        read(tmp_path / "a.xlsx")


def test_a_missing_file_is_told_with_names_like_it(write):
    path = write("items.csv", "a\n")
    with pytest.raises(InputError, match=r"itmes\.csv does not exist .did you mean 'items\.csv"):
        open_table(path.with_name("itmes.csv"))
    with pytest.raises(InputError, match="nor does the folder"):
        open_table(path.parent / "no" / "items.csv")


def test_a_folder_is_told_with_a_file_in_it(write):
    with pytest.raises(
        InputError, match=r"is a folder without pictures; give a file, for example .*items\.csv"
    ):
        open_table(write("items.csv", "a\n").parent)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_told(write):
    path = write("items.csv", "a\n")
    path.chmod(0)
    with pytest.raises(InputError, match="may not be read"):
        open_table(path)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "xlsx"])
def test_every_kind_can_come_through_a_pipe(tmp_path, kind, workbook):
    match kind:
        case "csv":
            data = b"id,title\n1,x\n"
        case "jsonl":
            data = json.dumps({"id": 1}).encode()
        case "parquet":
            pq.write_table(pa.table({"id": [1]}), tmp_path / "p")
            data = (tmp_path / "p").read_bytes()
        case "xlsx":
            data = workbook.read_bytes()
    stdin = io.BytesIO(data)
    with open_table("-", stdin=stdin) as table:
        assert table.kind == kind and table.name == "standard input"
        assert table.text(next(iter(table)), "id") == "1"
    assert not stdin.closed


def test_a_pipe_is_streamed_and_not_read_to_its_end(tmp_path):
    reading, writing = os.pipe()
    row = b"1," + b"x" * 998 + b"\n"

    def feed():
        with os.fdopen(writing, "wb") as sink:
            sink.write(b"id,title\n" + row * 2000)
            sink.flush()
            more.wait(10)
            sink.write(b"2,last\n")

    more = threading.Event()
    thread = threading.Thread(target=feed)
    thread.start()
    with os.fdopen(reading, "rb") as source, open_table("-", stdin=source) as table:
        assert next(iter(table)).cells[0] == "1"
        more.set()
        assert list(table)[-1].cells == ("2", "last")
    thread.join()
