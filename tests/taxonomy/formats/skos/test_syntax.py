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


@pytest.mark.parametrize(
    ("broken", "match"),
    [
        (TURTLE + ":x skos:prefLabel .", "line 11: broken Turtle: . is not a valid RDF object"),
        (TURTLE.replace("@prefix dct:", "@prefix dc:"), "line 5: broken Turtle: .* dct:"),
        ("<http://a/b> <http://a/c> <http://a/d> .\n<http://a/b> <http://a/c> .\n", "line 2: bro"),
        ('{"@context": {}, "@graph": [\n{"a": 1,}]}', "line 2: broken JSON-LD"),
        ('{"@context": "http://a/b",\n"id": [}', "line 2: broken JSON"),
    ],
)
def test_broken_text_is_named_with_its_line(load, broken, match):
    with pytest.raises(TaxonomyError, match=match):
        load(broken)


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
def test_entities_that_grow_or_lead_out_are_refused(load, declaration, encoding, monkeypatch):
    import pyoxigraph

    def fail(*_, **__):
        raise AssertionError("the parser was called")

    monkeypatch.setattr(pyoxigraph, "parse", fail)
    content = RDF.replace('<?xml version="1.0"?>', declaration).replace("Fruits", "&l9;")
    with pytest.raises(TaxonomyError, match="line 1: the XML has a document type declaration"):
        load(content.encode(encoding))


def test_an_entity_behind_a_comment_is_refused(load):
    declaration = '<!DOCTYPE r [<!-- a --><!ENTITY b SYSTEM "c"><!-- d -->]>'
    with pytest.raises(TaxonomyError, match="document type declaration"):
        load(RDF.replace('<?xml version="1.0"?>', declaration))


def test_entities_that_make_a_file_far_longer_are_refused(load):
    declaration = f'<!DOCTYPE rdf:RDF [<!ENTITY a "{"x" * 400}">]>'
    content = RDF.replace('<?xml version="1.0"?>', declaration).replace("Fruits", "&a;" * 5000)
    with pytest.raises(TaxonomyError, match="refused for safety"):
        load(content)


def test_entities_that_name_namespaces_are_read(load):
    """Protégé and others write such a declaration."""
    declaration = """<!DOCTYPE rdf:RDF [
        <!ENTITY food "http://example.org/food#" > <!-- ours -->
        <!ENTITY skos 'http://www.w3.org/2004/02/skos/core#' >
    ]>"""
    content = RDF.replace("?>", "?>" + declaration, 1)
    content = content.replace("http://example.org/food#fruit", "&food;fruit")
    assert load(content).codes == ("fruit", "apple")


def test_broken_rdf_xml_is_named_with_its_line(load):
    with pytest.raises(TaxonomyError, match="line 11: broken XML"):
        load(RDF.replace("</rdf:RDF>", "</rdf>"))


def test_rdf_without_concepts_is_no_taxonomy(load):
    with pytest.raises(TaxonomyError, match=r"RDF without any skos:Concept"):
        load("@prefix : <http://example.org/> .\n:a :b :c .\n")


def test_an_ontology_is_told_from_a_vocabulary(load):
    content = "@prefix owl: <http://www.w3.org/2002/07/owl#> .\n<http://a/b> a owl:Class .\n"
    with pytest.raises(TaxonomyError, match="owl#Class"):
        load(content)


def test_without_pyoxigraph_the_package_is_named(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyoxigraph", None)
    with pytest.raises(MissingExtraError, match="reading SKOS needs pyoxigraph"):
        load(TURTLE)


@pytest.mark.parametrize("form", ["N_TRIPLES", "N_QUADS", "TRIG", "RDF_XML", "JSON_LD", "TURTLE"])
def test_each_syntax_gives_the_same_tree_whatever_the_file_is_called(load, form):
    import pyoxigraph as ox

    graph = ox.NamedNode("http://example.org/graph") if form in ("N_QUADS", "TRIG") else None
    quads = [
        ox.Quad(*quad, graph) if graph else quad
        for quad in ox.parse(TURTLE, ox.RdfFormat.TURTLE)
        for quad in [quad if graph is None else (quad.subject, quad.predicate, quad.object)]
    ]
    content = ox.serialize(quads, format=getattr(ox.RdfFormat, form))
    tax = load(b"# made by a program\n" + content if form == "N_QUADS" else content)
    assert {tax.path(i): tax.codes[i] for i in range(3)} == {
        "Fruit": "fruit",
        "Fruit > Apples": "A01",
        "Fruit > Pears": "pear",
    }


def test_xml_in_another_encoding_is_read(load):
    head = '<?xml version="1.0" encoding="ISO-8859-1"?>'
    content = RDF.replace('<?xml version="1.0"?>', head).replace("Pommes", "Pêches")
    assert load(content.encode("latin-1")).names == ("Fruits", "Pêches")


def test_a_text_that_never_ends_is_an_error_of_ours(load):
    with pytest.raises(TaxonomyError, match="longer than 16 MiB; is a quote missing"):
        load(TURTLE + ':x skos:prefLabel "' + "x" * 17_000_000)


@pytest.mark.parametrize(
    "deep",
    [
        '{"@context": {}, "http://a/b": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"@context": "http://a/b", "c": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "@prefix : <http://a/> .\n:a :b " + "[ :b " * 100_000 + "1" + "]" * 100_000 + " .",
        RDF.replace("</rdf:RDF>", "<skos:note><skos:Concept>" * 20_000),
    ],
)
def test_deep_nesting_is_an_error_of_ours(load, deep):
    with pytest.raises(TaxonomyError):
        load(deep)
