"""Which terms a text names by the scientific name of their own species."""

import numpy as np
import pytest
from toy_catalogue import packed, xml

from cascade.pipeline.facets.terms.own_species import OwnSpecies
from cascade.pipeline.facets.terms.species import Species
from cascade.taxonomy import Taxonomy


def food(name, kind="r", parent="root", facets=()):
    return (name, kind, "C", {"report": (parent, True)}, list(facets))


def animal(name, parent="root"):
    return (name, "n", "C", {"source": (parent, True)}, [])


TERMS = {
    "HORSE": food("Horse mushrooms"),
    "FIELD": food("Field mushroom"),
    "FIDRY": food("Canned field mushroom", "d"),
    "GENUS": food("Mushrooms and similar"),
    "TOMAT": food("Tomatoes"),
    "GLOBE": food("Globe tomato", parent="TOMAT"),
    "CHERR": food("Cherry tomatoes", parent="TOMAT"),
    "OLIVE": food("Olives for oil production"),
    "MAIZE": food("Maize grain"),
    "WINE0": food("Wine", "d"),
    "GRAPE": food("Wine grapes"),
    "OKRA0": food("Okra"),
    "INSEC": animal("Insects (as animal)"),
    "CRICK": animal("House cricket (as animal)", "INSEC"),
    "WORMS": animal("Mealworm beetle (as animal)", "INSEC"),
    "LARVA": food("Edible insect larvae", facets=["F01.INSEC"]),
    "ADULT": food("Edible insect adults", facets=["F01.INSEC"]),
}
LATIN = {
    "HORSE": "Agaricus arvensis Schaeff.",
    "FIELD": "Agaricus campestris L.",
    "FIDRY": "Agaricus campestris L.",
    "GENUS": "Agaricus spp.",
    "TOMAT": "Solanum lycopersicum",
    "GLOBE": "Solanum lycopersicum L.",
    "CHERR": "Solanum lycopersicum L. var. cerasiforme (Dunal) A. Gray",
    "OLIVE": "Olea europaea L.",
    "MAIZE": "Zea mays L. subsp. mays",
    "GRAPE": "Vitis vinifera L.",
    "OKRA0": "Abelmoschus esculentus (L.) Moench",
    "CRICK": "Acheta domesticus",
    "WORMS": "Tenebrio molitor",
}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    first, *parts = xml(TERMS).split("<term>")
    told = [
        part.replace("Toyus exemplaris", LATIN.get(code, "Toyus sp."))
        for part, code in zip(parts, TERMS, strict=True)
    ]
    file = tmp_path_factory.mktemp("toy") / "TOY.ecf"
    tree = Taxonomy.load(packed(file, "<term>".join([first, *told])))
    nodes = np.flatnonzero(tree.reportable).astype(np.int32)
    found = OwnSpecies(tree, nodes, Species.of(tree))
    return found, [tree.codes[node] for node in nodes.tolist()]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Agaricus campestris", "FIELD"),
        ("agaricus campestris", "FIELD"),
        ("AGARICUS CAMPESTRIS", "FIELD"),
        ("Agaricus campestris L. 1753", "FIELD"),
        ("Field mushroom (Agaricus campestris), fresh", "FIELD"),
        ("Agaricus arvensis Schaeff.", "HORSE"),
        ("Solanum lycopersicum", "TOMAT"),
        ("Solanum lycopersicum L. var. cerasiforme", "CHERR"),
        ("Hibiscus esculentus L.", "OKRA0"),
        ("Zea mays", "MAIZE"),
        ("Vitis vinifera", "GRAPE"),
        ("Acheta domesticus", "ADULT"),
        ("Cricket flour (Acheta domesticus)", "ADULT"),
        ("Acheta domesticus larvae", "LARVA"),
        ("Tenebrio molitor, dried", "LARVA"),
    ],
)
def test_a_scientific_name_says_the_term_of_its_species(own, text, codes):
    found, known = own
    assert [known[row] for row in found.of(text)] == [codes]


@pytest.mark.parametrize(
    "text",
    [
        "Field mushroom",
        "Agaricus spp.",
        "Sausage with Agaricus campestris",
        "Agaricus campestris and Solanum lycopersicum",
        "Vitis vinifera wine",
        "Olea europaea oil",
        "Zea mays var. everta",
        "Lycopersicon esculentum",
    ],
)
def test_other_foods_of_a_species_are_left_to_the_ranking(own, text):
    assert not own[0].of(text)


def test_the_terms_of_a_species_are_raised_above_all_others(own):
    found, known = own
    scores = np.zeros(len(known), np.float32)
    scores[known.index("HORSE")] = 5
    found.lead(scores, "Agaricus campestris", 2.0)
    assert scores[known.index("FIELD")] == 7
    found.lead(scores, "Agaricus arvensis", 0.0)
    assert scores[known.index("HORSE")] == 7


def test_beside_a_common_name_it_corrects_no_term_of_the_genus(own):
    found, known = own
    for first, raised in (("GENUS", False), ("WINE0", True)):
        scores = np.zeros(len(known), np.float32)
        scores[known.index(first)] = 5
        found.lead(scores, "Field mushroom (Agaricus campestris)", 2.0)
        assert (scores[known.index("FIELD")] == 7) == raised
