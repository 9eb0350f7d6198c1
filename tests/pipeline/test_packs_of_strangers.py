"""Packs that were changed and sealed again: what a stranger may send."""

import json
import os
import shlex
import shutil

import numpy as np
import pytest
import yaml

import cascade
from cascade.cli.options import resolve
from cascade.config import CascadeConfig, Columns, Section
from cascade.config.serving import ServeConfig
from cascade.errors import CascadeError, ConfigError
from cascade.io.files import read_tensors, write_tensors
from cascade.io.tables.opening import TableFile
from cascade.pipeline.load import load_config
from cascade.pipeline.pack import MAY_SET, seal
from cascade.pipeline.runs.columns import picture_places
from cascade.taxonomy import Taxonomy
from cascade.training.packs.fit import Fit
from cascade.training.packs.recipe import Recipe

KINDS = {
    "Home > Rakes": "garden rake with {} teeth",
    "Home > Knives": "chef knife with a blade of {} cm",
    "Clothing > Hats": "straw panama hat size {}",
}
NEEDS_A_WORD = (  # of the user: what a pack cannot set
    "pictures.root",
    "pictures.anywhere",
    "pictures.urls",
    "pictures.hosts",
    "llm.vllm.options",
    "llm.server.url",
    "llm.server.kind",
    "llm.server.model",
    "llm.server.api_key_env",
    "llm.server.concurrency",
    "llm.server.timeout",
    "llm.server.retries",
    "llm.server.max_requests",
    "llm.server.max_tokens",
    "facets.processes",
    "allow_download",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("fitted")
    lines = ["name,label"]
    lines += [f"{name.format(at)},{label}" for at in range(12) for label, name in KINDS.items()]
    (place / "rows.csv").write_text("\n".join(lines))
    job = Fit(
        TableFile(str(place / "rows.csv")),
        Taxonomy.from_paths(list(KINDS)),
        Columns(text=["name"], label="label"),
        Recipe.load("quick"),
        place / "pack",
    )
    job.prepare()
    job.run(lambda *_: None)
    return place / "pack"


@pytest.fixture
def pack(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "pack")
    return tmp_path / "pack"


def set_in(pack, **values):
    """Change the config of a pack and seal it again."""
    config = yaml.safe_load((pack / "cascade.yaml").read_text())
    for dotted, value in values.items():
        *sections, last = dotted.split(".")
        place = config
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    (pack / "cascade.yaml").write_text(yaml.safe_dump(config))
    seal(pack)


def answer(pack, **settings):
    return cascade.load(pack, **settings).classify("straw hat").code


def fields(section=CascadeConfig, at=""):
    """Dotted names of all fields that are no sections."""
    for name, info in section.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from fields(kind, f"{at}{name}.")
        else:
            yield f"{at}{name}"


def test_it_is_decided_of_every_field_whether_a_pack_may_set_it():
    def may(field):
        parts = field.split(".")
        return any(".".join(parts[:n]) in MAY_SET for n in range(1, len(parts) + 1))

    decided = {*NEEDS_A_WORD, *(f"serve.{name}" for name in ServeConfig.model_fields)}
    assert {field for field in fields() if not may(field)} == decided


def test_a_pack_cannot_let_pictures_be_fetched_or_read_elsewhere(pack, caplog):
    set_in(pack, **{"pictures.urls": True, "pictures.anywhere": True, "pictures.root": "/"})
    config, _ = load_config(pack)
    places = picture_places(config)
    assert (places.root, places.anywhere, places.urls) == (None, False, False)
    for field in ("pictures.urls", "pictures.anywhere", "pictures.root"):
        assert f"sets {field} to" in caplog.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("llm.server.api_key_env", "HOME"),
        ("llm.server.url", "http://127.0.0.1:9/v1"),
        ("llm.vllm.options", {"worker_cls": "mine.Worker"}),
        ("allow_download", True),
    ],
)
def test_what_a_pack_may_not_set_holds_only_where_the_user_sets_it(pack, caplog, field, value):
    set_in(pack, **{field: value})

    def found(config):
        for part in field.split("."):
            config = getattr(config, part)
        return config

    assert not found(load_config(pack)[0])
    assert f"sets {field} to" in caplog.text
    caplog.clear()
    settled, _ = resolve(str(pack), None, settings=[f"{field}={json.dumps(value)}"])
    assert found(settled) == value
    assert not caplog.text


