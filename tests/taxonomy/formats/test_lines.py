"""Formats of one node a line: plain paths, Google's and Shopify's."""

import pytest

from cascade.errors import TaxonomyError


def test_paths_imply_the_nodes_above(load):
    tax = load("A > B > C\n\n# a comment\nD\nA > E\n")
    assert tax.codes == ("A", "A > B", "A > B > C", "A > E", "D")


def test_bare_arrows_count_only_where_none_stands_between_blanks(load):
    assert load("A>B\nA>C\n", format="paths").names == ("A", "B", "C")
    assert load("A > b>c\nA > D\n").names == ("A", "b>c", "D")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("A > B\nC\nA > B\n", "line 3: path 'A > B' was given on line 1 already"),
        ("A > B\nA >  > C\n", "line 2: path .* has a blank name"),
        ("A > B\nA > \n", "line 2: path .* has a blank name"),
        ("A > B\n" + " > ".join("A" * 40_000), "line 2: path 'A > A > A > ...' has 40,000 levels"),
    ],
)
def test_errors_in_paths_name_their_line(load, content, match):
    with pytest.raises(TaxonomyError, match=match):
        load(content)


def test_google_ids_are_codes(load):
    tax = load("# Google_Product_Taxonomy_Version: 2021\n1 - Animals\n3 - Animals > I/O - Birds\n")
    assert tax.codes == ("1", "3")
    assert tax.names == ("Animals", "I/O - Birds")


def test_google_without_ids_has_paths_for_codes(load):
    tax = load("# Google_Product_Taxonomy_Version: 2021\nAnimals\nAnimals > Birds\n")
    assert tax.codes == ("Animals", "Animals > Birds")


def test_a_google_line_without_its_id_is_named(load):
    lines = "".join(f"{i} - A > {i}\n" for i in range(30))
    with pytest.raises(TaxonomyError, match="line 31: 'A > x' has no id before its path"):
        load(lines + "A > x\n")


@pytest.mark.parametrize(
    "sign",
    ["/", "\\", "|", ";", "->", " -> ", "::", " » ", "→", " >> ", "||", " ▸ ", "＞", " &gt; "],
)
def test_other_separators_are_told_by_the_lines_together(load, sign):
    lines = [["Tools"], ["Tools", "Saws"], ["Tools", "Saws", "Jigsaws"], ["Tools", "Files"]]
    tax = load("\n".join(map(sign.join, lines)))
    assert [tax.path(i) for i in range(4)] == [*map(" > ".join, lines)]


@pytest.mark.parametrize("sign", ["/", "|", "\\", ";", "->", "::"])
def test_signs_between_blanks_leave_those_in_names_alone(load, sign):
    lines = [["Tools"], ["Tools", "Saws"], ["Tools", f"Rasps{sign}Files"], [f"A{sign}V"]]
    tax = load("\n".join(map(f" {sign} ".join, lines)))
    assert [tax.path(i) for i in range(4)] == [*map(" > ".join, lines)]


def test_signs_with_and_without_blanks_both_separate_where_they_join(load):
    tax = load("Tools / Saws\nTools/Files\nTools / Axes\n")
    assert tax.names == ("Tools", "Saws", "Files", "Axes")


def test_an_arrow_in_few_lines_separates_where_it_joins_them(load):
    tax = load("Tools\nTools → Saws\nTools → Files\nSport\nToys\nFood\nPets\n")
    assert tax.depth == 2
    assert load("Tools\nTurn → left\nSport\nToys\nFood\n").depth == 1


def test_few_paths_separate_where_all_above_them_is_given(load):
    lines = "Tools\nTools/Saws\nTools/Saws/Jig\nSport\nToys\nFood\nPets\nCars\n"
    assert load(lines).depth == 3
    assert load("Audio\nAudio/Video\nSport\nToys\n").depth == 1


def test_entities_of_html_are_written_out_where_they_separate(load):
    tax = load("Tools &gt; Saws\nTools &gt; Nuts &amp; bolts\n")
    assert tax.names == ("Tools", "Saws", "Nuts & bolts")
    tax = load("id,path\n1,Tools &gt; Saws\n2,Tools &gt; Nuts &amp; bolts\n")
    assert tax.names == ("Tools", "Saws", "Nuts & bolts")


def test_a_backslash_before_a_separator_makes_it_a_part_of_the_name(load):
    assert load("Sport/Shoes\nSport/Half 1\\/2\n").names == ("Sport", "Shoes", "Half 1/2")


def test_lines_that_a_spreadsheet_quoted_lose_their_quotes(load):
    tax = load('Tools > Saws\n"Tools > Files, rasps"\n"Tools > 3"" nails"\n')
    assert tax.names == ("Tools", "Saws", "Files, rasps", '3" nails')


