"""Lines that are more than names or paths, which are refused."""

import pytest

from cascade.errors import TaxonomyError


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("B05B 1/00\tNozzles\nB05B 1/02\t. flat\nB05B 3/00\tSprayers\n", "line 1: .*have a '/'"),
        ("C03/10\nC03/12\nD05/10\n", "line 1: .*codes that have a '/' inside"),
        ("2 Garden\n2.1 Garden > Rakes\n2.2 Garden > Hoses\n", "line 1: .*begin with a code"),
        ("m00000021 m00000035\nm00000021 m00000047\n", "line 1: .*begin with a code"),
        ("I. Garden\nA. Rakes\nB. Hoses\nII. Tools\n", "line 1: .*begin with a code"),
        ("Garden G10\nRakes G101\nHoses G102\n", "line 1: .*end in a code"),
        ("Garden\n- Rakes\n- - Leaf rakes\n- Hoses\n", "line 3: signs in front of names"),
        ("Garden\n- Rakes\n- Hoses\n", "line 2: signs in front of names"),
        ("Garden\n  Rakes > Leaf rakes\nTools\n", "line 2: 'Rakes > Leaf rakes' is indented"),
        ("http://shop.example/garden\nhttp://shop.example/tools\n", "line 1: .*are addresses"),
        ("Garden > Rakes\t21\tsteel\nGarden > Hoses\n", "line 1: a tab stands inside"),
        ("## Garden\n### Rakes\n", "all lines begin with '#'"),
        (':a a skos:Concept ; skos:prefLabel "A" .\n', "Turtle without its first lines"),
        ("<View><Taxonomy><Choice value='A'/></Taxonomy></View>", "Label Studio"),
        ("[Garden]\nRakes\n[Tools]\nSaws\n", "lines in brackets head those below them"),
        ('[[nodes]]\ncode = "1"\n', "lines in brackets head those below them"),
        (
            "Garden > Rakes\nGarden/Hoses\nTools > Saws\n",
            "line 2: 'Garden/Hoses' seems to be a path",
        ),
        ("Garden > Rakes\nTools > Saws\nTools -> Files\n", "line 3: .*another sign between"),
        ("id,path\n1,A > B\n2,A » C\n3,D > E\n", "line 3: 'A » C' seems to be a path"),
        ("<tree><a/></tree>", "its first element is <tree>; write it as CSV"),
    ],
)
def test_what_is_more_than_names_is_refused_by_its_cause(load, content, match):
    with pytest.raises(TaxonomyError, match=match):
        load(content)


@pytest.mark.parametrize(
    "content",
    [
        "3D printers\nB2B services\nToys\n",
        "Grade 10\nGrade 11\nGrade 12\n",
        "Garden > Rakes\nTV/Audio\nTools > Saws/Blades\n",
        "Tools > Saws\n Tools > Files\n",  # a slip of one blank
        "Tools > Saws\n   Tools > Files\n",  # whole from the top
    ],
)
def test_names_that_only_look_like_more_are_read(load, content):
    load(content)


def test_one_bullet_in_front_of_all_lines_is_no_part_of_names(load):
    assert load("* Garden > Rakes\n* Tools\n").names == ("Garden", "Rakes", "Tools")


def test_paths_of_files_begin_below_the_dot(load):
    assert load("./garden/rakes\n./garden/hoses\n./tools\n").codes[0] == "garden"


@pytest.mark.parametrize(
    "drawn",
    [
        "root\n|-- a\n|   |-- b\n|   `-- c\n`-- d\n",
        "root\n+---a\n|   +---b\n|   \\---c\n\\---d\n",
        "root\n+-a\n| +-b\n| +-c\n+-d\n",
    ],
)
def test_trees_that_are_drawn_without_special_signs_are_read(load, drawn):
    assert load(drawn).codes == (*("root", "root > a", "root > a > b", "root > a > c", "root > d"),)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_named_and_read_when_it_is_asked_for(load, encoding):
    content = "code,name,parent\n1,Gärten,\n".encode(encoding)
    with pytest.raises(TaxonomyError, match=f"name its encoding, {encoding}"):
        load(content)
    assert load(content, encoding=encoding).names == ("Gärten",)
