import pytest

from cascade.errors import TaxonomyError
from cascade.taxonomy.names import split_synonyms


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize(
    "header", ["code name parent", "ID Label Parent_ID", "Key TITLE ParentCode", "id name broader"]
)
def test_common_headings_and_delimiters_are_known(load, delimiter, header):
    lines = [header.split(), ["1", "Hats", ""], ["2", "Straw", "1"]]
    tax = load("\n".join(map(delimiter.join, lines)))
    assert (tax.codes, tax.parent.tolist()) == (("1", "2"), [-1, 0])


def test_parents_may_come_later(load):
    tax = load("code,name,parent\n2,Straw,1\n3,Felt,1\n1,Hats,\n")
    assert tax.codes == ("1", "2", "3")


def test_side_columns_are_read(load):
    tax = load(
        "code,name,parent,definition,synonyms,name_de,label:pt-BR,colour\n"
        '1,Hats,,"Worn, on\nthe head",Caps | Beanies,Hüte,Chapéus,red\n'
        "2,Straw,1,,a;b,,,\n"
    )
    node = tax.node("1")
    assert node.description == "Worn, on\nthe head"
    assert node.synonyms == ("Caps", "Beanies")
    assert node.translations == {"de": "Hüte", "pt-BR": "Chapéus"}
    assert tax.synonyms(1) == ("a", "b")


def test_names_only_by_language_take_the_first_as_main(load):
    tax = load("code,name_fr,name_de,parent\n1,Chapeaux,Hüte,\n")
    assert (tax.names, tax.language) == (("Chapeaux",), "fr")
    assert tax.translations(0) == {"de": "Hüte"}


def test_without_codes_the_names_are_the_codes(load):
    assert load("name,parent\nHats,\nStraw,Hats\n").codes == ("Hats", "Straw")


def test_codes_keep_their_zeros_and_cells_are_trimmed(load):
    assert load("code,name,parent\n 007 , Hats ,\n08,Caps, 007\n").codes == ("007", "08")


def test_comments_an_excel_mark_and_blank_rows_are_skipped(load):
    assert len(load("# mine\nsep=;\ncode;name;parent\n\n1;Hats;\n;;\n2;Caps;1;\n")) == 2


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("a|b;c", ["a", "b;c"]),
        ("a;b", ["a", "b"]),
        (r"a\;b", ["a;b"]),
        (r"a\|b|c\\|d\x", ["a|b", "c\\", r"d\x"]),
        ("a, b", ["a, b"]),
    ],
)
def test_synonyms_split_at_bars_or_else_semicolons(cell, words):
    assert split_synonyms(cell) == words


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("1,Hats,\n2,Straw,1,x\n", r"line 3: 4 cells, but the header has 3 \(code, name, parent\)"),
        ("1,Hats,\n2,Straw\n", r"line 3: 2 cells"),
        ('1,"Hats\nand caps",\n2,Straw\n', r"line 4: 2 cells"),
        ('1,Hats,\n2,"Straw,1\n3,Felt,1\n', r"line 3: a broken row: unexpected end of data"),
        ('1,Hats,\n2,"Straw" hat,1\n', r"line 3: a broken row"),
        ("1,Hats,\n2,,1\n", r"line 3: a node without a name"),
        ("1,Hats,\n,Straw,1\n", r"line 3, column 'code': blank code of node 'Straw'"),
        ("hats,Hats,\n2,Straw,hat\n", r"line 3: node '2' has parent 'hat'.*did you mean 'hats'"),
        ("1,Hats,\n1,Straw,\n", r"line 3: code '1' is already taken by line 2"),
        ("1,Hats,2\n2,Straw,1\n", r"line 2: .*'1' \(line 2\) -> '2' \(line 3\) -> '1'"),
        ("1,Hats,\n2,Hats,\n", r"line 3: two nodes at the top are called 'Hats': '1' \(line 2\)"),
        ("", r"needs at least one"),
    ],
)
def test_errors_name_their_line(load, rows, match):
    with pytest.raises(TaxonomyError, match=match):
        load("code,name,parent\n" + rows)


def test_two_columns_of_one_heading_are_refused(load):
    with pytest.raises(TaxonomyError, match="line 1, column 'name': two columns are headed 'Name'"):
        load("code,name,parent,Name\n1,Hats,,x\n")


