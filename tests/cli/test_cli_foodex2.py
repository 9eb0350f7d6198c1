import csv
import json

import pytest
from toy_catalogue import PROCESSES, packed, xml


@pytest.fixture
def there(folder):
    packed(folder / "TOY.ecf", xml())
    (folder / "processes.csv").write_text(PROCESSES, "utf-8")
    return ("-t", "TOY.ecf", "--processes", "processes.csv")


def test_codes_are_checked_and_the_status_tells(there, cascade):
    done = cascade("foodex2", "check", "WHEAT", "WHEAT#F28.MILL1", *there)
    assert done.status == 1
    assert "WHEAT: clean" in done.out
    assert "BR19 HIGH: MILL1 (Finely milled) makes another food" in done.out
    done = cascade("foodex2", "check", "WHEAT", *there, "--json")
    assert done.status == 0
    assert json.loads(done.out) == [{"code": "WHEAT", "messages": []}]


def test_a_file_of_codes_keeps_its_rows(there, folder, cascade):
    codes = ["WHEAT", "WHEAT#F28.MILL1", "", "#", "FLOUR#F27.WHEAT"]
    with open("codes.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "code"])
        writer.writerows(enumerate(codes))
    done = cascade("foodex2", "check", "codes.csv", "--text", "code", *there, "-o", "out.csv")
    assert done.status == 1
    assert "1 clean, 1 LOW, 1 HIGH, 2 ERROR" in done.err
    with open("out.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["code"] for row in rows] == codes
    assert [row["foodex2_rules"] for row in rows] == ["", "BR19", "BR29", "", "BR15"]
    assert "expected one, such as A0BXX" in rows[3]["foodex2_messages"]
    done = cascade("foodex2", "check", "codes.csv", "--text", "code", *there, "-o", "out.csv")
    assert done.status == 2
    assert "--overwrite" in done.err


def test_a_code_is_explained_in_words(there, cascade):
    done = cascade("foodex2", "decode", "flour#F28.BAKED$F27.WHEAT", *there[:2])
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        "FLOUR#F28.BAKED  Wheat flour",
        "  explicit  F28.BAKED Process: Baked",
        "  explicit  F27.WHEAT Source commodities: Wheat",
        "  implied   F27.WHEAT Source commodities: Wheat",
        "  implied   F28.MILL1 Process: Finely milled",
    ]
    done = cascade("foodex2", "decode", "FLOUR#F28", *there[:2])
    assert done.status == 2
    assert "at character 10 it ends; expected '.'" in done.err
    done = cascade("foodex2", "decode", "NOSUC", *there[:2])
    assert "TOY.ecf has no term NOSUC" in done.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["codes.csv"], "name the column of its codes with --text"),
        (["WHEAT", "--mode", "lax"], "expected strict or ict"),
        (["WHEAT", "-o", "out.csv"], "--out is for a file"),
        (["WHEAT", "OATS0", "--text", "code"], "give that file alone"),
        (["codes.csv", "--text", "nosuch"], "nosuch"),
    ],
)
def test_what_cannot_be_meant_is_refused(there, folder, cascade, arguments, problem):
    (folder / "codes.csv").write_text("code\nWHEAT\n")
    done = cascade("foodex2", "check", *arguments, *there)
    assert done.status == 2
    assert problem in done.err
