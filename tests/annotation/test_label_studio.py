import json
from xml.etree import ElementTree

import pytest

from cascade.annotation import export_tasks, import_labels
from cascade.annotation.label_studio import Choices
from cascade.errors import InputError, OutputError, UsageError
from cascade.taxonomy import Taxonomy

ROWS = [
    ("CLO", "Clothing", ""),
    ("CLO-HAT", "Hats", "CLO"),
    ("CLO-SHO", "Shoes", "CLO"),
    ("GAR", "Garden & <Yard>", ""),
    ("GAR-1", "Rakes > Hoes", "GAR"),
    ("GAR-2", "Tools", "GAR"),
]
ANSWERS = """\
id,Product Name,label,cascade_code,cascade_path,cascade_confidence,cascade_status
7,straw hat,old,CLO-HAT,Clothing > Hats,0.91,ok
8,leaf rake & <b>,,GAR-2,,0.4,review
9,unknown thing,,CLO,,0.5,nowhere
"""


@pytest.fixture
def taxonomy(tmp_path):
    lines = ["code,name,parent", *(f'{code},"{name}",{parent}' for code, name, parent in ROWS)]
    (tmp_path / "tax.csv").write_text("\n".join(lines), encoding="utf-8")
    return Taxonomy.load(tmp_path / "tax.csv")


@pytest.fixture
def exported(tmp_path, taxonomy):
    """The folder of an export, and its tasks."""
    (tmp_path / "out.csv").write_text(ANSWERS, encoding="utf-8")
    folder = tmp_path / "tasks"
    export_tasks(tmp_path / "out.csv", taxonomy, folder, text=["Product Name"])
    return folder, json.loads((folder / "tasks.json").read_text("utf-8"))


def annotated(tasks, *choices):
    """The tasks as an export, each with the paths that its annotators chose."""
    for at, (task, paths) in enumerate(zip(tasks, choices, strict=True)):
        task["id"] = at
        task["annotations"] = [
            {
                "completed_by": who,
                "was_cancelled": False,
                "result": [{"type": "taxonomy", "value": {"taxonomy": [path]}}],
            }
            for who, path in enumerate(paths)
        ]
    return tasks


def test_the_taxonomy_stands_as_nested_choices(exported):
    view = ElementTree.parse(exported[0] / "config.xml").getroot()
    (top,) = view.findall("Taxonomy")
    assert [c.get("value") for c in top] == ["Clothing", "Garden & <Yard>"]
    assert [c.get("value") for c in top[0]] == ["Hats", "Shoes"]
    assert [c.get("value") for c in top[1]] == ["Rakes > Hoes", "Tools"]
    assert view.find("Text").get("value") == "$product_name" == f"${top.get('toName')}"


def test_answers_are_predictions_with_their_confidence(exported):
    _, tasks = exported
    (first,) = tasks[0]["predictions"]
    assert first["score"] == 0.91
    assert first["result"][0]["value"] == {"taxonomy": [["Clothing", "Hats"]]}
    (second,) = tasks[1]["predictions"]
    assert second["result"][0]["value"]["taxonomy"] == [["Garden & <Yard>", "Tools"]]
    assert "predictions" not in tasks[2]
    assert tasks[1]["data"]["product_name"] == "leaf rake & <b>"


def test_decisions_come_back_beside_the_columns_of_the_rows(exported, taxonomy, tmp_path):
    hats, tools = ["Clothing", "Hats"], ["Garden & <Yard>", "Tools"]
    back = annotated(exported[1], [hats, hats, tools], [tools, hats], [])
    back[0]["annotations"][2]["was_cancelled"] = True
    (tmp_path / "back.json").write_text(json.dumps(back), encoding="utf-8")
    found = import_labels(tmp_path / "back.json", taxonomy)
    first, second = found.rows
    assert first == {
        "id": "7",
        "Product Name": "straw hat",
        "label": "old",
        "annotation_label": "Clothing > Hats",
        "label_code": "CLO-HAT",
        "annotators": "2",
        "disagreement": "",
    }
    assert (second["label_code"], second["annotators"]) == ("", "2")
    assert second["disagreement"] == "Garden & <Yard> > Tools (1); Clothing > Hats (1)"
    assert (found.undecided, found.tied, found.unknown) == (1, 1, {})


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: value])
def test_the_short_form_is_read_too(exported, taxonomy, tmp_path, wrap):
    chosen = wrap({"taxonomy": [["Clothing", "Shoes"]]})  # as converters write it, or in short
    short = [
        {**task["data"], "id": at, "label": chosen, "annotator": 1}
        for at, task in enumerate(exported[1])
    ]
    (tmp_path / "back.json").write_text(json.dumps(short), encoding="utf-8")
    found = import_labels(tmp_path / "back.json", taxonomy)
    assert [row["label_code"] for row in found.rows] == ["CLO-SHO"] * 3
    assert [row["id"] for row in found.rows] == ["7", "8", "9"]


