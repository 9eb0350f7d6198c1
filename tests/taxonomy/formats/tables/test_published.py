"""Tables as ESCO, Eurostat, the ILO and others publish them."""

import pytest

from cascade.errors import TaxonomyError


def tree(tax):
    return {node.code: (node.name, node.parent_code) for node in tax}


OCCUPATIONS = """\
conceptType,conceptUri,iscoGroup,preferredLabel,altLabels,hiddenLabels,status,definition,description,code
Occupation,http://example.org/o/1,2166,stage manager,"manager of stages
stage boss",,released,,Manages stages.,2166.1
Occupation,http://example.org/o/2,2166,prompter,,,released,,Prompts.,2166.1.1
Occupation,http://example.org/o/3,2166,call boy,,,obsolete,,,2166.1.2
"""


def test_occupations_of_esco_are_read_with_their_codes_and_synonyms(load, caplog):
    tax = load(OCCUPATIONS)
    assert tree(tax) == {"2166.1": ("stage manager", None), "2166.1.1": ("prompter", "2166.1")}
    node = tax.node("2166.1")
    assert node.synonyms == ("manager of stages", "stage boss")
    assert node.description == "Manages stages."
    assert "no column names the node above; codes tell it" in caplog.text
    assert "1 nodes are no longer in use and left out ('2166.1.2')" in caplog.text
    with pytest.raises(TaxonomyError, match=r"'2166.1.2' \(call boy\) is no longer in use"):
        tax.node("2166.1.2")


def test_groups_and_occupations_of_one_table_make_one_tree(load):
    tax = load(
        "conceptUri,code,preferredLabel\n"
        "u:0,2,Professionals\nu:1,21,Scientists\nu:2,2166,Designers\nu:3,2166.4,illustrator\n"
    )
    parents = {code: above for code, (_, above) in tree(tax).items()}
    assert parents == {"2": None, "21": "2", "2166": "21", "2166.4": "2166"}


def test_skills_of_esco_have_no_codes_and_are_flat(load, caplog):
    tax = load(
        "conceptUri,skillType,preferredLabel,altLabels\nu:1,knowledge,law,\nu:2,skill,tune,adjust\n"
    )
    assert tree(tax) == {"u:1": ("law", None), "u:2": ("tune", None)}
    assert "all nodes are at the top (add a column 'parent'" in caplog.text


def test_pairs_with_labels_are_a_tree_with_its_top(load, caplog):
    tax = load(
        "conceptType,conceptUri,conceptLabel,broaderType,broaderUri,broaderLabel\n"
        "Skill,u:2,saw,Group,u:1,craft\nSkill,u:3,plane,Skill,u:2,saw\nSkill,u:3,plane,Group,u:1,craft\n"
    )
    assert tree(tax) == {"u:1": ("craft", None), "u:2": ("saw", "u:1"), "u:3": ("plane", "u:2")}
    assert "1 nodes have several parents, of which the first counts ('u:3')" in caplog.text


def test_pairs_without_labels_say_that_names_are_missing(load):
    with pytest.raises(TaxonomyError, match=r"line 1: pairs of nodes .* no column holds names"):
        load("conceptType,conceptUri,broaderType,broaderUri\nG,u:2,G,u:1\nG,u:3,G,u:2\n")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_description_is_the_name_where_there_is_no_other(load, delimiter):
    rows = (
        "Order,Level,Code,Parent,Description,This item includes,Rulings\n"
        "7,1,C,,MANUFACTURING,Making.,\n8,2,10,C,Food products,Milling.,\n9,3,10.1,10,Meat,,\n"
    )
    tax = load(rows.replace(",", delimiter))
    assert tree(tax) == {
        "C": ("MANUFACTURING", None),
        "10": ("Food products", "C"),
        "10.1": ("Meat", "10"),
    }
    assert tax.node("10").description == "Milling."


def test_codes_go_with_the_parents_of_their_kind(load):
    tax = load("ID,CODE,HEADING,PARENT_ID,PARENT_CODE,LEVEL\n1,C,Making,,,1\n2,10,Food,1,C,2\n")
    assert tree(tax) == {"C": ("Making", None), "10": ("Food", "C")}
    tax = load("Concept,Label,Broader Concept\nu:1,organisms,\nu:2,plants,u:1\n")
    assert tree(tax) == {"u:1": ("organisms", None), "u:2": ("plants", "u:1")}


def test_exports_with_headings_of_skos_are_read(load):
    tax = load(
        "URI,skos:prefLabel@en,skos:prefLabel@de,skos:altLabel,skos:broader,skos:definition\n"
        "x:1,Air,Luft,,,\nx:2,Wind,Wind,breeze|gale,x:1,Moving air.\n"
    )
    assert tree(tax) == {"x:1": ("Air", None), "x:2": ("Wind", "x:1")}
    assert (tax.language, tax.node("x:1").translations["de"]) == ("en", "Luft")
    assert tax.node("x:2").synonyms == ("breeze", "gale")


def test_of_several_parents_in_a_cell_the_first_known_counts(load, caplog):
    tax = load('id,name,broader\n1,A,\n2,B,\n3,C,"9|2|1"\n4,D,"1\n2"\n')
    assert tree(tax)["3"] == ("C", "2")
    assert tree(tax)["4"] == ("D", "1")
    assert "2 nodes have several parents, of which the first counts ('3', '4')" in caplog.text