def test_a_folder_without_a_seal_is_no_more_trusted(pack):
    set_in(pack, **{"pictures.urls": True, "reads": []})
    (pack / "pack.json").unlink()
    assert load_config(pack)[0].pictures.urls is False


def test_what_a_pack_names_outside_of_it_is_refused_by_its_field(pack, tmp_path):
    (tmp_path / "tree.txt").write_text("A > B\n")
    os.symlink(tmp_path, tmp_path / "round")
    for field in (
        "taxonomy",
        "calibration.file",
        "neighbours.file",
        "heads.leaf.file",
        "retrieval.encoder",
        "llm.model",
        "llm.adapter",
        "llm.prompt",
        "nli.model",
        "facets.categories.network",
    ):
        for name in ("../tree.txt", str(tmp_path / "tree.txt"), "~/tree.txt", "a/../../tree.txt"):
            copy = tmp_path / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(pack, copy)
            set_in(copy, **{field: name})
            with pytest.raises(ConfigError, match=rf"its {field} lies outside of the pack"):
                load_config(copy)


def test_the_user_may_name_what_lies_outside(pack, tmp_path):
    set_in(pack, **{"llm.model": "/elsewhere/model", "taxonomy": "../tree.yaml"})
    (tmp_path / "tree.yaml").write_text((pack / "taxonomy.yaml").read_text())
    settings = ["llm.model=/elsewhere/model"]
    settled, _ = resolve(str(pack), str(tmp_path / "tree.yaml"), settings=settings)
    assert settled.llm.model == "/elsewhere/model"


def test_a_pack_made_here_may_name_what_it_was_made_of(whole, pack, monkeypatch, tmp_path):
    set_in(pack, **{"retrieval.encoder": str(tmp_path / "mine")})
    seal(pack, own=True)
    assert load_config(pack)[0].retrieval.encoder == str(tmp_path / "mine")
    pack.rename(tmp_path / "moved")
    assert load_config(tmp_path / "moved")[0].retrieval.encoder == str(tmp_path / "mine")
    monkeypatch.setenv("CASCADE_CACHE", str(tmp_path / "another machine"))
    with pytest.raises(ConfigError, match=r"--set retrieval\.encoder=/"):
        load_config(tmp_path / "moved")
    monkeypatch.undo()
    set_in(tmp_path / "moved", **{"descent.beam": 2})  # sealed again, by whomever
    with pytest.raises(ConfigError, match="outside of the pack"):
        load_config(tmp_path / "moved")


def test_the_prompts_of_a_pack_are_those_of_its_own_encoder(pack):
    set_in(pack, **{"retrieval.query_prompt": "query: ", "retrieval.document_prompt": ""})
    assert load_config(pack)[0].retrieval.query_prompt == "query: "
    other = {"retrieval": {"encoder": "small:clip"}}
    found = load_config(pack, other)[0].retrieval
    assert (found.query_prompt, found.document_prompt) == (None, None)
    set_in(pack, **{"retrieval.query_prompt": "x" * 10_000})
    with pytest.raises(ConfigError, match=r"retrieval\.query_prompt: .*10,000 characters"):
        load_config(pack)


def test_what_is_to_be_set_is_told_as_a_shell_takes_it(pack, tmp_path):
    config = yaml.safe_load((pack / "cascade.yaml").read_text())
    outside = {"kind": "picture", "model": str(tmp_path / "my model")}
    config["backbones"]["both.picture"] = outside
    (pack / "cascade.yaml").write_text(yaml.safe_dump(config))
    seal(pack)
    with pytest.raises(ConfigError, match="lies outside of the pack") as caught:
        load_config(pack)
    told = shlex.split(str(caught.value).partition("--set ")[2])[0]
    settled, _ = resolve(str(pack), None, settings=[told])
    assert settled.backbones["both.picture"].model == outside["model"]


