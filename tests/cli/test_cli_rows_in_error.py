import csv
import io
import json

import pytest

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("folder")]


def answers(text):
    return [
        (row["name"], row["cascade_code"], row["cascade_status"], row["cascade_message"])
        for row in csv.DictReader(io.StringIO(text))
    ]


def test_bad_rows_stay_in_place_with_a_message_and_the_rest_is_answered(folder, retrieve):
    lines = [b"id,name", b"1,straw hat", b"2,", b"3", b"4,rake \xff\xfe of steel", b"5,cheese"]
    (folder / "bad.csv").write_bytes(b"\n".join(lines) + b"\n")
    done = retrieve("bad.csv", "--text", "name", "-o", "out.csv")
    assert done.status == 3, done.err
    data = (folder / "out.csv").read_bytes()
    assert b"4,rake \xff\xfe of steel," in data
    good, empty, short, broken, last = answers(data.decode(errors="surrogateescape"))
    assert (good[1], last[1]) == ("CLO-HAT", "FOO-CHE")
    for row in (empty, short, broken):
        assert (row[1], row[2]) == ("", "error")
    assert "empty" in empty[3]
    assert "cell" in short[3] or "empty" in short[3]
    assert "UTF-8" in broken[3] or "utf-8" in broken[3]


def test_a_cell_of_ten_megabytes_is_refused_and_kept(folder, retrieve):
    cell = "word " * 2_000_000
    (folder / "big.csv").write_text(f"name\nstraw hat\n{cell}\ncheese\n")
    done = retrieve("big.csv", "--text", "name", "-o", "out.csv")
    assert done.status == 3, done.err
    csv.field_size_limit(1 << 30)
    first, big, last = answers((folder / "out.csv").read_text())
    assert (first[2], big[2], last[2]) == ("ok", "error", "ok")
    assert big[0] == cell
    assert "10,000,000 characters" in big[3]
    assert "100,000" in big[3]


def test_lines_that_are_no_json_are_kept_with_a_message(folder, retrieve):
    lines = ['{"name": "straw hat"}', '{"name": ', "[1]", '{"title": "hat"}', '{"name": null}']
    (folder / "bad.jsonl").write_text("\n".join(lines) + "\n")
    done = retrieve("bad.jsonl", "--text", "name", "-o", "out.jsonl")
    assert done.status == 3, done.err
    rows = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [row["cascade"]["status"] for row in rows] == ["ok", *["error"] * 4]
    assert all(row["cascade"]["message"] for row in rows[1:])
    assert rows[3]["title"] == "hat"


def test_the_summary_counts_rows_in_error(folder, retrieve):
    (folder / "bad.csv").write_text("id,name\n1,hat\n2,\n")
    done = retrieve("bad.csv", "--text", "name", "-o", "out.csv", "--json")
    assert json.loads(done.out)["status"] == {"ok": 1, "error": 1}
    assert done.status == 3
