"""Several processes that answer: in order, whatever dies."""

import os
import signal
import sys
from pathlib import Path

import pytest

from cascade.errors import ConfigError, EngineError, InputError
from cascade.pipeline import pool as pools
from cascade.pipeline.pool import DEATHS, Pool, may_fork


@pytest.fixture(params=["forked", "spawned"])
def way(request, monkeypatch):
    """How processes begin."""
    monkeypatch.setattr(pools, "may_fork", lambda size: request.param == "forked")
    return request.param


@pytest.fixture
def spawned(monkeypatch):
    monkeypatch.setattr(pools, "may_fork", lambda size: False)


class Counting:
    """Stands for a classifier: a process has it, or makes it once, of its parts."""

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


def streams(classifier):
    sys.stderr.write("\r")
    return id(sys.stdout), id(sys.stderr)


def die_at(classifier, folder, number, times):
    """Kill the own process so many times at the second piece of work."""
    marks = len(list(Path(folder).iterdir()))
    if number == 1 and marks < times:
        (Path(folder) / str(marks)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_answers_come_in_the_order_of_the_questions(way):
    first = 101 if way == "spawned" else 100
    with Pool(Counting(100), add, 2) as pool:
        for number in (*range(8), 13, 9):
            pool.ask(number)
        found = [pool.next() for _ in range(8)]
        assert [number for number, _ in found] == [first + number for number in range(8)]
        assert os.getpid() not in {process for _, process in found}
        with pytest.raises(InputError, match=r"rows.csv, line 13: no such row"):
            pool.next()
        assert pool.next()[0] == first + 9


@pytest.mark.usefixtures("spawned")
def test_what_cannot_be_loaded_is_told_with_its_words():
    broken = Counting(0)
    broken.number = -1
    with Pool(broken, add, 1) as pool:
        pool.ask(1)
        with pytest.raises(ConfigError, match="a pack that cannot be read"):
            pool.next()


@pytest.mark.usefixtures("way")
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


def test_processes_are_forked_where_each_computes_with_one_thread(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    for name in pools.THREADS:
        monkeypatch.delenv(name, raising=False)
    assert [may_fork(size) for size in (2, 4, 8, 16)] == [False, False, True, True]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert may_fork(2)
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert not may_fork(8)


def test_processes_that_a_library_would_harm_are_not_forked(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("sys.platform", "linux")
    assert may_fork(2)
    monkeypatch.setitem(sys.modules, "vllm", sys)
    assert not may_fork(2)
    monkeypatch.delitem(sys.modules, "vllm")
    monkeypatch.setattr("sys.platform", "darwin")
    assert not may_fork(2)


def test_a_forked_process_writes_to_streams_of_its_own(monkeypatch):
    monkeypatch.setattr(pools, "may_fork", lambda size: True)
    with Pool(Counting(0), streams, 1) as pool:
        pool.ask()
        here, there = (id(sys.stdout), id(sys.stderr)), pool.next()
    assert not {*here} & {*there}
