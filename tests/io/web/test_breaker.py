import pytest

from cascade.io.web import breaker as module
from cascade.io.web.breaker import Breaker


@pytest.fixture
def clock(monkeypatch):
    """A list with the time, which tests set."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_it_opens_after_failures_in_a_row_only(clock):
    breaker = Breaker(3, 10, 100)
    for _ in range(5):
        breaker.failed("no")
        breaker.failed("no")
        breaker.succeeded()
    assert breaker.allows()
    for _ in range(3):
        breaker.failed("gone")
    assert not breaker.allows()
    assert breaker.problem == "gone"


def test_one_request_tries_after_a_rest_that_doubles_up_to_a_bound(clock):
    breaker = Breaker(1, 10, 30)
    breaker.failed("no")
    for rest in (10, 20, 30, 30):
        clock[0] += rest - 1
        assert not breaker.allows()
        clock[0] += 1
        assert breaker.allows()
        assert not breaker.allows()  # one alone
        breaker.failed("no")
    clock[0] += 30
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.allows() and breaker.allows() and not breaker.is_open


def test_requests_that_were_under_way_do_not_lengthen_the_rest(clock):
    breaker = Breaker(1, 10, 1000)
    for _ in range(20):
        breaker.failed("no")
    clock[0] += 10
    assert breaker.allows()


def test_failures_have_weights(clock):
    breaker = Breaker(8, 10, 100)
    breaker.failed("no", 4)
    breaker.failed("no", 3)
    assert breaker.allows()
    breaker.failed("no")
    assert not breaker.allows()
