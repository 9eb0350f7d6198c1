"""Tables with columns for levels, and with codes and names of each."""

import pytest

from cascade.errors import TaxonomyError


@pytest.mark.parametrize(
    "header",
    [
        "Segment Code,Segment Title,Family Code,Family Title",
        "SegmentCode,SegmentTitle,FamilyCode,FamilyTitle",
        "Segment,Segment Name,Family,Family Name",
        "Division,Division description,Group,Group description",
        "Level 1 Code,Level 1 Name,Level 2 Code,Level 2 Name",
        "L1 ID,L1,L2 ID,L2",
        "code_level_1,name_level_1,code_level_2,name_level_2",
        "Major Group Code,Major Group Title,Minor Group Code,Minor Group Title",
    ],
)
def test_codes_and_names_in_pairs_are_both_read(load, header):
    tax = load(f"{header}\n10,Metals,10.1,Iron\n10,Metals,10.2,Tin\n20,Woods,,\n")
    assert tax.codes == ("10", "10.1", "10.2", "20")
    assert tax.path(2) == "Metals > Tin"


def test_pairs_may_have_descriptions_and_rows_that_repeat_nodes(load):
    tax = load(
        "SegmentCode,SegmentTitle,SegmentDefinition,BrickCode,BrickTitle,AttributeTitle\n"
        "1,Metals,All metals.,11,Iron,Colour\n1,Metals,All metals.,11,Iron,Weight\n"
    )
    assert tax.codes == ("1", "11")
    assert tax.description(0) == "All metals."


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("1,A,2,B\n1,C,3,D\n", "line 3, column 'Segment Title': code '1' is called 'C' here but"),
        ("1,A,,B\n", "line 2, column 'Family Code': blank code of node 'B'"),
        ("1,A,2,\n", "line 2, column 'Family Title': code '2' without a name"),
        ("1,A,2,B\n3,C,2,B\n", "line 3: code '2' is already taken by line 2"),
        ("1,A,2,B\n,,3,C\n", "line 3, column 'Segment Title': this level is blank"),
    ],
)
def test_errors_in_pairs_name_their_line_and_column(load, rows, match):
    with pytest.raises(TaxonomyError, match=match):
        load("Segment Code,Segment Title,Family Code,Family Title\n" + rows)


def test_a_level_whose_names_are_missing_is_named(load):
    with pytest.raises(TaxonomyError, match="column 'Class Code' holds codes of a level whose"):
        load("Family Code,Family,Class Code,Brick Code,Brick\n1,A,2,3,B\n")


def test_the_code_of_one_level_is_that_of_the_row(load):
    assert load("category_id,category,subcategory\n1,A,\n2,A,B\n").codes == ("1", "2")


def test_names_beside_levels_are_not_dropped_in_silence(load):
    with pytest.raises(TaxonomyError, match=r"line 2, column 'name': .*head it as one"):
        load("category,subcategory,name\nA,B,C\nA,B,D\n")
    assert load("category,subcategory,name\nA,,A\nA,B,B\n").names == ("A", "B")


def test_parents_beside_levels_are_not_dropped_in_silence(load):
    with pytest.raises(TaxonomyError, match="column 'Parent ID' looks like the parents of nodes"):
        load("Parent ID,Level 1,Level 2\n,A,\n1,A,B\n")


def test_a_table_without_a_header_is_not_read_by_its_content(load):
    tax = load("Food;Fruit;Apples\nFood;Fruit;Pears\nFood;Bread;Rolls\n")
    assert [tax.path(i) for i in tax.leaves] == [
        "Food > Fruit > Apples",
        "Food > Fruit > Pears",
        "Food > Bread > Rolls",
    ]


@pytest.mark.parametrize(
    ("header", "row", "column"),
    [
        ("Class,Sub category 1,Sub category 2", "Tools,Saws,Fret saws", "Class"),
        ("Level 1,Level 2,Type", "Tools,Saws,Fret saws", "Type"),
        ("Aisle,Level 1,Level 2", "Tools,Saws,Fret saws", "Aisle"),
    ],
)
def test_a_column_that_seems_to_be_one_more_level_is_refused(load, header, row, column):
    rows = f"{header}\n{row}\n{row.replace('Fret', 'Band')}\nToys,Dolls,Rag dolls\n"
    with pytest.raises(TaxonomyError, match=f"column '{column}' seems to hold a level, too"):
        load(rows)


