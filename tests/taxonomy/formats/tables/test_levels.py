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
