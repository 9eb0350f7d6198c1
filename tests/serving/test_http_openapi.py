"""What the OpenAPI document promises is kept, whatever is sent."""

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("schemathesis")

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from cascade.config import ServeConfig
from cascade.serving.http import create_app

OPERATIONS = {
    *(("POST", f"/v1/{name}") for name in ("classify", "classify/batch", "explain")),
    *(("GET", f"/v1/{name}") for name in ("search", "nodes", "nodes/{code}", "about")),
    *(("GET", f"/{name}") for name in ("health", "ready", "metrics")),
}
EXAMPLES = 20  # of valid requests, and as many of broken ones


@pytest.fixture(scope="module")
def document(pack):
    bounds = {"max_items": 5, "max_chars": 200, "max_body": 50_000, "search_by_meaning": False}
    app = create_app(pack, settings=ServeConfig(hosts=["testserver"], **bounds))
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def test_all_operations_are_there(document):
    found = {(one.ok().method.upper(), one.ok().path) for one in document.get_all_operations()}
    assert found == OPERATIONS


@pytest.mark.parametrize(("method", "path"), sorted(OPERATIONS), ids=lambda part: part)
def test_whatever_is_sent_the_answer_is_one_that_the_document_names(document, method, path):
    operation = document[path][method]
    kinds = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @given(st.one_of(kinds))
    @settings(
        max_examples=2 * EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def holds(case):
        response = case.call()
        if response.status_code != 504 or "X-Timeout" not in case.headers:
            case.validate_response(response)

    holds()
