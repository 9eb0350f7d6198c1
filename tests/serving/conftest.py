import asyncio

import pytest

import cascade
from cascade.retrieval.encoder import Encoder

KINDS = {
    "Home > Garden > Rakes": "rake",
    "Home > Garden > Hoses": "hose",
    "Home > Kitchen > Knives": "knife",
    "Clothing > Hats > Straw hats": "panama",
}


@pytest.fixture
def loaded(minilm, monkeypatch):
    """The real encoder, loaded once for the session and not again for each classifier."""
    monkeypatch.setattr(Encoder, "load", classmethod(lambda cls, name, **options: minilm))


@pytest.fixture(scope="session")
def pack(tmp_path_factory):
    """A quick pack that reads the columns name and brand."""
    rows = [
        {"name": f"{what} {size} cm", "brand": f"brand {size % 5}", "label": label}
        for label, what in KINDS.items()
        for size in range(24)
    ]
    return cascade.fit(
        rows,
        label="label",
        text=["name", "brand"],
        recipe="quick",
        progress=False,
        out=tmp_path_factory.mktemp("serving") / "pack",
    )


@pytest.fixture
def ask():
    """Make requests to an application, all at the same time, as a client on this machine."""
    httpx = pytest.importorskip("httpx")

    def ask(app, *requests, base="http://localhost:8000", **headers):
        async def run():
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                asked = [
                    client.request(
                        method, path, **{**more, "headers": {**more.get("headers", {}), **named}}
                    )
                    for method, path, more in requests
                ]
                return await asyncio.gather(*asked)

        found = asyncio.run(run())
        return found if len(found) > 1 else found[0]

    return ask