@pytest.mark.parametrize("heading", ["path", "category", "label", "full_name", "name"])
def test_a_column_of_paths_is_enough(load, heading):
    tax = load(f'{heading}\n"Hats, Caps > Straw"\nHats, Caps > Felt\n')
    assert tax.names == ("Hats, Caps", "Straw", "Felt")


def test_paths_may_have_codes_and_descriptions(load):
    tax = load("id,path,description,synonyms\n7,A > B,both,x|y\n5,A,first,\n")
    assert tax.codes == ("5", "7")
    assert tax.description(0) == "first"
    assert tax.synonyms(1) == ("x", "y")


def test_slashes_separate_where_no_arrow_does(load):
    tax = load("path\n/Food\n/Food/Fruit\n/Food/Bread & Rolls\n")
    assert tax.names == ("Food", "Fruit", "Bread & Rolls")
    tax = load("path\nTV/Audio > Speakers\nTV/Audio > Screens\n")
    assert tax.names == ("TV/Audio", "Speakers", "Screens")
    tax = load("path\nTV/Audio\nHats/Caps\nShoes\n")
    assert tax.names == ("TV/Audio", "Hats/Caps", "Shoes")


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("1,A > B\n2,A > B\n", r"line 3: path 'A > B' has code '2' here but '1' on line 2"),
        ("1,A > B\n1,A > C\n", r"line 3: code '1' is already taken by line 2"),
        ("1,A > > B\n", r"line 2: path 'A >  > B' has a blank name"),
        ("1,A > B\n,A > B\n", "has code '' here but '1' on line 2"),
    ],
)
def test_errors_in_paths_name_their_line(load, rows, match):
    with pytest.raises(TaxonomyError, match=match):
        load("id,path\n" + rows)


@pytest.mark.parametrize(
    "header",
    [
        "level1,level2,level3",
        "L1,L2,L3",
        "Category 1,Category 2,Category 3",
        "category,subcategory,sub_subcategory",
        "Segment,Family,Class",
        "level_1_name,level_2_name,lvl3",
    ],
)
def test_columns_for_levels_are_told_by_their_headings(load, header):
    tax = load(f"{header}\nA,B,C\nA,D,\nE,,\nE,B\n")
    assert [tax.path(i) for i in range(len(tax))] == [
        "A",
        "A > B",
        "A > B > C",
        "A > D",
        "E",
        "E > B",
    ]


def test_columns_for_levels_are_told_by_their_content(load):
    tax = load(
        "Bereich,Gruppe,Sorte\nObst,Apfel,Boskop\nObst,Apfel,Elstar\nObst,Birne,\n"
        "Brot,Weiß,\nBrot,Dunkel,Pumpernickel\n"
    )
    assert tax.depth == 3
    assert tax.names[0] == "Obst"


def test_levels_may_carry_the_code_of_the_deepest(load):
    assert load("id,level1,level2\n5,A,\n7,A,B\n").codes == ("5", "7")


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("A,,C\n", "line 2, column 'L2': this level is blank but one below it is not"),
        ("A,B,C\nA,B,C\n", "line 3: path 'A > B > C' was given on line 2 already"),
        ("A,B,C\nA,B,C,D\n", "line 3: 4 cells"),
    ],
)
def test_errors_in_levels_name_their_line(load, rows, match):
    with pytest.raises(TaxonomyError, match=match):
        load("L1,L2,L3\n" + rows)


def test_a_named_csv_of_unknown_columns_tells_what_was_expected(load):
    with pytest.raises(
        TaxonomyError, match=r"line 1: .*found columns: 'sku', 'price'; expected code"
    ):
        load("sku,price\nx,1\ny,2\n", format="csv")


