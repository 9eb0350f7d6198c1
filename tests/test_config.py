import pytest
import yaml
from pydantic import BaseModel

from cascade.config import BATCH, CascadeConfig
from cascade.errors import ConfigError


def sections(model, path=()):
    """Every field of a config with its dotted name, those of sections too."""
    for name, field in model.model_fields.items():
        yield ".".join([*path, name]), field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from sections(field.annotation, (*path, name))


def test_every_field_is_described():
    undescribed = [name for name, field in sections(CascadeConfig) if not field.description]
    assert undescribed == []


def test_every_field_has_a_default_so_that_a_config_may_be_short():
    assert [name for name, field in sections(CascadeConfig) if field.is_required()] == []


def test_a_file_may_hold_some_fields_of_some_sections(tmp_path):
    file = tmp_path / "cascade.yaml"
    file.write_text("taxonomy: tree.csv\ncolumns: {text: [title, brand]}\ndescent: {beam: 7}\n")
    config = CascadeConfig.load(file)
    assert (config.taxonomy, config.columns.text, config.descent.beam) == (
        "tree.csv",
        ["title", "brand"],
        7,
    )
    assert config.retrieval == CascadeConfig().retrieval


def test_an_empty_file_is_the_defaults(tmp_path):
    (tmp_path / "cascade.yaml").write_text("# nothing\n")
    assert CascadeConfig.load(tmp_path / "cascade.yaml") == CascadeConfig()


def test_a_config_survives_yaml():
    config = CascadeConfig.parse({"taxonomy": "store", "descent": {"beam": 2, "stop": 0.25}})
    assert CascadeConfig.parse(yaml.safe_load(yaml.safe_dump(config.model_dump()))) == config


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"taxonomy: [", "not YAML"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"- a\n- b\n", "expected fields"),
        (b"just text", "expected fields"),
        (b"colour: red", "colour: there is no such field"),
        (b"descent: {width: 2}", r"descent\.width: there is no such field"),
        (b"descent: {beam: 0}", r"descent\.beam: .*found 0"),
        (b"descent: {stop: 1.5}", r"descent\.stop: .*found 1\.5"),
        (b"descent: {beam: many}", r"descent\.beam: .*found 'many'"),
        (b"retrieval: {temperature: 0}", r"retrieval\.temperature"),
        (b"llm: {engine: magic}", r"llm\.engine: .*found 'magic'"),
        (b"descent: 3", r"descent: .*found 3"),
        (b"descent: {beam: 0}\nllm: {answer: x}", r"descent\.beam: .*; .*|llm\.answer"),
    ],
)
def test_a_file_that_is_no_config_is_refused_with_its_name_and_field(tmp_path, content, problem):
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=problem) as caught:
        CascadeConfig.load(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.yaml: cannot be read"):
        CascadeConfig.load(tmp_path / "gone.yaml")


def test_a_folder_is_no_config_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        CascadeConfig.load(tmp_path)


def test_files_and_folders_beside_a_config_are_named_from_where_we_are(tmp_path):
    (tmp_path / "tuned").mkdir()
    config = CascadeConfig.parse(
        {
            "backbones": {"a": {"kind": "lexical", "file": "a.safetensors", "model": "minilm"}},
            "heads": {"a": {"file": "heads/a.safetensors", "backbone": "a"}},
            "retrieval": {"encoder": "tuned"},
            "facets": {"categories": {"network": "pairs.safetensors"}},
        }
    )
    config.resolve(tmp_path)
    assert config.backbones["a"].file == str(tmp_path / "a.safetensors")
    assert config.backbones["a"].model == "minilm"  # no folder, so it is another name
    assert config.retrieval.encoder == str(tmp_path / "tuned")
    assert sorted(config.local_files()) == [
        str(tmp_path / name)
        for name in ("a.safetensors", "heads/a.safetensors", "pairs.safetensors")
    ]


HEADS = {"words": {"file": "heads/words.safetensors", "backbone": "lexical"}}
LEXICAL = {"lexical": {"kind": "lexical", "file": "features/lexical.safetensors"}}
PICTURE = {"picture": {"kind": "picture"}}


@pytest.mark.parametrize(
    ("settings", "batch"),
    [
        ({}, BATCH),
        ({"method": "retrieval", "heads": HEADS}, BATCH),
        ({"heads": HEADS, "backbones": LEXICAL}, BATCH),  # a language model is asked too
        ({"method": "ttc", "heads": HEADS, "backbones": LEXICAL}, 4 * BATCH),
        (
            {"heads": HEADS, "backbones": LEXICAL, "fusion": {"weights": {"ttc.words": 1}}},
            4 * BATCH,
        ),
        ({"method": "ttc", "heads": HEADS, "backbones": {**LEXICAL, **PICTURE}}, BATCH),
        ({"method": "ttc", "heads": HEADS, "columns": {"image": "photo"}}, BATCH),
        ({"rows_together": 3}, 3),
        ({"rows_together": 3, "retrieval": {"first_pass": True}}, 3),
    ],
)
def test_more_rows_are_answered_together_where_heads_of_texts_answer_alone(settings, batch):
    assert CascadeConfig.parse(settings).batch == batch
