"""What the client of a server does when the server does not do what it should."""

import threading
import time

import pytest
from json_server import Reply, json_server

from cascade.config import ServerConfig
from cascade.errors import ConfigError, EngineError
from cascade.generation.engines import http_client as module
from cascade.generation.engines.http_client import Client

GOOD = {"choices": [], "usage": {"total_tokens": 10}}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT", 0.01)


def client(server, **settings):
    return Client(ServerConfig.model_validate({"url": server.url, "timeout": 5, **settings}))


def ask(server, n=1, **settings):
    own = client(server, **settings)
    return own.post_all(f"{own.url}/completions", [{"n": at} for at in range(n)])


def one_by_one(*replies):
    """The replies in turn, then good ones."""
    waiting, lock = list(replies), threading.Lock()

    def answer(path, payload):
        with lock:
            return waiting.pop(0) if waiting else GOOD

    return answer


@pytest.mark.parametrize(
    "bad",
    [
        Reply({}, 429),
        Reply(b"busy", 503),
        Reply(b"<html>gateway</html>", 502),
        Reply(b"<html>fine</html>"),
        Reply(b"[1, 2]"),
        Reply(b'{"choices": [', headers={"Content-Length": 400}),
        None,
    ],
    ids=["429", "503", "502", "no JSON", "no object", "cut short", "connection closed"],
)
def test_what_may_pass_is_tried_again(bad):
    with json_server(one_by_one(bad, bad)) as server:
        assert ask(server, retries=2) == [GOOD]
        assert len(server.asked) == 3


def test_a_server_that_stays_broken_is_given_up():
    with json_server(lambda *_: Reply(b"out of memory", 500)) as server:
        with pytest.raises(
            EngineError, match=r"status 500 \(out of memory\), after 4 tries"
        ) as caught:
            ask(server, retries=3)
        assert caught.value.retry
        assert len(server.asked) == 4


def test_a_refusal_is_not_tried_again():
    with json_server(lambda *_: Reply({"error": "no such model"}, 404)) as server:
        with pytest.raises(EngineError, match=r"status 404: .*no such model") as caught:
            ask(server)
        assert not caught.value.retry
        assert len(server.asked) == 1


def test_waits_grow_and_are_not_all_the_same(monkeypatch):
    waits = []
    monkeypatch.setattr(
        threading.Event, "wait", lambda self, timeout=None: waits.append(timeout) and False
    )
    with json_server(lambda *_: Reply({}, 500)) as server, pytest.raises(EngineError):
        client(server, retries=8).post(f"{server.url}/x", {})
    waits = [wait for wait in waits if wait is not None and wait < 5][:8]
    for at, wait in enumerate(waits):
        assert 0.005 * 2**at <= wait <= 0.01 * 2**at
    assert len({round(wait / 2**at, 6) for at, wait in enumerate(waits)}) > 1


def test_the_server_says_how_long_to_wait():
    with json_server(one_by_one(Reply({}, 429, {"Retry-After": "0.4"}))) as server:
        start = time.monotonic()
        assert ask(server) == [GOOD]
        assert time.monotonic() - start >= 0.4


