import io

import pytest
from fastapi.testclient import TestClient

from cascade.config.serving import ServeConfig
from cascade.review.routes import make_router
from cascade.serving.http.app import guarded

HEADERS = {"X-Cascade-Review": "1"}


def client_of(session, token=None, **settings):
    app = guarded([make_router(session)], ServeConfig(**settings), token)
    return TestClient(app, base_url="http://127.0.0.1", headers=HEADERS)


@pytest.fixture
def client(session):
    return client_of(session)


def test_the_page_loads_nothing_from_elsewhere_and_runs_no_text_of_rows(client):
    page = client.get("/review/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert "//" not in page.text.replace("http://www.w3.org", "")
    for name in ("main.js", "tree.js", "item.js", "figures.js", "api.js", "dom.js", "style.css"):
        part = client.get(f"/review/page/{name}")
        assert part.status_code == 200 and "https:" not in part.text
        assert "innerHTML" not in part.text and "outerHTML" not in part.text
    assert client.get("/review", follow_redirects=False).headers["location"] == "review/"


@pytest.mark.parametrize("name", ["../routes.py", "..%2froutes.py", "nothing.js", "__init__.py"])
def test_other_files_are_not_given(client, name):
    assert client.get(f"/review/page/{name}").status_code == 404


def test_a_decision_brings_the_next_row(client):
    row = client.post("/review/api/next", json={"reviewer": "ann"}).json()["row"]
    body = {"reviewer": "ann", "row": row["row"], "action": "accept", "request": "r"}
    following = client.post("/review/api/decisions", json=body).json()
    assert following["row"]["row"] != row["row"]
    again = client.post("/review/api/decisions", json=body).json()
    assert again["decision"] == following["decision"]
    taken_back = client.post("/review/api/undo", json={"reviewer": "ann"}).json()
    assert taken_back["undone"] == row["row"]


def test_what_changes_something_needs_the_header_of_the_page(client):
    for path in ("next", "decisions", "undo", "rows/1/open"):
        found = client.post(f"/review/api/{path}", json={}, headers={"X-Cascade-Review": ""})
        assert found.status_code in (403, 422)
    bare = TestClient(client.app, base_url="http://127.0.0.1")
    assert bare.post("/review/api/next", json={"reviewer": "ann"}).status_code == 403


def test_a_page_of_another_site_may_not_ask(client):
    other = {"Origin": "http://evil.example"}
    assert client.post("/review/api/next", json={}, headers=other).status_code == 403
    away = TestClient(client.app, base_url="http://evil.example", headers=HEADERS)
    assert away.get("/review/api/session").status_code == 421


def test_beyond_this_machine_everything_needs_the_token(session):
    token = "t" * 32
    client = client_of(session, token, host="0.0.0.0")
    assert client.get("/review/").status_code == 401
    assert client.get("/review/", auth=("any", token)).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("next", {"reviewer": " "}, 400, "1 to 60"),
        ("next", {"reviewer": "a", "queue": {"order": "x"}}, 422, "Input should be"),
        ("next", {"reviewer": "a", "queue": {"below": "Nothing"}}, 400, "no node"),
        ("decisions", {"reviewer": "a", "row": 1, "action": "choose"}, 400, "no node"),
        ("decisions", {"reviewer": "a", "row": 999, "action": "accept"}, 400, "no row 999"),
        ("decisions", {"reviewer": "a", "row": 0, "action": "accept"}, 422, "row"),
        ("decisions", {"reviewer": "a", "row": 2**70, "action": "accept"}, 422, "row"),
        ("rows/999/open", {"reviewer": "a"}, 400, "no row 999"),
    ],
)
def test_what_is_wrong_is_told(client, path, body, status, told):
    found = client.post(f"/review/api/{path}", json=body)
    assert found.status_code == status and told in found.text


def test_rows_nodes_and_search(client):
    assert client.get("/review/api/rows/999/why").status_code == 400
    assert client.get("/review/api/node?code=Nothing").status_code == 400
    assert client.get("/review/api/node?code=Garden > Pots").json()["path"] == ["Garden", "Pots"]
    tops = client.get("/review/api/tree").json()
    assert [node["name"] for node in tops["nodes"]] == ["Clothing", "Garden", "Toys"]
    below = client.get("/review/api/tree?code=Garden").json()["nodes"]
    assert [(node["name"], node["leaf"]) for node in below] == [("Tools", False), ("Pots", True)]
    found = client.get("/review/api/search?words=rake").json()["nodes"]
    assert found[0]["path"] == ["Garden", "Tools", "Rakes"]


def test_long_levels_come_in_parts_of_which_one_can_be_asked_to_hold_a_node(tmp_path):
    from cascade.review import open_session
    from cascade.taxonomy import Taxonomy

    flat = Taxonomy.from_paths([f"node {n:04}" for n in range(1200)])
    rows = [{"text": "x", "cascade_code": "node 0001"}]
    session = open_session(rows, taxonomy=flat, folder=tmp_path / "s")
    client = client_of(session)
    first = client.get("/review/api/tree").json()
    assert (len(first["nodes"]), first["total"], first["next"]) == (500, 1200, 500)
    holding = client.get("/review/api/tree?holding=node 0777").json()
    assert holding["offset"] == 500 and holding["next"] == 1000
    assert client.get("/review/api/tree?offset=1000").json()["next"] is None
    session.close()


def test_a_second_reviewer_does_not_see_what_the_first_said(opened):
    client = client_of(opened(double=1.0))
    row = client.post("/review/api/next", json={"reviewer": "ann"}).json()["row"]
    body = {"reviewer": "ann", "row": row["row"], "action": "nowhere", "comment": "secret"}
    client.post("/review/api/decisions", json=body)
    second = client.post("/review/api/next", json={"reviewer": "bob"})
    assert second.json()["row"]["row"] == row["row"] and "secret" not in second.text
    body |= {"reviewer": "bob", "action": "choose", "code": "Toys"}
    client.post("/review/api/decisions", json=body)
    conflict = {"reviewer": "cy", "queue": {"order": "conflicts"}}
    shown = client.post("/review/api/next", json=conflict).json()["row"]["verdicts"]
    assert [verdict["reviewer"] for verdict in shown] == ["ann", "bob"]


def test_exports_are_files(client):
    assert client.get("/review/api/export.csv").status_code == 400
    client.post("/review/api/decisions", json={"reviewer": "a", "row": 2, "action": "accept"})
    found = client.get("/review/api/export.csv")
    assert "attachment" in found.headers["Content-Disposition"]
    assert found.text.startswith("sku,name,cascade_code")
    assert client.get("/review/api/export.jsonl").json()["review_by"] == "a"


def test_pictures_are_given_as_jpegs_and_none_from_outside_the_folder(opened, tmp_path):
    from PIL import Image

    Image.new("RGB", (900, 40), "red").resize((300, 200)).save(tmp_path / "red.png")
    (tmp_path / "s").mkdir()
    rows = tmp_path / "rows.csv"
    rows.write_text(
        "name,picture,cascade_code\nred,red.png,Toys\nout,../../etc/passwd,Toys\n"
        "far,https://example.org/a.png,Toys\nnone,,Toys\n"
    )
    client = client_of(opened(rows, image="picture"))
    found = client.get("/review/api/rows/1/picture")
    assert found.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(found.content)).size == (300, 200)
    for row, told in ((2, "not in the folder"), (3, "allow"), (4, "no picture")):
        refused = client.get(f"/review/api/rows/{row}/picture")
        assert refused.status_code == 400 and told in refused.text


def test_the_api_is_described(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert "/review/api/decisions" in paths and "/review/" not in paths
