"""Batches across clients, the bounded queue, the time of requests."""

import asyncio
import threading
import time

import pytest

pytest.importorskip("fastapi")

from cascade.items import Item
from cascade.predictions import Prediction
from cascade.serving.http.batches.batcher import Batcher
from cascade.serving.http.metrics import Metrics
from cascade.serving.http.problems import Problem


class Slow:
    """Answers each item with its text, when it is let; and remembers its batches."""

    def __init__(self):
        self.batches = []
        self.go = threading.Event()

    def classify_read(self, items):
        self.batches.append([item.text for item in items])
        assert self.go.wait(10)
        if any(item.text == "poison" for item in items):
            raise ValueError("poison")
        return [Prediction(item.text, item.text, 0.5, "slow") for item in items]

    def variant(self, beam):
        found = Slow()
        found.batches, found.go = self.batches, self.go
        return found


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def make(slow):
    made = []

    def make(**bounds):
        bounds = {"batch": 8, "wait": 0.0, "queue": 20} | bounds
        made.append(Batcher(slow, Metrics(), **bounds))
        return made[-1]

    yield make
    slow.go.set()
    assert all(batcher.close(10) for batcher in made)


def asked(batcher, *texts, top=0, seconds=10.0):
    return batcher.answer(
        [Item({"text": text}) for text in texts],
        top=top,
        deadline=time.monotonic() + seconds,
    )


async def begun(slow, count=1):
    """Wait until a batch is at work."""
    while len(slow.batches) < count:
        await asyncio.sleep(0.001)


def codes(predictions):
    return [prediction.code for prediction in predictions]


def test_what_comes_while_a_batch_is_answered_is_answered_together(make, slow):
    async def run():
        batcher = make()
        first = asyncio.ensure_future(asked(batcher, "a"))
        await begun(slow)
        rest = [
            asyncio.ensure_future(asked(batcher, *texts)) for texts in ("bc", "d", "efgh", "ij")
        ]
        await asyncio.sleep(0)
        slow.go.set()
        return [codes(found) for found in await asyncio.gather(first, *rest)]

    assert asyncio.run(run()) == [["a"], ["b", "c"], ["d"], ["e", "f", "g", "h"], ["i", "j"]]
    assert slow.batches == [["a"], [*"bcdefgij"], ["h"]]  # each has its share of a batch


def test_clients_that_ask_alone_are_not_kept_waiting(make, slow):
    slow.go.set()
    batcher = make(wait=10.0)  # a batch that waited would take 10 s

    async def run():
        for text in "abcdef":
            async with asyncio.timeout(5):
                await asked(batcher, text)

    asyncio.run(run())
    assert slow.batches == [[text] for text in "abcdef"]


def test_other_numbers_of_alternatives_are_other_batches(make, slow):
    async def run():
        batcher = make()
        first = asyncio.ensure_future(asked(batcher, "a"))
        await begun(slow)
        rest = [
            asyncio.ensure_future(asked(batcher, text, top=at % 2))
            for at, text in enumerate("bcde")
        ]
        await asyncio.sleep(0)
        slow.go.set()
        return [codes(found) for found in await asyncio.gather(first, *rest)]

    assert asyncio.run(run()) == [[text] for text in "abcde"]
    assert slow.batches == [["a"], ["b", "d"], ["c", "e"]]


def test_a_full_queue_refuses_and_says_when_to_come_back(make, slow):
    async def run():
        batcher = make(queue=3)
        waiting = [asyncio.ensure_future(asked(batcher, "a"))]
        await begun(slow)
        waiting += [asyncio.ensure_future(asked(batcher, text)) for text in "bcd"]
        await asyncio.sleep(0)
        with pytest.raises(Problem) as error:
            await asked(batcher, "e")
        slow.go.set()
        return error.value, [codes(found) for found in await asyncio.gather(*waiting)]

    problem, found = asyncio.run(run())
    assert problem.status == 503
    assert 1 <= int(problem.headers["Retry-After"]) <= 60
    assert found == [["a"], ["b"], ["c"], ["d"]]


def test_a_request_larger_than_the_queue_is_answered_where_nothing_waits(make, slow):
    slow.go.set()
    assert codes(asyncio.run(asked(make(queue=3), *"abcdefghijkl"))) == [*"abcdefghijkl"]
    assert slow.batches == [[*"abcdefgh"], [*"ijkl"]]