def test_a_date_can_say_how_long_to_wait():
    assert module._seconds("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    assert module._seconds("Thu, 01 Jan 2970 00:00:00 GMT") > 1e9
    assert module._seconds("soon") is None


def test_a_server_that_wants_an_hour_is_not_waited_for():
    with json_server(lambda *_: Reply({}, 429, {"Retry-After": "3600"})) as server:
        start = time.monotonic()
        with pytest.raises(EngineError, match="429"):
            ask(server)
        assert time.monotonic() - start < 2


def test_a_silent_server_is_not_waited_for():
    silence = threading.Event()

    def answer(*_):
        silence.wait(20)
        return GOOD

    with json_server(answer) as server:
        start = time.monotonic()
        with pytest.raises(EngineError, match=r"no answer .*timed out.*, after 2 tries"):
            ask(server, timeout=0.2, retries=1)
        assert time.monotonic() - start < 3
        silence.set()


def test_a_server_that_answers_byte_by_byte_is_not_waited_for():
    with json_server(lambda *_: Reply(GOOD, pause=0.1)) as server:
        start = time.monotonic()
        with pytest.raises(EngineError, match="took too long"):
            ask(server, timeout=0.3, retries=0)
        assert time.monotonic() - start < 2


def test_nobody_there_is_an_engine_error():
    with json_server(lambda *_: GOOD) as server:
        url = server.url
    with pytest.raises(EngineError, match=r"refused.*, after 2 tries") as caught:
        Client(ServerConfig(url=url, retries=1)).get(f"{url}/models")
    assert caught.value.retry


def test_answers_come_in_the_order_of_the_questions_a_few_at_a_time():
    def answer(path, payload):
        time.sleep(0.01 * (payload["n"] % 3))
        return {"n": payload["n"]}

    with json_server(answer) as server:
        found = ask(server, n=30, concurrency=4)
        assert [one["n"] for one in found] == list(range(30))
        assert 2 <= server.busiest <= 4


def test_one_failure_stops_what_has_not_begun():
    def answer(path, payload):
        time.sleep(0.05)
        return Reply({}, 400) if payload["n"] == 0 else GOOD

    with json_server(answer) as server:
        with pytest.raises(EngineError):
            ask(server, n=200, concurrency=2)
        assert len(server.asked) < 20


def test_a_budget_of_requests_counts_every_try():
    with json_server(one_by_one(Reply({}, 500))) as server:
        own = client(server, max_requests=3, concurrency=1)
        own.post_all(f"{own.url}/completions", [{}, {}])
        with pytest.raises(EngineError, match="budget of 3 requests is spent") as caught:
            own.post_all(f"{own.url}/completions", [{}])
        assert not caught.value.retry
        assert len(server.asked) == 3


def test_a_budget_of_tokens_counts_what_the_server_tells():
    with json_server(lambda *_: GOOD) as server:
        own = client(server, max_tokens=25, concurrency=1)
        with pytest.raises(EngineError, match="budget of 25 tokens is spent"):
            own.post_all(f"{own.url}/completions", [{}] * 10)
        assert len(server.asked) == 3


def test_the_key_comes_from_the_environment_and_is_shown_to_nobody(monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret\n")
    with json_server(one_by_one(GOOD, Reply({}, 401))) as server:
        own = client(server, api_key_env="MY_KEY")
        own.post_all(f"{own.url}/completions", [{}])
        assert server.asked[0][2]["Authorization"] == "Bearer secret"
        with pytest.raises(EngineError, match=r"the key in \$MY_KEY is not accepted") as caught:
            own.post_all(f"{own.url}/completions", [{}])
        assert "secret" not in str(caught.value)


def test_a_key_that_is_not_set_is_told_before_anything_is_sent():
    with pytest.raises(ConfigError, match=r"'NO_SUCH_KEY'.* is not set"):
        Client(ServerConfig(url="http://127.0.0.1:1/v1", api_key_env="NO_SUCH_KEY"))


def test_a_redirect_does_not_carry_items_elsewhere():
    with json_server(lambda *_: GOOD) as other:
        away = Reply({}, 302, {"Location": f"{other.url}/completions"})
        with json_server(lambda *_: away) as server, pytest.raises(EngineError, match="redirects"):
            ask(server)
        assert other.asked == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (None, "llm.server.url"),
        ("127.0.0.1:8000", "no address"),
        ("file:///etc/passwd", "no address"),
        ("http://me:secret@127.0.0.1/v1", "no key, user or query"),
        ("http://127.0.0.1/v1?key=secret", "no key, user or query"),
    ],
)
def test_an_address_that_is_none_is_told(url, problem):
    with pytest.raises(ConfigError, match=problem):
        Client(ServerConfig(url=url))
