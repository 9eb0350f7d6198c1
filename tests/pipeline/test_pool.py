"""Several processes that answer: in order, whatever dies."""

import os
import signal
from pathlib import Path

import pytest

from cascade.errors import ConfigError, EngineError, InputError
from cascade.pipeline.pool import DEATHS, Pool


class Counting:
    """Stands for a classifier: a process makes it once, of its parts."""

    def __init__(self, start):
        if start < 0:
            raise ConfigError("a pack that cannot be read")
        self.number = start

    def __reduce__(self):
        return Counting, (self.number,), {"more": 1}

    def __setstate__(self, state):
        self.number += state["more"]


def add(classifier, number):
    if number == 13:
        raise InputError("no such row", file="rows.csv", line=13)
    return classifier.number + number, os.getpid()


def die_at(classifier, folder, number, times):
    """Kill the own process so many times at the second piece of work."""
    marks = len(list(Path(folder).iterdir()))
    if number == 1 and marks < times:
        (Path(folder) / str(marks)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_answers_come_in_the_order_of_the_questions():
    with Pool(Counting(100), add, 2) as pool:
        for number in (*range(8), 13, 9):
            pool.ask(number)
        found = [pool.next() for _ in range(8)]
        assert [number for number, _ in found] == [101 + number for number in range(8)]
        assert os.getpid() not in {process for _, process in found}
        with pytest.raises(InputError, match=r"rows.csv, line 13: no such row"):
            pool.next()
        assert pool.next()[0] == 110


def test_what_cannot_be_loaded_is_told_with_its_words():
    broken = Counting(0)
    broken.number = -1
    with Pool(broken, add, 1) as pool:
        pool.ask(1)
        with pytest.raises(ConfigError, match="a pack that cannot be read"):
            pool.next()


def test_a_process_that_is_killed_is_replaced_and_nothing_is_lost(tmp_path):
    with Pool(Counting(0), die_at, 2) as pool:
        for number in range(6):
            pool.ask(str(tmp_path), number, 1)
        assert [pool.next() for _ in range(6)] == [*range(6)]
    assert len(list(tmp_path.iterdir())) == 1


def test_rows_that_kill_every_process_end_the_run_with_a_word(tmp_path):
    with Pool(Counting(0), die_at, 1) as pool:
        for number in range(3):
            pool.ask(str(tmp_path), number, 10**6)
        assert pool.next() == 0
        with pytest.raises(EngineError, match="give fewer --workers"):
            pool.next()
    assert len(list(tmp_path.iterdir())) == DEATHS + 1