def test_a_pack_names_nothing_from_the_working_folder(pack, tmp_path, monkeypatch):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    set_in(pack, **{"retrieval.encoder": "models/mine"})
    with pytest.raises(ConfigError, match=r"retrieval\.encoder lies outside of the pack"):
        load_config(pack)
    (pack / "models" / "mine").mkdir(parents=True)
    assert load_config(pack)[0].retrieval.encoder == str(pack / "models" / "mine")


def test_a_pack_brings_what_it_names(pack, tmp_path, monkeypatch):
    (tmp_path / "own.jinja").write_text("a file of the user")
    monkeypatch.chdir(tmp_path)
    set_in(pack, **{"llm.prompt": "own.jinja"})
    with pytest.raises(ConfigError, match=r"llm\.prompt lies outside of the pack"):
        load_config(pack)
    (pack / "own.jinja").write_text("a file of the pack")
    (pack / "models").mkdir()
    set_in(pack, **{"nli.model": "models", "facets.base.prompt": "own.jinja"})
    config, _ = load_config(pack)
    assert config.llm.prompt == config.facets.base.prompt == str(pack / "own.jinja")
    assert config.nli.model == str(pack / "models")
    assert config.llm.type_prompt == CascadeConfig().llm.type_prompt  # one that ships


@pytest.mark.parametrize("name", ["taxonomy.yaml", "calibration.json", "more"])
def test_a_pipe_in_a_pack_is_not_waited_for(pack, name):
    (pack / name).unlink(missing_ok=True)
    seal(pack)
    os.mkfifo(pack / name)
    with pytest.raises(ConfigError, match=f"{name}: is no file"):
        cascade.load(pack)
    (pack / "pack.json").unlink()
    with pytest.raises(ConfigError):
        cascade.load(pack)


def test_a_link_that_leads_out_of_a_pack_is_refused(pack, tmp_path):
    (tmp_path / "secret").write_text("x")
    (pack / "more.txt").symlink_to(tmp_path / "secret")
    seal(pack)
    with pytest.raises(ConfigError, match=r"more\.txt: is a link that leads out"):
        cascade.load(pack)


def change(array, kind):
    array = array.copy()
    if kind == "wide":
        return np.concatenate([array, array])
    if kind == "empty":
        return array[:0]
    if kind == "deep":
        return array[None]
    if kind == "type":
        return array.astype(np.int8 if array.dtype.kind == "f" else np.float32)
    array.flat[0] = {"nan": np.nan, "inf": np.inf, "low": -1, "high": 2**31 - 1}[kind]
    return array


@pytest.mark.parametrize("kind", ["nan", "inf", "low", "high", "wide", "empty", "deep", "type"])
def test_arrays_of_a_pack_that_do_not_fit_are_refused_by_their_file(pack, tmp_path, kind):
    for path in sorted(pack.rglob("*.safetensors")):
        about, arrays = read_tensors(path)
        for name, array in arrays.items():
            if array.dtype.kind == "f" and kind in ("low", "high", "type"):
                continue  # any number is a weight
            if kind == "low" and array.dtype.kind == "u":
                continue
            if array.dtype.kind != "f" and kind in ("nan", "inf"):
                continue
            copy = tmp_path / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(pack, copy)
            about = {k: v for k, v in about.items() if k != "format"}
            here = copy / path.relative_to(pack)
            write_tensors(here, about, {**arrays, name: change(array, kind)})
            seal(copy)
            try:
                answer(copy, method="ttc")  # all heads are read
            except CascadeError as error:
                assert str(here) in str(error)
            else:
                assert (kind, name.partition(".")[0]) in {
                    ("high", "grams"),  # the last of a rising row may be any number
                }, f"{here.name}: {name} was taken"


