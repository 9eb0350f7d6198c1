"""What the client of a server does when the server does not do what it should."""

import gzip
import json
import threading
import time

import pytest
from json_server import Reply, json_server

from cascade.config import ServerConfig
from cascade.errors import ConfigError, EngineError
from cascade.generation.engines import http_client as module
from cascade.generation.engines.answer_forms import Answer
from cascade.generation.engines.http_client import Client

GOOD = {"n": 7, "usage": {"total_tokens": 10}}


class Number(Answer):
    n: int


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT", 0.01)


def client(server, **settings):
    return Client(ServerConfig.model_validate({"url": server.url, "timeout": 5, **settings}))


def ask(server, n=1, **settings):
    """What a new client gets for n prompts, each in a request of its own; errors are raised."""
    found = ask_with(client(server, **settings), [[at] for at in range(n)])
    for one in found:
        if isinstance(one, EngineError):
            raise one
    return found


def ask_with(own, groups):
    """What a client gets for groups of prompts; an answer is for all prompts of its group."""
    return own.ask(
        f"{own.url}/completions",
        groups,
        lambda group: {"n": group[0], "all": list(group)},
        Number,
        lambda group, answer: [answer.n] * len(group),
    )


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
        assert ask(server, retries=2) == [7]
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
    with json_server(lambda *_: Reply({"error": "no such option"}, 400)) as server:
        with pytest.raises(EngineError, match=r"status 400, .*no such option") as caught:
            ask(server)
        assert not caught.value.retry
        assert len(server.asked) == 1


def test_waits_grow_and_are_not_all_the_same():
    own = Client(ServerConfig(url="http://127.0.0.1:1/v1"))
    waits = [own._wait(EngineError("no", retry=True), tried) for tried in range(1, 9)]
    for at, wait in enumerate(waits):
        assert 0.005 * 2**at <= wait <= 0.01 * 2**at
    assert len({round(wait / 2**at, 6) for at, wait in enumerate(waits)}) > 1


def test_the_server_says_how_long_to_wait():
    with json_server(one_by_one(Reply({}, 429, {"Retry-After": "0.4"}))) as server:
        start = time.monotonic()
        assert ask(server) == [7]
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
        with pytest.raises(EngineError, match=r"timed out.*, after 2 tries"):
            ask(server, timeout=0.2, retries=1)
        assert time.monotonic() - start < 3
        silence.set()


def test_a_server_that_answers_byte_by_byte_is_not_waited_for():
    with json_server(lambda *_: Reply(GOOD, pause=0.1)) as server:
        start = time.monotonic()
        with pytest.raises(EngineError, match="timed out"):
            ask(server, timeout=0.3, retries=0)
        assert time.monotonic() - start < 2


def test_nobody_there_is_an_engine_error():
    with json_server(lambda *_: GOOD) as server:
        url = server.url
    with pytest.raises(EngineError, match=r"refused.*, after 2 tries") as caught:
        Client(ServerConfig(url=url, retries=1)).get(f"{url}/models", Number)
    assert caught.value.retry


def test_answers_come_in_the_order_of_the_questions_a_few_at_a_time():
    def answer(path, payload):
        time.sleep(0.01 * (payload["n"] % 3))
        return {"n": payload["n"]}

    with json_server(answer) as server:
        found = ask(server, n=30, concurrency=4)
        assert found == list(range(30))
        assert 2 <= server.busiest <= 4


def test_a_budget_of_requests_counts_every_try():
    with json_server(one_by_one(Reply({}, 500))) as server:
        own = client(server, max_requests=3, concurrency=1)
        assert ask_with(own, [[1], [2]]) == [7, 7]
        (error,) = ask_with(own, [[3]])
        assert "budget of 3 requests is spent" in str(error)
        assert not error.retry
        assert len(server.asked) == 3


def test_a_budget_of_tokens_counts_what_the_server_tells():
    with json_server(lambda *_: GOOD) as server:
        found = ask_with(client(server, max_tokens=25, concurrency=1), [[at] for at in range(10)])
        assert found[:3] == [7, 7, 7]
        assert all("budget of 25 tokens is spent" in str(error) for error in found[3:])
        assert len(server.asked) == 3


@pytest.mark.parametrize(
    "usage", [[1], "many", {"total_tokens": "many"}, {"total_tokens": 1e400}, {"total_tokens": -5}]
)
def test_nonsense_about_tokens_costs_no_answer(usage):
    with json_server(lambda *_: {"n": 7, "usage": usage}) as server:
        assert ask(server, n=2, max_tokens=25) == [7, 7]


def test_one_refused_prompt_costs_no_other():
    def answer(path, payload):
        return Reply({"error": "filtered"}, 400) if 5 in payload["all"] else GOOD

    with json_server(answer) as server:
        found = ask_with(client(server), [range(8), range(8, 16)])
        assert len(server.asked) == 2 + 8
    assert [at for at, one in enumerate(found) if one != 7] == [5]
    assert found[5].reason == "server answered 400"


def test_a_failure_is_that_of_its_own_prompt_whatever_the_others_do():
    def answer(path, payload):
        return Reply({}, 500) if payload["n"] % 7 == 3 else {"n": payload["n"]}

    with json_server(answer) as server:
        found = ask_with(client(server, retries=1), [[at] for at in range(30)])
    assert [one if isinstance(one, int) else None for one in found] == [
        None if at % 7 == 3 else at for at in range(30)
    ]


