"""`annotate`: out to annotation tools, and back."""

import json

import pytest

pytestmark = pytest.mark.usefixtures("folder")


def test_rows_go_out_and_come_back_as_labels(folder, cascade):
    done = cascade("annotate", "export", "items.csv", "-t", "tax.csv", "--text", "name", "-o", "ls")
    assert done.status == 0, done.err
    assert "5 tasks, 0 with a suggestion" in done.err
    tasks = json.loads((folder / "ls" / "tasks.json").read_text("utf-8"))
    for task in tasks[:2]:
        chosen = {"taxonomy": [["Clothing", "Hats"]]}
        task["annotations"] = [{"completed_by": 1, "result": [{"value": chosen}]}]
    (folder / "back.json").write_text(json.dumps(tasks), encoding="utf-8")
    done = cascade("annotate", "import", "back.json", "-t", "tax.csv", "-o", "labelled.csv")
    assert done.status == 0, done.err
    assert "2 labelled rows, 3 not decided yet" in done.err
    head, first, _ = (folder / "labelled.csv").read_text("utf-8").splitlines()
    assert head.split(",") == [
        *("id", "name", "price", "label"),
        *("annotation_label", "label_code", "annotators", "disagreement"),
    ]
    assert first == "1,straw panama hat,34.5,Clothing > Hats,Clothing > Hats,CLO-HAT,1,"
    again = cascade("annotate", "import", "back.json", "-t", "tax.csv", "-o", "labelled.csv")
    assert again.status == 2 and "--overwrite" in again.err


def test_counts_as_json(folder, cascade):
    arguments = ("annotate", "export", "items.csv", "-t", "tax.csv", "--text", "name")
    done = cascade(*arguments, "-o", "ar", "--tool", "argilla", "--json")
    assert json.loads(done.out)["rows"] == 5
    done = cascade("annotate", "import", "ar", "-t", "tax.csv", "-o", "none.csv", "--json")
    assert json.loads(done.out) == {"rows": 0, "undecided": 5, "tied": 0, "unknown": {}}
