"""What requests may hold, and what is answered."""

import asyncio
import base64
import io
import json

import pytest

pytest.importorskip("fastapi")

from fastapi import Depends, FastAPI, HTTPException

import cascade
from cascade.config import ServeConfig
from cascade.errors import UsageError
from cascade.serving.http import create_app, create_router

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def app(pack):
    return create_app(pack, settings=ServeConfig(max_items=5, max_chars=60, max_body=20_000))


def post(route, body, **more):
    return "POST", f"/v1/{route}", {"json": body, **more}


def raw(route, body, **headers):
    return "POST", f"/v1/{route}", {"content": body, "headers": JSON | headers}


def test_one_item_is_filed_with_its_identifier(app, ask, pack):
    found = ask(app, post("classify", {"text": "garden rake", "id": "r-1"}))
    expected = pack.classify("garden rake")
    assert found.status_code == 200
    assert found.json() == {
        "id": "r-1",
        "code": expected.code,
        "path": expected.path,
        "confidence": round(expected.confidence, 6),
        "source": expected.source,
        "status": expected.status,
        "message": expected.message,
    }
    assert found.headers["cache-control"] == "no-store"


def test_fields_are_read_as_the_columns_of_a_file(app, ask, pack):
    fields = {"name": "panama", "brand": 3, "price": 2.5, "more": {"a": [1]}}
    found = ask(app, post("classify", {"fields": fields})).json()
    expected = pack.classify(fields)
    assert (found["code"], found["confidence"]) == (
        expected.code,
        round(expected.confidence, 6),
    )


def test_an_item_that_cannot_be_answered_has_its_reason_in_its_place(app, ask):
    items = ["rake", "", None, {"fields": {"colour": "red"}}, {"text": "hose " * 20, "id": "long"}]
    answers = ask(app, post("classify/batch", {"items": items})).json()["answers"]
    assert [answer["status"] for answer in answers] == ["ok", *["error"] * 4]
    assert "the limit of this service is 60" in answers[4]["message"]
    assert answers[4]["id"] == "long"
    assert "reads name, brand" in answers[3]["message"]


def test_text_and_fields_together_are_no_item(app, ask):
    found = ask(app, post("classify", {"text": "rake", "fields": {"name": "hose"}})).json()
    assert found["status"] == "error"
    assert "not as both" in found["message"]


def test_alternatives_and_the_trace_come_where_they_are_asked_for(app, ask, pack):
    asked = {"text": "rake hose", "top": 2, "trace": True}
    found = ask(app, post("classify", asked)).json()
    expected = pack.variant(beam=3).classify("rake hose")
    assert [other["code"] for other in found["alternatives"]] == [
        other.code for other in expected.alternatives[:2]
    ]
    assert [level["level"] for level in found["trace"]] == [
        level.level for level in expected.levels
    ]
    assert ask(app, post("classify", {"text": "rake", "top": 21})).status_code == 422


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, "no JSON"),
        (b"{", 400, "no JSON"),
        (b'{"text": "\xff"}', 400, "unicode"),
        (b'{"text": "a\nb"}', 400, "control character"),
        (b'{"fields": {"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}", 400, "recursion"),
        (b'{"fields": {"a": ' + b"9" * 6_000 + b"}}", 400, "number"),
        (b"[]", 422, "object"),
        (b"null", 422, "object"),
        (b'{"text": 3}', 422, "text: "),
        (b'{"txet": "rake"}', 422, "txet: "),
        (b'{"text": "rake", "top": -1}', 422, "top: "),
        (b'{"text": "rake", "top": 1.5}', 422, "top: "),
        (b'{"text": "rake", "trace": "yes"}', 422, "trace: "),
        (b" " * 20_001, 413, "20,000 bytes"),
    ],
    ids=range(14),
)
def test_what_is_no_request_is_refused_with_its_place(app, ask, body, status, told):
    found = ask(app, raw("classify", body))
    assert found.status_code == status
    assert found.headers["content-type"] == "application/problem+json"
    problem = found.json()
    assert problem["status"] == status
    assert told in problem["detail"]


