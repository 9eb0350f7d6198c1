import sys

import pytest

from cascade.errors import MissingExtraError, TaxonomyError

TURTLE = """\
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix : <http://example.org/food/> .

:scheme a skos:ConceptScheme ; dct:title "Foods"@en ; skos:hasTopConcept :fruit .
:fruit a skos:Concept ; skos:prefLabel "Fruit"@en, "Obst"@de ; skos:topConceptOf :scheme ;
    skos:narrower :pear .
:apple a skos:Concept ; skos:prefLabel "Apples"@en, "Äpfel"@de ; skos:broader :fruit ;
    skos:altLabel "Apple"@en, "Apfel"@de ; skos:definition "Round fruit."@en ; skos:notation "A01" .
:pear a skos:Concept ; skos:prefLabel "Pears"@en ; skos:scopeNote "Not apples."@en .
"""

RDF = """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
         xmlns:skos="http://www.w3.org/2004/02/skos/core#">
  <skos:Concept rdf:about="http://example.org/food#fruit">
    <skos:prefLabel xml:lang="fr">Fruits</skos:prefLabel>
  </skos:Concept>
  <skos:Concept rdf:about="#apple">
    <skos:prefLabel xml:lang="fr">Pommes</skos:prefLabel>
    <skos:broader rdf:resource="http://example.org/food#fruit"/>
  </skos:Concept>
</rdf:RDF>
"""


@pytest.fixture(autouse=True)
def _rdflib():
    pytest.importorskip("rdflib", reason="reading SKOS needs the extra 'skos'")


def test_turtle_is_read_with_labels_definitions_and_notations(load):
    tax = load(TURTLE)
    assert (tax.title, tax.language) == ("Foods", "en")
    assert {tax.path(i): tax.codes[i] for i in range(3)} == {
        "Fruit": "fruit",
        "Fruit > Apples": "A01",
        "Fruit > Pears": "pear",
    }
    apple = tax.node("A01")
    assert apple.synonyms == ("Apple",)
    assert apple.translations == {"de": "Äpfel"}
    assert apple.description == "Round fruit."
    assert tax.node("pear").description == "Not apples."


def test_rdf_xml_is_read_in_the_language_it_has(load):
    tax = load(RDF)
    assert (tax.codes, tax.names, tax.language) == (("fruit", "apple"), ("Fruits", "Pommes"), "fr")


def test_a_concept_of_two_parents_is_named_with_both(load):
    content = TURTLE + ":apple skos:broader :pear .\n"
    with pytest.raises(
        TaxonomyError, match="line 8: concept 'A01' has two parents, 'fruit' and 'pear'"
    ):
        load(content)


@pytest.mark.parametrize(
    ("extra", "match"),
    [
        (":plum a skos:Concept .", "line 11: concept <.*plum> has no skos:prefLabel"),
        (':x skos:prefLabel "X"@en ; skos:broader :nowhere .', "'x' has the parent <.*nowhere>"),
        (':x skos:prefLabel "X"@en ; skos:broader :x .', "line 11: node 'x' is its own parent"),
        (":x skos:prefLabel .", "line 11: broken Turtle"),
        (
            ':x skos:prefLabel "X"@en ; skos:notation "A01" .',
            "code 'A01' is already taken by line 8",
        ),
    ],
)
def test_errors_name_the_concept_and_its_line(load, extra, match):
    with pytest.raises(TaxonomyError, match=match):
        load(TURTLE + extra)


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha" * 10}">' for i in range(10))


@pytest.mark.parametrize(
    "declaration",
    [
        f"<!DOCTYPE rdf:RDF [{LAUGHS}]>",
        '<!DOCTYPE rdf:RDF [<!ENTITY l9 SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE rdf:RDF SYSTEM "http://localhost:9/evil.dtd">',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_before_rdflib_sees_them(load, declaration, encoding, monkeypatch):
    import rdflib

    def fail(*_, **__):
        raise AssertionError("rdflib was called")

    monkeypatch.setattr(rdflib.Graph, "parse", fail)
    content = RDF.replace('<?xml version="1.0"?>', declaration).replace("Fruits", "&l9;")
    with pytest.raises(TaxonomyError, match="line 1: the XML has a document type declaration"):
        load(content.encode(encoding))


def test_broken_rdf_xml_is_named_with_its_line(load):
    with pytest.raises(TaxonomyError, match="line 11: broken XML"):
        load(RDF.replace("</rdf:RDF>", "</rdf>"))


def test_rdf_without_concepts_is_no_taxonomy(load):
    with pytest.raises(TaxonomyError, match=r"RDF without any skos:Concept"):
        load("@prefix : <http://example.org/> .\n:a :b :c .\n")


def test_without_rdflib_the_extra_is_named(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "rdflib", None)
    with pytest.raises(MissingExtraError, match="pip install 'rdflib>="):
        load(TURTLE)