@pytest.mark.parametrize("paths", ["1;1/2;1/2/3", ";1;1/2"])
def test_paths_of_codes_are_read_by_code(load, paths):
    rows = [*zip("123", "ABC", paths.split(";"), strict=True)]
    tax = load("\n".join(map(",".join, [("id", "name", "path"), *rows])))
    assert tax.path(2) == "A > B > C"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (
            "Code,Title\n01,Food\n02,Bread\n",
            "'Code' holds the code, 'Title' holds the name, but no",
        ),
        (
            "Seq. No.,2022 US Code,2022 US Title\n1,11,Farms\n2,111,Crops\n",
            "'2022 US Code' holds the code, '2022 US Title' holds the name, but no column holds",
        ),
        ("1,Tools,\n2,Tools,Saws\n", "the first line is no header .'1', 'Tools', ''"),
        ("My list,,\nnumero,navn,\n1,A,\n", "the first line is no header .'My list', '', ''"),
        ("Food\tFruit\nFood\tBread\n", "the first line is no header .'Food', 'Fruit'"),
        (
            "code,name,children\n1,A,2|3\n2,B,\n3,C,\n",
            "'children' lists nodes below; write the one",
        ),
        ("GROUPID;GROUPDESC\nE1;Cables\nE2;Lamps\n", "found columns: 'GROUPID', 'GROUPDESC'"),
        ("id,name,parentName\n1,A,\n2,B,A\n", "perhaps 'parentName'; it must hold codes"),
        ("id,name,above\n1,A,\n2,B,1\n", "perhaps 'above', whose values are codes of other rows"),
        ("id,name,path\n1,B,A\n2,C,A > D\n", "line 2, column 'path': path 'A' does not end in"),
        ("id,path,parent\n1,A,\n2,A > B,1\n", "column 'parent' looks like the parents of nodes"),
    ],
)
def test_what_is_recognised_and_what_is_missing_is_said(load, content, match):
    with pytest.raises(TaxonomyError, match=match):
        load(content)


def test_parents_that_became_floats_are_found(load):
    assert load("id,name,parentId\n1,A,\n2,B,1.0\n3,C,\u200b2.0 \n").path(2) == "A > B > C"
    assert load('code,name,parent\n="01",A,\n="0101",B,="01"\n').codes == ("01", "0101")


def test_of_two_columns_of_names_parents_tell_the_one_of_codes(load):
    tax = load("label,name,parent\nt,Tools,\ns,Saws,t\n")
    assert (tax.codes, tax.names) == (("t", "s"), ("Tools", "Saws"))
    tax = load("id,code,name,parent_code\n1,T1,Tools,\n2,S1,Saws,T1\n")
    assert tax.codes == ("T1", "S1")


def test_a_second_column_of_codes_is_told(load, caplog):
    tax = load("id,code,name,parent\n7,a,Tools,\n8,b,Saws,a\n9,c,Axes,a\n")
    assert tax.codes == ("a", "b", "c")
    assert "'id' looks like codes and is not used; those of 'code' are the codes" in caplog.text
    caplog.clear()
    load("code,name,parent,country code\na,Tools,,DE\nb,Saws,a,DE\nc,Axes,a,FR\n")
    assert not caplog.text
    load("shop id,other id,path\n1,5,A\n2,6,A > B\n")
    assert "'shop id', 'other id' look like codes and are not used; head one 'code'" in caplog.text


@pytest.mark.parametrize("heading", ["label", "Names", "classes", "Tag", "Kategorie", '"code"'])
def test_a_heading_above_names_alone_is_no_node(load, caplog, heading):
    assert load(f"{heading}\nTools\nToys\n").names == ("Tools", "Toys")
    assert "is taken for the heading of the names below it, and is no node" in caplog.text


def test_a_first_name_that_others_are_below_is_no_heading(load):
    assert load("Class\n  Saws\n  Axes\n").names == ("Class", "Saws", "Axes")
    assert load("Class\nClass > Saws\nClass > Axes\n").names == ("Class", "Saws", "Axes")


@pytest.mark.parametrize("sign", [".", "__", " - ", ": ", ", ", " \u2022 "])
def test_paths_that_no_sign_separates_for_certain_are_refused(load, sign):
    rows = f'id,path\n1,"Tools{sign}Saws"\n2,"Tools{sign}Axes"\n'
    with pytest.raises(TaxonomyError, match="line 1, column 'path': paths are not split: 'Tools"):
        load(rows)


def test_lists_in_a_column_of_paths_are_refused(load):
    with pytest.raises(TaxonomyError, match="paths are not split: "):
        load("id,path\n1,\"['Tools', 'Saws']\"\n2,\"['Tools', 'Axes']\"\n")


def test_blank_parents_beside_paths_are_refused(load):
    with pytest.raises(TaxonomyError, match="line 3, column 'parent_id': column 'parent_id' is bl"):
        load("id,name,parent_id,path\n1,Tools,,Tools\n2,Saws,,Tools > Saws\n")


def test_synonyms_of_other_languages_are_told(load, caplog):
    load("code,name,parent,name_de,synonyms_de\na,Tools,,Werkzeug,Ger\u00e4t\nb,Saws,a,,\n")
    assert "columns that are not used: 'synonyms_de'" in caplog.text
