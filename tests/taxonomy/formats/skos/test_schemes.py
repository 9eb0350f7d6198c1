import pytest

from cascade.errors import TaxonomyError

TWO = """\
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix : <http://example.org/k/> .
:s1 a skos:ConceptScheme ; dct:title "Stoffe"@de, "Materials"@en .
:s2 a skos:ConceptScheme ; skos:prefLabel "Products"@en ; skos:hasTopConcept :p1 .
:m1 a skos:Concept ; skos:prefLabel "Glass"@en ; skos:inScheme :s1 ; skos:notation "1" .
:m2 a skos:Concept ; skos:prefLabel "Crystal"@en ; skos:broader :m1 .
:p1 a skos:Concept ; skos:prefLabel "Glass"@en ; skos:notation "1" ; skos:broader :m1 .
:p2 a skos:Concept ; skos:prefLabel "Tumblers"@en ; skos:inScheme :s2 ; skos:broader :m2, :p1 .
"""


def test_all_schemes_are_read_with_a_warning_that_names_them(load, caplog):
    assert len(load(TWO)) == 4
    assert "choose one with --scheme: 2 ('Materials' has 2, 'Products' has 2)" in caplog.text


@pytest.mark.parametrize("name", ["Products", "products", "s2", "http://example.org/k/s2"])
def test_a_scheme_is_chosen_by_title_code_or_address(load, caplog, name):
    tax = load(TWO, scheme=name)
    assert (tax.title, tax.codes, tax.parent.tolist()) == ("Products", ("1", "p2"), [-1, 0])
    assert caplog.text == ""


def test_concepts_that_name_no_scheme_are_in_that_of_what_is_above(load):
    assert load(TWO, scheme="Stoffe").codes == ("1", "m2")


def test_a_scheme_that_is_not_there_is_named_with_those_that_are(load):
    with pytest.raises(TaxonomyError, match=r"scheme 'Product' .did you mean 'products'"):
        load(TWO, scheme="Product")
    with pytest.raises(TaxonomyError, match="has no concept scheme"):
        load(
            "@prefix s: <http://www.w3.org/2004/02/skos/core#> .\n<a> s:prefLabel 'A' .", scheme="x"
        )
    with pytest.raises(TaxonomyError, match="'Empty' has no concept"):
        load(TWO + ':s3 a skos:ConceptScheme ; skos:prefLabel "Empty" .\n', scheme="Empty")


def test_one_scheme_that_has_all_concepts_is_the_one(load, caplog):
    whole = ":m1 skos:inScheme :all . :m2 skos:inScheme :all . :p1 skos:inScheme :all .\n"
    tax = load(TWO + whole + ':p2 skos:inScheme :all . :all dct:title "All" .\n')
    assert tax.title == "All"
    assert "--scheme" not in caplog.text
