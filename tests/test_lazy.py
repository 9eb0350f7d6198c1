"""Fields that are worked out when they are first asked for."""

import copy
import dataclasses
import pickle

from cascade.lazy import Lazy, peek, replace
from cascade.predictions import Level, Prediction

LEVELS = (Level(1, "h", "Hats", 0.5),)


class Counting(Lazy):
    def __init__(self):
        self.asked = 0

    def levels(self):
        self.asked += 1
        return LEVELS


def prediction(levels):
    return Prediction("h", "Hats", 0.5, "retrieval", levels=levels)


def test_a_field_is_worked_out_once_and_not_before_it_is_asked_for():
    later = Counting()
    found = prediction(later)
    assert (found.code, later.asked) == ("h", 0)
    assert peek(found, "levels") is later
    assert found.levels is found.levels is LEVELS
    assert later.asked == 1
    assert peek(found, "levels") is LEVELS


def test_nobody_can_tell_a_field_that_waits_from_one_that_does_not():
    ready = prediction(LEVELS)
    for same in (
        lambda p: p,
        copy.copy,
        copy.deepcopy,
        lambda p: pickle.loads(pickle.dumps(p)),
        lambda p: dataclasses.replace(p, code="h"),
    ):
        assert same(prediction(Counting())) == ready
    waiting = prediction(Counting())
    assert waiting.to_json() == ready.to_json()
    assert hash(prediction(Counting())) == hash(ready)
    assert dataclasses.asdict(prediction(Counting())) == dataclasses.asdict(ready)


def test_a_copy_with_changes_leaves_what_nobody_read_to_be_worked_out_later():
    later = Counting()
    found = replace(prediction(later), code="caps", status="review")
    assert (found.code, found.status, found.path, later.asked) == ("caps", "review", "Hats", 0)
    assert found == dataclasses.replace(prediction(LEVELS), code="caps", status="review")
