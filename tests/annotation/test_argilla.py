import json

import pytest

from cascade.annotation import export_tasks, import_labels
from cascade.errors import UsageError
from cascade.taxonomy import Taxonomy


@pytest.fixture
def taxonomy(tmp_path):
    lines = ["code,name,parent", "CLO,Clothing,", "CLO-HAT,Hats,CLO", "CLO-SHO,Shoes,CLO"]
    (tmp_path / "tax.csv").write_text("\n".join(lines), encoding="utf-8")
    return Taxonomy.load(tmp_path / "tax.csv")


@pytest.fixture
def folder(tmp_path, taxonomy):
    rows = [
        {"Name": "straw hat", "cascade": {"code": "CLO-HAT", "confidence": 0.9, "status": "ok"}},
        {"Name": "brogues", "cascade": {"code": None, "confidence": None, "status": "error"}},
    ]
    (tmp_path / "out.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    target = tmp_path / "dataset"
    export_tasks(tmp_path / "out.jsonl", taxonomy, target, tool="argilla", text=["Name"])
    return target


def read(folder, name):
    return json.loads((folder / name).read_text("utf-8"))


def test_settings_have_each_node_with_its_path(folder):
    settings = read(folder, ".argilla/settings.json")
    label = settings["questions"][0]
    assert label["settings"]["options"][1] == {"value": "CLO-HAT", "text": "Clothing > Hats"}
    assert [(f["name"], f["title"]) for f in settings["fields"]] == [("name", "Name")]
    assert read(folder, ".argilla/dataset.json")["name"] == "out"


def test_records_have_suggestions(folder):
    first, second = read(folder, "records.json")
    assert first["fields"] == {"name": "straw hat"}
    assert first["suggestions"]["label"]["value"] == "CLO-HAT"
    assert first["suggestions"]["label"]["score"] == 0.9
    assert second["suggestions"] == {}


def test_submitted_responses_come_back_as_labels(folder, taxonomy):
    records = read(folder, "records.json")
    records[0]["responses"] = {
        "label": [
            {"value": "CLO-HAT", "user_id": "a"},
            {"value": "CLO-SHO", "user_id": "b", "status": "draft"},
        ],
        "comment": [{"value": "sure", "user_id": "a"}],
    }
    (folder / "records.json").write_text(json.dumps(records), encoding="utf-8")
    found = import_labels(folder, taxonomy)
    assert found.rows == [
        {
            "Name": "straw hat",
            "label": "Clothing > Hats",
            "label_code": "CLO-HAT",
            "annotators": "1",
            "disagreement": "",
        }
    ]
    assert found.undecided == 1


def test_pictures_are_for_label_studio(taxonomy, tmp_path):
    with pytest.raises(UsageError, match="label-studio"):
        export_tasks("x.csv", taxonomy, tmp_path / "new", tool="argilla", image="photo")