def test_a_large_request_is_answered_in_parts_between_which_others_have_their_turn(make, slow):
    async def run():
        batcher = make(queue=100)
        large = asyncio.ensure_future(asked(batcher, *"abcdefghijklmnopqrst"))
        await begun(slow)
        small = asyncio.ensure_future(asked(batcher, "S"))
        await asyncio.sleep(0)
        slow.go.set()
        assert codes(await small) == ["S"]
        return codes(await large)

    assert asyncio.run(run()) == [*"abcdefghijklmnopqrst"]
    assert slow.batches == [[*"abcdefgh"], [*"ijklmno", "S"], [*"pqrst"]]


def test_what_is_left_of_a_request_that_hung_up_is_not_answered(make, slow):
    async def run():
        batcher = make(queue=100)
        large = asyncio.ensure_future(asked(batcher, *"abcdefghijklmnopqrst"))
        await begun(slow)
        large.cancel()
        with pytest.raises(asyncio.CancelledError):
            await large
        assert batcher._turns.items == 0
        slow.go.set()
        return codes(await asked(batcher, "z"))

    assert asyncio.run(run()) == ["z"]
    assert slow.batches == [[*"abcdefgh"], ["z"]]


def test_what_is_overdue_is_not_answered(make, slow):
    async def run():
        batcher = make(queue=100)
        large = asyncio.ensure_future(asked(batcher, *"abcdefghijklmnopqrst", seconds=0.05))
        await begun(slow)
        await asyncio.sleep(0.06)
        slow.go.set()
        with pytest.raises(Problem, match="time of the request is over") as error:
            await large
        return error.value.status

    assert asyncio.run(run()) == 504
    assert slow.batches == [[*"abcdefgh"]]


def test_running_work_counts_in_what_is_waited_for(make, slow):
    async def run():
        batcher = make(queue=100)
        running = asyncio.ensure_future(asked(batcher, "a"))
        await begun(slow)
        batcher._began -= 100  # the model has been at it for 100 s, nobody knows for how long yet
        with pytest.raises(Problem, match="1 are being answered") as error:
            await asked(batcher, "b")
        slow.go.set()
        await running
        return error.value

    problem = asyncio.run(run())
    assert problem.status == 503
    assert int(problem.headers["Retry-After"]) == 60


def test_steps_of_a_function_take_turns_with_items(make, slow):
    slow.go.set()
    seen = []

    def steps():
        for step in range(3):
            seen.append((step, len(slow.batches)))
            yield
        return "done"

    async def run():
        batcher = make()
        first = asyncio.ensure_future(asked(batcher, "a"))
        deadline = time.monotonic() + 10
        stepped = asyncio.ensure_future(batcher.answer(steps, size=4, deadline=deadline))
        second = asyncio.ensure_future(asked(batcher, "b", top=1))
        return codes(await first), await stepped, codes(await second)

    slow.go.clear()
    threading.Timer(0.05, slow.go.set).start()
    assert asyncio.run(run()) == (["a"], "done", ["b"])
    assert [step for step, _ in seen] == [0, 1, 2]
    assert seen[0][1] == 1 and seen[1][1] == 2  # the second item was answered between them


def test_the_end_does_not_wait_for_a_model_for_ever(make, slow, monkeypatch):
    monkeypatch.setattr("cascade.serving.http.batches.batcher.LAST", 0.01)

    async def run():
        batcher = make()
        waiting = [asyncio.ensure_future(asked(batcher, "a"))]
        await begun(slow)
        waiting.append(asyncio.ensure_future(asked(batcher, "b", "c")))
        await asyncio.sleep(0)
        ended = await asyncio.to_thread(batcher.close, 0.01)
        assert batcher.is_working
        with pytest.raises(Problem, match="ended before") as error:
            await waiting[1]
        slow.go.set()
        return ended, error.value.status, batcher, codes(await waiting[0])

    ended, status, batcher, first = asyncio.run(run())
    assert (ended, status, first) == (False, 503, ["a"])
    assert batcher._metrics.stopped == 1


def test_who_waits_no_longer_gives_the_place_away(make, slow):
    async def run():
        batcher = make(queue=2)
        first = asyncio.ensure_future(asked(batcher, "a"))
        await begun(slow)
        gone = asyncio.ensure_future(asked(batcher, "b", "c"))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        last = asyncio.ensure_future(asked(batcher, "d", "e"))
        await asyncio.sleep(0)
        slow.go.set()
        return [codes(found) for found in await asyncio.gather(first, last)]

    assert asyncio.run(run()) == [["a"], ["d", "e"]]
    assert slow.batches == [["a"], ["d", "e"]]


