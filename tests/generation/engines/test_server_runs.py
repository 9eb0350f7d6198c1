"""Whole runs against servers that fail, refuse or cost too much: no item is lost."""

import json

import pytest
from json_server import MODELS, Reply, json_server

from cascade.errors import ConfigError


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.txt"
    path.write_text("Clothing > Hats\nClothing > Shoes\nGarden > Tools\nGarden > Plants\n")
    return path


def said(content):
    return {"choices": [{"message": {"content": content}}]}


def first_of_the_enum(path, payload):
    if path == "/v1/models":
        return MODELS
    if "response_format" not in payload:
        return said("hat")
    field = payload["response_format"]["json_schema"]["schema"]["properties"]["answer"]
    return said(json.dumps({"answer": field["enum"][0]}))


def classifier_at(server, shop, **settings):
    import cascade

    own = {"url": server.url, "kind": "openai", "retries": 0, **settings}
    llm = {"engine": "server", "answer": "generate", "server": own}
    return cascade.load(shop, method="llm", llm=llm)


@pytest.mark.weights
def test_where_the_budget_is_spent_the_fallback_answers(shop):
    with json_server(first_of_the_enum) as server:
        clf = classifier_at(server, shop, max_requests=4)
        first = clf.classify("straw panama hat")
        rest = list(clf.classify_many(["garden rake", "boots"] * 5))
        assert len(server.asked) == 4
    assert (first.source, first.status) == ("llm", "ok")
    assert {p.source for p in rest} == {"retrieval"}
    assert {p.status for p in rest} == {"partial"}
    assert "budget of 4 requests is spent" in rest[0].message


@pytest.mark.weights
def test_a_server_that_fails_loses_no_item(shop):
    def answer(path, payload):
        return MODELS if path == "/v1/models" else Reply({}, 500)

    with json_server(answer) as server:
        found = classifier_at(server, shop).classify("straw panama hat")
    assert (found.source, found.status) == ("retrieval", "partial")
    assert found.code


@pytest.mark.weights
def test_one_refused_item_of_many_costs_no_other(shop):
    def answer(path, payload):
        if payload and "poison" in json.dumps(payload):
            return Reply({"error": "content filter"}, 400)
        return first_of_the_enum(path, payload)

    texts = [f"straw hat {at}" for at in range(40)]
    texts[17] = "poison hat"
    with json_server(answer) as server:
        found = list(classifier_at(server, shop).classify_many(texts))
        assert sum("poison" in json.dumps(payload) for _, payload, _ in server.asked) == 1
    assert [p.source for p in found] == ["retrieval" if at == 17 else "llm" for at in range(40)]
    assert found[17].failure == "server answered 400"


@pytest.mark.weights
def test_a_wrong_key_is_told_before_anything_is_classified(shop):
    locked = json_server(lambda *_: Reply({}, 401))
    with locked as server, pytest.raises(ConfigError, match=r"llm\.server\.api_key_env"):
        classifier_at(server, shop)


@pytest.mark.weights
def test_a_server_that_does_not_list_models_will_do_where_both_are_named(shop):
    def answer(path, payload):
        return Reply({}, 404) if path == "/v1/models" else first_of_the_enum(path, payload)

    with json_server(answer) as server:
        assert classifier_at(server, shop, model="m").classify("straw hat").source == "llm"
        with pytest.raises(ConfigError, match=r"404.*llm\.server\.url"):
            classifier_at(server, shop)
