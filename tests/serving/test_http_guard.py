"""Who may ask."""

import base64
import logging

import pytest

pytest.importorskip("fastapi")

from fastapi import APIRouter

from cascade.config import CascadeConfig, ServeConfig
from cascade.errors import CascadeError, ConfigError, InputError, UsageError
from cascade.serving.http import create_app
from cascade.serving.http.running import VARIABLE, read_token

TOKEN = "0123456789abcdef0123"
RAKE = "POST", "/v1/classify", {"json": {"text": "rake"}}
HEALTH, READY, METRICS = (("GET", path, {}) for path in ("/health", "/ready", "/metrics"))
BEYOND = ServeConfig(host="0.0.0.0")


def test_on_this_machine_it_is_called_by_its_own_names(pack, ask):
    app = create_app(pack)
    for name in ("localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"):
        assert ask(app, RAKE, Host=name).status_code == 200
    for name in ("evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "[::2]:8000"):
        for request in (RAKE, METRICS):
            found = ask(app, request, Host=name)
            assert found.status_code == 421
            assert found.headers["content-type"] == "application/problem+json"
    app = create_app(pack, settings=ServeConfig(hosts=["cascade.Example"]))
    assert ask(app, RAKE, Host="cascade.example").status_code == 200


def test_a_page_of_another_site_may_not_ask(pack, ask):
    app = create_app(pack)
    for origin in ("http://evil.example", "null", "http://localhost:9", "http://["):
        assert ask(app, RAKE, Origin=origin).status_code == 403
    found = ask(app, RAKE, Origin="http://localhost:8000")
    assert found.status_code == 200
    assert "access-control-allow-origin" not in found.headers


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "cascade.example"])
def test_beyond_this_machine_it_needs_a_token(pack, host):
    with pytest.raises(UsageError, match="--token-file"):
        create_app(pack, settings=ServeConfig(host=host))


@pytest.mark.parametrize(
    "token", ["", "short", "with a space in the token", "tökentökentökentöken"]
)
def test_a_token_that_is_none_is_refused(pack, token):
    with pytest.raises(UsageError, match="16 or more") as error:
        create_app(pack, settings=BEYOND, token=token)
    assert not token or token not in str(error.value)


def test_all_but_health_needs_the_token(pack, ask):
    router = APIRouter()
    router.add_api_route("/page", lambda: {})
    app = create_app(pack, routers=[router], settings=BEYOND, token=TOKEN)
    rest = [RAKE, METRICS, ("GET", "/openapi.json", {}), ("GET", "/page", {})]
    for request in rest:
        for given in ("", "Bearer", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", TOKEN, "Basic !"):
            found = ask(app, request, Authorization=given)
            assert found.status_code == 401
            assert found.headers["www-authenticate"].startswith("Bearer")
            assert TOKEN not in found.text
        assert ask(app, request, Authorization=f"bearer {TOKEN}").status_code == 200
        assert ask(app, request, base="http://any.example", Authorization=f"Bearer {TOKEN}")
    for request in (HEALTH, READY):
        assert ask(app, request).status_code == 200
        assert ask(app, request, Host="10.0.0.7:8000").status_code == 200
    password = base64.b64encode(f"anybody:{TOKEN}".encode()).decode()
    assert ask(app, rest[-1], Authorization=f"Basic {password}").status_code == 200
    assert app.openapi()["security"] == [{"token": []}]


def test_a_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert read_token(ServeConfig()) is None
    monkeypatch.setenv(VARIABLE, TOKEN)
    assert read_token(ServeConfig()) == TOKEN
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}9\n")
    assert read_token(ServeConfig(token_file=str(file))) == f"{TOKEN}9"
    for content in (b"", b"\n", b"\xff" * 20, b"x" * 5000):
        file.write_bytes(content)
        with pytest.raises(InputError, match="holds no token"):
            read_token(ServeConfig(token_file=str(file)))
    for wrong in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="cannot be read"):
            read_token(ServeConfig(token_file=str(wrong)))


def test_the_log_has_no_text_of_items_and_no_token(pack, ask, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG, "cascade")
    app = create_app(pack, settings=BEYOND, token=TOKEN, log_requests=True)
    given = f"Bearer {TOKEN}"
    asked = "POST", "/v1/classify", {"json": {"text": "secretword"}}
    assert ask(app, asked, Authorization=given).status_code == 200
    ask(app, ("GET", "/v1/search?q=secretword&by=words", {}), Authorization=given)
    ask(app, ("GET", "/v1/nodes/secretword", {}), Authorization=given)

    def fails(items):
        raise ValueError(f"what is {items[0].text}?")

    monkeypatch.setattr(pack, "classify_read", fails)
    found = ask(app, asked, Authorization=given)
    assert found.status_code == 500
    assert "POST /v1/classify 200" in caplog.text
    assert "GET /v1/nodes/{code:path} 404" in caplog.text
    assert "ValueError while answering" in caplog.text
    assert "in fails" in caplog.text
    for text in (caplog.text, found.text):
        assert "secretword" not in text and TOKEN not in text


@pytest.mark.parametrize("hosts", [["a b"], ["http://a.example"], [""]])
def test_names_of_hosts_that_are_none_are_refused(hosts):
    with pytest.raises(ConfigError, match="hosts"):
        CascadeConfig.parse({"serve": {"hosts": hosts}}, "test")


def test_a_pack_cannot_set_where_a_service_listens(pack, tmp_path, caplog):
    import cascade

    folder = pack.save(tmp_path / "pack")
    config = folder / "cascade.yaml"
    config.write_text(config.read_text() + "\nserve:\n  host: 0.0.0.0\n")
    try:
        found = cascade.load(folder)
    except CascadeError:
        return  # it is not what it was when it was fitted
    assert found.config.serve.host == "127.0.0.1"
