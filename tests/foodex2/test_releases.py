import pytest
from toy_catalogue import TERMS, packed, xml

from cascade.foodex2.ecf import read_ecf
from cascade.foodex2.releases import Migration, Replacement, release_differences
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.difference import Change, differences


@pytest.fixture
def newer(tmp_path):
    terms = dict(TERMS)
    del terms["BAKED"], terms["UNDER"]
    terms["GONE0"] = ("Gone (deprecated)", "r", "C", {"report": ("GRAIN", False)}, [])
    terms["GONE1"] = ("gone", "r", "C", {"report": ("GRAIN", True)}, [])
    terms["BAKE1"] = ("Baked", "f", "C", {"process": ("root", True)}, [])
    terms["OLDPR"] = ("An old process", "f", "C", {"process": ("MILL0", True)}, [])
    terms["STEW0"] = ("Stews", "c", "C", {"report": ("GRAIN", False)}, ["F28.MILL0"])
    return read_ecf(packed(tmp_path / "NEW.ecf", xml(terms)))


def test_each_change_between_two_releases_is_named(catalogue, newer):
    found = list(release_differences(catalogue, newer))
    assert {(c.kind, c.code, c.where, c.old, c.new, c.replacement) for c in found} == {
        ("removed", "BAKED", "", "Baked", "", "BAKE1"),
        ("removed", "UNDER", "", "Below what is held back", "", ""),
        ("renamed", "GONE0", "", "Gone", "Gone (deprecated)", ""),
        ("renamed", "STEW0", "", "Stew", "Stews", ""),
        ("facets", "STEW0", "", "", "F28.MILL0", ""),
        ("added", "GONE1", "", "", "gone", ""),
        ("added", "BAKE1", "", "", "Baked", ""),
        ("moved", "GONE0", "report", "at the top", "below GRAIN (Grains)", ""),
        ("moved", "STEW0", "report", "at the top", "below GRAIN (Grains)", ""),
        ("moved", "OLDPR", "process", "at the top", "below MILL0 (Milled)", ""),
    }


def test_what_is_gone_is_replaced_by_what_says_as_much_or_else_by_what_is_above(catalogue, newer):
    migration = Migration(newer, catalogue)
    assert migration.replacement("WHEAT") == Replacement("WHEAT", "same")
    assert migration.replacement("GONE0") == Replacement("GONE1", "name")
    process = newer.hierarchies["process"]
    assert migration.replacement("BAKED", process) == Replacement("BAKE1", "name")
    assert migration.replacement("OLDPR", process) == Replacement("MILL0", "above")
    assert not Replacement("MILL0", "above").exact
    assert migration.replacement("UNDER") is None  # what is above may not be reported
    assert migration.replacement("NOSUC") is None


@pytest.mark.parametrize(
    ("code", "migrated", "outcome", "said"),
    [
        ("WHEAT#F28.MILL1", "WHEAT#F28.MILL1", "same", ""),
        ("WHEAT#F28.MILL1$F28.MILL1", "WHEAT#F28.MILL1", "changed", "F28.MILL1 is left out"),
        ("GONE0#F28.BAKED", "GONE1#F28.BAKE1", "changed", "the one term of this name"),
        ("WHEAT#F28.OLDPR", "WHEAT#F28.MILL0", "review", "says less"),
        ("WHEAT#F99.MILL1", "WHEAT", "review", "nothing stands for F99.MILL1"),
        ("UNDER", None, "error", "nothing stands for UNDER (Below what is held back)"),
        ("WHEAT#", None, "error", "at character 7"),
    ],
)
def test_codes_are_brought_along(catalogue, newer, code, migrated, outcome, said):
    found = Migration(newer, catalogue).migrate(code)
    assert (found.code, found.outcome) == (migrated, outcome)
    assert said in "; ".join(found.notes)


def test_plain_taxonomies_are_compared_by_code():
    old = Taxonomy.from_records([("1", "A"), ("2", "B", "1"), ("3", "C"), ("4", "D")])
    new = Taxonomy.from_records([("1", "A"), ("2", "B", "3"), ("3", "See"), ("5", "D")])
    assert list(differences(old, new)) == [
        Change("moved", "2", "B", "", "A", "See"),
        Change("renamed", "3", "See", "", "C", "See"),
        Change("removed", "4", "D", "", "D", "", "5"),
        Change("added", "5", "D", "", "", "D"),
    ]