FILES = ("cascade.yaml", "taxonomy.yaml", "calibration.json", "pack.json")
OTHER_DATA = [
    b"",
    b"\0" * 100,
    b"[" * 200_000,
    b'{"a":' * 50_000,
    b"\xff\xfe",
    b"!!python/object/apply:os.system [ls]",
    b"a: &a [x, x]\nb: *a\n" + b"c: " + b"y" * 1_000_000,
    (2**60).to_bytes(8, "little") + b"{}",
    b'{"format": NaN, "files": {}, "levels": NaN}',
    b'{"format": 1, "format": 1, "files": {}}',
]


@pytest.mark.parametrize("name", [*FILES, "heads/leaf.safetensors"])
@pytest.mark.parametrize("data", OTHER_DATA, ids=range(len(OTHER_DATA)))
def test_files_of_a_pack_that_hold_something_else_are_refused_by_their_name(pack, name, data):
    (pack / name).write_bytes(data)
    if name != "pack.json":
        seal(pack)
    expected = name.replace(".", r"\.")
    if name in ("cascade.yaml", "taxonomy.yaml"):  # some of it is a config, or a taxonomy
        expected = str(pack)
    with pytest.raises(CascadeError, match=expected):
        answer(pack)


@pytest.mark.parametrize("name", [*FILES, "heads/leaf.safetensors"])
def test_half_a_file_of_a_pack_is_refused_by_its_name(pack, name):
    data = (pack / name).read_bytes()
    (pack / name).write_bytes(data[: len(data) // 2])
    if name != "pack.json":
        seal(pack)
    try:
        answer(pack)
    except CascadeError as error:
        assert str(pack) in str(error)
    else:
        assert name == "cascade.yaml"  # the first half of its lines may be a config


@pytest.mark.parametrize(
    "values",
    [
        {"levels": [{"a": float("inf"), "b": 1.0, "c": 0.0}]},
        {"levels": [{"a": "1", "b": 1.0, "c": 0.0}]},
        {"levels": [{"a": -1, "b": 1.0, "c": 0.0}]},
        {"levels": [{"a": 10**400, "b": 1.0, "c": 0.0}]},
        {"levels": []},
        {"levels": {"a": 1}},
        {"risk": {"threshold": [0.5], "accepted": [1], "wrong": [2]}},
        {"risk": {"threshold": [0.5, 0.6], "accepted": [1, 2], "wrong": [0, 0]}},
        {"risk": {"threshold": ["a"], "accepted": [1], "wrong": [0]}},
        {"risk": {"threshold": "abc", "accepted": "abc", "wrong": "abc"}},
        {"risk": None},
    ],
)
def test_a_calibration_of_no_sense_is_refused(pack, values):
    kept = json.loads((pack / "calibration.json").read_text())
    (pack / "calibration.json").write_text(json.dumps({**kept, **values}))
    seal(pack)
    with pytest.raises(ConfigError, match=r"calibration\.json"):
        cascade.load(pack)


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "a/" * 3000, "\ud800", "a" * 256 + "/b"])
@pytest.mark.parametrize(
    "field", ["heads.leaf.file", "taxonomy", "retrieval.encoder", "llm.prompt"]
)
def test_names_that_no_file_can_have_are_refused(pack, field, name):
    config = json.loads(json.dumps(yaml.safe_load((pack / "cascade.yaml").read_text())))
    *sections, last = field.split(".")
    place = config
    for section in sections:
        place = place.setdefault(section, {})
    place[last] = name
    (pack / "cascade.yaml").write_text(json.dumps(config))  # which is YAML
    seal(pack)
    with pytest.raises(CascadeError, match=str(pack)):
        answer(pack)


@pytest.mark.parametrize(
    "files",
    [
        [],
        {"../outside": {"sha256": "x", "bytes": 1}},
        {"a" * 5000: {"sha256": "x", "bytes": 1}},
        {"a\0": {"sha256": "x", "bytes": 1}},
        {"x": 3},
        {"x": {"sha256": "x", "bytes": "9" * 5000}},
    ],
)
def test_a_seal_of_no_sense_is_refused(pack, files):
    (pack / "pack.json").write_text(json.dumps({"format": 1, "files": files}))
    if files:
        with pytest.raises(ConfigError, match=str(pack)):
            cascade.load(pack)
    else:
        cascade.load(pack)
