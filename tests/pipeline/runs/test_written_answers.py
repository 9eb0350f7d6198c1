import json

import pytest

from cascade.io import open_table
from cascade.pipeline.runs.written_answers import WrittenAnswers, probability

HEAD = "name,cascade_code,cascade_confidence,cascade_status"


def answers(path):
    with open_table(path) as table:
        written = WrittenAnswers(table)
        return written, list(table)


def test_columns_columns_of_json_and_objects_are_read_alike(tmp_path):
    other = {"code": "b", "path": "A > B", "confidence": 0.25}
    (tmp_path / "flat.csv").write_text(
        f"{HEAD},cascade_code_2,cascade_path_2,cascade_confidence_2\npear,a,0.5,ok,b,A > B,0.25\n"
    )
    listed = json.dumps([other]).replace('"', '""')
    (tmp_path / "json.csv").write_text(f'{HEAD},cascade_alternatives\npear,a,0.5,ok,"{listed}"\n')
    whole = {"code": "a", "confidence": 0.5, "status": "ok", "alternatives": [other]}
    (tmp_path / "rows.jsonl").write_text(json.dumps({"name": "pear", "cascade": whole}) + "\n")
    for name in ("flat.csv", "json.csv", "rows.jsonl"):
        written, (row,) = answers(tmp_path / name)
        assert written.own_columns == ["name"]
        assert (written.text(row, "code"), written.text(row, "status")) == ("a", "ok")
        assert written.probability(row) == 0.5
        (found,) = written.listed(row, "alternatives")
        assert (found["code"], probability(found["confidence"])) == ("b", 0.25)


def test_a_column_of_the_user_that_is_called_cascade_is_the_users(tmp_path):
    (tmp_path / "pumps.csv").write_text(f"cascade,{HEAD}\n3 stages,pump,a,0.5,ok\n")
    written, (row,) = answers(tmp_path / "pumps.csv")
    assert written.own_columns == ["cascade", "name"]
    assert written.text(row, "code") == "a"


@pytest.mark.parametrize("cell", ["", "[", "7", '{"code": "b"}', "[" * 100_000])
def test_a_list_that_cannot_be_read_is_empty(tmp_path, cell):
    quoted = cell.replace('"', '""')
    (tmp_path / "rows.csv").write_text(f'{HEAD},cascade_trace\npear,a,2,ok,"{quoted}"\n')
    written, (row,) = answers(tmp_path / "rows.csv")
    assert written.listed(row, "trace") == []
    assert written.probability(row) is None
    assert written.text(row, "path") == ""


def test_an_answer_that_is_no_object_is_empty(tmp_path):
    lines = [{"name": "pear", "cascade": "a"}, {"name": "plum"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    written, rows = answers(tmp_path / "rows.jsonl")
    for row in rows:
        assert written.text(row, "code") == ""
        assert written.listed(row, "alternatives") == []
