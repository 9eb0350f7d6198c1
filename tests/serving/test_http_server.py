"""The server itself: its connections, its start and its end."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

pytest.importorskip("fastapi")

from cascade.config import ServeConfig
from cascade.errors import MissingExtraError, UsageError
from cascade.serving.http import connections, create_app
from cascade.serving.http.running import bound, make_server

BODY = b'{"text": "rake"}'
HEAD = (
    b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
)


@pytest.fixture
def port(pack, monkeypatch):
    """Of a server with narrow bounds, in a thread."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.8)
    settings = ServeConfig(port=0, connections=20, max_body=5000, timeout=5, stop_seconds=5)
    listening = bound(settings)
    listening.listen()
    server = make_server(create_app(pack, settings=settings), settings)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def say(port):
    """Send bytes as they are, and return all that comes back until the connection ends."""

    def say(*parts, pause=0.0):
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            with suppress(ConnectionError):  # it may close before all is sent
                for part in parts:
                    connection.sendall(part)
                    time.sleep(pause)
            found = b""
            with suppress(ConnectionError):
                while part := connection.recv(65536):
                    found += part
            return found

    return say


def status(answer):
    return int(answer.split(b" ", 2)[1])


def problem(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def closing(head):
    return head.replace(b"Host:", b"Connection: close\r\nHost:")


def test_requests_are_answered_however_they_are_cut(say):
    whole = closing(HEAD) + BODY
    for parts in ([whole], [whole[:30], whole[30:]], [bytes([byte]) for byte in whole]):
        found = say(*parts)
        assert status(found) == 200
        assert b"Rakes" in found


def test_requests_one_after_another_on_a_connection_are_answered_in_order(say):
    second = closing(HEAD) + BODY
    found = say(HEAD + BODY + HEAD + BODY + second)
    assert found.count(b"HTTP/1.1 200") == 3


def test_a_head_that_does_not_come_is_told_and_closed(say):
    for part in (b"", b"POST /v1/cl", HEAD[:-2]):
        found = say(part)
        assert status(found) == 408
        assert "did not come" in problem(found)["detail"]


def test_a_head_that_trickles_is_no_younger_for_it(say):
    found = say(*[b"GET /health HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 30], pause=0.05)
    assert found == b"" or status(found) == 408


def test_a_head_that_is_too_large_is_refused(say):
    line = b"X-A: " + b"b" * 10_000 + b"\r\n"
    found = say(b"GET /health HTTP/1.1\r\n", *[line] * 12)
    assert found == b"" or status(found) == 431
    assert status(say(closing(HEAD)[:-2] + line + b"\r\n" + BODY)) == 200


def test_what_is_no_http_is_refused(say):
    for part in (b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        assert status(say(part)) == 400


def test_a_body_in_chunks_is_bounded(say):
    head = closing(HEAD).replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked")
    chunk = b"400\r\n" + b" " * 0x400 + b"\r\n"
    found = say(head, *[chunk] * 8)  # what comes after the answer may have reset the connection
    assert found == b"" or status(found) == 413
    assert status(say(head, b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY))) == 200


def test_a_body_that_does_not_come_is_told(say):
    found = say(HEAD.replace(b"Host:", b"X-Timeout: 0.2\r\nHost:"), BODY[:4])
    assert status(found) == 408
    assert b"connection: close" in found.lower()


def test_a_length_that_is_too_large_is_refused_before_its_body_comes(say):
    length = b"Content-Length: %d" % len(BODY)
    found = say(HEAD.replace(length, b"Content-Length: 999999999999"))
    assert status(found) == 413


def test_a_body_that_is_too_large_is_read_and_dropped_so_that_the_client_sees_the_answer(say):
    length = b"Content-Length: %d" % len(BODY)
    large = HEAD.replace(length, b"Content-Length: 3000000")
    found = say(large, b" " * 3_000_000, closing(HEAD) + BODY)
    assert status(found) == 413
    assert found.count(b"HTTP/1.1 200") == 1


def test_too_many_connections_are_told_so(port):
    held = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(20)]
    try:
        for one in held:
            one.sendall(HEAD + BODY)
            assert one.recv(100).startswith(b"HTTP/1.1 200")
        with socket.create_connection(("127.0.0.1", port), 10) as further:
            found = further.recv(1000)
        assert status(found) == 503
        assert b"Retry-After" in found
    finally:
        for one in held:
            one.close()


def test_clients_that_go_away_harm_nobody(port, say):
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", port), 10) as gone:
            gone.sendall(HEAD + BODY)
    assert status(say(closing(HEAD) + BODY)) == 200


def test_an_address_that_cannot_be_listened_at_is_told():
    with bound(ServeConfig(port=0)) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match="another program listens there"):
            bound(ServeConfig(port=port))
    for host in ("192.0.2.1", "no.such.host.invalid", "a" * 200):
        with pytest.raises(UsageError, match=r"name an address of this machine with\s+--host"):
            bound(ServeConfig(host=host))


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("cascade.serving.http")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtraError, match="install it with: pip install"):
        __import__("cascade.serving.http")