def test_a_request_that_cannot_be_answered_in_its_time_is_refused_at_once(make, slow):
    async def run():
        batcher = make()
        slow.go.set()
        await asked(batcher, "a")
        slow.go.clear()
        first = asyncio.ensure_future(asked(batcher, *"bcdefg"))
        await begun(slow, 2)
        batcher._pace(next(iter(batcher._working)).job).learn(1e6, 1e5)  # 10 units a second
        with pytest.raises(Problem, match="in the time of the request") as error:
            await asked(batcher, *"hijklm", seconds=0.5)
        slow.go.set()
        await first
        return error.value

    assert asyncio.run(run()).status == 503


def test_one_request_that_fails_does_not_stop_the_others(make, slow):
    async def run():
        batcher = make()
        first = asyncio.ensure_future(asked(batcher, "a"))
        await begun(slow)
        rest = [asyncio.ensure_future(asked(batcher, text)) for text in ("b", "poison", "c")]
        await asyncio.sleep(0)
        slow.go.set()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)

    b, poison, c = asyncio.run(run())
    assert codes(b + c) == ["b", "c"]
    assert isinstance(poison, ValueError)


def test_the_end_answers_what_waits_and_takes_no_more(make, slow):
    async def run():
        batcher = make()
        waiting = [asyncio.ensure_future(asked(batcher, "a"))]
        await begun(slow)
        waiting += [asyncio.ensure_future(asked(batcher, text)) for text in "bc"]
        await asyncio.sleep(0)
        ending = asyncio.ensure_future(asyncio.to_thread(batcher.close, 10))
        while batcher.is_open:
            await asyncio.sleep(0.001)
        with pytest.raises(Problem) as error:
            await asked(batcher, "d")
        slow.go.set()
        return error.value.status, [codes(f) for f in await asyncio.gather(*waiting)], await ending

    assert asyncio.run(run()) == (503, [["a"], ["b"], ["c"]], True)


def test_clients_of_several_event_loops_share_batches(make, slow):
    batcher = make()
    found = {}

    def client(text):
        found[text] = codes(asyncio.run(asked(batcher, text)))

    clients = [threading.Thread(target=client, args=(text,)) for text in "abcd"]
    clients[0].start()
    while not slow.batches:
        time.sleep(0.001)
    for one in clients[1:]:
        one.start()
    while batcher._turns.items < 3:
        time.sleep(0.001)
    slow.go.set()
    for one in clients:
        one.join(10)
    assert found == {text: [text] for text in "abcd"}
    assert len(slow.batches) == 2


def test_time_that_is_over_is_told(pack, ask):
    from cascade.config import ServeConfig
    from cascade.serving.http import create_app

    slow = Slow()
    app = create_app(pack, settings=ServeConfig())
    app.state.service.batcher._variants[0] = slow
    found = ask(app, ("POST", "/v1/classify", {"json": {"text": "rake"}}), X_Timeout="0.05")
    assert found.status_code == 504
    assert found.headers["content-type"] == "application/problem+json"

    async def never():
        yield b"{"
        await asyncio.sleep(5)

    asked = {"content": never(), "headers": {"content-type": "application/json"}}
    found = ask(app, ("POST", "/v1/classify", asked), X_Timeout="0.05")
    assert found.status_code == 408
    slow.go.set()


def test_who_hangs_up_gives_the_place_away(pack, monkeypatch):
    from cascade.config import ServeConfig
    from cascade.serving.http import clock
    from cascade.serving.http.service import Service

    monkeypatch.setattr(clock, "PATIENCE", 0.01)
    slow = Slow()
    service = Service(pack, ServeConfig(queue=2))
    service.batcher._variants[0] = slow
    headers = {b"content-type": b"application/json"}

    async def run():
        hung_up = asyncio.Event()

        def client():
            parts = [{"type": "http.request", "body": b'{"text": "rake"}', "more_body": False}]

            async def receive():
                if parts:
                    return parts.pop()
                await hung_up.wait()
                return {"type": "http.disconnect"}

            return asyncio.ensure_future(service.classify_one(headers, receive))

        first = client()
        await begun(slow)
        second = client()
        await asyncio.sleep(0.05)
        assert service.batcher._turns.items == 1
        hung_up.set()
        for one in (first, second):
            with pytest.raises(Problem, match="went away"):
                await one
        assert service.batcher._turns.items == 0
        slow.go.set()
        return codes(await asked(service.batcher, "a", "b"))

    assert asyncio.run(run()) == ["a", "b"]
    assert slow.batches == [["rake"], ["a", "b"]]
    assert 'cascade_refused_total{reason="gone"} 2.0' in service.metrics.text().decode()
    assert service.batcher.close(10)
