"""Exchanges with a server or a proxy on this machine; what goes wrong is tried with the clients."""

import os
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from json_server import Reply, json_server

from cascade.io.web import exchange
from cascade.io.web.exchange import Connections, NoReply


def sent(url, connections=None, **more):
    return (connections or Connections()).send(url, {}, **{"seconds": 5, "most": 1000, **more})


def test_connections_stay_open_between_requests(monkeypatch):
    made = []
    connect = exchange.httpcore.SyncBackend.connect_tcp

    def noted(self, *args, **options):
        made.append(args[0])
        return connect(self, *args, **options)

    monkeypatch.setattr(exchange.httpcore.SyncBackend, "connect_tcp", noted)
    monkeypatch.setattr("json_server._Handler.protocol_version", "HTTP/1.1")
    with json_server(lambda *_: {"a": 1}) as server:
        connections = Connections()
        for _ in range(3):
            assert sent(server.url, connections, body=b"{}").body == b'{"a": 1}'
        connections.close()
    assert made == ["127.0.0.1"]


def test_a_proxy_of_the_environment_is_used_unless_places_are_checked(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    asked = []

    def proxy(path, payload):
        asked.append(path)
        return Reply(b"through the proxy")

    with json_server(proxy) as server:
        monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
        assert sent("http://somewhere.invalid/a").body == b"through the proxy"
        with pytest.raises(NoReply, match="not known"):
            sent("http://somewhere.invalid/a", Connections(lambda *_: None))
        monkeypatch.setenv("no_proxy", "somewhere.invalid")
        with pytest.raises(NoReply, match="not known"):
            sent("http://somewhere.invalid/a")
    assert asked == ["http://somewhere.invalid/a"]


def test_a_request_that_nobody_waits_for_ends(monkeypatch):
    given_up, silence = threading.Event(), threading.Event()

    def answer(*_):
        given_up.set()
        silence.wait(20)
        return {}

    with json_server(answer) as server:
        started = time.monotonic()
        with pytest.raises(NoReply, match="not waited for"):
            sent(server.url, seconds=20, given_up=given_up)
        assert time.monotonic() - started < 10
        silence.set()


def test_a_resolver_that_hangs_holds_nobody_up(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(exchange.socket, "getaddrinfo", lambda *_, **__: released.wait(20) and [])
    with pytest.raises(NoReply, match="timed out"):
        sent("http://slow.example/", seconds=0.2)
    released.set()


def test_another_address_of_a_host_is_tried_where_one_is_not_reached(monkeypatch):
    with json_server(lambda *_: {"a": 1}) as server:
        places = [
            (2, 1, 6, "", (place, server.server_port)) for place in ("127.0.0.2", "127.0.0.1")
        ]
        monkeypatch.setattr(exchange.socket, "getaddrinfo", lambda *_, **__: places)
        assert sent(f"http://two.example:{server.server_port}/").status == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_process_opens_connections_of_its_own():
    with json_server(lambda *_: {"a": 1}) as server:
        connections = Connections()
        sent(server.url, connections)
        child = os.fork()
        if child == 0:
            os._exit(0 if sent(server.url, connections).status == 200 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert sent(server.url, connections).status == 200


def test_an_error_whose_text_never_comes_is_told_soon(monkeypatch):
    monkeypatch.setattr(exchange, "ERROR_SECONDS", 0.2)
    broken = Reply(b"abc", 500, headers={"Content-Length": 5000}, pause=0.5)
    with json_server(lambda *_: broken) as server:
        found = sent(server.url, seconds=20)
    assert (found.status, found.body[:1]) == (500, b"a")


@contextmanager
def a_server_that_answers_twice():
    """Its address; it answers with the path, and to `/1` two times at once."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer(connection):
        with connection, connection.makefile("rb") as lines, suppress(OSError):
            while line := lines.readline():
                while lines.readline().strip():
                    pass
                path = line.split()[1]
                told = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path)
                connection.sendall(told * (2 if path == b"/1" else 1))

    def accept():
        with suppress(OSError):  # it is closed
            while True:
                threading.Thread(target=answer, args=listening.accept()[:1], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_an_answer_that_nobody_asked_for_is_not_that_of_the_next_request():
    with a_server_that_answers_twice() as url:
        connections = Connections()
        found = [sent(f"{url}/{number}", connections).body for number in range(5)]
        connections.close()
    assert found == [b"/0", b"/1", b"/2", b"/3", b"/4"]