@pytest.mark.parametrize(
    ("items", "status", "told"),
    [
        ([], 422, "there is none"),
        (["rake"] * 6, 413, "the most in one request is 5"),
        (["rake", 7], 422, "items[1]"),
        ([{"text": "rake"}, {"name": "hose"}], 422, "items[1]"),
        ("rake", 422, "items: "),
    ],
)
def test_items_that_are_none_are_refused_with_their_place(app, ask, items, status, told):
    found = ask(app, post("classify/batch", {"items": items}))
    assert found.status_code == status
    assert told in found.json()["detail"]


def test_what_was_sent_is_not_told_back(app, ask):
    found = ask(app, raw("classify", b'{"text": {"secret": 1}, "hidden": 2}'))
    assert "secret" not in found.text


def test_a_name_that_is_no_node_is_not_told_back(app, ask):
    for path in ("/v1/nodes/%3Cscript%3Esecret", "/v1/nodes/Home > secret"):
        found = ask(app, get(path))
        assert found.status_code == 404
        assert "secret" not in found.text
        assert "/v1/search" in found.json()["detail"]
    found = ask(app, post("classify", {"text": "rake", "top": 4321}))
    assert found.status_code == 422
    assert "4321" not in found.text


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (7, "items[1]: expected a text, an object or null"),
        ({"text": 7}, "items[1].text: Input should be a valid string"),
        ({"name": "hose"}, "items[1].name: there is no such key"),
        ({"fields": ["a"]}, "items[1].fields: Input should be an object"),
        (["a"], "items[1]: expected a text, an object or null"),
    ],
)
def test_places_are_those_of_the_request(app, ask, item, told):
    found = ask(app, post("classify/batch", {"items": ["rake", item]}))
    assert found.json()["detail"] == told


def test_parameters_that_are_unknown_are_refused_as_unknown_keys_are(app, ask):
    for request, name in [
        (get("/v1/search", q="hats", by="words", lmit=3), "lmit"),
        (get("/v1/nodes", top=3), "top"),
        (get("/v1/about", verbose=1), "verbose"),
        (("POST", "/v1/classify?top=3", {"json": {"text": "rake"}}), "top"),
        (("POST", "/v1/classify/batch?a=3", {"json": {"items": ["rake"]}}), "a"),
    ]:
        found = ask(app, request)
        assert found.status_code == 422
        assert found.json()["detail"].startswith(f"{name}: there is no such parameter; expected ")


def test_fields_without_a_column_for_the_text_have_the_cure_of_a_request(ask):
    app = create_app(cascade.load(cascade.Taxonomy.from_paths(["Nuts > Almonds"])))
    fields = {"colour": "red", "shape": "round"}
    found = ask(app, post("classify", {"fields": fields})).json()
    assert found["status"] == "error"
    assert 'send it as "text"' in found["message"]
    assert "text=" not in found["message"]


def test_a_long_text_is_explained_in_steps(app, ask, pack, monkeypatch):
    steps = []
    plain = type(pack).explain_in_steps

    def counted(self, *asked, **named):
        why = yield from _counting(plain(self, *asked, **named), steps)
        return why

    monkeypatch.setattr("cascade.pipeline.doors.explaining.STEP", 20)
    monkeypatch.setattr(type(pack), "explain_in_steps", counted)
    found = ask(app, post("explain", {"text": "rake of brand 3"})).json()
    assert len(steps) == 4  # one for each word
    assert [word["text"] for word in found["words"]] == ["rake", "of", "brand", "3"]


def _counting(steps, seen):
    while True:
        try:
            yield seen.append(next(steps))
        except StopIteration as end:
            return end.value


def test_a_body_without_a_length_is_bounded_too(app, ask):
    async def parts():
        for _ in range(30):
            yield b" " * 1000

    found = ask(app, ("POST", "/v1/classify", {"content": parts(), "headers": JSON}))
    assert found.status_code == 413


def test_halves_of_characters_and_control_characters_are_data(app, ask, pack):
    found = ask(app, raw("classify", b'{"text": "rake \\ud83d\\u0000\\u202e", "id": "\\udc00"}'))
    assert found.status_code == 200
    assert found.json()["code"] == pack.classify("rake \ufffd").code
    assert found.json()["id"] == "\ufffd"


