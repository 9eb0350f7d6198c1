"""Every field of every kind of settings, with values that nobody would set in good faith."""

import json
import math
import types
from typing import Union, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from cascade.cli.options import parse_settings, settle
from cascade.config import CascadeConfig, Section
from cascade.errors import CascadeError, ConfigError, UsageError
from cascade.evaluation.suite import Suite
from cascade.training.adapters.recipe import AdapterRecipe
from cascade.training.packs.recipe import Recipe
from cascade.training.rankers.recipe import RankerRecipe

DEEP = []
for _ in range(400):
    DEEP = [DEEP]

HOSTILE = [
    None,
    True,
    "",
    " ",
    "x",
    "\0",
    "\ud800",
    "a" * 5000,
    "../" * 2000,
    "9" * 5000,
    "{name}" * 10_000,
    -1,
    0,
    1,
    2**31,
    2**63,
    10**400,
    -(10**400),
    10**5000,
    0.1,
    -0.0,
    1e308,
    5e-324,
    math.nan,
    math.inf,
    -math.inf,
    [],
    [[]],
    [None],
    [1, "a", {}],
    ["x"] * 10_000,
    DEEP,
    {},
    {"": 1},
    {"a": {"b": {"c": 1}}},
    {1: 2},
    {"x": -1.0},
    {"x": math.nan},
    {"x": [math.inf]},
    {"x": 1e308},
]
KINDS = [CascadeConfig, Recipe, AdapterRecipe, RankerRecipe, Suite]


