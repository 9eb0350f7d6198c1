"""Taxonomies in workbooks, read as tables."""

import datetime as dt
import io
import zipfile

import pytest
from openpyxl import Workbook

from cascade.errors import TaxonomyError
from cascade.taxonomy.formats import detect
from cascade.taxonomy.formats.file import TaxonomyFile

KINDS = (("code", "name", "parent"), ("1", "Tools", ""), ("11", "Saws", "1"), ("12", "Axes", "1"))


def sheets(merged=(), hidden=(), formats=None, **content):
    """A workbook; formats of numbers are given by cell of the last sheet."""
    book = Workbook()
    book.remove(book.active)
    for title, rows in content.items():
        sheet = book.create_sheet(title.replace("_", " "))
        for row in rows:
            sheet.append(list(row))
        if title in hidden:
            sheet.sheet_state = "hidden"
    for cells in merged:
        sheet.merge_cells(cells)
    for cell, form in (formats or {}).items():
        sheet[cell].number_format = form
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def parents(tax):
    return {node.code: node.parent_code for node in tax}


def test_a_sheet_is_read_like_a_csv(write, load):
    content = sheets(Kinds=KINDS)
    assert detect(TaxonomyFile(write(content))) == "excel"
    assert parents(load(content)) == {"1": None, "11": "1", "12": "1"}


def test_paths_and_levels_in_sheets_are_read(load):
    paths = load(sheets(Paths=[["path"], ["Tools > Saws"], ["Tools > Axes"]]))
    levels = load(sheets(L=[["Level 1", "Level 2"], ["Tools", "Saws"], ["Tools", "Axes"]]))
    assert paths.names == levels.names == ("Tools", "Saws", "Axes")


def test_notes_above_the_header_are_left_out_with_a_warning(load, caplog):
    rows = [["Kinds of tools, 2024"], [], ["Source: us", None, "see below"], *KINDS]
    assert len(load(sheets(Kinds=rows))) == 3
    assert (
        "sheet 'Kinds': the header is on line 4; what stands above it is left out (lines 1 to 3)"
        in caplog.text
    )


def test_a_table_may_begin_to_the_right(load):
    assert len(load(sheets(Kinds=[[None, None, *row] for row in KINDS]))) == 3


def test_numbers_are_codes_as_excel_shows_them(load):
    rows = [
        ["code", "name", "parent"],
        ["01", "Crops", None],
        [1.0, "Tools", None],
        [111, "Saws", 1],
        [7, "Axes", 1],
        [1.5, "Planes", 1],
        [305, "Files", 1],
    ]
    formats = {"A4": r"00\.00", "A5": "0000", "A6": "0.00", "A7": '0"-"00'}
    tax = load(sheets(Kinds=rows, formats=formats))
    assert set(tax.codes) == {"01", "1", "01.11", "0007", "1.50", "3-05"}
    assert tax.node("0007").parent_code == "1"


def test_decimals_that_may_have_lost_zeros_are_told(load, caplog):
    tax = load(sheets(Kinds=[["code", "name", "parent"], [1, "A", None], [1.1, "B", 1]]))
    assert tax.codes == ("1", "1.1")
    assert "column 'code' has numbers with decimals, such as in A3" in caplog.text


@pytest.mark.parametrize("value", [dt.datetime(2024, 11, 1), dt.date(2024, 3, 4), dt.time(10, 30)])
def test_dates_where_codes_were_are_refused_by_cell(load, value):
    rows = [*KINDS, [value, "Nails", "1"]]
    with pytest.raises(TaxonomyError, match=r"sheet 'Kinds', line 5, column 'code': cell A5 is a"):
        load(sheets(Kinds=rows))


def test_dates_that_are_facts_are_no_fault(load):
    head, *rows = KINDS
    rows = [[*head, "valid from"], *([*row, dt.date(2024, 1, 1)] for row in rows)]
    assert len(load(sheets(Kinds=rows))) == 3


def test_long_numbers_and_errors_are_refused_by_cell(load):
    with pytest.raises(TaxonomyError, match="cell C4 is a number of more than 15 digits"):
        load(sheets(Kinds=[*KINDS[:3], ["12", "Axes", 1234567890123456]]))
    with pytest.raises(TaxonomyError, match="column 'name': cell B4 has the error #N/A"):
        load(sheets(Kinds=[*KINDS[:3], ["12", "#N/A", "1"]]))


def test_cells_merged_downwards_count_for_all_their_rows(load):
    rows = [["Level 1", "Level 2"], ["Tools", "Saws"], [None, "Axes"], [], [None, "Files"]]
    tax = load(sheets(L=rows, merged=["A2:A5"]))
    assert tax.names == ("Tools", "Saws", "Axes", "Files")
    with pytest.raises(TaxonomyError, match=r"sheet 'L', line 3, column 'Level 1': this level is"):
        load(sheets(L=rows))


