"""Long work tells on a plain standard error how far it is, now and then."""

import io

from rich.console import Console

from cascade.progress import PlainWork


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def printed(*steps, of=75_000, amount="{:,} of {:,} names"):
    """What is printed where so much is done at so many seconds."""
    clock, text = Clock(), io.StringIO()
    work = PlainWork(Console(file=text, width=40), "loading", clock)
    for seconds, what, done in steps:
        clock.now = 100 + seconds
        work.show(what, done, of, amount.format(done, of))
    return text.getvalue().splitlines()


def test_a_line_comes_after_two_seconds_and_then_every_ten():
    steps = [(second, "indexing", 1000 * second) for second in range(26)]
    assert printed(*steps) == [
        "indexing 2,000 of 75,000 names, 73 s left",
        "indexing 12,000 of 75,000 names, 63 s left",
        "indexing 22,000 of 75,000 names, 53 s left",
    ]


def test_the_time_left_follows_the_pace_since_the_last_line():
    assert printed((0, "x", 0), (10, "x", 10), (20, "x", 110), of=1110, amount="{} of {}") == [
        "x 10 of 1110, 18 min left",
        "x 110 of 1110, 2 min left",
    ]


def test_other_work_begins_anew_and_finished_work_says_nothing():
    steps = [(1, "indexing", 0), (11, "classifying", 0), (21, "classifying", 25_000)]
    assert printed(*steps) == ["classifying 25,000 of 75,000 names, 20 s left"]
    assert printed((30, "indexing", 75_000)) == []


def test_short_work_after_long_work_says_nothing():
    assert printed((0, "loading", 0), (30, "classifying", 10), (31, "classifying", 20)) == []


def test_without_a_known_end_the_amount_stands_alone():
    steps = [(0, "reading", 0), (5, "reading", 400)]
    assert printed(*steps, of=None, amount="") == ["reading 400"]
    assert printed(*steps, of=None, amount="{} rows") == ["reading 400 rows"]


def test_a_training_that_tells_the_time_left_is_told_once():
    steps = [(0, "training", 0), (60, "training", 20)]
    lines = printed(*steps, of=300, amount="loss 2.960; 4 min left")
    assert lines == ["training loss 2.960; 4 min left"]
