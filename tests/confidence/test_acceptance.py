import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.confidence.acceptance import Acceptance
from cascade.confidence.calibration import Calibration
from cascade.confidence.climbing import levels_held, paths_of, worth
from cascade.config import CalibrationConfig
from cascade.errors import ConfigError, UsageError
from cascade.lazy import LazyPath, peek
from cascade.predictions import Alternative, Level, Prediction


def a_prediction(*confidences, status="ok", message=""):
    """Of confidences down the path Tools > Saws > Handsaws."""
    names = ["Tools", "Saws", "Handsaws", "Tenon"][: len(confidences)]
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


def a_pack(tmp_path, climb=True, n=2000):
    """A calibration on rows of two levels, of which true shares are right, so that maps change
    little."""
    rng = np.random.default_rng(0)
    top = rng.beta(6, 1, size=n)
    raw = np.stack([top, top * rng.beta(2, 1, size=n)], axis=1)
    draws = rng.random((n, 1))  # one for each row: a right leaf has right nodes above it
    right = draws < raw
    found = Calibration.fit(raw, right, right[:, 1])
    file = tmp_path / "calibration.json"
    (found if climb else replace(found, climb=None)).save(file)
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
    assert found.climbed_from == a_prediction(0.9, 0.8, 0.4)
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
    config = CalibrationConfig(file=a_pack(tmp_path), max_risk=0.1, least=0.99)
    found = Acceptance(config).apply(
        [a_prediction(0.99, 0.98), a_prediction(0.98, 0.4), a_prediction(0.3, 0.2)]
    )
    assert [(p.code, p.status) for p in found] == [
        ("Saw", "ok"),
        ("Too", "partial"),
        ("Saw", "review"),
    ]
    assert found[1].message.endswith("too little for a risk of 10.0%")
    assert found[2].message.startswith("level 1 has ")


def test_an_older_pack_accepts_whole_answers_alone(tmp_path):
    config = CalibrationConfig(file=a_pack(tmp_path, climb=False), max_risk=0.2)
    found = Acceptance(config).apply([a_prediction(0.99, 0.98), a_prediction(0.98, 0.4)])
    assert [p.status for p in found] == ["ok", "review"]


def test_a_risk_that_no_threshold_keeps_leaves_all_for_review(tmp_path):
    acceptance = Acceptance(CalibrationConfig(file=a_pack(tmp_path, n=40), max_risk=0.001))
    (found,) = acceptance.apply([a_prediction(0.99, 0.98)])
    assert found.status == "review"
    assert found.message.endswith("no confidence keeps the risk at 0.1%")
    assert "every answer is for review" in acceptance.warning
    assert not Acceptance(CalibrationConfig(file=a_pack(tmp_path), max_risk=0.3)).warning


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


def test_levels_hold_down_to_the_first_that_is_not_sure():
    paths = np.array([[0.9, 0.5, 0.5], [0.9, 0.49, np.nan], [0.2, 0.9, np.nan]])
    assert levels_held(paths, 0.5).tolist() == [3, 1, 0]
    assert levels_held(np.empty((2, 0)), 0.5).tolist() == [0, 0]


paths = st.lists(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=4), min_size=1, max_size=5)


@settings(max_examples=100, deadline=None)
@given(paths, st.floats(0.001, 100))
def test_the_levels_that_are_worth_a_price_are_those_that_pay_most_at_it(rows, price):
    predictions = [a_prediction(*np.minimum.accumulate(row).tolist()) for row in rows]
    found = levels_held(worth(paths_of(predictions)), price)
    for prediction, level in zip(predictions, found.tolist(), strict=True):
        sure, n = prediction.path_confidences, len(prediction.path_confidences)
        pays = [0.0, *[d / n * sure[d - 1] - price * (1 - sure[d - 1]) for d in range(1, n + 1)]]
        assert pays[level] == pytest.approx(max(pays), abs=1e-6)


def test_worth_never_grows_down_a_path_and_an_only_child_costs_no_risk():
    sure = np.array([[0.9, 0.9, 0.3], [0.99, 0.2, np.nan]])
    found = worth(sure)
    assert found[0, 0] == found[0, 1] > found[0, 2]
    assert found[1, 0] > found[1, 1]
    assert np.isnan(found[1, 2])


def test_the_risk_of_climbed_answers_is_kept_and_more_is_kept_than_of_whole_ones():
    rng = np.random.default_rng(1)

    def rows(n):
        top = rng.beta(6, 1, size=n)
        raw = np.stack([top, top * rng.beta(2, 1, size=n)], axis=1)
        return raw, rng.random((n, 1)) < raw

    broken, kept = 0, []
    raw, right = rows(4000)
    for _ in range(12):
        held, known = rows(800)
        found = Calibration.fit(held, known, known[:, 1])
        sure = found.of_paths(raw)
        levels = levels_held(worth(sure), found.climb.least_threshold(0.1))
        last = right[np.arange(len(right)), np.maximum(levels, 1) - 1]
        broken += (~last)[levels > 0].mean() > 0.1
        whole = (sure[:, 1] >= found.risk.least_threshold(0.1)) & right[:, 1]
        kept.append((np.where((levels > 0) & last, levels / 2, 0).mean(), whole.mean()))
    assert broken <= 1
    climbed, whole = np.mean(kept, axis=0)
    assert climbed > whole + 0.05


class Unread(LazyPath):
    """The path of a prediction, of which nobody may read more than what every row needs."""

    def confidences(self):
        return [0.98, 0.4]

    def nodes(self):
        return [("Too", "Tools"), ("Saw", "Saws")]


def test_rows_are_calibrated_accepted_climbed_and_struck_without_levels_being_made(tmp_path):
    held_out = {"scorer": "ttc", "rows": 199, "lowest": [0.1 * at for at in range(20)]}
    file = a_pack(tmp_path)
    with open(file) as opened:
        values = json.load(opened)
    with open(file, "w") as opened:
        json.dump({**values, "nowhere": held_out}, opened)
    predictions = [replace(a_prediction(0.98, 0.4), levels=Unread()) for _ in range(4)]
    for settings_, evidence, status in (
        ({"least": 0.1}, 9, "ok"),
        ({"max_risk": 0.1}, 9, "partial"),
        ({"review_below": 0.9}, 9, "review"),
        ({"least": 0.1}, -1, "nowhere"),
    ):
        acceptance = Acceptance(CalibrationConfig(file=file, **settings_))
        (found,) = acceptance.apply([predictions.pop()], evidence=np.array([evidence], np.float32))
        assert found.status == status
        assert isinstance(peek(found, "levels"), LazyPath) or found.levels == ()
