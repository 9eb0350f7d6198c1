"""One classifier, many doors: the same codes and confidences through each of them."""

import asyncio
import csv
import json
import random
import sys

import anyio
import duckdb
import pandas as pd
import polars as pl
import pytest

import cascade
from cascade.cli import main

KINDS = {
    "Home > Garden > Rakes": "rake",
    "Home > Garden > Hoses": "hose",
    "Home > Kitchen > Knives": "knife",
    "Clothing > Hats > Straw hats": "panama",
    "Clothing > Hats > Beanies": "beanie",
}
WORDS = (
    *(["red", "blue", "steel", "wool", "small", "large", "garden", "chef", "straw", "rubber"]),
    *(["light", "12", "cm", "new", "set", "of"]),
)
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def texts():
    """200 texts, most of them of words of several kinds, so that few are sure."""
    draw = random.Random(5)
    told = [*WORDS, *KINDS.values()]
    return [" ".join(draw.choices(told, k=draw.randint(1, 6))) for _ in range(198)] + ["", "??"]


@pytest.fixture(scope="module")
def estimator():
    draw = random.Random(3)
    X = [
        f"{' '.join(draw.choices(WORDS, k=3))} {what}" for what in KINDS.values() for _ in range(24)
    ]
    y = [label for label in KINDS for _ in range(24)]
    return cascade.CascadeClassifier(recipe="quick").fit(X, y)


@pytest.fixture(scope="module")
def pack(estimator, tmp_path_factory):
    """The pack of the estimator, with the settings that it has for all others."""
    return cascade.Pack(estimator.pack_.save(tmp_path_factory.mktemp("kept") / "pack"))


@pytest.fixture(scope="module")
def expected(pack, texts):
    """Code and confidence of each text."""
    return [(p.code, p.confidence) for p in pack.classify_many(texts)]


def same(found, expected, tolerance=TOLERANCE):
    assert [code for code, _ in found] == [code for code, _ in expected]
    for (_, ours), (code, theirs) in zip(found, expected, strict=True):
        if code is not None:
            assert ours == pytest.approx(theirs, abs=tolerance)


def test_the_rows_are_no_easy_ones(pack, texts, expected):
    sure = [confidence for code, confidence in expected if code]
    assert len({round(confidence, 6) for confidence in sure}) > 50
    statuses = {p.status for p in pack.classify_many(texts)}
    assert {"ok", "partial", "error"} <= statuses


def test_python_answers_one_as_it_answers_many(pack, texts, expected):
    found = map(pack.classify, texts)
    same([(p.code, p.confidence) for p in found], expected)


@pytest.mark.parametrize("size", [7, 33])
def test_python_answers_in_batches_of_any_size(pack, texts, expected, size):
    found = [(p.code, p.confidence) for p in pack.classify_many(texts, batch_size=size)]
    assert found == expected


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames(pack, texts, expected, kind):
    found = pack.classify_frame(kind({"text": texts}))
    codes = [None if pd.isna(code) else code for code in found["cascade_code"]]
    same(list(zip(codes, found["cascade_confidence"], strict=True)), expected)


@pytest.mark.filterwarnings("ignore:.*cannot be read")
def test_the_estimator_answers_as_the_pack_does_before_it_asks_what_is_sure(estimator, pack, texts):
    whole = pack.with_settings(calibration={"least": 0, "nowhere": 0}).classify_many(texts)
    expected = [(p.code, p.confidence) for p in whole]
    p = estimator.predict_proba(texts)
    labels = estimator.predict(texts)
    assert (estimator.classes_[p.argmax(axis=1)] == labels).all()
    found = [
        (label if code else None, row.max())
        for label, row, (code, _) in zip(labels.tolist(), p, expected, strict=True)
    ]
    same(found, expected)
    accepted = [at for at, one in enumerate(pack.classify_many(texts)) if one.status == "ok"]
    assert [labels[at] for at in accepted] == [expected[at][0] for at in accepted]


def test_sql(pack, texts, expected):
    con = duckdb.connect()
    cascade.register_duckdb(con, pack)
    con.register("items", pl.DataFrame({"text": texts, "n": range(len(texts))}))
    query = (
        "SELECT a.code, a.confidence "
        "FROM (SELECT n, cascade_classify(text) AS a FROM items) ORDER BY n"
    )
    same(con.execute(query).fetchall(), expected)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_the_command_line(pack, texts, expected, tmp_path, monkeypatch, suffix):
    pack.save(tmp_path / "pack")
    with (tmp_path / "items.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    monkeypatch.chdir(tmp_path)
    out = f"out.{suffix}"
    monkeypatch.setattr(sys, "argv", ["cascade", "classify", "items.csv", "-c", "pack", "-o", out])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 3  # a row without text
    if suffix == "jsonl":
        rows = [json.loads(line)["cascade"] for line in (tmp_path / out).read_text().splitlines()]
        found = [(row["code"], row["confidence"]) for row in rows]
    else:
        with (tmp_path / out).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found = [
            (row["cascade_code"] or None, float(row["cascade_confidence"] or 0)) for row in rows
        ]
    same(found, expected)


def test_mcp(pack, texts, expected):
    mcp = pytest.importorskip("mcp")
    from cascade.serving.mcp.server import make_server

    server = make_server(pack.taxonomy, lambda: pack)

    async def run():
        async with mcp.Client(server) as client:
            return await client.call_tool("classify_many", {"texts": texts})

    answers = anyio.run(run).structured_content["answers"]
    same([(answer["code"], answer["confidence"]) for answer in answers], expected)


def over_http(pack, requests):
    """Status and JSON of requests to `/v1/...` that are made at the same time."""
    httpx = pytest.importorskip("httpx")
    from cascade.serving.http import create_app

    async def run():
        transport = httpx.ASGITransport(create_app(pack))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            asked = [client.post(f"/v1/{route}", json=body) for route, body in requests]
            return await asyncio.gather(*asked)

    found = asyncio.run(run())
    assert {response.status_code for response in found} == {200}
    return [response.json() for response in found]


def test_http_many_in_a_request(pack, texts, expected):
    (found,) = over_http(pack, [("classify/batch", {"items": texts})])
    same([(answer["code"], answer["confidence"]) for answer in found["answers"]], expected)


def test_http_with_a_client_for_each(pack, texts, expected):
    found = over_http(pack, [("classify", {"text": text}) for text in texts])
    same([(answer["code"], answer["confidence"]) for answer in found], expected)
