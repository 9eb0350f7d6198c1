import csv

import pytest
import yaml

from cascade.errors import UsageError
from cascade.foodex2.rules import worst
from cascade.taxonomy import Taxonomy
from cascade.training.foodex2.synthetic import (
    Composer,
    OtherName,
    everyday_name,
    other_names,
    split_names,
    write_rows,
)


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
    assert everyday_name("Albacore (as animal)") == "Albacore"
    assert everyday_name("Beans (dry) and similar-") == "Beans and similar"


def test_names_of_terms_and_of_their_sources_are_found_once(catalogue):
    found = other_names(catalogue, ["WHEAT", "OATS0"])
    assert found == [
        OtherName("Toyus exemplaris", "WHEAT", "scientific"),
        OtherName("Toyus exemplaris", "OATS0", "scientific"),
    ]


def test_a_held_out_name_is_in_no_other_split():
    names = [OtherName(f"Name {i}", f"C{i}", "common") for i in range(200)]
    names += [OtherName(f"name {i},", f"D{i}", "source") for i in range(200)]
    names += [OtherName(f"Names {i}", f"E{i}", "scientific") for i in range(200)]
    parts = split_names(names)
    keys = {
        part: {one.text.lower().strip(",").replace("names", "name") for one in rows}
        for part, rows in parts.items()
    }
    assert not keys["train"] & keys["test"]
    assert not keys["train"] & keys["validation"]
    assert not keys["validation"] & keys["test"]
    assert {part: len(own) for part, own in keys.items()} == {
        "train": 140,
        "validation": 20,
        "test": 40,
    }
    assert all(one.kind == "source" for one in names if one.code.startswith("D"))
    assert not [
        one for part in ("validation", "test") for one in parts[part] if one.kind == "source"
    ]
    assert split_names(names) == parts


def test_rows_are_written_with_recipes_that_name_the_catalogue(catalogue, tmp_path):
    counts = write_rows(catalogue, ["WHEAT", "OATS0"], tmp_path / "rows")
    assert sum(counts.values()) == 2
    rows = []
    for part in counts:
        with (tmp_path / "rows" / f"{part}.csv").open() as file:
            rows += list(csv.DictReader(file))
    assert {row["code"] for row in rows} == {"WHEAT", "OATS0"}
    recipe = yaml.safe_load((tmp_path / "rows" / "retriever.yaml").read_text())
    assert recipe["data"]["taxonomy"] == "../TOY.ecf"
