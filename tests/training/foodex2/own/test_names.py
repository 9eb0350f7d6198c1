import pytest
from toy_catalogue import packed, xml

from cascade.foodex2.code import FoodCode
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.training.foodex2.own.names import learn_names


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    file = packed(tmp_path_factory.mktemp("toy") / "TOY.ecf", xml())
    return FoodEx2Taxonomy.from_catalogue(load_catalogue(file))


def learnt(tree, *rows):
    texts, codes = zip(*rows, strict=True)
    return learn_names(texts, [FoodCode.parse(code) for code in codes], tree)


def test_words_that_go_with_a_facet_name_its_descriptor(tree):
    found = learnt(
        tree,
        ("stew slt", "STEW0#F04.SALT0"),
        ("oats slt 250 g", "OATS0#F04.SALT0"),
        ("oats", "OATS0"),
        ("stew big", "STEW0"),
        ("pot au feu, slt", "STEW0#F04.SALT0"),
        ("pot au feu big", "STEW0"),
    )
    assert ("SALT0", "slt") in found
    assert ("STEW0", "pot au feu") in found or ("STEW0", "pot feu") in found
    assert not [name for code, name in found if code == "SALT0" and "oat" in name]


def test_a_word_that_is_as_often_without_the_facet_names_nothing(tree):
    rows = [("stew tasty", "STEW0#F04.SALT0")] * 2 + [("oats tasty", "OATS0")] * 3
    assert not [name for code, name in learnt(tree, *rows) if code == "SALT0"]


def test_what_is_negated_keeps_its_negation(tree):
    found = learnt(
        tree, ("stew without skin", "STEW0#F28.BAKED"), ("oats without skin", "OATS0#F28.BAKED")
    )
    assert ("BAKED", "without skin") in found