STUCK = """
import runpy, sys, time
from cascade.serving.http.batches.batcher import Batcher
Batcher._answered = lambda *parts: time.sleep(60)
runpy.run_module("cascade", run_name="__main__", alter_sys=True)
"""


def started(*arguments, run=("-m", "cascade"), **variables):
    """The command, and the port that it tells."""
    command = [sys.executable, *run, "serve", *arguments]
    environment = {**os.environ, **variables}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    for line in process.stderr:
        if found := re.search(r"answers at http://127.0.0.1:(\d+)", line):
            return process, int(found[1])
    raise AssertionError(f"it ended with {process.wait()}")


def test_a_signal_under_load_loses_no_answer(pack):
    process, port = started("-c", str(pack.path), "--port", "0", "--log-requests")
    answers, lost, going = [], [], threading.Event()

    def client():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        body = json.dumps({"items": ["rake", "hose", "knife"] * 20})
        while not going.is_set():
            try:
                connection.connect()
            except OSError:
                return  # it listens no more
            try:
                connection.request(
                    "POST", "/v1/classify/batch", body, {"Content-Type": "application/json"}
                )
                response = connection.getresponse()
                answers.append((response.status, len(json.loads(response.read())["answers"])))
            except ConnectionResetError:
                return  # connected, and not yet taken, when the end came
            except http.client.RemoteDisconnected:
                return
            except Exception as error:
                lost.append(error)
                return
            finally:
                connection.close()

    clients = [threading.Thread(target=client) for _ in range(8)]
    for one in clients:
        one.start()
    while len(answers) < 20 and any(one.is_alive() for one in clients):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    rest = process.stderr.read()
    assert process.wait(20) == 0
    going.set()
    for one in clients:
        one.join(20)
    assert lost == []
    assert set(answers) == {(200, 60)}
    assert "stopped" in rest
    assert "POST /v1/classify/batch 200" in rest
    assert "rake" not in rest


def test_a_model_that_does_not_end_is_left_and_what_it_leaves_unanswered_is_told(pack):
    asked = ["-c", str(pack.path), "--port", "0", "--set", "serve.stop_seconds=0.1"]
    process, port = started(*asked, run=("-c", STUCK))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/v1/classify", BODY, {"Content-Type": "application/json"})
    while True:  # until the model is at work
        with socket.create_connection(("127.0.0.1", port), 10) as watch:
            watch.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if status(watch.recv(1000)) == 200:
                break
    process.send_signal(signal.SIGTERM)
    response = connection.getresponse()
    assert response.status == 503
    assert "ended before" in json.loads(response.read())["detail"]
    rest = process.stderr.read()
    assert process.wait(20) == 0
    assert "1 request was not answered" in rest
    assert "all that waited" not in rest and "Traceback" not in rest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-c", "no-such-pack"], "no-such-pack"),
        (["-t", "store", "--host", "0.0.0.0"], "--token-file"),
        (["-t", "store", "--token-file", "none"], "none: cannot be read"),
        (["-t", "store", "--set", "serve.queue=0"], "serve.queue"),
    ],
    ids=["pack", "host", "token", "setting"],
)
def test_what_cannot_be_served_is_told_before_it_listens(arguments, told, tmp_path):
    command = [sys.executable, "-m", "cascade", "serve", "--port", "0", *arguments]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert found.returncode == 2
    assert "error:" in found.stderr and told in found.stderr.replace("\n", " ")
    assert "answers at" not in found.stderr and "Traceback" not in found.stderr