def sections_in(annotation):
    """Sections that a field may hold, with how they stand in it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, lambda value: value
    elif get_origin(annotation) is dict:
        for section, wrap in sections_in(get_args(annotation)[1]):
            yield section, lambda value, wrap=wrap: {"x": wrap(value)}
    elif get_origin(annotation) in (list, tuple):
        for section, wrap in sections_in(get_args(annotation)[0]):
            yield section, lambda value, wrap=wrap: [wrap(value)]
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from sections_in(part)


def places(model, wrap=lambda value: value):
    """A function for each field that puts a value there, into whole settings."""
    for name, info in model.model_fields.items():
        yield lambda value, name=name: wrap({name: value})
        for section, inside in sections_in(info.annotation):
            yield from places(
                section, lambda value, name=name, inside=inside: wrap({name: inside(value)})
            )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_hostile_value_in_any_field_is_taken_or_refused_in_a_short_line(kind):
    for put in places(kind):
        for value in HOSTILE:
            try:
                settings = put(value)
                if kind is CascadeConfig:
                    CascadeConfig.parse(settings)
                elif kind is Recipe:
                    Recipe.parse(settings)
                else:
                    validate(kind, settings)
            except ConfigError as error:
                assert len(str(error)) < 6000
                str(error).encode()


def validate(kind, settings):
    """As the loaders of recipes and suites do it."""
    from pydantic import ValidationError

    from cascade.config import describe_problems

    try:
        kind.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(describe_problems(error, kind)) from None


def numbers(model, at=""):
    """Fields that are numbers, with the constraints of each."""
    for name, info in model.model_fields.items():
        kinds = get_args(info.annotation) or (info.annotation,)
        if get_origin(info.annotation) is list:
            continue  # each number in it has its own
        if int in kinds or float in kinds:
            yield f"{model.__name__}.{name}", {type(part).__name__ for part in info.metadata}
        for section, _ in sections_in(info.annotation):
            if issubclass(section, Section):
                yield from numbers(section, f"{at}{name}.")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_number_has_a_least_and_a_most(kind):
    open_ended = {
        name
        for name, constraints in numbers(kind)
        if not (constraints & {"Ge", "Gt"} and constraints & {"Le", "Lt"})
    }
    assert open_ended == set()


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "=",
        "=1",
        "descent",
        "descent.beam",
        ".=1",
        "..=1",
        "descent.=1",
        ".descent=1",
        "descent.beam.deep=1",
        "nothing.at.all=1",
        "descent=1",
        "descent=[1,2]",
        "descent.beam=[1]",
        "descent.beam={a: 1}",
        "descent.beam=.nan",
        "descent.stop=.inf",
        "descent.beam=1e400",
        "descent.beam=-1",
        "descent.beam=0x" + "f" * 5000,
        "descent.beam=" + "9" * 5000,
        "descent.beam=!!python/object/apply:os.system [ls]",
        "descent.beam=!!timestamp x",
        "descent.beam=!!bool x",
        "descent.beam=" + "[" * 50_000,
        "descent.beam=\0",
        "descent.beam=&a [*a]",
        "descent.beam=&a [x,x,x,x,x,x,x,x,x]\n",
        "heads.a.b.c.d=1",
        "heads=1",
        "heads.x=null",
        "fusion.weights={retrieval: -1}",
        "fusion.weights={retrieval: .nan}",
        "fusion.weights=[1]",
        "retrieval.encoder=",
        "retrieval.encoder=" + "a" * 5000,
        "method=",
        "llm.device=cuda:-1",
        "llm.vllm.options=1",
        "a" * 100_000 + "=1",
        ".".join("a" * 3000) + "=1",
        "\ud800=1",
    ],
)
def test_a_hostile_set_is_taken_or_refused_in_a_short_line(setting):
    try:
        settle(CascadeConfig(), [setting])
    except (ConfigError, UsageError) as error:
        assert len(str(error)) < 2000


def test_a_misspelt_field_is_answered_with_one_like_it():
    with pytest.raises(ConfigError, match=r"descent\.beem: .*did you mean 'beam'"):
        settle(CascadeConfig(), ["descent.beem=1"])
    with pytest.raises(ConfigError, match=r"retreival: .*did you mean 'retrieval'"):
        CascadeConfig.parse({"retreival": {}})
    with pytest.raises(ConfigError, match=r"heads\.x\.bakbone: .*did you mean 'backbone'"):
        CascadeConfig.parse({"heads": {"x": {"file": "a", "backbone": "b", "bakbone": 1}}})


def test_two_settings_that_disagree_about_a_section_are_refused():
    with pytest.raises(UsageError, match="has a value, and no fields"):
        parse_settings(["descent=1", "descent.beam=2"])


def test_settings_that_hold_themselves_are_refused():
    settings = {}
    settings["descent"] = settings
    with pytest.raises(ConfigError):
        CascadeConfig.parse(settings)


BOMBS = {
    "laughs": "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(12)
    ),
    "a circle": "a: &a [*a]\n",
    "no such anchor": "a: *b\n",
    "deep": "a: " + "[" * 100_000,
    "deep blocks": "\n".join(" " * n + "a:" for n in range(2000)),
    "a key twice": "a: 1\nb: 2\na: 3\n",
    "python": "a: !!python/object/apply:os.system [ls]\n",
    "python name": "a: !!python/name:os.system\n",
    "timestamp": "!!timestamp # a recipe\na: 1\n",
    "bool": "a: !!bool maybe\n",
    "int": "a: !!int x\n",
    "float": "a: !!float x\n",
    "binary": "a: !!binary '%%%'\n",
    "long number": "a: " + "9" * 10_000,
    "NUL": "a: \0",
    "key of a list": "? [a]\n: 1\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "merge": "a: {<<: 1}\n",
    "date": "a: 9999-99-99\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_yaml_that_hurts_is_refused_by_the_name_of_the_file(tmp_path, name):
    from cascade.generation.prompts import PromptTemplate

    file = tmp_path / "bomb.yaml"
    file.write_text(BOMBS[name])
    for load in (
        CascadeConfig.load,
        Suite.load,
        lambda p: AdapterRecipe.load(str(p)),
        lambda p: Recipe.load(str(p)),
    ):
        with pytest.raises(CascadeError, match=r"bomb\.yaml"):
            load(file)
    file.write_text(f"---\n{BOMBS[name]}\n---\ntext\n")
    with pytest.raises(CascadeError, match=r"bomb\.yaml"):
        PromptTemplate.load(str(file))


def test_aliases_that_stand_for_little_are_read(tmp_path):
    file = tmp_path / "cascade.yaml"
    file.write_text("llm: &a {max_chars: 300}\nnli: {max_chars: 300}\nrerank: {<<: *a}\n")
    assert CascadeConfig.load(file).rerank.max_chars == 300


def test_what_is_no_file_of_settings_is_refused_by_its_name(tmp_path):
    (tmp_path / "huge.yaml").write_bytes(b"a: " + b"x" * (9 << 20))
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    for name in ("huge.yaml", "latin.yaml", "gone.yaml", ""):
        with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
            CascadeConfig.load(tmp_path / name)
    for name in ("a\0b", "a" * 5000):
        with pytest.raises(ConfigError):
            CascadeConfig.load(tmp_path / name)


def test_json_of_settings_is_yaml_too(tmp_path):
    file = tmp_path / "cascade.yaml"
    file.write_text("\ufeff" + json.dumps({"taxonomy": "store"}))
    assert CascadeConfig.load(file).taxonomy == yaml.safe_load("store")


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "\ud800", "../" * 2000, "a/" + "b" * 256])
def test_a_name_that_no_file_can_have_is_refused_wherever_it_is_given(name):
    import cascade
    from cascade.generation.prompts import PromptTemplate
    from cascade.models.weights import find_weights
    from cascade.pipeline.load import load_config, load_taxonomy
    from cascade.training.finetune_recipe import read_recipe

    doors = (
        cascade.load,
        load_config,
        load_taxonomy,
        PromptTemplate.load,
        find_weights,
        read_recipe,
    )
    for door in doors:
        with pytest.raises(CascadeError, match="no file can have this name") as caught:
            door(name)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("settings", "circle"),
    [
        ({"fusion": {"weights": {"cascade": 1}}}, "method 'cascade' of method 'cascade'"),
        (
            {"method": "ttc"}
            | {"backbones": {n: {"kind": "joined", "of": [o]} for n, o in ("ab", "ba")}}
            | {"heads": {"h": {"file": "h", "backbone": "a"}}},
            "backbone 'a' of backbone 'b' of backbone 'a'",
        ),
    ],
)
def test_a_part_that_is_made_of_itself_is_refused(settings, circle):
    from cascade.scoring.components import Components
    from cascade.taxonomy import Taxonomy

    components = Components(Taxonomy.from_paths(["A > B"]), CascadeConfig.parse(settings))
    with pytest.raises(ConfigError, match=circle):
        components.scorer("cascade") if "fusion" in settings else components.backbone("a")
