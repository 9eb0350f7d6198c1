import json
import socket

import pytest

from cascade.errors import TaxonomyError

CONCEPTS = {
    "id": "http://example.org/tools/",
    "type": "ConceptScheme",
    "title": {"de": "Werkzeug", "en": "Tools"},
    "hasTopConcept": [
        {
            "id": "http://example.org/tools/hand",
            "prefLabel": {"de": "Handwerkzeug", "en": "Hand tools"},
            "narrower": [
                {"id": "http://example.org/tools/saw", "prefLabel": {"en": "Saws", "de": "Sägen"}},
                {
                    "id": "http://example.org/tools/axe",
                    "notation": ["X1"],
                    "prefLabel": {"en": "Axes"},
                    "altLabel": {"en": ["Hatchets", "Mauls"]},
                },
            ],
        }
    ],
}
EXPECTED = (("hand", "saw", "X1"), ("Hand tools", "Saws", "Axes"), [-1, 0, 0])


def shape(tax):
    return (tax.codes, tax.names, tax.parent.tolist())


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_nested_concepts_with_their_context_are_read(load):
    language = {"@container": "@language"}
    context = {
        "@vocab": "http://www.w3.org/2004/02/skos/core#",
        "id": "@id",
        "type": "@type",
        "title": {"@id": "http://purl.org/dc/terms/title", **language},
        "prefLabel": language,
        "altLabel": language,
    }
    tax = load(json.dumps({"@context": context, **CONCEPTS}))
    assert shape(tax) == EXPECTED
    assert (tax.title, tax.language) == ("Tools", "en")
    assert tax.node("X1").synonyms == ("Hatchets", "Mauls")
    assert tax.node("saw").translations == {"de": "Sägen"}


@pytest.mark.parametrize(
    "context",
    [
        "https://example.org/context.json",
        ["https://example.org/context.json", {"ex": "http://example.org/"}],
        {"@version": 1.1, "@import": "https://example.org/context.json"},
    ],
)
def test_a_context_that_is_an_address_is_read_as_skos_and_never_fetched(load, caplog, context):
    assert shape(load(json.dumps({"@context": context, **CONCEPTS}))) == EXPECTED
    assert "https://example.org/context.json" in caplog.text
    assert "never fetched" in caplog.text


def test_each_object_may_have_an_address_for_its_context(load):
    rows = [
        {"@context": "https://example.org/c", "id": "http://a/1", "prefLabel": "One"},
        {"@context": "https://example.org/c", "id": "http://a/2", "prefLabel": "Two"},
    ]
    rows[1]["broader"] = "http://a/1"
    rows[0]["type"] = "Concept"
    assert shape(load(json.dumps(rows))) == (("1", "2"), ("One", "Two"), [-1, 0])


def test_values_with_their_language_are_read_below_an_address(load):
    content = {
        "@context": "https://example.org/context.json",
        "graph": [
            {
                "uri": "http://example.org/a",
                "type": "Concept",
                "prefLabel": [{"@language": "fi", "@value": "Omenat"}],
            }
        ],
    }
    assert load(json.dumps(content)).names == ("Omenat",)


def test_an_unknown_context_is_what_is_missing(load, caplog):
    content = {"@context": "https://example.org/other.json", "uid": "1", "caption": "One"}
    with pytest.raises(TaxonomyError, match=r"RDF without any skos:Concept"):
        load(json.dumps(content))
    assert "put the context itself in place of its address" in " ".join(caplog.text.split())


def test_expanded_json_ld_is_read(load):
    skos = "http://www.w3.org/2004/02/skos/core#"
    expanded = [
        {
            "@id": "http://example.org/a",
            "@type": [f"{skos}Concept"],
            f"{skos}prefLabel": [{"@value": "Tools", "@language": "en"}],
        },
        {
            "@id": "http://example.org/b",
            "@type": [f"{skos}Concept"],
            f"{skos}prefLabel": [{"@value": "Saws", "@language": "en"}],
            f"{skos}broader": [{"@id": "http://example.org/a"}],
        },
    ]
    assert shape(load(json.dumps(expanded, indent=1))) == (("a", "b"), ("Tools", "Saws"), [-1, 0])


def test_json_that_is_no_rdf_stays_what_it_is(load):
    tax = load('{"nodes": [{"id": "1", "name": "@context", "children": [{"name": "Saws"}]}]}')
    assert tax.names == ("@context", "Saws")


def test_lines_of_json_ld_are_one_graph(load):
    """The Library of Congress publishes its headings so."""
    lines = [
        {
            "@context": "http://example.org/context.json",
            "@graph": [
                {
                    "@id": f"http://example.org/{code}",
                    "@type": "skos:Concept",
                    "skos:prefLabel": {"@language": "en", "@value": f"Subject {code}"},
                    "skos:broader": [{"@id": "http://example.org/1"}] if code > 1 else [],
                }
            ],
        }
        for code in (1, 2, 3)
    ]
    content = "\n".join(map(json.dumps, lines))
    assert shape(load(content)) == (
        ("1", "2", "3"),
        ("Subject 1", "Subject 2", "Subject 3"),
        [-1, 0, 0],
    )


def test_keys_of_skos_without_a_context_are_read_as_skos(load, caplog):
    assert shape(load(json.dumps(CONCEPTS))) == EXPECTED
    assert "JSON-LD without @context" in caplog.text


def test_labels_with_lang_and_value_are_read(load):
    labels = [{"lang": "en", "value": "Saws"}, {"lang": "de", "value": "Sägen"}]
    content = {"@context": "https://example.org/c", "graph": [{"uri": "x:1", "prefLabel": labels}]}
    tax = load(json.dumps(content))
    assert (tax.names, tax.node("x:1").translations) == (("Saws",), {"de": "Sägen"})
