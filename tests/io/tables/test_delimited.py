"""CSV and TSV in."""

import csv
import io
import logging
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from io_helpers import read

from cascade.errors import InputError, UsageError
from cascade.io import open_table, require_columns
from cascade.io.encodings import Encoding, TextLines
from cascade.io.tables.delimited import reading as delimited


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_by_the_content(write, delimiter):
    rows = [["id", "title", "price"], ["1", "a hat", "1.2"], ["2", "two\nlines", "3"]]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    table, found = read(write("anything.txt", text.getvalue()))
    assert table.delimiter == delimiter
    assert table.kind == ("tsv" if delimiter == "\t" else "csv")
    assert [table.columns, *(row.cells for row in found)] == list(map(tuple, rows))
    assert all(row.problem is None for row in found)


def test_decimal_commas_do_not_make_the_comma_the_delimiter(write):
    table, _ = read(write("a.csv", "id;price\n1;2,5\n2;3,5\n"))
    assert table.columns == ("id", "price")


def test_one_column_with_commas_in_its_text_stays_one_column(write):
    table, rows = read(write("a.txt", "title\nred, big hat\nblue cap\na, b, c\n"))
    assert table.columns == ("title",)
    assert [row.cells for row in rows] == [("red, big hat",), ("blue cap",), ("a, b, c",)]
    assert not any(row.problem for row in rows)


def test_blank_lines_are_no_rows_but_are_empty_cells_of_a_single_column(write):
    _, rows = read(write("a.csv", "id,title\n\n1,x\n\n2,y\n\n"))
    assert [(row.number, row.line) for row in rows] == [(1, 3), (2, 5)]
    _, rows = read(write("b.csv", "title\nx\n\ny\n\n"))
    assert [(row.line, row.cells) for row in rows] == [(2, ("x",)), (3, ("",)), (4, ("y",))]


CELL = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from('\r\n\t",')
)


@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=6),
    st.sampled_from(["\n", "\r\n"]),
)
def test_cells_are_read_as_they_were_written(rows, newline):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=newline, quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "b", "c"], *rows])
    with open_table("-", stdin=io.BytesIO(text.getvalue().encode())) as table:
        found = list(table)
    assert [list(row.cells) for row in found] == rows
    assert not any(row.problem for row in found)


def test_lines_are_counted_as_an_editor_shows_them(write):
    _, rows = read(write("a.csv", 'id,title\n1,"two\nlines"\n2,x\n'))
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 4)]


def test_rows_with_too_few_or_too_many_cells_are_told_and_do_not_stop_the_others(write):
    _, rows = read(write("a.csv", "id,title,label\n1\n2,x,y\n3,a,b,c,d\n4,x,y\n"))
    assert [bool(row.problem) for row in rows] == [True, False, True, False]
    assert "row 1 has 1 of 3 cells" in rows[0].problem and "'title'" in rows[0].problem
    assert 'came ["c", "d"]' in rows[2].problem
    assert rows[2].cells == ("3", "a", "b", "c", "d")


def test_a_stray_quote_costs_one_row_and_not_the_rest_of_the_file(write):
    body = "".join(f"{n},plain\n" for n in range(3, 500))
    _, rows = read(write("a.csv", f'id,title\n1,x\n2,"5 inch\n{body}'))
    assert len(rows) == 499
    assert rows[1].cells == ("2", '"5 inch')
    assert "line 3" in rows[1].problem and "quote" in rows[1].problem
    assert not any(row.problem for row in rows if row.number != 2)


def test_a_stray_quote_that_a_later_one_seems_to_close_costs_one_row(write):
    _, rows = read(write("a.csv", 'id,title\n1,"5 inch\n2,foo\n3,"bar, baz"\n4,x\n'))
    assert [row.cells[0] for row in rows] == ["1", "2", "3", "4"]
    assert [bool(row.problem) for row in rows] == [True, False, False, False]
    assert rows[2].cells == ("3", "bar, baz")


