import pytest
from toy_catalogue import packed, xml

from cascade.foodex2.format import load_catalogue
from cascade.foodex2.repair import is_anonymised, repair
from cascade.foodex2.taxonomy import FoodEx2Taxonomy


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    file = packed(tmp_path_factory.mktemp("toy") / "TOY.ecf", xml())
    return FoodEx2Taxonomy.from_catalogue(load_catalogue(file))


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("STEW0#F28.BAKED", "STEW0#F28.BAKED"),
        ("stew0 # f28.baked ", "STEW0#F28.BAKED"),
        ("'STEW0'", "STEW0"),
        ("FLOUR#F27.WHEAT$F28.BAKED$F28.BAKED", "FLOUR#F28.BAKED"),  # implied, and twice
    ],
)
def test_what_a_reader_takes_as_it_stands_is_no_repair(tree, written, code):
    read = repair(written, tree)
    assert (str(read.code), list(read.repairs)) == (code, [])


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("STEW0$F28.BAKED", "STEW0#F28.BAKED"),
        ("STEW0#F28.BAKED#F04.SALT0", "STEW0#F04.SALT0$F28.BAKED"),
        ("STEW0 F28.BAKED, F04.SALT0", "STEW0#F04.SALT0$F28.BAKED"),
        ("STEW0#F28BAKED", "STEW0#F28.BAKED"),
        ("STEW0#F4.SALT0", "STEW0#F04.SALT0"),
        ("STEW0##F28.BAKED$$", "STEW0#F28.BAKED"),
        ("STEW0#", "STEW0"),
        ("STEWO#F04.SALTO", "STEW0#F04.SALT0"),
        ("STEW0 - stew with carrots", "STEW0"),
        ("#STEW0#F28.BAKED", "STEW0#F28.BAKED"),
        ("STEW0F28.BAKED", "STEW0#F28.BAKED"),
        ("STEW0#F28.BAKED$F04", "STEW0#F28.BAKED"),
        ("STEW0#F28.NOSUC$F04.SALT0", "STEW0#F04.SALT0"),
        ("STEW0#F99.SALT0", "STEW0"),
    ],
)
def test_what_is_malformed_is_mended_and_said(tree, written, code):
    read = repair(written, tree)
    assert str(read.code) == code
    assert read.repairs


@pytest.mark.parametrize("written", ["", "NOSUC", "F28.BAKED$F04.SALT0", "Stew", "A.01.000942"])
def test_what_names_no_base_term_is_no_code(tree, written):
    assert repair(written, tree).code is None


@pytest.mark.parametrize(
    "text",
    ["xxxx", "XXX XXXXX", "***", "[REDACTED]", "Anonymised product", "vertraulich", "brand xxxx",
     "Anonymised description 12",     "deleted for privacy reasons",
     "5f4dcc3b5aa765d61d8327deb882cf99", "<brand name removed>"],
)  # fmt: skip
def test_a_text_that_tells_nothing_but_a_mask_is_anonymised(text):
    assert is_anonymised(text)


@pytest.mark.parametrize(
    "text", ["", "yoghurt xxx", "Brand", "xx", "7up", "12", "private label", "removed skin"]
)
def test_other_texts_are_not(text):
    assert not is_anonymised(text)


def test_a_malformed_label_finds_its_base_term(tree):
    assert tree.find("STEW0$F28.BAKED") == tree.index("STEW0")
    assert tree.find("no such food") is None
