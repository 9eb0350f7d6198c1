"""Rows and cells that are not what was once written, and headers that stand elsewhere."""

import pytest

from cascade.errors import TaxonomyError


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        ("code,name,parent\n1,Garden,\ncode,name,parent\n2,Rakes,1\n", ("1", "2")),
        ("code,path\n1,Garden\ncode,path\n2,Garden > Rakes\n", ("1", "2")),
        ("Level 1,Level 2\nA,B\nLevel 1,Level 2\nC,D\n", ("A", "A > B", "C", "C > D")),
        ("path\nA > B\npath\nC\n", ("A", "A > B", "C")),
    ],
)
def test_a_header_that_stands_again_is_no_row(load, caplog, content, codes):
    assert load(content).codes == codes
    assert "the header stands again on line" in caplog.text


@pytest.mark.parametrize(
    "title", ["Our goods\n\n", "Our goods,,\n,,\n", "# x\nOur goods\nAs of May\n"]
)
def test_a_title_above_the_header_is_left_out(load, caplog, title):
    assert load(title + "code,name,parent\n1,Garden,\n2,Rakes,1\n").codes == ("1", "2")
    assert "what stands above it is left out" in caplog.text


def test_lines_of_paths_stay_such_though_one_looks_like_a_header(load):
    assert len(load("Garden > Rakes\nname, title\nTools\n")) == 4


@pytest.mark.parametrize(
    "table",
    [
        "| code | name | parent |\n|---|:--|---|\n| 1 | Garden | |\n| 2 | Rakes | 1 |\n",
        " code | name   | parent \n------+--------+--------\n 1    | Garden |\n 2    | Rakes | 1\n",
    ],
)
def test_tables_that_are_drawn_are_read(load, table):
    assert load(table).node("2").path == "Garden > Rakes"


@pytest.mark.parametrize(
    ("cell", "match"),
    [
        ("2.05E+07", "line 3, column 'code': '2.05E.07' is a number that a spreadsheet"),
        ("2-Nov", "line 3, column 'code': '2-Nov' seems to be a date"),
        ("Nov-02", "'Nov-02' seems to be a date"),
        ("02. Nov", "'02. Nov' seems to be a date"),
        ("2024-11-02 00:00:00", "seems to be a date"),
    ],
)
def test_codes_that_a_spreadsheet_spoilt_are_refused(load, cell, match):
    with pytest.raises(TaxonomyError, match=match):
        load(f"code,name,parent\n1,Garden,\n{cell},Rakes,1\n")


def test_codes_that_are_all_like_dates_are_only_told(load, caplog):
    load("code,name,parent\nMay-01,Garden,\nMay-02,Rakes,May-01\n")
    assert "'May-01' seems to be a date" in caplog.text


def test_a_row_for_each_language_is_named_as_the_cause(load):
    with pytest.raises(TaxonomyError, match=r"line 3, column 'Lang': .*\('en', 'de'\)"):
        load("code,Lang,name,parent\n1,en,Garden,\n1,de,Garten,\n")


def test_what_is_above_stands_in_one_column(load):
    with pytest.raises(TaxonomyError, match=r"line 3, column 'Ancestors'.*'Parent' is blank"):
        load("Title,Parent,Ancestors\nGarden,,\nRakes,,Garden\n")


def test_dashes_that_say_how_deep_names_are_are_left_out(load, caplog):
    tax = load("code,name\n0310,Rakes\n0310 10,- Leaf rakes\n0310 10 20,- - Of steel\n0410,Hoses\n")
    assert tax.node("0310 10 20").path == "Rakes > Leaf rakes > Of steel"
    assert "are left out" in caplog.text


@pytest.mark.parametrize(
    ("codes", "parent"),
    [("G01", "g01"), ("1.", "1"), ("Ｇ０１", "G01"), ("'01", "01"), ("G01", "“G01”")],
)
def test_parents_are_found_however_they_are_written(load, caplog, codes, parent):
    assert load(f"code,name,parent\n{codes},Garden,\nr,Rakes,{parent}\n").parent.tolist() == [-1, 0]
    assert "is read as" in caplog.text


@pytest.mark.parametrize("parent", ["1.1", "01", "g1"])
def test_other_numbers_are_no_parents(load, parent):
    with pytest.raises(TaxonomyError, match="is no code of this taxonomy"):
        load(f"code,name,parent\n1.10,Garden,\nG1,Tools,\nG1.,Toys,\n1,Pets,\nr,Rakes,{parent}\n")


