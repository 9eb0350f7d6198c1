from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.confidence.calibration import Calibration
from cascade.confidence.maps import BetaCalibration
from cascade.confidence.risk import RiskTable
from cascade.predictions import Alternative, Level, Prediction
from cascade.taxonomy.names import PATH_SEPARATOR

slopes = st.one_of(st.just(0.0), st.floats(0.01, 20))
maps = st.builds(BetaCalibration, slopes, slopes, st.floats(-20, 20))


def a_calibration(*levels):
    return Calibration(levels, RiskTable((), (), ()))


def calibrated(by, raw):
    """What becomes of a copy: a prediction is calibrated in place."""
    found = replace(raw)
    assert by.calibrate([found])[0].tolist() == list(found.path_confidences)
    return found


def a_prediction(path, *alternatives):
    """Of raw confidences down the path, as (name, confidence), and alternatives, as (path, .)."""
    names = [name for name, _ in path]
    levels = tuple(Level(at, name, name, sure) for at, (name, sure) in enumerate(path, 1))
    others = tuple(Alternative(p.rpartition(PATH_SEPARATOR)[2], p, c) for p, c in alternatives)
    end = PATH_SEPARATOR.join(names)
    sure = levels[-1].confidence
    return Prediction(names[-1], end, sure, "ttc", levels=levels, alternatives=others)


@st.composite
def traces(draw):
    """Ends of paths in a tree of three levels, with parts of 1; at inner nodes one may stay."""
    number = st.integers(0, 2)
    ends = draw(st.lists(st.lists(number, min_size=1, max_size=3), min_size=1, max_size=6))
    ends = sorted(set(map(tuple, ends)))
    share = st.one_of(st.just(0.0), st.floats(1e-9, 1))
    shares = np.array([draw(share) for _ in ends]) + 1e-12
    shares *= draw(st.floats(0.01, 1)) / shares.sum()
    best = int(shares.argmax())
    path = []
    for level in range(1, len(ends[best]) + 1):
        node = ends[best][:level]
        inside = [s for end, s in zip(ends, shares, strict=True) if end[:level] == node]
        path.append(("n" + "".join(map(str, node)), float(sum(inside))))

    def named(end):
        steps = ("".join(map(str, end[:level])) for level in range(1, len(end) + 1))
        return PATH_SEPARATOR.join(f"n{step}" for step in steps)

    order = [at for at in np.argsort(-shares).tolist() if at != best]
    return a_prediction(path, *[(named(ends[at]), float(shares[at])) for at in order])


@settings(max_examples=100, deadline=None)
@given(traces(), st.lists(maps, min_size=1, max_size=3))
def test_confidences_are_parts_of_one_whole_whatever_the_maps(raw, levels):
    found = calibrated(a_calibration(*levels), raw)
    path = [1.0, *[level.confidence for level in found.levels]]
    assert all(above >= below for above, below in pairwise(path))
    assert found.confidence == path[-1]
    others = [a.confidence for a in found.alternatives]
    assert others == sorted(others, reverse=True)
    assert all(0 <= other <= found.confidence for other in others)
    assert {a.path for a in found.alternatives} == {a.path for a in raw.alternatives}
    names = [level.name for level in found.levels]
    for at in range(len(names)):  # what parts from the path at a node, and the path itself
        parted = [a.confidence for a in found.alternatives if steps_together(a.path, names) == at]
        assert path[at + 1] + sum(parted) <= path[at] + 1e-9
    below = [
        a.confidence for a in found.alternatives if steps_together(a.path, names) == len(names)
    ]
    assert sum(below) <= found.confidence + 1e-9


def steps_together(path, names):
    steps = path.split(PATH_SEPARATOR)
    return sum(a == b for a, b in zip(steps, names, strict=False))  # names are unique here


def test_where_a_level_tells_nothing_alternatives_share_what_their_parents_leave():
    flat = BetaCalibration(0.0, 0.0, 0.2)  # as packs had it before maps had a prior
    sure = BetaCalibration(1.0, 1.0, 4.0)
    raw = a_prediction(
        [("Tools", 0.97), ("Saws", 0.5)],
        ("Tools > Drills", 0.46),
        ("Plants > Trees", 0.03),
        ("Books", 0.0),
    )
    found = calibrated(a_calibration(sure, flat), raw)
    drills, trees, books = found.alternatives
    assert found.levels[0].confidence > 0.99
    assert drills.confidence == pytest.approx(
        found.levels[0].confidence - found.confidence, rel=0.1
    )
    assert trees.confidence <= 1 - found.levels[0].confidence
    assert books.confidence < 1e-4


def test_below_an_inner_node_that_is_the_answer_its_confidence_is_shared():
    raw = a_prediction([("Tools", 0.9)], ("Tools > Saws", 0.3), ("Plants", 0.1))
    found = calibrated(a_calibration(BetaCalibration(1.0, 1.0, -1.0)), raw)
    assert found.alternatives[0].path == "Tools > Saws"
    assert found.alternatives[0].confidence <= found.confidence / 3 + 1e-9
    assert found.alternatives[1].confidence <= 1 - found.confidence


def test_to_stay_at_a_node_above_the_answer_excludes_the_answer():
    raw = a_prediction([("Tools", 0.9), ("Saws", 0.5)], ("Tools", 0.4), ("Plants", 0.1))
    found = calibrated(a_calibration(BetaCalibration()), raw)
    assert [a.confidence for a in found.alternatives] == pytest.approx([0.4, 0.1])


def test_a_map_that_changes_nothing_leaves_alternatives_as_they_are():
    raw = a_prediction(
        [("Tools", 0.8), ("Saws", 0.6), ("Handsaws", 0.4)],
        ("Tools > Saws > Chainsaws", 0.15),
        ("Tools > Drills", 0.12),
        ("Plants > Trees", 0.1),
    )
    found = calibrated(a_calibration(BetaCalibration()), raw)
    assert [a.confidence for a in found.alternatives] == pytest.approx([0.15, 0.12, 0.1])


def test_held_out_rows_without_an_answer_do_not_count():
    rng = np.random.default_rng(0)
    raw = rng.beta(5, 1, size=(400, 2)).cumprod(axis=1)
    right = rng.random((400, 1)) < raw
    found = Calibration.fit(raw, right, right[:, 1])
    none = np.full((3, 2), np.nan)
    wrong = np.zeros((3, 2), bool)
    more = Calibration.fit(
        np.vstack([none, raw]), np.vstack([wrong, right]), np.r_[wrong[:, 0], right[:, 1]]
    )
    assert more == found
