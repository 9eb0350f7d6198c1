"""Long work tells on a plain standard error how far it is, now and then."""

import io

from rich.console import Console

from cascade.progress import PlainWork, Stages


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


def test_lines_come_every_half_minute_once_work_has_taken_a_minute():
    lines = printed(*[(second, "x", second) for second in range(0, 200)], of=1000, amount="")
    told = [int(line.split()[1]) for line in lines]
    assert told == [2, 12, 22, 32, 42, 52, 62, 92, 122, 152, 182]


def beaten(*moments, amount=""):
    """What a thread prints that looks at these seconds at work of which nothing is counted."""
    clock, text = Clock(), io.StringIO()
    work = PlainWork(Console(file=text, width=40), "loading", clock)
    work.show("counting words", 0, 1, amount)
    for seconds in moments:
        clock.now = 100 + seconds
        work.still()
    return text.getvalue().splitlines()


def test_work_of_which_nothing_is_counted_says_that_it_goes_on():
    assert beaten(*range(25)) == ["counting words for 10 s", "counting words for 20 s"]
    assert beaten(9) == []
    left = iter(["9 s left", "8 s left"])
    assert beaten(10, 20, amount=lambda: next(left)) == [
        "counting words for 10 s, 9 s left",
        "counting words for 20 s, 8 s left",
    ]


def staged(expected, *moments):
    """What stages show, as (seconds, stage that begins or None, what, done, of)."""
    clock, shown = Clock(), []

    def show(what, done=0, of=None, amount=""):
        shown.append((what, amount if isinstance(amount, str) else amount()))

    stages = Stages(show, clock)
    stages.show("reading", 7, None, "7 rows")
    stages.expect(expected)
    for seconds, begun, what, done, of in moments:
        clock.now = 100 + seconds
        if begun:
            stages.begin(begun)
        stages.show(what, done, of)
    return shown


def test_stages_are_numbered_and_say_how_long_all_will_take():
    expected = {"words": 20.0, "training": 60.0, "choosing": 20.0}
    assert staged(
        expected,
        (0, "words", "counting words", 0, 1),
        (10, None, "lexical heads", 3, 9),
        (60, "training", "training", 0, 300),
        (180, "choosing", "asking", 5, 10),
    ) == [
        ("reading", "7 rows"),
        ("1 of 3, counting words", "all about 2 min left"),
        ("1 of 3, lexical heads", "3 of 9; all about 90 s left"),
        # The first stage took three times what was expected; with the 20 s that were believed
        # beforehand that makes twice.
        ("2 of 3, training", "all about 3 min left"),
        ("3 of 3, asking", "5 of 10; all about 40 s left"),
    ]


def test_what_is_counted_takes_at_least_as_long_as_its_pace_says():
    moments = [(0, "words", "heads", 0, 10), (5, None, "heads", 1, 10), (35, None, "heads", 2, 10)]
    shown = staged({"words": 20.0}, *moments)
    # With the first what all need is made, so it says nothing of the pace.
    assert shown[-2:] == [
        ("1 of 1, heads", "1 of 10; all about 15 s left"),
        ("1 of 1, heads", "2 of 10; all about 4 min left"),
    ]