def test_an_answer_that_never_comes_right_is_given_up_without_waiting():
    with json_server(lambda *_: {"n": "seven"}) as server:
        (error,) = ask_with(client(server, retries=3), [[1]])
        assert len(server.asked) == 4
    assert error.reason == "server answered in another form"
    assert "n: Input should be a valid integer" in str(error)


DEEP = b'{"n": 7, "usage": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"


@pytest.mark.parametrize(
    "bad",
    [
        Reply(DEEP),
        Reply(b'{"n": ' + b"9" * 6000 + b"}"),
        Reply(b"\xff\xfe"),
        Reply(b'{"n": "\xff"}'),
        Reply(b""),
        Reply(b"\x1f\x8b\x08\0\0\0", headers={"Content-Encoding": "gzip"}),
        Reply(b"GOOD", headers={"Content-Encoding": "br"}),
        Reply(b"zz\r\nabc", headers={"Transfer-Encoding": "chunked"}),
        Reply({}, 408, {"Retry-After": "-5"}),
        Reply({}, 503, {"Retry-After": "nan"}),
        Reply({}, 503, {"Retry-After": "Mon, 01 Jan 0001 00:00:00 +2359"}),
    ],
    ids=range(11),
)
def test_no_fault_gets_out_of_the_client(bad):
    with json_server(one_by_one(bad)) as server:
        assert ask(server, retries=1) == [7]


def test_an_answer_may_be_packed_but_not_beyond_its_bound(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    packed = {"Content-Encoding": "gzip"}
    good = Reply(gzip.compress(json.dumps(GOOD).encode()), headers=packed)
    bomb = Reply(gzip.compress(b" " * 10_000_000), headers=packed)
    with json_server(one_by_one(good, bomb)) as server:
        own = client(server, concurrency=1)
        fine, bad = ask_with(own, [[1], [2]])
    assert fine == 7
    assert "more than" in str(bad)


def test_a_dead_server_is_left_alone_and_found_again_when_it_is_back(monkeypatch):
    monkeypatch.setattr(module, "REST", 0.2)
    dead = threading.Event()

    def answer(*_):
        return Reply({}, 500) if dead.is_set() else GOOD

    with json_server(answer) as server:
        own = client(server, retries=0, concurrency=2)
        dead.set()
        found = ask_with(own, [[at] for at in range(200)])
        assert all(isinstance(one, EngineError) for one in found)
        assert len(server.asked) < 12
        assert found[-1].reason == module.LEFT_ALONE
        dead.clear()
        ends = time.monotonic() + 10
        while ask_with(own, [[1]]) != [7]:
            assert time.monotonic() < ends
            time.sleep(0.02)
        assert ask_with(own, [[at] for at in range(20)]) == [7] * 20


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_lets_nobody_in_ends_the_run_at_once(status):
    with json_server(lambda *_: Reply({"error": "no"}, status)) as server:
        with pytest.raises(ConfigError, match=f"status {status}"):
            ask_with(client(server, concurrency=2), [[at] for at in range(500)])
        assert len(server.asked) < 10


def test_one_prompt_that_a_gateway_forbids_is_no_wrong_key():
    def answer(path, payload):
        return Reply(b"blocked", 403) if payload["n"] == 5 else GOOD

    with json_server(answer) as server:
        found = ask_with(client(server, concurrency=1), [[at] for at in range(10)])
    assert [at for at, one in enumerate(found) if one != 7] == [5]


def test_the_key_comes_from_the_environment_and_is_shown_to_nobody(monkeypatch, caplog):
    monkeypatch.setenv("MY_KEY", "secret\n")
    caplog.set_level("DEBUG")
    told = {"error": "the key secret is not known"}
    with json_server(one_by_one(GOOD, Reply(told, 401), Reply(told, 401))) as server:
        own = client(server, api_key_env="MY_KEY", retries=1)
        ask_with(own, [[1]])
        assert server.asked[0][2]["Authorization"] == "Bearer secret"
        with pytest.raises(ConfigError, match=r"the key in \$MY_KEY is not accepted") as caught:
            ask_with(own, [[1]])
    assert "secret" not in str(caught.value)
    assert "secret" not in caplog.text


@pytest.mark.parametrize("key", ["two words", "schlüssel", "a\x00b", "line\nbreak"])
def test_a_key_that_cannot_be_sent_is_not_shown_either(monkeypatch, key):
    monkeypatch.setattr(module.os, "environ", {"MY_KEY": key})
    with pytest.raises(ConfigError, match="holds no key") as caught:
        Client(ServerConfig(url="http://127.0.0.1:1/v1", api_key_env="MY_KEY"))
    assert key not in str(caught.value)


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
        ("htp://me:secret@127.0.0.1/v1", "no key, user or query"),
        ("http://[::1/v1", "no address"),
        ("http://127.0.0.1:99999/v1", "no address"),
        ("http://127.0.0.1/v1?key=secret", "no key, user or query"),
    ],
)
def test_an_address_that_is_none_is_told(url, problem):
    with pytest.raises(ConfigError, match=problem):
        Client(ServerConfig(url=url))
