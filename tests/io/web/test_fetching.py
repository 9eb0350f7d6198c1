"""Fetching from hosts that are slow, lie, or lead into the network of this machine."""

import gzip
import socket
import time

import httpcore
import pytest
from json_server import Reply, json_server

from cascade.errors import InputError
from cascade.io.web import exchange, fetching
from cascade.io.web.address import WebAddress
from cascade.io.web.exchange import NoReply
from cascade.io.web.fetching import fetch, refuse_private


def fetched(server, path="/a", most=10_000, seconds=5.0, hosts=("127.0.0.1",)):
    root = server.url.removesuffix("/v1")
    return fetch(WebAddress(root + path, hosts), most, seconds=seconds)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1%eth0", "fd00::1", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::7f00:1", "64:ff9b::10.0.0.1", "2002:7f00:1::"),
        *("192.0.0.192", "168.63.129.16", "192.88.99.1", "3fff::1", "2a00:1450::5efe:127.0.0.1"),
        "2a00:1450::200:5efe:10.0.0.1",
    ],
)
def test_addresses_that_are_not_public_are_refused(address):
    with pytest.raises(NoReply, match=r"--allow-host some\.host"):
        refuse_private("some.host", [address])
    with pytest.raises(NoReply):
        refuse_private("some.host", ["8.8.8.8", address])


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2a00:1450::5efe:8.8.8.8"],
)
def test_public_addresses_are_not_refused(address):
    refuse_private("some.host", [address])


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "0"]
)
def test_no_spelling_of_this_machine_is_fetched_unless_it_is_named(host):
    with json_server(lambda *_: Reply(b"secret")) as server:
        address = f"http://{host}:{server.server_port}/"
        with pytest.raises(InputError, match="this machine itself"):
            fetch(address, 100)
        with pytest.raises(InputError, match="this machine itself"):
            fetch(WebAddress(address, ["example.com"]), 100)


def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to(monkeypatch):
    public, private, asked = "93.184.216.34", "127.0.0.1", []

    def resolve(host, port, **_):
        asked.append(host)
        place = public if len(asked) == 1 else private  # a moment later it means another host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, port))]

    connected = []

    def connect(self, host, port, *_):
        connected.append(host)
        raise httpcore.ConnectError("not reached in a test")

    monkeypatch.setattr(exchange.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(exchange.httpcore.SyncBackend, "connect_tcp", connect)
    with pytest.raises(InputError, match="not reached"):
        fetch("http://rebinding.example/a.png", 100)
    assert connected == [public]
    with pytest.raises(InputError, match="this machine itself"):
        fetch("http://rebinding.example/a.png", 100)
    assert connected == [public]


@pytest.mark.parametrize(
    ("there", "problem"),
    [
        ("file:///etc/hostname", "expected http"),
        ("http://169.254.169.254/latest/meta-data", "link-local"),
        ("http://localhost/", "this machine itself"),
        ("http://me:secret@127.0.0.1/", "user or a password"),
        ("//[::1]/", "this machine itself"),
        ("/again", "more than 5 times"),
        ("", "more than 5 times"),
    ],
)
def test_redirects_keep_to_the_same_rules(there, problem):
    with json_server(lambda *_: Reply(b"", 302, {"Location": there})) as server:
        with pytest.raises(InputError, match=problem) as caught:
            fetched(server)
        assert "secret" not in str(caught.value)


def test_a_redirect_is_followed_to_where_it_may_lead():
    def answer(path, _):
        return Reply(b"", 301, {"Location": "/b"}) if path == "/a" else Reply(b"found")

    with json_server(answer) as server:
        assert fetched(server) == b"found"


def test_no_redirect_leads_from_https_to_http(monkeypatch):
    away = exchange.Reply(302, {"location": "http://example.com/a.png"}, b"")
    monkeypatch.setattr(fetching.Connections, "send", lambda *_, **__: away)
    with pytest.raises(InputError, match="from https to"):
        fetch("https://example.com/a.png", 100)


@pytest.mark.parametrize(
    "address",
    [
        *("ftp://host/a", "http://", "http:///a", "http://[::1", "http://host:99999/a"),
        *("http://me:pw@host/a", "https://me@host/a", "http://" + "a" * 300 + "/", "http://a..b/"),
    ],
)
def test_what_is_no_address_is_an_error_of_its_row(address):
    with pytest.raises(InputError, match="cannot be fetched") as caught:
        fetch(address, 100)
    assert "pw" not in str(caught.value)


def test_what_is_told_is_the_host_that_would_be_asked():
    with pytest.raises(InputError, match=r"http://shop\.invalid#@127\.0\.0\.1/a cannot"):
        fetch("http://shop.invalid#@127.0.0.1/a", 100)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply(b"", 404), "answered 404"),
        (Reply(b"x" * 2000), "more than"),
        (Reply(b"", headers={"Content-Length": 10**12}), "more than"),
        (Reply(b"x", headers={"Content-Length": 50}), "broke off"),
        (Reply(gzip.compress(b" " * 10**7), headers={"Content-Encoding": "gzip"}), "more than"),
        (Reply(b"no gzip", headers={"Content-Encoding": "gzip"}), "broke off"),
        (None, "broke off"),
    ],
    ids=range(7),
)
def test_what_cannot_be_fetched_says_why(reply, problem):
    with json_server(lambda *_: reply) as server, pytest.raises(InputError, match=problem):
        fetched(server, most=1000)


def test_a_byte_now_and_then_holds_nobody_up():
    with json_server(lambda *_: Reply(b"x" * 500, pause=0.05)) as server:
        started = time.monotonic()
        with pytest.raises(InputError, match="timed out"):
            fetched(server, seconds=0.3)
        assert time.monotonic() - started < 5


def test_headers_now_and_then_hold_nobody_up():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        address = WebAddress(f"http://127.0.0.1:{listening.getsockname()[1]}/", ["127.0.0.1"])
        with pytest.raises(InputError, match="timed out"):
            fetch(address, 100, seconds=0.2)


def test_a_host_that_never_answers_is_let_be_after_a_few_rows():
    with json_server(lambda *_: None) as server:
        for _ in range(fetching.FAILURES):
            with pytest.raises(InputError, match="broke off"):
                fetched(server)
        with pytest.raises(InputError, match="let be for a while after 4 failures"):
            fetched(server)