def test_a_body_is_json_by_its_own_account(app, ask):
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        found = ask(app, raw("classify", b'{"text": "rake"}', **{"content-type": kind}))
        assert found.status_code == 415
    kind = {"content-type": "application/json; charset=utf-8"}
    assert ask(app, raw("classify", b'{"text": "rake"}', **kind)).status_code == 200


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon", "1e999", ""])
def test_a_time_that_is_none_is_refused(app, ask, seconds):
    found = ask(app, post("classify", {"text": "rake"}), X_Timeout=seconds)
    assert found.status_code == 400
    assert "X-Timeout" in found.json()["detail"]


def picture(size=(64, 48), kind="PNG"):
    from PIL import Image

    made = io.BytesIO()
    Image.new("RGB", size, "red").save(made, kind)
    return base64.b64encode(made.getvalue()).decode()


def test_pictures_are_bytes_and_never_what_a_client_names(pack, ask, tmp_path):
    kept = tmp_path / "kept.png"
    kept.write_bytes(base64.b64decode(picture()))
    bounds = ServeConfig(max_pictures=2, max_picture_bytes=4000, max_pixels=10_000)
    app = create_app(pack, settings=bounds)
    for sent, told in [
        (str(kept), "not base64"),
        (kept.as_uri(), "not base64"),
        ("http://127.0.0.1:1/a.png", "not base64"),
        ("data:image/png,abc", "not base64"),
        ("", "empty"),
        (picture((200, 60)), "200 x 60 pixels"),
        (picture(), "has a picture, but"),  # the pack reads words
        ("data:image/png;base64," + picture(), "has a picture, but"),
    ]:
        found = ask(app, post("classify", {"text": "rake", "image": sent}))
        assert found.status_code == 200, sent
        assert told in found.json()["message"]
    assert ask(app, post("classify", {"image": "A" * 8000})).status_code == 413
    many = {"items": [{"image": picture()}] * 3}
    found = ask(app, post("classify/batch", many))
    assert found.status_code == 413
    assert "3 pictures" in found.json()["detail"]


def test_a_column_of_pictures_that_the_config_names_is_no_picture_here(pack, tmp_path, ask):
    kept = tmp_path / "kept.png"
    kept.write_bytes(base64.b64decode(picture()))
    named = pack.with_settings()
    named.config = named.config.model_copy(deep=True)
    named.config.columns.image = "photo"
    fields = {"name": "rake", "photo": str(kept)}
    found = ask(create_app(named), post("classify", {"fields": fields})).json()
    assert found["code"] == pack.classify("rake").code


def test_an_account_tells_what_each_word_did(app, ask, pack):
    found = ask(app, post("explain", {"text": "rake of brand 3", "id": "r"})).json()
    expected = pack.explain("rake of brand 3")
    assert found["answer"]["code"] == expected.prediction.code
    assert found["answer"]["id"] == "r"
    assert found["words"] == expected.to_dict()["words"]
    assert found["text"] == str(expected)
    found = ask(app, post("explain", {"fields": {"colour": "red"}})).json()
    assert found["answer"]["status"] == "error"
    assert found["answer"]["message"] in found["text"]
    assert ask(app, post("explain", {"text": "rake", "words": False})).json()["words"] == []


def get(path, **params):
    return "GET", path, {"params": params}


def test_nodes_are_found_by_words_and_looked_up(app, ask, pack):
    found = ask(app, get("/v1/search", q="hats", by="words")).json()["nodes"]
    assert [node["name"] for node in found] == ["Hats", "Straw hats"]
    top = ask(app, get("/v1/nodes", limit=1)).json()
    assert top["total"] == 2
    assert top["next_offset"] == 1
    code = pack.taxonomy.node("Home > Garden").code
    node = ask(app, get(f"/v1/nodes/{code}")).json()
    assert [child["name"] for child in node["children"]] == ["Rakes", "Hoses"]
    for path in ("/v1/nodes/nothing/there", "/v1/nodes/ ", "/v1/nodes/%00"):
        assert ask(app, get(path)).status_code == 404
    assert ask(app, get("/v1/search", q="\u200b")).json() == {"nodes": []}
    words = create_app(pack, settings=ServeConfig(search_by_meaning=False))
    assert ask(words, get("/v1/search", q="hats")).json()["nodes"] == found
    assert ask(words, get("/v1/search", q="hats", by="meaning")).status_code == 422
    assert ask(app, get("/v1/search", q="a", limit=0)).status_code == 422


