"""Texts in a form of their own are refused by it, tables that look a little like one are read."""

import pytest
from io_helpers import read
from openpyxl import Workbook

from cascade.errors import InputError

SHAPES = {
    "fastText": ("__label__a straw hat\n__label__b rake\n", "form of fastText"),
    "Markdown": ("| t | n |\n|:--|--:|\n| hat | 1 |\n", "drawn with lines"),
    "a terminal": ("+---+\n| t |\n+---+\n| x |\n+---+\n", "drawn with lines"),
    "a database's terminal": (" t | n\n---+---\n x | 1\n", "drawn with lines"),
    "YAML": ("- t: hat\n  n: 1\n- t: rake\n", "a list as in YAML"),
    "XML": ("<rows><row>hat</row></rows>\n", "XML or HTML"),
    "lines in quotes": ('"t,n"\n"hat,1"\n"rake,2"\n', "each line as a whole is in quotes"),
    "tildes": ("t~n\nhat~1\nrake~2\n", "separated by '~'"),
    "carets": ("t^n\nhat^1\nrake^2\n", r"separated by '\^'"),
    "bytes of Hive": ("t\x01n\nhat\x011\nrake\x012\n", "separated by the byte 0x01"),
    "a title": ("Stock of May\nname,n\nhat,1\nrake,2\n", "header, which seems to be in line 2"),
    "a short header": ("t,n\n0,hat,1\n1,rake,2\n2,tea,3\n", "header has 2 cells .*all rows have 3"),
}


@pytest.mark.parametrize(("content", "says"), SHAPES.values(), ids=SHAPES)
def test_a_text_in_a_form_of_its_own_is_refused_by_it(write, content, says):
    with pytest.raises(InputError, match=says):
        read(write("a.csv", content))


@pytest.mark.parametrize(
    "content",
    [
        "text\nratio 1:2\nratio 1:3\n",
        "time: text\n- a\n- b\n",
        'text\n"a, b"\n"c, d"\n',
        '"text, title"\n"a, b"\n"c, d"\n',
        "text\n<b>hat</b>\n<i>rake</i>\n",
        "text\n---\nhat\n",
        "a~b\nhat~1\nrake\n",
        "title\nname, of a thing\nother, thing\n",
    ],
)
def test_a_column_of_such_texts_is_one(write, content):
    table, rows = read(write("a.csv", content))
    assert len(table.columns) == 1 and [row.problem for row in rows] == [None, None]


def test_delimiters_at_the_end_of_lines_are_no_cells(write):
    _, rows = read(write("a.csv", "t,n\nhat,1,\nrake,2, ,\ntea,3,,x\n"))
    assert [row.cells for row in rows[:2]] == [("hat", "1"), ("rake", "2")]
    assert [bool(row.problem) for row in rows] == [False, False, True]


def test_a_header_between_the_rows_is_told(write):
    _, rows = read(write("a.csv", "t,n\nhat,1\nt,n\nrake,2\n"))
    assert "the header again" in rows[1].problem
    assert [row.problem for row in rows[::2]] == [None, None]


def test_quotes_after_a_backslash_are_quotes(write):
    content = 't,n\n"a ""b""",1\n"a \\"b, c\\" d",2\n"5\\"",3\n"C:\\",4\nx\\"y,5\n'
    _, rows = read(write("a.csv", content))
    texts = ['a "b"', 'a "b, c" d', '5"', "C:\\", 'x\\"y']
    assert [row.cells[0] for row in rows] == texts
    assert not any(row.problem for row in rows)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_errors_of_a_sheet_are_told_in_texts_too(write, name):
    lines = {"a.jsonl": '{"t": "#REF!"}\n{"t": "#hat"}\n'}.get(name, "t\tn\n#REF!\t1\n#hat\t2\n")
    table, rows = read(write(name, lines))
    told = [table.problem(row, ["t"]) for row in rows]
    assert "error '#REF!' of a formula" in told[0] and told[1] is None


def saved(path, rows, change=lambda book: None):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    change(book)
    book.save(path)
    return path


def test_a_title_above_the_header_of_a_sheet_is_told_with_its_row(tmp_path):
    rows = [["Stock of May"], [], ["t", "n"], ["hat", 1], ["rake", 2]]
    with pytest.raises(InputError, match=r"row 1 is no header.*seems to be in row 3"):
        read(saved(tmp_path / "a.xlsx", rows))


def test_blanks_beside_a_sheet_are_no_cells(tmp_path):
    _, rows = read(saved(tmp_path / "a.xlsx", [["t", "n"], ["hat", 1, None, " "], ["rake", 2]]))
    assert [(row.cells, row.problem) for row in rows] == [(("hat", 1), None), (("rake", 2), None)]


def test_a_hidden_sheet_is_not_the_first(tmp_path, caplog):
    def hide(book):
        book.active.sheet_state = "hidden"
        book.create_sheet("Stock").append(["name"])

    table, _ = read(saved(tmp_path / "a.xlsx", [["code"]], hide))
    assert table.columns == ("name",)
    assert "the first one that is not hidden, 'Stock', is read" in caplog.text