def test_a_title_merged_over_the_columns_is_a_note(load):
    rows = [["Kinds of tools", None, None], [], *KINDS]
    assert len(load(sheets(Kinds=rows, merged=["A1:C2"]))) == 3


def test_the_sheet_that_alone_looks_like_a_taxonomy_is_read(load, caplog):
    about = [["About", "this file"], ["Version", "2"], ["Author", "us"]]
    content = sheets(Read_me=about, Kinds=KINDS, Old=KINDS, hidden=["Old"])
    assert len(load(content)) == 3
    assert "sheet 'Kinds' is read; not used: 'Read me'" in caplog.text


def test_several_sheets_that_could_be_meant_are_named(load):
    content = sheets(English=KINDS, Deutsch=KINDS)
    with pytest.raises(TaxonomyError, match="2 of its sheets look like taxonomies: 'English', 'D"):
        load(content)
    assert len(load(content, sheet="Deutsch")) == 3
    with pytest.raises(TaxonomyError, match=r"has: 'English', 'Deutsch' \(did you mean 'English'"):
        load(content, sheet="english")


def test_what_is_missing_in_a_sheet_is_told(load):
    rows = [["NACE"], ["Code", "Kind", "Description"], ["A", "x", "Crops"], ["B", "y", "Mining"]]
    with pytest.raises(TaxonomyError, match=r"sheet 'S', line 2: a table whose columns .* parent"):
        load(sheets(S=rows))
    with pytest.raises(TaxonomyError, match=r"2 sheets, and none .*: 'One', 'Two'; name one"):
        load(sheets(One=[["a", "b"], ["1", "2"]], Two=[["c", "d"], ["1", "2"]]))
    with pytest.raises(TaxonomyError, match="all visible sheets are empty"):
        load(sheets(One=[]))


def test_a_sheet_is_asked_of_a_workbook_alone(load):
    with pytest.raises(TaxonomyError, match="sheet 'X' is asked for, but this is no workbook"):
        load("A > B\n", sheet="X")


def test_cells_to_the_right_of_the_headings_are_told(load, caplog):
    assert len(load(sheets(Kinds=[*KINDS[:3], [*KINDS[3], None, "check!"]]))) == 3
    assert "line 4: cells to the right of the last heading, 'parent', are not used" in caplog.text


def test_published_tables_are_known_in_sheets_too(load):
    rows = [["Code", "Description"], ["A", "Crops"], ["01", "Plants"], ["01.1", "Cereals"]]
    assert parents(load(sheets(NACE=rows))) == {"A": None, "01": "A", "01.1": "01"}


def test_a_workbook_that_is_damaged_or_swells_is_refused(load):
    whole = sheets(Kinds=KINDS)
    broken, bomb = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(broken, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, part[: len(part) // 2] if "sheet1" in name else part)
    with pytest.raises(TaxonomyError, match="the sheet is damaged"):
        load(broken.getvalue())
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("xl/workbook.xml", "<workbook/>")
        new.writestr("xl/worksheets/sheet1.xml", bytes(80 << 20))
    with pytest.raises(TaxonomyError, match="would unpack to"):
        load(bomb.getvalue())


def test_a_header_of_two_lines_is_refused_in_sheets_too(load):
    rows = [["Segment", None, "Family"], ["Code", "Title", "Code", "Title"]]
    rows += [["1", "Tools", "11", "Saws"], ["1", "Tools", "12", "Axes"]]
    with pytest.raises(TaxonomyError, match="sheet 'S', line 1: column 2 has no heading"):
        load(sheets(S=rows, merged=["A1:B1", "C1:D1"]))


def test_names_alone_in_a_sheet_are_refused_as_they_may_be_indented(load):
    with pytest.raises(TaxonomyError, match="no column holds the code of the node above"):
        load(sheets(S=[["Name"], ["Tools"], ["  Saws"]]))


def test_formulas_without_values_are_refused_by_cell(load):
    with pytest.raises(TaxonomyError, match="cell B3 has a formula without a value"):
        load(sheets(Kinds=[*KINDS[:2], ["11", '=UPPER("saws")', "1"]]))


def test_a_workbook_that_is_cut_off_is_told(load):
    with pytest.raises(TaxonomyError, match="is damaged or cut off; copy or download it again"):
        load(sheets(Kinds=KINDS)[:-200])


def test_a_value_too_far_to_the_right_is_named_and_not_passed_over(load):
    far = [*KINDS[0], *[None] * 260, "description"]
    with pytest.raises(TaxonomyError, match="line 1: cell JD1 has a value, but at most 256 col"):
        load(sheets(Kinds=[far, *KINDS[1:]]))


def test_a_header_that_stands_again_in_a_sheet_is_no_row(load, caplog):
    assert len(load(sheets(Kinds=[*KINDS, KINDS[0], ("2", "Pets", "")]))) == 4
    assert "the header stands again on line 5" in caplog.text
