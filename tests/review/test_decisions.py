import json

import pytest

from cascade.errors import UsageError
from cascade.review import queues
from cascade.review.decisions import decide, reviewer_name, undo
from cascade.review.queues import Queue, next_row


def test_accept_choose_and_nowhere_say_what_is_right(session, taxonomy):
    decide(session.db, taxonomy, "ann", 2, "accept")
    decide(session.db, taxonomy, "ann", 3, "choose", code="garden>tools > Spades")
    decide(session.db, taxonomy, "ann", 4, "nowhere", comment=" a toy? ")
    answer = session.db.value("SELECT code FROM rows WHERE row = 2")
    assert session.labels() == {2: answer, 3: "Garden > Tools > Spades", 4: None}
    assert session.decisions()[2].comment == "a toy?"


def test_an_inner_node_can_be_right(session, taxonomy):
    decide(session.db, taxonomy, "ann", 1, "choose", code="Garden")
    assert session.labels()[1] == "Garden"


@pytest.mark.parametrize("code", [None, "", "Nothing", "Garden > Nothing"])
def test_only_nodes_of_the_taxonomy_can_be_chosen(session, taxonomy, code):
    with pytest.raises(UsageError, match="no node of the taxonomy"):
        decide(session.db, taxonomy, "ann", 1, "choose", code=code)
    assert session.labels() == {}


def test_undo_goes_back_step_by_step_and_gives_the_row_back(session, taxonomy):
    rows = []
    for _ in range(3):
        rows.append(next_row(session.db, "ann", Queue()).row)
        decide(session.db, taxonomy, "ann", rows[-1], "accept")
    assert [undo(session.db, "ann"), undo(session.db, "ann")] == [rows[2], rows[1]]
    assert next_row(session.db, "ann", Queue()).row == rows[1]
    assert set(session.labels()) == {rows[0]}
    assert undo(session.db, "bob") is None


def test_undo_brings_back_what_was_decided_before(session, taxonomy):
    decide(session.db, taxonomy, "ann", 1, "choose", code="Toys")
    queues.open_row(session.db, "ann", 1)
    decide(session.db, taxonomy, "ann", 1, "nowhere")
    undo(session.db, "ann")
    assert session.labels() == {1: "Toys"}


def test_a_decision_that_is_sent_twice_counts_once(session, taxonomy):
    first = decide(session.db, taxonomy, "ann", 1, "accept", request="r1")
    again = decide(session.db, taxonomy, "ann", 1, "nowhere", request="r1")
    assert first == again and session.labels()[1] is not None
    assert undo(session.db, "ann", request="u1") == undo(session.db, "ann", request="u1") == 1
    assert undo(session.db, "ann") is None


def test_what_was_shown_is_kept_with_the_decision(session, taxonomy):
    lease = next_row(session.db, "ann", Queue("random"))
    queues.show(session.db, "ann", lease.row, {"answer": "A", "confidence": 0.4})
    queues.show(session.db, "ann", lease.row, {"candidates": [["A", 0.4, 0]]})
    decide(session.db, taxonomy, "ann", lease.row, "accept", seconds=2.5)
    kept = session.db.one("SELECT * FROM decisions")
    assert json.loads(kept["shown"]) == {
        "answer": "A",
        "confidence": 0.4,
        "candidates": [["A", 0.4, 0]],
    }
    assert json.loads(kept["queue"]) == {"order": "random"} and kept["seconds"] == 2.5
    assert kept["at"].endswith("+00:00")


@pytest.mark.parametrize("name", ["", "  ", "\u200b", "x" * 61])
def test_reviewers_have_names_that_can_be_read(name):
    with pytest.raises(UsageError, match="1 to 60"):
        reviewer_name(name)


def test_names_are_compared_without_blanks_and_steering_signs():
    assert reviewer_name("  Ann \t B\u202e ") == "Ann B"


def test_two_that_agree_decide_a_row_and_two_that_do_not_leave_a_conflict(opened, taxonomy):
    session = opened(double=1.0)
    for who in ("ann", "bob"):
        decide(session.db, taxonomy, who, 1, "choose", code="Toys")
    decide(session.db, taxonomy, "ann", 2, "choose", code="Toys")
    decide(session.db, taxonomy, "bob", 2, "nowhere")
    assert session.labels() == {1: "Toys"}
    assert session.figures()["conflicts"] == 1
