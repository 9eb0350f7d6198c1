"""One untidy concept never sinks a vocabulary: a rule stands for it, and one warning tells."""

import pytest

from cascade.errors import TaxonomyError

HEAD = """\
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xl: <http://www.w3.org/2008/05/skos-xl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix adms: <http://www.w3.org/ns/adms#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix : <http://example.org/k/> .
:a a skos:Concept ; skos:prefLabel "Alpha"@en .
:b a skos:Concept ; skos:prefLabel "Beta"@en ; skos:broader :a .
"""


@pytest.fixture
def read(load, caplog):
    """Parents by code, and the warning, of the two concepts and more."""

    def read(more: str, head: str = HEAD):
        caplog.clear()
        tax = load(head + more)
        parents = {node.code: node.parent_code for node in tax}
        assert len(caplog.records) <= 1
        return tax, parents, caplog.text

    return read


def test_a_tidy_vocabulary_has_no_warning(read):
    _, parents, warning = read("")
    assert (parents, warning) == ({"a": None, "b": "a"}, "")


def test_of_two_parents_the_first_in_the_file_counts(read):
    _, parents, warning = read(
        ':c a skos:Concept ; skos:prefLabel "C"@en ; skos:broader :b, :a .\n'
        ':d a skos:Concept ; skos:prefLabel "D"@en . :a skos:narrower :d . :d skos:broader :b .\n'
    )
    assert (parents["c"], parents["d"]) == ("b", "a")
    assert (
        "of several broader concepts the first in the file is the parent: 2 ('c', 'd')" in warning
    )


def test_said_from_both_sides_is_one_parent(read):
    _, parents, warning = read(":a skos:narrower :b . :b skos:broader :a .\n")
    assert (parents["b"], warning) == ("a", "")


def test_a_concept_without_a_label_has_its_code_for_a_name(read):
    tax, _, warning = read(":c a skos:Concept ; skos:broader :a ; skos:notation '7' .\n")
    assert tax.node("7").name == "7"
    assert "a concept without a label is named by its code: 1 ('7')" in warning


def test_an_rdfs_label_stands_in_for_a_preferred_one(read):
    tax, _, warning = read(':c a skos:Concept ; rdfs:label "Gamma"@en ; skos:broader :a .\n')
    assert (tax.node("c").name, warning) == ("Gamma", "")


def test_a_parent_of_another_vocabulary_makes_a_top_node(read):
    _, parents, warning = read(
        ':c a skos:Concept ; skos:prefLabel "C"@en ; skos:broader <http://other.org/x> .\n'
        ':d a skos:Concept ; skos:prefLabel "D"@en ; skos:broader <http://other.org/x>, :a .\n'
        ":a skos:narrower <http://other.org/y> .\n"
    )
    assert parents == {"a": None, "b": "a", "c": None, "d": "a"}
    assert "whose broader one is not in the file is at the top: 1 ('c')" in warning


@pytest.mark.parametrize(
    "said",
    [
        "owl:deprecated true",
        'owl:deprecated "1"^^xsd:boolean',
        "adms:status <http://purl.org/adms/status/Withdrawn>",
        "dct:isReplacedBy :b",
        "a <http://www.loc.gov/mads/rdf/v1#DeprecatedAuthority>",
        '<http://www.w3.org/2003/06/sw-vocab-status/ns#term_status> "deprecated"',
    ],
)
def test_deprecated_concepts_are_no_nodes(read, said):
    _, parents, warning = read(
        f':c a skos:Concept ; skos:prefLabel "Old"@en ; skos:broader :a ; {said} .\n'
        ':d a skos:Concept ; skos:prefLabel "Below"@en ; skos:broader :c .\n'
    )
    assert parents == {"a": None, "b": "a", "d": "a"}
    assert "deprecated concepts are no nodes: 1 ('c')" in warning
    assert "below a deprecated one is below what is above that: 1 ('d')" in warning


