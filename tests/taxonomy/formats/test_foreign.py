"""Forms that are recognised, and refused by their name."""

import pytest

from cascade.errors import TaxonomyError

OFF = "en: Breads, bread\nfr: Pains\n\n< en:Breads\nen: Rye breads\nfr: Pains de seigle\n"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (OFF, "text form of Open Food Facts"),
        ("stopwords:fr:aux,de\n\nen:Breads\nfr:Pains\n", "text form of Open Food Facts"),
        ("en:Breads\nfr:Pains\n\nen:Oils\nfr:Huiles\n", "text form of Open Food Facts"),
        ("[Term]\nid: X:1\nname: root\n\n[Term]\nid: X:2\nis_a: X:1\n", "this is OBO"),
        ("format-version: 1.2\nontology: x\n", "this is OBO"),
        ("Prefix(:=<http://a/>)\nOntology(<http://a>\n)\n", "OWL in functional syntax"),
        ("CREATE TABLE t (id int);\nINSERT INTO t VALUES (1);\n", "this is SQL"),
        ('<?xml version="1.0"?>\n<ClaML version="2.0.0"><Class code="A"/></ClaML>', "is ClaML"),
    ],
)
def test_forms_that_are_not_read_are_called_by_name_with_a_cure(load, content, match):
    with pytest.raises(TaxonomyError, match=match) as caught:
        load(content)
    assert "write it as" in str(caught.value)


def test_translations_in_yaml_are_not_taken_for_open_food_facts(load):
    assert load("en: [Hats]\nfr: [Chapeaux]\n").depth == 2
    with pytest.raises(TaxonomyError, match="'en' and others have a text each"):
        load("en: Hats\nfr: Chapeaux\n")
