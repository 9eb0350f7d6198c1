"""What texts say of species, by a table of our own and by the one that ships."""

import pytest

from cascade.pipeline.facets.terms.species import Kind, Species, foreign_words, kinds, species_of

TABLE = [
    Kind(("Ipomoea aquatica",), ("water spinach", "kangkong"), "Convolvulaceae"),
    Kind(("Solanum melongena", "Solanum ovigerum"), ("eggplant", "aubergine"), "Solanaceae"),
    Kind((), ("sponge finger", "ladyfinger"), ""),
    Kind(("Vanilla planifolia",), ("vanilla",), "Orchidaceae"),
]


@pytest.fixture(scope="module")
def species():
    return Species(TABLE, ["Solanum torvum Sw."], {frozenset({"eggplant"})})


@pytest.mark.parametrize(
    "text",
    [
        "Ipomoea aquatica Forssk.",
        "Ipomoea aquatica",
        "ipomoea aquatica",
        "Ipomœa aquatica (L.) Forssk. ex Poir. var. reptans",
    ],
)
def test_a_scientific_name_has_common_names_whoever_gave_it(species, text):
    said = species.read(text)
    assert said.latin
    assert said.others[:2] == ("water spinach", "kangkong")
    assert said.kin[0] == {"ipomoea aquatica": 1}
    assert said.kin[2] == {"convolvulaceae": 1}


def test_what_is_said_of_a_species_stays_beside_its_other_names(species):
    said = species.read("Ipomoea aquatica Forssk., leaves")
    assert said.others[0] == "water spinach , leaves"
    assert said.kin[1] == {"ipomoea": 0.5}


def test_a_common_name_has_scientific_ones_as_far_as_it_is_what_a_text_says(species):
    said = species.read("grilled aubergines")
    assert said.others == ("grilled eggplant",)
    assert said.kin[0] == {"solanum melongena": 0.5, "solanum ovigerum": 0.5}
    assert not said.latin


def test_no_other_name_stands_for_one_that_a_term_has(species):
    said = species.read("eggplant")
    assert said.others == ()
    assert "solanum melongena" in said.kin[0]


def test_a_name_that_is_little_of_a_text_stays_unless_no_term_has_its_word():
    known = [frozenset({"goose", "fat"}), frozenset({"roast", "potato"})]
    table = Species([Kind(("Anser anser",), ("goose", "greylag"), "")], known=known)
    assert table.read("roast potatoes in goose fat").others == ()
    assert table.read("goose").others == ("greylag",)
    assert table.read("roast potatoes in greylag fat").others == ("roast potato goose fat",)
    assert table.read("roast potatoes in greylag fat", others=False).others == ()


def test_long_and_strange_texts_take_no_time(species):
    for text in ("Ipomoea aquatica " + "A" * 5_000 + "!", "kangkong " * 2_000, "(" * 5_000):
        species.read(text)
    assert species.read("kangkong " * 2_000).others == ()


def test_an_unknown_species_still_has_its_genus(species):
    assert species.read("Solanum quitoense Lam.").kin[1] == {"solanum": 1}
    assert species.read("Solanum quitoensis").kin[1] == {"solanum": 1}
    assert species.read("Solanum spp.").kin == ({}, {"solanum": 1}, {"solanaceae": 1})
    assert species.read("Solanaceae").kin[2] == {"solanaceae": 1}


@pytest.mark.parametrize(
    "text", ["Vanilla ice cream", "Vanilla fritta", "Grilled chicken", "Orange juice", "", "x"]
)
def test_what_is_eaten_is_no_scientific_name(species, text):
    assert not species.read(text).latin


def test_the_shipped_table_is_sound():
    found = kinds()
    assert len(found) > 5000
    for kind in found:
        assert kind.names, kind
        assert all(name == name.strip() for name in (*kind.names, *kind.scientific)), kind
        assert kind.scientific or len(kind.names) > 1, kind
    ours = [kind for kind in found if "Ipomoea aquatica" in kind.scientific]
    assert any("water spinach" in kind.names for kind in ours)


def test_other_languages_are_no_latin():
    names = ["Salvia officinalis L.", "Panna microdon", "Acidanthera acida"]
    species = Species(TABLE, names, everyday=foreign_words())
    for text in ("Salvia fritta", "panna acida", "Panna acida", "Insalata di polpo"):
        assert not species.read(text).latin, text
    assert species.read("salvia officinalis").latin


@pytest.mark.parametrize(
    ("name", "species"),
    [
        ("Citrus × paradisi Macf.", "citrus paradisi"),
        ("Aloë vera (L.) Burm.f.", "aloe vera"),
        ("Clarias spp.", ""),
        ("Natantia", ""),
    ],
)
def test_a_species_is_genus_and_epithet(name, species):
    assert species_of(name) == species