def test_names_with_a_slash_now_and_then_stay_names(load):
    assert load("Hats\nShoes\nTV/Audio\nTools\n").depth == 1


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("A|B\nC|D\nE|F\n", r"line 1: most lines have a '\|'"),
        ("1,Tools\n2,Tools > Saws\n3,Tools > Files\n", "line 1: '1,Tools' and others begin with"),
        ("12 Tools > Saws\n13 Tools > Files\n", "line 1: '12 Tools > Saws' and others begin with"),
        ("01 Animals\n0101 Horses\n0102 Cows\n", "nothing says which node is above which"),
        ("A00 Cholera\nA00.1 Other\nB01 Pox\n", "nothing says which node is above which"),
        ("A Tools\n01 Saws\n02 Files\nB Sport\n", "nothing says which node is above which"),
        ("Tools > Saws,12\nTools > Files,13\n", "'Tools > Saws,12' and others end in a code"),
        ("Tools > Saws [12]\nTools > Files [13]\n", "and others end in a code; put a header"),
        ("Tools\n--Saws\n----Jigsaws\n--Files\n", "line 2: signs in front of names seem to say"),
        ("Tools:Saws\nTools:Files\n", "most lines have a ':'"),
        ("Tools : Saws\nTools : Saws : Jigs\nToys : Cars\n", "most lines have a ':'"),
        ("1. Tools\n1.1. Saws\n1.2. Files\n", "nothing says which node is above which"),
        ("Tools • Saws\nTools • Files\n", "most lines have a '•'"),
        ("Tools — Saws\nTools — Files\n", "most lines have a '—'"),
        ("Tools - Saws\nTools - Files\n", "most lines have a ' - '"),
        ("Tools__Saws\nTools__Files\n", "most lines have a '__'"),
        ("Tools > Saws\nSport\n  Balls\n", "line 3: 'Balls' is indented, but"),
        ("<http://a.org/1>\tSaws\n<http://a.org/2>\tFiles\n", "as Annif has it"),
        ("Tools.Saws\nTools.Files\nSport\n", r"most lines have a '\.'"),
        ("# Tools\n## Saws\nJigsaws\nBandsaws\n", "line 2: .* headings of Markdown"),
        ("sku,trail\nx,A > B\ny,A > C\n", "column 'trail' looks like paths; head it 'path'"),
        ("One line of text.\nAnd another one,\nand its end.\n", "no known form"),
    ],
)
def test_lines_that_are_more_than_names_are_no_names(load, content, match):
    with pytest.raises(TaxonomyError, match=match):
        load(content)


@pytest.mark.parametrize("at", [0, 1, 3])
def test_one_line_without_its_id_is_named_wherever_it_stands(load, at):
    lines = ["1 - Tools", "2 - Tools > Saws", "3 - Tools > Files", "4 - Tools > Axes"]
    lines[at] = lines[at][4:]
    with pytest.raises(TaxonomyError, match=f"line {at + 1}: '{lines[at]}' has no id before"):
        load("\n".join(lines))
    lines = [f"x-{line}".replace(" - ", "\t") for line in lines]
    lines[at] = "Tools > Hoes"
    with pytest.raises(TaxonomyError, match=f"line {at + 1}: 'Tools > Hoes' has no id before"):
        load("\n".join(lines))


def test_one_line_with_an_id_among_others_without_is_named(load):
    lines = "# Google_Product_Taxonomy_Version: 2021\nTools\nTools > Saws\n7 - Tools > Files\n"
    with pytest.raises(
        TaxonomyError, match="line 4: '7 - Tools > Files' has an id before its path"
    ):
        load(lines)


@pytest.mark.parametrize("between", ["\t", " : ", "  :  "])
def test_shopify_ids_are_codes_in_any_order(load, between):
    gid = "gid://shopify/TaxonomyCategory/ap"
    tax = load(f"# Shopify\n{gid}-1{between}Pets > Cats: Big\n{gid}{between}Pets\n")
    assert tax.codes == (gid, f"{gid}-1")
    assert tax.names == ("Pets", "Cats: Big")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (
            "ap\tA\nap-1\tA > B\nap-2\tA > B\n",
            "line 3: path 'A > B' has code 'ap-2' here but 'ap-1'",
        ),
        ("gid://shopify/T/a\tA\nB\n", "line 2: 'B' has no id before its path"),
        ("ap\tA\nap\tA > B\n", "line 2: code 'ap' is already taken by line 1"),
    ],
)
def test_errors_in_shopify_lines_name_their_line(load, content, match):
    with pytest.raises(TaxonomyError, match=match):
        load(content)


RELEASE = """{"version": "2024-07", "verticals": [
 {"name": "Tiere", "prefix": "ap", "categories": [
  {"id": "ap", "name": "Tiere", "parent_id": null},
  {"id": "ap-1", "name": "V\\u00f6gel", "parent_id": "ap"},
  {"id": "ap-2", "name": "%s", "parent_id": "%s"}]}]}
"""


def test_a_shopify_release_is_read(load):
    tax = load(RELEASE % ("Katzen", "ap"))
    assert tax.names == ("Tiere", "Vögel", "Katzen")


def test_translations_that_collide_in_a_release_get_their_id(load, caplog):
    tax = load(RELEASE % ("Vögel", "ap"))
    assert tax.names == ("Tiere", "Vögel", "Vögel (ap-2)")
    assert "1 names are those of an earlier sibling" in caplog.text


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (RELEASE % ("Katzen", "app"), "line 5: node 'ap-2' has parent 'app'.*did you mean 'ap'"),
        (RELEASE % (" ", "ap"), "line 5: a category without 'name'"),
        ('{"verticals": {}}', "line 1: expected a list called 'verticals'"),
        ('{"verticals": [\n{}]}', "line 2: expected a list called 'categories'"),
        ('{"verticals": [\n', "line 2: broken JSON"),
    ],
)
def test_errors_in_a_release_name_their_line(load, content, match):
    with pytest.raises(TaxonomyError, match=match):
        load(content)
