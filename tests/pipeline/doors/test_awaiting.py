import asyncio

import pytest

import cascade
from cascade.errors import UsageError
from cascade.taxonomy import Taxonomy

pytestmark = pytest.mark.weights

TEXTS = [f"{what} no {n}" for n in range(30) for what in ("straw hat", "garden rake", "")]


@pytest.fixture(scope="module")
def clf():
    return cascade.load(Taxonomy.from_paths(["Clothing > Hats", "Garden > Rakes"]))


@pytest.fixture(scope="module")
def expected(clf):
    return [p.code for p in clf.classify_many(TEXTS)]


def test_calls_that_wait_together_share_batches(clf, expected, monkeypatch):
    batches = []
    batch = clf.classify_batch
    monkeypatch.setattr(
        clf, "classify_batch", lambda items: batches.append(len(items)) or batch(items)
    )

    async def run():
        return await asyncio.gather(*(clf.aclassify(text) for text in TEXTS))

    assert [p.code for p in asyncio.run(run())] == expected
    assert len(batches) <= 3
    assert [p.code for p in asyncio.run(run())] == expected  # in another loop


@pytest.mark.parametrize("asynchronous", [False, True])
def test_many_come_in_order(clf, expected, asynchronous):
    async def items():
        for text in TEXTS:
            yield text

    async def run():
        given = items() if asynchronous else TEXTS
        return [p.code async for p in clf.aclassify_many(given, batch_size=7)]

    assert asyncio.run(run()) == expected


def test_the_loop_does_other_work_meanwhile(clf):
    async def run():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        await clf.aclassify("straw hat")
        ticking.cancel()
        return ticks

    assert asyncio.run(run()) > 1


def test_a_cancelled_call_leaves_the_others_alone(clf):
    async def run():
        first, second = (asyncio.create_task(clf.aclassify(text)) for text in TEXTS[:2])
        await asyncio.sleep(0)
        first.cancel()
        return await second, first

    answer, cancelled = asyncio.run(run())
    assert answer.path == "Garden > Rakes"
    assert cancelled.cancelled()


def test_an_error_reaches_every_caller(clf, monkeypatch):
    def breaks(items):
        raise UsageError("no more")

    monkeypatch.setattr(clf, "classify_read", breaks)

    async def run():
        return await asyncio.gather(
            clf.aclassify("hat"), clf.aclassify("rake"), return_exceptions=True
        )

    assert [str(error) for error in asyncio.run(run())] == ["no more", "no more"]
    with pytest.raises(UsageError, match="an item is"):
        asyncio.run(clf.aclassify(7))