def test_rows_in_the_order_of_the_tree_need_only_levels(load):
    tax = load(
        "Level,ISCO 08 Code,Title EN,Definition\n"
        "1,1,Managers,Plan.\n2,11,Chiefs,\n3,111,Legislators,\n1,2,Professionals,\n2,21,Scientists,\n"
    )
    parents = {code: above for code, (_, above) in tree(tax).items()}
    assert parents == {"1": None, "11": "1", "111": "11", "2": None, "21": "2"}


@pytest.mark.parametrize(
    ("levels", "match"),
    [
        ([1, 1, 2, 2], "rows are sorted by their level"),
        ([1, 3, 2, 1], "line 3, column 'Level': level 3 below level 1"),
    ],
)
def test_levels_that_make_no_tree_are_refused(load, levels, match):
    rows = "".join(f"{level},{at}x,Name {at}\n" for at, level in enumerate(levels))
    with pytest.raises(TaxonomyError, match=match):
        load("Level,Code,Title\n" + rows)


def test_codes_of_procurement_tell_their_parents(load):
    tax = load(
        "CODE;DE;EN;FR\n03000000-1;Agrar;Farming;Agro\n03100000-2;a;Crops;b\n03111000-2;c;Seeds;d\n"
        "30000000-9;e;Machines;f\n"
    )
    assert tree(tax) == {
        "03000000-1": ("Farming", None),
        "03100000-2": ("Crops", "03000000-1"),
        "03111000-2": ("Seeds", "03100000-2"),
        "30000000-9": ("Machines", None),
    }
    assert tax.node("03000000-1").translations == {"de": "Agrar", "fr": "Agro"}


def test_dotted_codes_tell_their_parents_where_all_are_there(load):
    tax = load("Code,Title\n01,Food\n01.1,Bread\n01.1.1,Rolls\n02,Drink\n")
    parents = {code: above for code, (_, above) in tree(tax).items()}
    assert parents == {"01": None, "01.1": "01", "01.1.1": "01.1", "02": None}


@pytest.mark.parametrize(
    "rows",
    [
        "01,Food\n02,Drink\n",
        "01,Food\n01.1.1,Rolls\n",
        "10,A\n100,B\n101,C\n11,D\n",
        "1,A\n11,B\n",
    ],
)
def test_codes_that_leave_a_doubt_are_not_guessed_at(load, rows):
    with pytest.raises(TaxonomyError, match="no column holds the code of the node above"):
        load("Code,Title\n" + rows)


@pytest.mark.parametrize(
    ("codes", "parents"),
    [
        ("A 01 011 0111 012 B 05", "- A 01 011 01 - B"),  # ISIC
        ("A 01 01.1 01.11 01.2 B 05", "- A 01 01.1 01 - B"),  # NACE
        ("01 0101 010121 0102 05", "- 01 0101 01 -"),  # HS
        ("11 111 1111 112 21", "- 11 111 11 -"),  # NAICS
        ("A00 A00.0 A01 A01.0 B20", "- A00 - A01 -"),  # ICD
    ],
)
def test_codes_that_begin_with_those_above_tell_them_in_the_order_of_the_tree(load, codes, parents):
    rows = "".join(f"{code},Name of {code}\n" for code in codes.split())
    found = {
        code: parent or "-" for code, (_, parent) in tree(load("Code,Description\n" + rows)).items()
    }
    assert found == dict(zip(codes.split(), parents.split(), strict=True))


@pytest.mark.parametrize(
    "codes",
    [
        "1 2 10 11 12 20",  # running numbers
        "1 10 11 12 2 20",  # sorted as texts
        "5 12 51 123 1234",  # any numbers
        "01 02 011 012 021",  # sorted by level
    ],
)
def test_numbers_that_begin_alike_by_chance_make_no_tree(load, codes):
    rows = "".join(f"{code},Name of {code}\n" for code in codes.split())
    with pytest.raises(TaxonomyError, match="no column holds the code of the node above"):
        load("Code,Description\n" + rows)


@pytest.mark.parametrize(
    ("heading", "old", "new"),
    [("active", "0", "1"), ("is active", "0.0", "1.0"), ("status", "Inactive", "released"),
     ("status", "Obsolete (2019)", "current"), ("retired", "TRUE", "")],
)  # fmt: skip
def test_rows_that_are_said_not_to_be_in_use_are_no_nodes(load, heading, old, new):
    rows = f"code,name,parent,{heading}\na,Tools,,{new}\nb,Saws,a,{old}\nc,Axes,a,{new}\n"
    assert load(rows).codes == ("a", "c")


def test_codes_tell_parents_also_where_some_have_dots_and_zeros_in_front(load):
    parents = {code: above for code, (_, above) in tree(load(
        "code,name\n0,General\n00,Computers\n004,Data\n004.6,Nets\n1,Thought\n"
    )).items()}  # fmt: skip
    assert parents == {"0": None, "00": "0", "004": "00", "004.6": "004", "1": None}
    assert tree(load("Code,Description\nA,Crops\n01,Plants\n01.1,Cereals\n"))["01"][1] == "A"


def test_codes_of_cpv_that_lost_zeros_tell_no_parents(load):
    with pytest.raises(TaxonomyError, match="no column holds the code of the node above"):
        load("CODE,NAME\n3000000-1,Farming\n3100000-2,Crops\n09000000-3,Fuel\n")


def test_levels_are_numbers_however_they_are_written(load):
    rows = "Level,Code,Name\n1.0,A,Crops\n2.0,01,Plants\n1,B,Mining\n2,02,Ores\n"
    assert {code: above for code, (_, above) in tree(load(rows)).items()}["01"] == "A"
    with pytest.raises(TaxonomyError, match="line 3, column 'Level': blank level; each row needs"):
        load(rows.replace("2.0", ""))