def test_a_node_whose_code_has_a_slash_is_found(ask):
    app = create_app(cascade.load(cascade.Taxonomy.from_paths(["Nuts/Seeds > Almonds"])))
    found = ask(app, get("/v1/nodes/Nuts%2FSeeds > Almonds")).json()
    assert found["node"]["name"] == "Almonds"


def test_it_tells_what_it_is_and_how_it_is(app, ask, pack):
    about = ask(app, get("/v1/about")).json()
    assert about["reads"] == ["name", "brand"]
    assert about["limits"]["max_items"] == 5
    assert ask(app, get("/health")).json() == {"status": "ok"}
    assert ask(app, get("/ready")).json() == {"status": "ok"}
    ask(app, post("classify/batch", {"items": ["rake", ""]}))
    text = ask(app, get("/metrics")).text
    assert 'cascade_items_total{status="error"}' in text
    assert 'route="/v1/classify/batch",status="200"' in text
    assert "rake" not in text


def test_unknown_addresses_and_methods_have_the_form_of_all_errors(app, ask):
    for request, status in [
        (get("/nowhere"), 404),
        (get("/v1/classify"), 405),
        (("DELETE", "/health", {}), 405),
        (("FOO", "/v1/classify", {}), 405),
    ]:
        found = ask(app, request)
        assert found.status_code == status
        assert found.json()["status"] == status
        assert found.headers["content-type"] == "application/problem+json"
    metrics = ask(app, get("/metrics")).text
    assert "nowhere" not in metrics and "FOO" not in metrics  # whoever asks makes no new series


def test_the_document_has_an_example_for_each_endpoint(app, ask):
    document = ask(app, get("/openapi.json")).json()
    assert "/v1/classify/batch" in document["paths"]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            told = operation["responses"]["200"]["content"]
            assert any("example" in kind for kind in told.values()), path
            if "requestBody" in operation:
                body = operation["requestBody"]["content"]["application/json"]
                assert body["examples"]
                assert "$ref" not in json.dumps(body)
            if path.startswith("/v1"):
                assert "application/problem+json" in operation["responses"]["422"]["content"]
    many = document["paths"]["/v1/classify/batch"]["post"]["requestBody"]
    assert many["content"]["application/json"]["schema"]["properties"]["items"]["maxItems"] == 5


def test_the_router_answers_in_an_application_of_others_under_its_rules(pack, ask):
    def allowed(key: str = ""):
        if key != "sesame":
            raise HTTPException(403)

    app = FastAPI()
    app.include_router(create_router(pack), prefix="/shop", dependencies=[Depends(allowed)])
    assert ask(app, ("POST", "/shop/v1/classify", {"json": {"text": "rake"}})).status_code == 403
    asked = {"json": {"text": "rake"}, "params": {"key": "sesame"}}
    found = ask(app, ("POST", "/shop/v1/classify", asked))
    assert found.json()["code"] == pack.classify("rake").code
    asked["json"] = {"txet": "rake"}
    found = ask(app, ("POST", "/shop/v1/classify", asked))
    assert found.status_code == 422
    assert found.headers["content-type"] == "application/problem+json"
    assert "/shop/v1/classify" in app.openapi()["paths"]


def test_an_application_may_begin_again(pack, ask):
    app = create_app(pack)

    async def once():
        async with app.router.lifespan_context(app):
            pass

    for _ in range(2):
        asyncio.run(once())
        assert ask(app, get("/ready")).status_code == 503
    asyncio.run(app.router.lifespan_context(app).__aenter__())
    assert ask(app, post("classify", {"text": "rake"})).status_code == 200


def test_what_is_no_classifier_is_refused(pack):
    for wrong in (None, "store", pack.taxonomy):
        with pytest.raises(UsageError, match=r"cascade\.load"):
            create_router(wrong)
        with pytest.raises(UsageError, match=r"cascade\.load"):
            create_app(wrong)