def test_a_quote_that_runs_past_the_limit_is_given_up(write, monkeypatch):
    monkeypatch.setattr(delimited, "RECORD_LIMIT", 1000)
    body = "".join(f"{n},plain\n" for n in range(2, 900))
    _, rows = read(write("a.csv", f'id,title\n1,"open\n{body}899,"closed"\n'))
    assert len(rows) == 900
    assert [row.number for row in rows if row.problem] == [1]


def test_quotes_that_are_not_in_pairs_inside_a_cell_are_kept(write):
    _, rows = read(write("a.csv", 'id,title,x\n1,"Foo" bar,"a, b"\n2,5" pipe,c\n'))
    assert [row.cells for row in rows] == [("1", '"Foo" bar', "a, b"), ("2", '5" pipe', "c")]
    assert not any(row.problem for row in rows)


def test_a_carriage_return_inside_a_cell_does_not_cut_the_row(write):
    _, rows = read(write("a.csv", b"id,title\n1,a\rb\n2,c\n"))
    assert [row.cells for row in rows] == [("1", "a\rb"), ("2", "c")]


def test_lines_that_end_in_carriage_returns_alone_are_rows(write):
    _, rows = read(write("a.csv", b"id,title\r1,a\r2,b\r"))
    assert [row.cells for row in rows] == [("1", "a"), ("2", "b")]


def test_a_cell_of_ten_megabytes_is_read(write):
    _, rows = read(write("a.csv", "id,title\n1," + "x" * 10_000_000 + "\n2,y\n"))
    assert [len(row.cells[1]) for row in rows] == [10_000_000, 1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_marked_encoding_needs_no_option(write, encoding):
    table, rows = read(write("a.csv", "id,títle\n1,Käse ☕\n".encode(encoding)))
    assert table.columns == ("id", "títle")
    assert rows[0].cells == ("1", "Käse ☕") and rows[0].problem is None


def test_a_named_encoding_is_used(write):
    path = write("a.csv", "id,title\n1,帽子\n".encode("shift_jis"))
    assert read(path, encoding="shift_jis")[1][0].cells == ("1", "帽子")


def test_an_unknown_encoding_is_a_usage_error(write):
    with pytest.raises(UsageError, match="'utf-9' is not known; use for example utf-8"):
        read(write("a.csv", "a,b\n"), encoding="utf-9")


@pytest.mark.parametrize(
    ("body", "encoding"), [(b"id\n+AA\n", "utf-7"), (b"id\n1\x1b(Zx\n", "iso2022_jp")]
)
def test_bytes_that_cannot_be_kept_in_a_named_encoding_are_an_error(write, body, encoding):
    with pytest.raises(InputError, match=r"the text is not .* name another encoding"):
        read(write("a.csv", body), encoding=encoding)


def test_bytes_that_are_not_utf8_spoil_their_row_only(write):
    body = "id,title\n1,café\n".encode() + b"2,caf\xe9\n" + "3,thé\n".encode()
    _, rows = read(write("a.csv", body))
    assert [bool(row.problem) for row in rows] == [False, True, False]
    assert "row 2, column 'title'" in rows[1].problem and "0xE9" in rows[1].problem
    assert "--encoding" in rows[1].problem


def test_a_file_that_speaks_for_cp1252_alone_is_read_so_with_a_warning(write, caplog):
    lines = "id,title\n1,café\n2,thé – “x”\n3,crème\n4,plain\n".encode("cp1252")
    with caplog.at_level(logging.WARNING):
        _, rows = read(write("a.csv", lines))
    assert [row.cells[1] for row in rows] == ["café", "thé – “x”", "crème", "plain"]
    assert "--encoding" in caplog.text


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("cp1251", ["Одежда и обувь", "Мебель для дома", "Офисные стулья", "Твердый сыр"]),
        ("cp1250", ["Odzież", "Krzesła", "Żywność", "Łopaty"]),
        ("cp932", ["衣類", "家具", "オフィスチェア", "食品"]),
        ("cp1252", ["Stühle", "Töpfe", "NESCAFÉ® für große Tassen", "Möbel"]),
    ],
)
def test_other_encodings_are_guessed_where_windows_1252_cannot_be(write, encoding, words):
    text = "id,title\n" + "".join(f"{n},{word}\n" for n, word in enumerate(words))
    table, rows = read(write("a.csv", text.encode(encoding)))
    assert table.encoding == encoding
    assert [row.cells[1] for row in rows] == words