@pytest.mark.parametrize(
    "said", ["owl:deprecated false", "adms:status <http://purl.org/adms/status/Completed>"]
)
def test_concepts_that_say_that_they_are_in_use_are_nodes(read, said):
    assert read(f":b {said} .\n")[2] == ""


def test_whoever_asks_for_a_deprecated_code_is_told_what_replaces_it(read):
    tax, _, _ = read(
        ':c a skos:Concept ; skos:prefLabel "Old"@en ; skos:notation "7" ; owl:deprecated true ;\n'
        "  dct:isReplacedBy :b .\n"
    )
    assert tax.find("7") is None
    with pytest.raises(
        TaxonomyError, match=r"'7' \(Old\) is deprecated.* replaced by 'b' \(Beta\)"
    ):
        tax.node("7")


def test_a_deprecated_notation_may_be_given_anew(read):
    tax, _, _ = read(
        ':c a skos:Concept ; skos:prefLabel "Old"@en ; skos:notation "7" ; owl:deprecated true .\n'
        ':d a skos:Concept ; skos:prefLabel "New"@en ; skos:notation "7" .\n'
    )
    assert tax.node("7").name == "New"


def test_a_vocabulary_of_deprecated_concepts_alone_is_refused(load):
    with pytest.raises(TaxonomyError, match="all 2 concepts are deprecated"):
        load(HEAD + ":a owl:deprecated true . :b owl:deprecated true .\n")


def test_cycles_are_cut_where_the_file_begins_or_at_a_top_concept(read):
    _, parents, warning = read(":a skos:broader :b .\n")
    assert parents == {"a": None, "b": "a"}
    assert "a cycle of broader concepts is cut: 1 ('a' < 'b' < 'a')" in warning
    _, parents, _ = read(":a skos:broader :b . :s skos:hasTopConcept :b .\n")
    assert parents == {"a": "b", "b": None}
    _, parents, warning = read(":a skos:broader :a .\n")
    assert parents == {"a": None, "b": "a"}
    assert "'a' < itself" in warning


def test_a_cycle_is_left_by_another_parent_where_there_is_one(read):
    _, parents, _ = read(
        ':c a skos:Concept ; skos:prefLabel "C"@en .\n:a skos:broader :b . :a skos:broader :c .\n'
    )
    assert parents == {"a": "c", "b": "a", "c": None}


def test_cycles_below_each_other_are_all_cut(read):
    more = "".join(
        f':{x} a skos:Concept ; skos:prefLabel "{x}"@en ; skos:broader :{y} .\n'
        for x, y in ("cd", "de", "ec", "fc")
    )
    _, parents, _ = read(more)
    assert parents == {"a": None, "b": "a", "c": None, "d": "e", "e": "c", "f": "c"}


def test_narrower_alone_makes_a_tree(read):
    _, parents, warning = read(
        ':c a skos:Concept ; skos:prefLabel "C"@en . :b skos:narrower :c .\n'
        ":s a skos:ConceptScheme ; skos:hasTopConcept :a .\n"
    )
    assert (parents["c"], warning) == ("b", "")


def test_the_lowest_of_transitive_parents_is_the_parent(read):
    _, parents, _ = read(
        ':c a skos:Concept ; skos:prefLabel "C"@en ; skos:broaderTransitive :x, :y .\n'
        ':y a skos:Concept ; skos:prefLabel "Y"@en ; skos:broaderTransitive :x .\n'
        ':x a skos:Concept ; skos:prefLabel "X"@en .\n'
    )
    assert (parents["c"], parents["y"], parents["x"]) == ("y", "x", None)


def test_special_kinds_of_broader_count(read):
    iso = "<http://purl.org/iso25964/skos-thes#broaderPartitive>"
    _, parents, _ = read(f':c a skos:Concept ; skos:prefLabel "C"@en ; {iso} :b .\n')
    assert parents["c"] == "b"


