import csv
import re
from dataclasses import replace

import pytest

from cascade.errors import InputError
from cascade.foodex2.catalogue import decode
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.parsed_code import ForbiddenProcesses
from cascade.foodex2.releases import Migration
from cascade.foodex2.rules import Checker, worst


def fired(checker, code, mode="ict"):
    return [message.rule for message in checker.check(code, mode)]


@pytest.mark.parametrize(
    ("rule", "fires", "silent"),
    [
        ("BR01", "WHEAT#F27.OATS0", "WHEAT#F27.REDWH"),
        ("BR03", "STEW0#F01.PLANT", "STEW0#F04.SALT0"),
        ("BR04", "STEW0#F27.WHEAT", "FLOUR#F27.WHEAT"),
        ("BR05", "FLOUR#F27.OATS0", "FLOUR#F27.REDWH"),
        ("BR06", "DRIED#F01.PLANT", "FLOUR#F01.PLANT"),
        ("BR07", "FLOUR#F01.PLANT$F27.OATS0", "FLOUR#F01.PLANT$F27.REDWH"),
        ("BR08", "SECRT", "UNDER"),
        ("BR10", "OTHER", "OTHER#F01.PLANT"),
        ("BR10", "OTHER#F03.LIQUD", "WHEAT#F03.LIQUD"),
        ("BR11", "WHEAT#F28.A0C0R", "WHEAT#F28.A07MR"),
        ("BR12", "WHEAT#F04.SALT0", "STEW0#F04.SALT0"),
        ("BR13", "WHEAT#F03.A07Y4", "FLOUR#F03.A07Y4"),
        ("BR16", "FLOUR#F28.MILL0", "FLOUR#F28.MILL1"),
        ("BR17", "MILL0", "FLOUR"),
        ("BR19", "WHEAT#F28.MILL1", "WHEAT#F28.MILL0"),
        ("BR20", "GONE0", "WHEAT"),
        ("BR21", "EMPTY", "GONE0"),
        ("BR23", "GRAIN", "LONE0"),
        ("BR24", "LONE0", "GRAIN"),
        ("BR27", "FLOUR#F28.MILL2", "FLOUR#F28.MILL1"),
        ("BR28", "DRIED#F28.A07MR", "FLOUR#F28.A07MR"),
        ("BR29", "NOSUC", "WHEAT"),
        ("BR29", "WHEAT#F28", "WHEAT#F28.A07MR"),
        ("BR30", "WHEAT#F99.A07MR", "WHEAT#A01.A07MR"),
        ("BR31", "WHEAT#A01.A07MR", "WHEAT#F28.A07MR"),
        ("BR31", "WHEAT#F03.A07MR", "WHEAT#F03.LIQUD"),
    ],
)
def test_a_rule_fires_where_it_should_and_is_silent_where_not(checker, rule, fires, silent):
    assert rule in fired(checker, fires)
    assert rule not in fired(checker, silent)


@pytest.mark.parametrize(
    ("rule", "fires", "silent"),
    [
        ("BR14", "STEW0#F04.SALT0$F04.SALT0", "STEW0#F04.SALT0"),
        ("BR15", "FLOUR#F27.WHEAT", "FLOUR#F27.REDWH"),
        ("BR25", "WHEAT#F03.LIQUD$F03.A07Y4", "WHEAT#F03.LIQUD"),
        ("deprecated", "WHEAT#F28.OLDPR", "WHEAT#F28.BAKED"),
        ("not reportable", "WHEAT#F28.HIDDN", "WHEAT#F28.BAKED"),
    ],
)
def test_strict_says_what_the_tool_leaves_out(checker, rule, fires, silent):
    assert rule in fired(checker, fires, "strict")
    assert rule not in fired(checker, silent, "strict")
    assert rule not in fired(checker, fires, "ict")