@pytest.mark.parametrize("mark", ["NULL", "-", "—", "#N/A", "(null)", "undefined"])
def test_marks_for_no_parent_mean_the_top(load, caplog, mark):
    assert load(f"code,name,parent\n1,Garden,{mark}\n2,Rakes,1\n").parent.tolist() == [-1, 0]
    assert caplog.text == ""


def test_a_word_for_the_whole_means_the_top_where_it_is_no_node(load, caplog):
    rows = "1,Garden,ROOT\n2,Rakes,1\n"
    assert load(f"code,name,parent\n{rows}").parent.tolist() == [-1, 0]
    assert "'ROOT' is no node" in caplog.text
    assert load(f"code,name,parent\nROOT,All,\n{rows}").parent.tolist() == [-1, 0, 1]


@pytest.mark.parametrize(
    ("levels", "match"),
    [
        ((2, 3, 1), "line 4, column 'level': level 1, but the first row has level 2"),
        ((3, 2, 1), "line 3, column 'level': level 2, but the first row has level 3"),
        ((1, 2, 2, 3, 3), "sorted by their level"),
    ],
)
def test_rows_with_levels_are_in_the_order_of_the_tree(load, levels, match):
    rows = "".join(f"c{i},Name {i},{level}\n" for i, level in enumerate(levels))
    with pytest.raises(TaxonomyError, match=match):
        load("code,name,level\n" + rows)


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ("Garden,Rakes,NA\nTools,NA,NA\n", 3),
        ("Garden,Rakes,NA\nTools,Saws,NA\n", 4),
        ("Garden,Rakes,NA\nTools,N/A,\n", 3),
        ("Africa,Namibia,NA\nAfrica,Kenya,KE\n", 5),  # a lone one may be a name
    ],
)
def test_na_is_no_name_where_it_fills_rows(load, rows, count):
    assert len(load("Level 1,Level 2,Level 3\n" + rows)) == count


def test_a_type_of_product_is_a_level_below_others(load):
    assert load("Category,Subcategory,Product Type\nA,B,C\nA,D,E\n").codes[2] == "A > B > C"


def test_entities_make_no_columns(load):
    assert load("Pots &amp; Pans\nHome &amp; Garden\n").names == ("Pots & Pans", "Home & Garden")


def test_a_node_that_is_its_own_parent_is_at_the_top(load, caplog):
    rows = "1,1,Garden,1\n2,2,Rakes,1\n3,1,Tools,3\n"
    tax = load("CategoryID,CategoryLevel,CategoryName,CategoryParentID\n" + rows)
    assert tax.parent.tolist() == [-1, 0, -1]
    assert "'3' is that of the node itself, which is at the top" in caplog.text


def test_a_header_may_go_over_lines_within_quotes(load, caplog):
    tax = load('"Node\ncode","Node\nname","Parent\ncode"\n1,Garden,\n2,Rakes,1\n')
    assert tax.parent.tolist() == [-1, 0]
    assert caplog.text == ""


@pytest.mark.parametrize("delimiter", ["^", "~"])
def test_rare_delimiters_are_known_by_the_headings_between_them(load, delimiter):
    rows = "code,name,parent\n1,Garden,\n2,Rakes,1\n".replace(",", delimiter)
    assert load(rows).parent.tolist() == [-1, 0]


def test_parents_that_are_names_are_named_as_such(load):
    with pytest.raises(TaxonomyError, match="'Garden', which is the name of '1'; parents are giv"):
        load("code,name,parent\n1,Garden,\n2,Rakes,Garden\n")


def test_a_parent_under_another_key_is_not_passed_over(load):
    with pytest.raises(TaxonomyError, match="'parentId' is blank here, but 'parentid' has '1'"):
        load(
            '[{"id": 1, "name": "A"}, {"id": 2, "name": "B", "parentId": 1},'
            ' {"id": 3, "name": "C", "parentid": 1}]'
        )


def test_codes_in_columns_for_levels_are_not_the_names(load):
    with pytest.raises(
        TaxonomyError, match=r"'Heading' is read as names, but holds codes, .*'Desc"
    ):
        load("Section,Heading,Description\nII,12.01,Soya\nII,12.02,Nuts\n")
