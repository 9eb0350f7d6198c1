from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from cascade.errors import ConfigError
from cascade.resources import shipped_names
from cascade.training.adapters.recipe import AdapterRecipe
from cascade.training.agents.recipe import AgentRecipe
from cascade.training.encoders.recipe import EncoderRecipe, SetRecipe
from cascade.training.finetune_kinds import load_recipe
from cascade.training.finetune_recipe import FOLDER, DataRecipe
from cascade.training.foodex2.tasks_recipe import FoodTasksRecipe
from cascade.training.rankers.recipe import RankerRecipe
from cascade.training.readers.recipe import ReaderRecipe

FINETUNE = Path(__file__).parents[2] / "finetune"
OWN = {"about", "data.file", "data.label", "data.text", "data.taxonomy"}


def flat(values, before=""):
    found = {}
    for key, value in values.items():
        name = f"{before}{key}"
        if key == "sets":
            value = value[0]
        found |= flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found


@pytest.mark.parametrize("name", shipped_names(FOLDER, ".yaml"))
def test_recipes_that_ship_can_be_read_and_their_data_is_there(name):
    recipe = load_recipe(name)
    assert recipe.about
    if recipe.kind == "foodex2":  # which learns from a catalogue of EFSA's, that does not ship
        return
    parts = recipe.sets if hasattr(recipe, "sets") else [recipe.data]
    assert all(Path(part.file).is_file() for part in parts)


ROWS = DataRecipe(file="rows.csv", label="answer")


@pytest.mark.parametrize(
    ("name", "default", "own"),
    [
        (
            "lora-products",
            AdapterRecipe(data=ROWS.model_dump()),
            OWN | {"training.evaluate_every"},
        ),
        (
            "retriever",
            RankerRecipe(data=ROWS, kind="retriever"),
            OWN | {"data.rows_per_class"},
        ),
        (
            "encoder",
            EncoderRecipe(sets=[SetRecipe(file="rows.csv")]),
            {"about", "sets.augmentation.trade"}
            | {f"sets.{field}" for field in ("file", "name", "taxonomy", "text")},
        ),
        (
            "agent",
            AgentRecipe(sets=[SetRecipe(file="rows.csv")]),
            {"about", "sets.augmentation.trade"}
            | {f"sets.{field}" for field in ("file", "name", "taxonomy", "text")},
        ),
        (
            "reader",
            ReaderRecipe(sets=[SetRecipe(file="rows.csv")]),
            {"about", "sets.augmentation.trade"}
            | {f"sets.{field}" for field in ("file", "name", "taxonomy", "text")},
        ),
    ],
)
def test_the_commented_recipes_have_every_field_with_its_default(name, default, own):
    written = flat(yaml.safe_load((FINETUNE / f"{name}.yaml").read_text("utf-8")))
    expected = flat(default.model_dump())
    assert written.keys() == expected.keys()
    assert {field for field in written if written[field] != expected[field]} == own


def test_every_field_is_described():
    def check(model):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                check(field.annotation)

    check(AdapterRecipe)
    check(RankerRecipe)
    check(EncoderRecipe)
    check(ReaderRecipe)
    check(FoodTasksRecipe)
    check(SetRecipe)


def test_files_are_relative_to_the_recipe_and_in_settings_to_the_working_folder(tmp_path):
    (tmp_path / "tax.csv").touch()
    file = tmp_path / "mine.yaml"
    file.write_text("data: {file: rows.csv, label: l, taxonomy: tax.csv}", "utf-8")
    recipe = AdapterRecipe.load(str(file), {"validation": {"file": "held.csv"}})
    assert recipe.data.file == str(tmp_path / "rows.csv")
    assert recipe.data.taxonomy == str(tmp_path / "tax.csv")
    assert recipe.validation.file == "held.csv"


def test_names_of_what_ships_are_no_files(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("data: {file: rows.csv, label: l, taxonomy: store}", "utf-8")
    recipe = AdapterRecipe.load(str(file))
    assert (recipe.data.taxonomy, recipe.model.weights) == ("store", "smollm2-135m")


def test_a_recipe_written_elsewhere_means_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("recipes", "runs/one"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "recipes" / "words.jinja").touch()
    Path("recipes/mine.yaml").write_text(
        "data: {file: ../rows.csv, label: l}\nprompts: {child: words.jinja}\nlora: {rank: 3}\n",
        "utf-8",
    )
    recipe = AdapterRecipe.load("recipes/mine.yaml")
    assert recipe.prompts.child == "recipes/words.jinja"
    Path("runs/one/recipe.yaml").write_text(recipe.to_yaml(Path("runs/one")), "utf-8")
    assert AdapterRecipe.load("runs/one/recipe.yaml") == recipe


def test_a_setting_may_be_nothing(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("data: {file: rows.csv, label: l, rows_per_class: 5}", "utf-8")
    recipe = AdapterRecipe.load(str(file), {"data": {"rows_per_class": None}})
    assert recipe.data.rows_per_class is None


@pytest.mark.parametrize("name", ["a" * 400, "a/" * 2000, "\x00"])
def test_a_taxonomy_that_no_file_can_be_is_refused(name, tmp_path):
    recipe = {"kind": "adapter", "data": {"file": "rows.csv", "label": "a", "taxonomy": name}}
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe), "utf-8")
    with pytest.raises(ConfigError, match="taxonomy holds a name that no file can"):
        load_recipe(str(file))