def test_messages_name_the_terms_and_stop_at_what_is_unknown(checker):
    found = checker.check("OTHER#F28.NOSUC$F28.A0C0R", "ict")
    assert [m.rule for m in found] == ["BR29"]
    assert found[0].facet == "F28.NOSUC"
    (message, *_) = checker.check("WHEAT#F28.MILL1", "ict")
    assert (message.rule, message.severity) == ("BR19", "HIGH")
    assert "MILL1 (Finely milled)" in message.text
    assert "WHEAT (Wheat)" in message.text
    assert worst(found) == "ERROR"
    assert worst([]) is None


@pytest.mark.parametrize("code", ["wheat", "WHEAT#", "WHEAT##", "WHEAT#F03.LIQUD#F28.NOSUC"])
def test_texts_are_taken_apart_as_the_tool_does(checker, code):
    assert fired(checker, code) == []
    assert fired(checker, "OTHER#") == ["BR10"]
    assert fired(checker, "OTHER##F28.A0C0R") == []  # no facets, and yet not bare
    assert fired(checker, " WHEAT", "ict") == ["BR29"]
    assert fired(checker, "wheat # F28.MILL1\u200b", "strict") == fired(
        checker, "WHEAT#F28.MILL1", "strict"
    )


def test_what_is_given_in_place_of_a_code_is_told(checker):
    old = replace(checker.catalogue.terms["OATS0"], attributes={"foodexOldCode": ("A.01.000007",)})
    terms = {**checker.catalogue.terms, "OATS0": old}
    told = replace(checker, catalogue=replace(checker.catalogue, terms=terms))
    for text, said in [
        (" a.01.000007", "FoodEx1 code, which `cascade foodex2 migrate` makes OATS0 (Oats)"),
        ("G.1", "looks like a FoodEx1 code"),
        ("red  wheat", "is the name of REDWH (Red wheat)"),
        ("F28.MILL1", "a facet follows its base term"),
        ("report", "is a hierarchy"),
    ]:
        assert said in told.check(text)[0].text
        with pytest.raises(InputError, match=re.escape(said)):
            decode(text, told.catalogue)
    assert Migration(told.catalogue).migrate("\u00a0a.01.000007 ").code == "OATS0"
    assert "is the name of REDWH" in Migration(told.catalogue).migrate("Red wheat").notes[0]


@pytest.mark.parametrize(
    "code", ["WHEAT#", "WHEAT#F28.MILL0$", "WHEAT##F28.MILL0", "STEW0#F04.SALT0#F04.SALT0"]
)
def test_what_the_tool_reads_over_is_an_error_in_strict_mode(checker, code):
    assert worst(checker.check(code, "ict")) != "ERROR"
    assert worst(checker.check(code)) == "ERROR"
    assert "is no FoodEx2 code: at character" in checker.check(code)[-1].text


@pytest.mark.parametrize("code", ["#", "##", "WHEAT#.", "WHEAT#F28.MILL0.MILL1"])
def test_what_crashes_the_tool_is_an_error(checker, code):
    (message,) = checker.check(code, "ict")
    assert (message.rule, message.severity) == ("", "ERROR")
    assert "expected one" in message.text


def test_a_table_that_is_none_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="ROOT_GROUP_CODE"):
        ForbiddenProcesses.read(path)
    with pytest.raises(InputError, match=r"nosuch\.csv"):
        ForbiddenProcesses.read(tmp_path / "nosuch.csv")


@pytest.mark.data
def test_the_published_examples_have_the_messages_of_the_tool(efsa):
    checker = Checker(
        load_catalogue(efsa / "MTX.ecf"), ForbiddenProcesses.read(efsa / "BR_Data.csv")
    )
    with (efsa / "efsa_br_examples.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    for row in rows:
        found = checker.check(row["code"], "ict")
        assert ";".join(m.rule for m in found) == row["engine_messages"], row["code"]
        assert (worst(found) or "NONE") == row["engine_max_severity"], row["code"]