def test_top_concepts_need_no_type(read):
    _, parents, _ = read(
        ':s skos:hasTopConcept :c . :c skos:prefLabel "C"@en .\n'
        ':d skos:topConceptOf :s ; skos:prefLabel "D"@en .\n'
    )
    assert set(parents) == {"a", "b", "c", "d"}


def test_collections_schemes_and_agents_are_no_nodes(read):
    _, parents, warning = read(
        ':s a skos:ConceptScheme ; skos:prefLabel "All"@en ; dct:publisher :me .\n'
        ':me a <http://xmlns.com/foaf/0.1/Organization> ; skos:prefLabel "Us"@en .\n'
        ':c a skos:Collection ; skos:prefLabel "Some"@en ; skos:member :a, :b .\n'
        ':o a skos:OrderedCollection ; skos:prefLabel "Row"@en ; skos:memberList ( :a :b ) .\n'
    )
    assert (set(parents), warning) == ({"a", "b"}, "")


def test_xl_labels_are_labels(read):
    tax, _, warning = read(
        ":c a skos:Concept ; xl:prefLabel :c1, :c2 ; xl:altLabel [ xl:literalForm 'Gam'@en ] .\n"
        ":c1 a xl:Label ; xl:literalForm 'Gamma'@en . :c2 xl:literalForm 'Gammo'@de .\n"
    )
    node = tax.node("c")
    assert (node.name, node.synonyms, dict(node.translations)) == (
        "Gamma",
        ("Gam",),
        {"de": "Gammo"},
    )
    assert (len(tax), warning) == (3, "")


def test_definitions_may_be_resources(read):
    tax, _, _ = read(":b skos:definition [ rdf:value 'The second.'@en ] .\n")
    assert tax.node("b").description == "The second."


def test_of_several_labels_of_a_language_the_first_is_the_name(read):
    tax, _, warning = read(
        ':c a skos:Concept ; skos:prefLabel "Fridge"@en, "Icebox"@en ; skos:altLabel "Cool" .\n'
    )
    assert (tax.node("c").name, tax.node("c").synonyms) == ("Fridge", ("Icebox", "Cool"))
    assert "of several preferred labels of one language the first is the name: 1 ('c')" in warning


def test_a_label_in_another_language_is_better_than_none(read):
    tax, _, warning = read(':c a skos:Concept ; skos:prefLabel "Drei"@de ; skos:broader :a .\n')
    assert tax.node("c").name == "Drei"
    assert "without a label in 'en' is named in another language: 1 ('c')" in warning


def test_kinds_of_english_are_english(read):
    tax, _, warning = read(
        ':c a skos:Concept ; skos:prefLabel "Colour"@en-GB, "Color"@en-US, "Farbe"@de .\n'
        ':d a skos:Concept ; skos:prefLabel "Tree" .\n'
    )
    assert (tax.node("c").name, tax.node("d").name, warning) == ("Colour", "Tree", "")


def test_siblings_of_one_label_have_their_code_appended(read):
    tax, _, warning = read(':c a skos:Concept ; skos:prefLabel "Beta"@en ; skos:broader :a .\n')
    assert tax.names == ("Alpha", "Beta", "Beta (c)")
    assert "called like an earlier sibling has its code appended: 1 ('Beta')" in warning


def test_blank_nodes_have_their_notation_or_their_path_for_a_code(read):
    tax, _, _ = read(
        '[] a skos:Concept ; skos:prefLabel "C"@en ; skos:broader :a .\n'
        '[] a skos:Concept ; skos:prefLabel "D"@en ; skos:broader :a ; skos:notation "4" .\n'
    )
    assert tax.codes == ("a", "b", "Alpha > C", "4")


def test_the_code_is_the_notation_of_the_kind_that_most_have(read):
    tax, _, _ = read(':a skos:notation "1"^^:isic . :b skos:notation "A"^^:nace, "2"^^:isic .\n')
    assert tax.codes == ("1", "2")


