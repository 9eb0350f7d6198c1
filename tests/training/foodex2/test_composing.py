import pytest

from cascade.errors import UsageError
from cascade.foodex2.rules import worst
from cascade.taxonomy import Taxonomy
from cascade.training.foodex2.composing import Composer, spoken_name


@pytest.fixture
def tree(ecf):
    return Taxonomy.load(ecf)


def test_composed_codes_are_clean_and_their_texts_say_them(tree, checker):
    composer = Composer(tree, checker.catalogue, checker, seed=1)
    made = list(composer.compose(["WHEAT", "STEW0", "FLOUR"], 200))
    assert {one.code.base for one in made} == {"WHEAT", "STEW0", "FLOUR"}
    assert {len(one.code.facets) for one in made} >= {0, 1, 2}
    for one in made:
        assert worst(checker.check(str(one.code))) in (None, "LOW")
        said = one.text.lower()
        assert checker.catalogue.terms[one.code.base].name.lower() in said
        for facet in one.code.facets:
            assert checker.catalogue.terms[facet.descriptor].name.lower() in said


def test_the_seed_decides(tree, checker):
    def made(seed):
        composer = Composer(tree, checker.catalogue, checker, seed=seed)
        return [one.text for one in composer.compose(["STEW0"], 20)]

    assert made(1) == made(1) != made(2)


def test_there_must_be_base_terms(tree, checker):
    with pytest.raises(UsageError, match="no base term"):
        next(Composer(tree, checker.catalogue, checker).compose([], 1))


def test_names_are_said_without_what_only_the_catalogue_says():
    assert spoken_name("Albacore (as animal)") == "Albacore"
    assert spoken_name("Beans (dry) and similar-") == "Beans and similar"
