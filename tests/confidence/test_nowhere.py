import numpy as np
import pytest

import cascade
from cascade.confidence.nowhere import NowhereRule, NowhereTable
from cascade.errors import UsageError
from cascade.predictions import Prediction

ROWS = np.linspace(-1, 1, 999)


def a_prediction(**over):
    return Prediction("7", "Tools > Saws", 0.4, "ttc", **over)


def test_no_more_rows_that_belong_are_struck_than_was_asked():
    rng = np.random.default_rng(0)
    table = NowhereTable.fit("ttc", rng.normal(size=20_000))
    new = rng.normal(size=20_000)
    for struck in (0.005, 0.01, 0.05):
        assert np.mean(new < table.threshold(struck)) == pytest.approx(struck, rel=0.3)


def test_an_item_without_evidence_has_no_code_and_its_nearest_node_as_alternative():
    rule = NowhereRule(NowhereTable.fit("ttc", ROWS), None)
    found = rule.apply([a_prediction(), a_prediction()], np.array([-0.99, 0.5]))
    assert [p.status for p in found] == ["nowhere", "ok"]
    assert found[0].code is None
    assert found[0].path is None
    assert found[0].alternatives[0].code == "7"
    assert "if it does belong, the nearest is 'Tools > Saws'" in found[0].message
    assert "less like any than 99% of the rows that do belong" in found[0].message
    assert "-0.99" in found[0].message
    assert str(found[0]).startswith("nowhere: seems to belong to no node")
    assert found[0].to_dict()["code"] is None


def test_what_cannot_be_judged_or_answered_stays_as_it_is():
    rule = NowhereRule(NowhereTable.fit("ttc", ROWS), None)
    failed = Prediction.failed("no text")
    given = [a_prediction(), failed]
    assert rule.apply(given, np.array([np.nan, -5.0])) == given


def test_few_rows_strike_nothing_and_say_so_where_it_is_asked():
    table = NowhereTable.fit("ttc", ROWS[:50])
    assert not NowhereRule(table, None).judges
    assert not NowhereRule(table, 0.0).judges
    with pytest.raises(UsageError, match=r"50 held-out rows .* 0\.02 or more"):
        NowhereRule(table, 0.01)
    assert NowhereRule(table, 0.05).judges


def test_a_table_keeps_the_lowest_tenth_and_knows_whether_it_is_whole():
    table = NowhereTable.fit("ttc", np.append(ROWS, np.nan))
    assert table.rows == 999
    assert len(table.lowest) == 100
    assert table.is_whole()
    assert not NowhereTable("ttc", 999, table.lowest[1:]).is_whole()
    assert not NowhereTable("ttc", 999, table.lowest[::-1]).is_whole()
    assert not NowhereTable("ttc", 9, (float("nan"),)).is_whole()


@pytest.mark.weights
def test_without_a_pack_items_are_struck_where_that_is_asked_for():
    asked = cascade.load("store", calibration={"nowhere": 0.1})
    hat, strange = "straw panama hat", "asymptotics of zeros of Riemann's zeta function"
    first, second = asked.classify_many([hat, strange])
    assert first.code is not None
    assert (second.status, second.code) == ("nowhere", None)
    silent = cascade.load("store")
    assert silent.classify(strange).code is not None