def test_a_notation_that_several_share_is_no_code(read):
    tax, _, warning = read(
        ':a skos:notation "1" . :b skos:notation "1" .\n'
        ':c a skos:Concept ; skos:prefLabel "C"@en ; skos:notation "2" .\n'
    )
    assert tax.codes == ("a", "b", "2")
    assert "concepts that share a notation have their address for a code: 2" in warning
    tax, _, _ = read('<http://other.org/b> a skos:Concept ; skos:prefLabel "B"@en .\n')
    assert tax.codes == ("a", "http://example.org/k/b", "http://other.org/b")


def test_a_namespace_with_https_is_that_of_skos(load):
    content = HEAD.replace("http://www.w3.org", "https://www.w3.org")
    assert load(content).codes == ("a", "b")


def test_links_that_are_written_as_texts_are_links(read):
    _, parents, warning = read(
        ':a skos:notation "A1" .\n'
        ':c skos:prefLabel "C"@en ; skos:broader "http://example.org/k/b" .\n'
        ':d skos:prefLabel "D"@en ; skos:broader "A1" .\n'
        ':e skos:prefLabel "E"@en . :b skos:narrower "e" .\n'
    )
    assert (parents["c"], parents["d"], parents["e"], warning) == ("b", "A1", "b", "")
    _, parents, warning = read(':c skos:prefLabel "C"@en ; skos:broader "nowhere" .\n')
    assert parents["c"] is None
    assert "whose broader one is not in the file is at the top: 1 ('c')" in warning


def test_a_scheme_that_is_broader_leaves_its_concepts_at_the_top(read):
    _, parents, warning = read(":s a skos:ConceptScheme . :a skos:broader :s .\n")
    assert (parents["a"], warning) == (None, "")


FLAT = HEAD.partition(":a a skos:Concept")[0]
TWO = ':c a skos:Concept ; skos:prefLabel "C" . :d a skos:Concept ; skos:prefLabel "D" . '


def test_own_properties_count_as_those_that_they_are_below(read):
    own = ":under rdfs:subPropertyOf :within . :within rdfs:subPropertyOf skos:broader . "
    _, parents, _ = read(f"{TWO} :d :under :c . {own}", FLAT)
    assert parents == {"c": None, "d": "c"}
    _, parents, _ = read(f"{TWO} :d :under :c . :under rdfs:subPropertyOf :under .", FLAT)
    assert parents == {"c": None, "d": None}


def test_classes_above_count_where_nothing_is_broader(read):
    _, parents, warning = read(f"{TWO} :d rdfs:subClassOf :c .", FLAT)
    assert parents == {"c": None, "d": "c"}
    assert "what rdfs:subClassOf says is the parent: 1" in warning
    _, parents, _ = read(f"{TWO} :d rdfs:subClassOf :c .")
    assert parents == {"a": None, "b": "a", "c": None, "d": None}


def test_links_that_are_not_read_are_told_where_all_concepts_are_at_the_top(read):
    _, _, warning = read(f"{TWO} :d :within :c . :c skos:related :d . :c :page <http://x> .", FLAT)
    assert "these links between them are not read: 1 (<http://example.org/k/within>)" in warning
    assert read(f"{TWO} :d :within :c .")[2] == ""


def test_a_prefix_that_is_not_declared_is_the_usual_one(load):
    tax = load(
        '[{"@id": "http://e.org/c", "@type": "skos:Concept", "skos:prefLabel": "C"},'
        '{"@id": "http://e.org/d", "@type": "skos:Concept", "skos:prefLabel": "D",'
        '"skos:broader": {"@id": "http://e.org/c"}, "@context": {}}]'
    )
    assert tax.parent.tolist() == [-1, 0]


def test_a_concept_with_a_day_of_retirement_is_deprecated(read):
    tax, _, warning = read(f'{TWO} :c :retired "2020-01-01" . :d :retired "false" .')
    assert tax.codes == ("a", "b", "d")
    assert "deprecated concepts are no nodes: 1 ('c')" in warning