def test_two_odd_lines_are_not_enough_for_cp1252(write):
    _, rows = read(write("a.csv", b"id,title\n1,caf\xe9\n2,th\xe9\n"))
    assert all(row.problem for row in rows)


def test_a_nul_byte_spoils_its_row_only(write):
    _, rows = read(write("a.csv", b"id,title\n1,a\0b\n2,c\n" + b"3,plain text\n" * 20))
    assert [row.number for row in rows if row.problem] == [1]
    assert "NUL byte" in rows[0].problem


def test_a_header_alone_has_no_rows(write):
    table, rows = read(write("a.csv", "id,title\n"))
    assert table.columns == ("id", "title") and rows == []


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_an_error(write, content):
    with pytest.raises(InputError, match="empty; expected a header"):
        read(write("a.csv", content))


def test_an_unknown_column_is_told_with_the_likely_one(write):
    table, _ = read(write("items.csv", "id,title,label\n1,x,y\n"))
    with pytest.raises(InputError) as caught:
        require_columns(table, ["titel"])
    assert "column 'titel' is not in" in str(caught.value)
    assert "it has: id, title, label (did you mean 'title'?)" in str(caught.value)


def test_a_repeated_column_is_an_error_only_if_it_is_asked_for(write):
    table, rows = read(write("a.csv", "id,x,x,\n1,2,3,4\n"))
    assert table.columns == ("id", "x", "x", "")
    assert rows[0].cells == ("1", "2", "3", "4")
    require_columns(table, ["id"])
    with pytest.raises(InputError, match="column 'x' is there 2 times"):
        require_columns(table, ["x"])


def test_a_quote_left_open_in_the_header_is_an_error(write):
    with pytest.raises(InputError, match="line 1: a quote opens in the header"):
        read(write("a.csv", 'id,"title\n1,2\n'))


def records(text, columns, encoding):
    stream = io.TextIOWrapper(
        io.BytesIO(text.encode("utf-8", "surrogateescape")), "utf-8", encoding.errors, "\n"
    )
    lines = delimited._Lines(TextLines(stream, 1 << 20, "in.csv"))
    return delimited._Records(lines, ",", columns, encoding)


def test_no_line_of_a_pipe_is_read_before_it_is_asked_for():
    rows = records("1,hat\n2,cap\n", ("id", "title"), Encoding("utf-8", "replace"))
    assert next(rows).cells == ("1", "hat")
    assert next(rows._lines) == "2,cap\n"


PIECES = [
    "a",
    "b,c",
    ",",
    '"',
    '""',
    "\n",
    "\r\n",
    "\r",
    "\\",
    "\0",
    " ",
    "é",
    "\udcff",
    "id,title\n",
]


@given(st.lists(st.sampled_from(PIECES), max_size=60), st.integers(1, 5), st.integers(1, 3))
def test_rows_taken_together_are_those_read_one_by_one(pieces, size, width):
    text = "".join(pieces)
    columns = ("id", "title", "brand")[:width]

    def rows():
        return records(text, columns, Encoding("utf-8", "surrogateescape"))

    alone, taken, mixed = rows(), rows(), rows()
    together = [row for chunk in iter(lambda: taken.take(size), []) for row in chunk]
    assert together == list(alone)
    found = []
    for at in range(len(together) + 1):  # one row and many in turns
        found += mixed.take(1) if at % 2 else list(islice(mixed, 2))
    assert found == together


def test_plain_lines_are_parsed_in_one_go(write, monkeypatch):
    source = write("in.csv", "id,title\n" + "".join(f"{n},hat\n" for n in range(100)))
    with open_table(source) as table:
        monkeypatch.setattr(delimited, "_records", None)  # what looks at each record
        rows = table.rows.take(64)
    assert [row.cells for row in rows] == [(str(n), "hat") for n in range(64)]
    assert (rows[-1].number, rows[-1].line) == (64, 65)