def test_other_texts_beside_levels_are_told(load, caplog):
    load("Level 1,Level 2,Colour,Rows\nTools,Saws,red,5\nTools,Axes,blue,6\n")
    assert "columns beside the levels that are not used: 'Colour'" in caplog.text


def test_ranks_of_living_beings_are_levels(load):
    tax = load("Kingdom,Phylum,Class,Order,Species\nPlants,Mosses,True,Peat,Red\n")
    assert tax.path(len(tax) - 1) == "Plants > Mosses > True > Peat > Red"


@pytest.mark.parametrize(
    "rows",
    [
        "Subgroup,Group\nSaws,Tools\nAxes,Tools\n",
        "Sub Group,Main Group\nSaws,Tools\nAxes,Tools\n",
        "Class,Family,Segment\nSaws,Cutting,Tools\nAxes,Cutting,Tools\n",
    ],
)
def test_levels_that_stand_upside_down_are_refused(load, rows):
    with pytest.raises(TaxonomyError, match="but seems to be below it; put the columns in the"):
        load(rows)


def test_numbers_are_not_the_names_of_a_top_level(load):
    with pytest.raises(TaxonomyError, match="column 'class' is read as the names of the top lev"):
        load("class,heading\n1,Paints\n2,Soaps\n")


@pytest.mark.parametrize(
    "rows",
    [
        "Segment,,Family,\nCode,Title,Code,Title\n1,Tools,11,Saws\n",
        "Segment,,Family,\n1,Tools,11,Saws\n2,Toys,21,Dolls\n",
    ],
)
def test_a_header_of_two_lines_is_refused(load, rows):
    with pytest.raises(TaxonomyError, match=r"line 1: column \d has no heading, but cells such as"):
        load(rows)


@pytest.mark.parametrize(
    "rows",
    [
        "Hierarchy,,\nLevel 1,Level 2,Level 3\nTools,Saws,C\n",
        "Taxonomy\tv2\t\t\nid\tparent\tname\tnote\n1\t\tTools\t\n2\t1\tSaws\tx\n",
    ],
)
def test_a_title_above_a_whole_header_is_left_out(load, caplog, rows):
    assert load(rows).names[:2] == ("Tools", "Saws")
    assert "the header is on line 2; what stands above it is left out (line 1)" in caplog.text


def test_an_index_without_heading_is_no_fault(load):
    assert len(load(",code,name,parent\n0,a,Tools,\n1,b,Saws,a\n")) == 2


def test_what_stands_for_no_node_ends_a_path_of_levels(load):
    rows = "Level 1,Level 2,Level 3\nTools,Saws,Fret saws\nTools,Axes,N/A\nToys,-,nan\n"
    assert load(rows).names == ("Tools", "Saws", "Fret saws", "Axes", "Toys")
    with pytest.raises(TaxonomyError, match="line 2, column 'Level 2': this level is blank but"):
        load("Level 1,Level 2,Level 3\nTools,NaN,Fret saws\nToys,Dolls,Rag\n")
    coded = "Group Code,Group Name,Class Code,Class Name\n1.0,Tools,11.0,Saws\n1,Tools,nan,nan\n"
    assert load(coded).codes == ("1.0", "11.0")


def test_more_than_a_hundred_columns_for_levels_are_too_deep(load):
    header = ",".join(f"level{i}" for i in range(1, 102))
    with pytest.raises(TaxonomyError, match="has 101 levels; at most 100 are possible"):
        load(f"{header}\n{header.replace('level', 'n')}\n")


def test_names_that_look_alike_are_one(load):
    assert load("Level 1,Level 2\nM\u00f6bel,Tisch\nMo\u0308bel,Stuhl\n").names[0] == "M\u00f6bel"
    assert len(load("M\u00f6bel > Tisch\nMo\u0308bel > Stuhl\n")) == 3
