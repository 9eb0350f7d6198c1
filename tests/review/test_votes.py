import numpy as np
import pytest

import cascade
from cascade.items import Item
from cascade.review.corrections import AT_ONCE, Corrections, Words
from cascade.review.decisions import decide, undo


def first(why):
    return why["candidates"][0]["code"]


def test_what_is_decided_votes_for_rows_like_it_at_once(session, taxonomy):
    before = session.why(21)
    assert first(before) != "Toys" and before["examples"] == []
    decide(session.db, taxonomy, "ann", 1, "choose", code="Toys")  # straw hat no 0
    after = session.why(21)  # straw hat no 20
    assert first(after) == "Toys" and after["candidates"][0]["like"] == 1
    assert after["examples"][0]["text"] == "straw hat no 0"
    assert first(session.why(3)) != "Toys"  # another kind


def test_what_is_taken_back_votes_no_more(session, taxonomy):
    decide(session.db, taxonomy, "ann", 1, "choose", code="Toys")
    session.why(21)
    undo(session.db, "ann")
    assert session.why(21)["examples"] == []


def test_a_row_does_not_vote_for_itself(session, taxonomy):
    decide(session.db, taxonomy, "ann", 1, "choose", code="Toys")
    assert session.why(1)["examples"] == []


def test_the_answer_that_is_measured_stays_that_of_the_file(session, taxonomy):
    answer = session.showing.row(21)["answer"]["code"]
    decide(session.db, taxonomy, "ann", 1, "choose", code="Toys")
    session.why(21)
    assert session.showing.row(21)["answer"]["code"] == answer


def test_what_another_process_decided_votes_too(opened, taxonomy):
    here, there = opened(), opened()
    assert here.why(21)["examples"] == []
    decide(there.db, taxonomy, "bob", 1, "choose", code="Toys")
    assert first(here.why(21)) == "Toys"


class Counting(Words):
    """Counts the items that are encoded in one go."""

    def __init__(self):
        self.asked = []

    def vectors(self, items):
        self.asked.append(len(items))
        return super().vectors(items)


def test_nobody_waits_until_earlier_decisions_are_encoded(opened, taxonomy, tmp_path):
    rows = [{"name": f"felt hat no {n}", "cascade_code": "Toys"} for n in range(100)]
    session = opened(rows, folder=tmp_path / "many")
    session.db.run("PRAGMA synchronous = OFF")
    for row in range(1, 91):
        decide(session.db, taxonomy, "ann", row, "accept")
    comparer = Counting()
    corrections = Corrections(session.db, taxonomy, comparer, session.item)
    vector = corrections.vector(Item({"text": "felt hat"}))
    corrections.near(vector)
    assert comparer.asked == [1, AT_ONCE]
    decide(session.db, taxonomy, "ann", 95, "choose", code="Garden > Pots")
    near = corrections.near(vector, k=100)
    assert 95 in [n.row for n in near] and len(near) == 2 * AT_ONCE
    while corrections.advance():
        pass
    assert len(corrections.near(vector, k=100)) == 91


def test_what_was_decided_before_is_encoded_beside_the_page(opened, taxonomy):
    session = opened()
    for row in range(1, 41):
        decide(session.db, taxonomy, "ann", row, "accept")
    session.close()
    again = opened()
    again.warm_up()
    again._catching_up.join()
    assert not again._corrections.advance() and len(again._corrections._rows) == 40


@pytest.fixture(scope="module")
def pack(taxonomy):
    rows = [
        {"name": f"{name} {n}", "label": path}
        for path, names in {
            "Clothing > Hats": ["straw hat", "wool hat"],
            "Garden > Tools > Rakes": ["leaf rake", "hay rake"],
            "Garden > Pots": ["clay pot", "plant pot"],
        }.items()
        for name in names
        for n in range(8)
    ]
    return cascade.fit(
        rows,
        label="label",
        text="name",
        taxonomy=taxonomy,
        recipe={"sentence": {"balanced": 0, "neighbours": 5, "model": "minilm"}},
        progress=False,
    )


@pytest.mark.weights
def test_a_pack_with_neighbours_learns_while_it_answers(opened, taxonomy, pack):
    session = opened(classifier=pack)
    item = session.item(21)
    near = pack.with_settings(method="neighbours")
    session.use(near)
    before = near.classify(item)
    assert before.code == "Clothing > Hats"
    for row in (1, 2):
        decide(session.db, taxonomy, "ann", row, "choose", code="Toys")
    why = session.why(21)
    assert {example["row"] for example in why["examples"]} >= {1, None}
    after = near.classify(item)
    assert (after.code, round(after.confidence, 3)) != (before.code, round(before.confidence, 3))
    for _ in range(2):
        undo(session.db, "ann")
    session.why(21)
    assert near.classify(item).confidence == pytest.approx(before.confidence, abs=1e-6)


@pytest.mark.weights
def test_nearest_are_the_rows_that_a_pack_was_fitted_to(taxonomy, pack):
    vector = pack.vectors([Item({"name": "hay rake 3"})])[0]
    found = pack.nearest(vector, 3)
    assert found[0][0] == taxonomy.find("Garden > Tools > Rakes")
    assert found[0][1] == pytest.approx(1, abs=1e-3)
    pack.teach(vector[None], np.array([taxonomy.find("Toys")], np.int32))
    assert pack.nearest(vector, 3) == found
    pack.teach(np.zeros((0, len(vector)), np.float32), np.zeros(0, np.int32))