def test_choices_of_another_taxonomy_are_counted_not_taken(exported, taxonomy, tmp_path):
    back = annotated(exported[1], [["Toys", "Kites"]], [["Toys", "Kites"]], [])
    (tmp_path / "back.json").write_text(json.dumps(back), encoding="utf-8")
    found = import_labels(tmp_path / "back.json", taxonomy)
    assert (found.rows, found.undecided) == ([], 3)
    assert found.unknown == {"Toys > Kites": 2}


def test_a_folder_in_use_and_a_wrong_tool_are_refused(exported, taxonomy, tmp_path):
    with pytest.raises(OutputError, match="exists"):
        export_tasks(tmp_path / "out.csv", taxonomy, exported[0])
    with pytest.raises(UsageError, match="label-studio, argilla"):
        export_tasks(tmp_path / "out.csv", taxonomy, tmp_path / "new", tool="prodigy")


@pytest.mark.parametrize("text", ["[1, 2]", "{}", "[", '{"a": NaN', ""])
def test_what_is_no_export_is_refused_with_what_is_expected(text, taxonomy, tmp_path):
    (tmp_path / "odd.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="Label Studio"):
        import_labels(tmp_path / "odd.json", taxonomy)


def test_rows_that_cannot_be_read_are_told_not_exported(taxonomy, tmp_path):
    (tmp_path / "bad.csv").write_text('name,b\nhat,1\n"open,2\n', encoding="utf-8")
    done = export_tasks(tmp_path / "bad.csv", taxonomy, tmp_path / "new", text=["name"])
    assert done.rows == 1 and list(done.unreadable) == [3]
    assert len(json.loads((tmp_path / "new" / "tasks.json").read_text())) == 1


def test_every_path_of_choices_leads_back_to_its_node(taxonomy):
    choices = Choices(taxonomy)
    for node in range(len(taxonomy)):
        assert choices.find(choices.path(node)) == node
    assert choices.find([]) is None


def test_entries_of_one_task_in_the_short_form_are_one_row(exported, taxonomy, tmp_path):
    paths = {1: ["Clothing", "Shoes"], 2: ["Garden & <Yard>"], 3: ["Clothing", "Shoes"]}
    short = [
        {**exported[1][0]["data"], "id": 5, "label": [{"taxonomy": [path]}], "annotator": who}
        for who, path in paths.items()
    ]
    (tmp_path / "back.json").write_text(json.dumps(short), encoding="utf-8")
    (row,) = import_labels(tmp_path / "back.json", taxonomy).rows
    assert (row["label_code"], row["annotators"]) == ("CLO-SHO", "3")
    assert row["disagreement"] == "Garden & <Yard> (1)"


def test_who_decides_again_counts_once_by_the_last_decision(exported, taxonomy, tmp_path):
    back = annotated(exported[1], [["Clothing"], ["Clothing", "Hats"]], [], [])
    for annotation in back[0]["annotations"]:
        annotation["completed_by"] = {"email": "anna@example.org"}
    (tmp_path / "back.json").write_text(json.dumps(back), encoding="utf-8")
    (row,) = import_labels(tmp_path / "back.json", taxonomy).rows
    assert (row["label_code"], row["annotators"], row["disagreement"]) == ("CLO-HAT", "1", "")


def test_a_flat_path_and_other_questions_are_told_apart(exported, taxonomy, tmp_path):
    back = annotated(exported[1], [["Clothing"]], [["Clothing"]], [["Clothing"]])
    back[0]["annotations"][0]["result"][0]["value"] = {"taxonomy": ["Clothing", "Hats"]}
    back[1]["annotations"][0]["result"][0]["from_name"] = "quality"
    back[2]["annotations"] = "none"
    (tmp_path / "back.json").write_text(json.dumps(back), encoding="utf-8")
    found = import_labels(tmp_path / "back.json", taxonomy)
    assert [row["label_code"] for row in found.rows] == ["CLO-HAT"]
    assert found.undecided == 2


def test_answers_of_another_taxonomy_are_told(tmp_path, taxonomy):
    (tmp_path / "other.csv").write_text("name,cascade_code\nkite,TOY-1\n", encoding="utf-8")
    done = export_tasks(tmp_path / "other.csv", taxonomy, tmp_path / "new", text=["name"])
    assert (done.suggested, done.unknown) == (0, {2: "TOY-1"})
