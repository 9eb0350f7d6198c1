import json

import numpy as np
import pytest

from cascade.confidence.acceptance import Acceptance
from cascade.confidence.calibration import Calibration
from cascade.confidence.climbing import deepest
from cascade.confidence.maps import BetaCalibration
from cascade.confidence.risk import RiskTable
from cascade.config import CalibrationConfig
from cascade.errors import ConfigError, UsageError
from cascade.predictions import Alternative, Level, Prediction


def a_prediction(*confidences, status="ok", message=""):
    """Of confidences down the path Tools > Saws > Handsaws."""
    names = ["Tools", "Saws", "Handsaws"][: len(confidences)]
    levels = tuple(
        Level(at, name[:3], name, sure)
        for at, (name, sure) in enumerate(zip(names, confidences, strict=True), 1)
    )
    other = Alternative("DRI", "Tools > Drills", 0.01)
    return Prediction(
        levels[-1].code,
        " > ".join(names),
        confidences[-1],
        "retrieval",
        status,
        message,
        levels=levels,
        alternatives=(other,),
    )


def accept(*predictions, **settings):
    return Acceptance(CalibrationConfig(**settings), "retrieval").apply(predictions)


def a_pack(tmp_path, climb=True, n=1000):
    """A calibration that changes no confidence: level 1 is right from 0.5 up, leaves from 0.9."""
    sure = np.linspace(0.001, 0.999, n)
    top = RiskTable.fit(sure, np.where(sure >= 0.5, -np.inf, sure))
    leaf = RiskTable.fit(sure, np.where(sure >= 0.9, -np.inf, sure))
    file = tmp_path / "calibration.json"
    Calibration([BetaCalibration()], leaf, top if climb else None).save(file)
    return str(file)


def test_a_sure_leaf_is_ok_and_an_unsure_one_gives_way_to_the_deepest_sure_node_above():
    found = accept(
        a_prediction(0.9, 0.8, 0.6),
        a_prediction(0.9, 0.8, 0.4),
        a_prediction(0.9, 0.3, 0.2),
        a_prediction(0.4, 0.3, 0.2),
        least=0.5,
    )
    assert [(p.code, p.status) for p in found] == [
        ("Han", "ok"),
        ("Saw", "partial"),
        ("Too", "partial"),
        ("Han", "review"),
    ]
    assert found[1].path == "Tools > Saws"
    assert found[1].confidence == 0.8
    assert [level.code for level in found[1].levels] == ["Too", "Saw"]
    assert list(found[2].path_confidences) == [0.9]
    assert found[3].levels == a_prediction(0.4, 0.3, 0.2).levels


def test_the_answer_before_is_the_first_alternative_and_the_message_names_the_level():
    (found,) = accept(a_prediction(0.9, 0.8, 0.4), least=0.5)
    assert [a.path for a in found.alternatives] == ["Tools > Saws > Handsaws", "Tools > Drills"]
    assert found.alternatives[0] == found.climbed_from
    assert found.alternatives[0].confidence == 0.4
    assert found.message == (
        "answered at level 2: 'Handsaws' below it has 40%, and an answer needs 50%"
    )


def test_what_a_fallback_answered_says_so_still():
    whole = a_prediction(0.9, 0.4, status="partial", message="llm failed (500); ttc answered")
    (found,) = accept(whole, least=0.5)
    assert found.status == "partial"
    assert found.message.startswith("llm failed (500); ttc answered; answered at level 1")


def test_without_a_least_confidence_every_leaf_is_ok():
    prediction = a_prediction(0.1, 0.01)
    assert accept(prediction, least=0) == [prediction]


def test_below_a_confidence_whole_answers_are_for_review_and_none_climbs():
    found = accept(a_prediction(0.9, 0.8), a_prediction(0.9, 0.7), review_below=0.75, least=0.5)
    assert [(p.code, p.status) for p in found] == [("Saw", "ok"), ("Saw", "review")]
    assert found[1].message == "the answer has 70%, and an answer needs 75%"


def test_errors_stay_errors():
    failed = Prediction.failed("no text")
    assert accept(failed, least=0.5, review_below=None) == [failed]
    assert accept(failed, review_below=0.9) == [failed]


def test_with_a_risk_a_pack_climbs_to_where_held_out_rows_were_right(tmp_path):
    file = a_pack(tmp_path)
    acceptance = Acceptance(CalibrationConfig(file=file, max_risk=0.05, least=0.99))
    assert 0.45 < acceptance.least_confidence < 0.51
    found = acceptance.apply([a_prediction(0.7, 0.6), a_prediction(0.7, 0.3), a_prediction(0.3)])
    assert [(p.code, p.status) for p in found] == [
        ("Saw", "ok"),
        ("Too", "partial"),
        ("Too", "review"),
    ]
    assert "at most 5.0% of answers are wrong" in found[1].message


def test_an_older_pack_accepts_whole_answers_alone(tmp_path):
    file = a_pack(tmp_path, climb=False)
    acceptance = Acceptance(CalibrationConfig(file=file, max_risk=0.05))
    found = acceptance.apply([a_prediction(0.95, 0.92), a_prediction(0.95, 0.7)])
    assert [p.status for p in found] == ["ok", "review"]


def test_a_risk_that_no_threshold_keeps_leaves_all_for_review(tmp_path):
    acceptance = Acceptance(CalibrationConfig(file=a_pack(tmp_path, n=20), max_risk=0.001))
    (found,) = acceptance.apply([a_prediction(0.99, 0.98)])
    assert found.status == "review"
    assert found.message.endswith("no confidence keeps the risk at 0.1%")


def test_a_risk_needs_a_pack_and_excludes_a_confidence(tmp_path):
    with pytest.raises(UsageError, match="cascade fit"):
        Acceptance(CalibrationConfig(max_risk=0.05))
    both = CalibrationConfig(file=a_pack(tmp_path), max_risk=0.05, review_below=0.5)
    with pytest.raises(UsageError, match="choose one"):
        Acceptance(both)


def test_a_damaged_table_of_climbing_is_refused(tmp_path):
    file = a_pack(tmp_path)
    with open(file) as opened:
        values = json.load(opened)
    values["climb"]["wrong"][0] = 10**6
    with open(file, "w") as opened:
        json.dump(values, opened)
    with pytest.raises(ConfigError, match="fit it again"):
        Acceptance(CalibrationConfig(file=file))


def test_the_deepest_level_is_found_by_the_first_that_is_not_sure():
    assert deepest([0.9, 0.5, 0.5], 0.5) == 3
    assert deepest([0.9, 0.49], 0.5) == 1
    assert deepest([0.2, 0.9], 0.5) == 0
    assert deepest([], 0.5) == 0
