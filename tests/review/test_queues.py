import pytest
from review_steps import take

from cascade.errors import UsageError
from cascade.review import queues
from cascade.review.decisions import decide, settle
from cascade.review.queues import LEASE, Queue, next_row


def confidence(session, row):
    return session.db.value("SELECT confidence FROM rows WHERE row = ?", (row,))


def test_doubt_brings_the_least_sure_answers_first(session):
    found = [confidence(session, take(session, "ann")) for _ in range(12)]
    assert found == sorted(found) and found[0] == 0.3


def test_value_goes_through_all_answers_before_it_asks_twice_in_one_place(session):
    rows = [take(session, "ann", Queue("value")) for _ in range(5)]
    codes = {session.db.value("SELECT code FROM rows WHERE row = ?", (row,)) for row in rows}
    assert len(codes) == 5


def test_a_class_has_its_own_rows_only(session, taxonomy):
    garden = taxonomy.find("Garden")
    queue = Queue("doubt", garden, int(taxonomy.end[garden]))
    seen = []
    while (lease := next_row(session.db, "ann", queue)) is not None:
        seen.append(lease.row)
        decide(session.db, taxonomy, "ann", lease.row, "accept")
    codes = {session.db.value("SELECT code FROM rows WHERE row = ?", (row,)) for row in seen}
    assert len(seen) == 24 and all(code.startswith("Garden") for code in codes)


@pytest.mark.parametrize(
    ("words", "expected"), [("straw", 8 // 4), ("str", 2), ("hat straw", 2), ('"x" OR *', 0)]
)
def test_words_find_rows_by_their_beginnings_and_are_no_query_language(session, words, expected):
    assert queues.left(session.db, Queue(words=words)) == expected


def test_two_reviewers_never_get_the_same_row(session):
    one, other = (next_row(session.db, who, Queue()) for who in ("ann", "bob"))
    assert one.row != other.row
    assert next_row(session.db, "ann", Queue()).row == one.row  # the page was loaded again


def test_what_a_reviewer_left_open_is_given_to_others_after_a_while(session):
    held = next_row(session.db, "ann", Queue(), now=1000)
    assert next_row(session.db, "bob", Queue(), now=1000 + LEASE - 1).row != held.row
    queues.release(session.db, "bob")
    assert next_row(session.db, "bob", Queue(), now=1000 + LEASE + 1).row == held.row


def test_double_review_asks_two_each_on_his_own_and_not_three(opened):
    session = opened(double=1.0)
    row = take(session, "ann")
    assert next_row(session.db, "ann", Queue()).row != row
    assert take(session, "bob") == row
    assert take(session, "cy") != row


def test_skipped_rows_come_last(session):
    first = take(session, "ann", action="skip")
    rest = [take(session, "ann") for _ in range(39)]
    assert first not in rest
    last = next_row(session.db, "ann", Queue())
    assert (last.row, last.skipped) == (first, True)
    assert next_row(session.db, "bob", Queue()) is None  # ann looks at it


def test_the_order_that_a_program_asks_for_is_kept(opened):
    session = opened(order=[7, 3, 30], id="sku")
    assert [take(session, "ann", Queue("asked")) for _ in range(3)] == [7, 3, 30]
    assert next_row(session.db, "ann", Queue("asked")) is None
    session.ask(["S001", "S000"])
    assert [take(session, "ann", Queue("asked")) for _ in range(2)] == [2, 1]
    with pytest.raises(UsageError, match="row 'S999'"):
        session.ask(["S999"])


def test_a_row_that_another_queue_comes_to_leaves_the_sample(session):
    """The sample stays one of the rest, in whatever order queues are worked through."""
    drawn = {take(session, "ann", Queue("random")) for _ in range(10)}
    targeted = [take(session, "ann") for _ in range(10)]
    bound = confidence(session, targeted[-1])
    sample = {row[0] for row in session.db.all("SELECT row FROM rows WHERE rest AND decided")}
    passed = {row for row in drawn if confidence(session, row) < bound}
    assert sample == drawn - passed and passed


def test_a_random_queue_of_some_rows_only_is_no_sample_of_all(session):
    take(session, "ann", Queue("random", words="hat"))
    assert session.estimate().exact.rows == 0


def test_conflicts_are_ended_by_a_third_decision_and_both_opinions_stay(opened, taxonomy):
    session = opened(double=1.0)
    row = take(session, "ann")
    lease = next_row(session.db, "bob", Queue())
    decide(session.db, taxonomy, "bob", lease.row, "nowhere")
    assert row not in session.labels()
    conflict = next_row(session.db, "cy", Queue("conflicts"))
    assert conflict.row == row
    decide(session.db, taxonomy, "cy", row, "choose", code="Toys")
    assert session.labels()[row] == "Toys"
    assert session.agreement().rows == 1 and session.agreement().pairs[0].agreed == 0
    assert next_row(session.db, "ann", Queue("conflicts")) is None


def test_what_follows_from_decisions_is_the_same_when_it_is_worked_out_again(opened):
    session = opened(double=0.5)
    for _ in range(6):
        for who, queue in (("ann", "doubt"), ("bob", "random"), ("ann", "value")):
            take(session, who, Queue(queue))
    columns = "SELECT waiting, rest, live, conflict, decided, final_code FROM rows"
    before = [tuple(row) for row in session.db.all(columns)]
    for row in range(1, 41):
        settle(session.db, row)
    assert [tuple(row) for row in session.db.all(columns)] == before
