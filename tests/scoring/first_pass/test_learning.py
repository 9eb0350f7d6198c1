import json

import numpy as np
import pytest

from cascade.config import CascadeConfig
from cascade.errors import OutputError, UsageError
from cascade.items import Item
from cascade.retrieval.student.fitting import fit_student
from cascade.scoring.first_pass import deciding
from cascade.scoring.first_pass.deciding import FirstPass, check_first_pass, softmax
from cascade.scoring.first_pass.doubt import fit_doubt
from cascade.scoring.first_pass.learning import Taught, expected_loss, most_doubt
from cascade.taxonomy import Taxonomy

TREE = Taxonomy.from_paths(["A > a", "A > b", "B > c > d", "B > c > e", "C"])


def hf1(one, other):
    own, theirs = (set(TREE.path_nodes(node).tolist()) for node in (one, other))
    return 2 * len(own & theirs) / (len(own) + len(theirs))


def test_the_loss_is_what_the_methods_own_probabilities_expect():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(5), size=20).astype(np.float32)
    order = np.argsort(-p, axis=1)
    leaves = TREE.leaves[order]
    taught = Taught([], None, leaves, np.take_along_axis(p, order, axis=1))
    answers = TREE.leaves[rng.integers(5, size=20)]
    expected = [
        sum(
            share * (hf1(best, leaf) - hf1(answer, leaf))
            for leaf, share in zip(TREE.leaves.tolist(), row.tolist(), strict=True)
        )
        for row, best, answer in zip(p, leaves[:, 0].tolist(), answers.tolist(), strict=True)
    ]
    assert expected_loss(TREE, taught, answers) == pytest.approx(expected, abs=1e-5)
    assert expected_loss(TREE, taught, leaves[:, 0]) == pytest.approx(0)


class TestHowSureItMustBe:
    doubt = np.linspace(0, 1, 1000).astype(np.float32)

    def test_no_more_is_lost_than_is_allowed(self):
        loss = np.where(self.doubt > 0.6, 0.5, 0.002)
        most, share, lost = most_doubt(self.doubt, loss, 0.01)
        assert share == pytest.approx((self.doubt <= most).mean())
        assert lost == pytest.approx(loss[self.doubt <= most].sum() / 1000)
        assert lost <= 0.01
        assert 0.59 <= share < 0.62

    def test_the_loss_of_few_rows_is_taken_for_more_than_it_seems(self):
        loss = np.full(1000, 0.01) + np.resize([0.3, -0.3], 1000)
        assert most_doubt(self.doubt, loss, 0.011)[1] < 1
        assert most_doubt(self.doubt, np.full(1000, 0.01), 0.011)[1] == 1

    def test_where_too_much_is_lost_it_is_sure_of_nothing(self):
        assert most_doubt(self.doubt, np.ones(1000), 0.0001) == (-2.0, 0.0, 0.0)
        assert not FirstPass(1000, *(0.0, 0.0, -2.0)).applies

    def test_rows_of_one_doubt_are_sure_together_or_not_at_all(self):
        doubt = np.repeat([0.1, 0.5], 500).astype(np.float32)
        loss = np.repeat([0.0, 0.05], 500)
        most, share, _ = most_doubt(doubt, loss, 0.01)
        assert (round(most, 3), share) == (0.1, 0.5)

    def test_a_gain_is_no_loss(self):
        assert most_doubt(self.doubt, np.full(1000, -0.1), 0.0)[1:] == (1.0, 0.0)


def test_a_prior_moves_probabilities():
    prior = np.array([0, np.log(3)], np.float32)
    assert softmax(np.zeros((1, 2), np.float32), 20, prior)[0] == pytest.approx([0.25, 0.75])


@pytest.fixture
def first():
    texts = [f"{word} {n}" for n in range(10) for word in ("ant", "bee", "cow")]
    student, _ = fit_student(texts, np.tile(np.eye(3, dtype=np.float32), (10, 1)), None)
    rng = np.random.default_rng(0)
    doubt, _ = fit_doubt(rng.random((200, 8), np.float32), rng.random(200))
    return FirstPass(900, 0.8, 0.004, 0.3, 0.4, student, doubt, 20.0, np.zeros(3, np.float32))


def test_values_make_the_same_again(first):
    values = json.loads(json.dumps(first.to_values()))
    again = FirstPass.from_values(values, lambda: None, 3)
    asked = ["ant", "cow bee", "zebra"]
    assert (again.probabilities(asked)[0] == first.probabilities(asked)[0]).all()
    assert (again.items, again.share, again.most) == (900, 0.8, 0.3)
    signs = np.random.default_rng(1).random((50, 8), np.float32)
    assert (again.doubt.of(signs) == first.doubt.of(signs)).all()
    nothing = FirstPass.from_values(FirstPass(7).to_values(), lambda: None, 3)
    assert nothing == FirstPass(7)


@pytest.mark.parametrize(
    "damage",
    [
        {"student": "no base64!"},
        {"student": ""},
        {"words": None},
        {"share": "much"},
        {"most": float("nan")},
        {"items": None},
    ],
)
def test_damaged_values_are_refused(first, damage):
    with pytest.raises(OutputError, match="holds no first pass; begin again with --overwrite"):
        FirstPass.from_values({**first.to_values(), **damage}, lambda: None, 3)
    with pytest.raises(OutputError, match="no first pass"):  # of another taxonomy
        FirstPass.from_values(first.to_values(), lambda: None, 4)


def test_it_is_sure_of_no_row_that_is_unlike_all_that_it_knows(first):
    signs = np.random.default_rng(1).random((50, 8), np.float32)
    told = first.doubt.of(signs)
    sure = FirstPass(900, 0.8, most=0.5, lowest=0.4, doubt=first.doubt).is_sure(signs)
    assert (sure == ((told <= 0.5) & (signs[:, 6] >= 0.4))).all()
    assert 0 < sure.sum() < (told <= 0.5).sum() < 50


def test_items_with_pictures_are_for_the_encoder(first):
    assert first.can_read(Item({"text": "ant"}))
    assert not first.can_read(Item({"text": "ant"}, image=b"x"))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"method": "llm"}, "the method llm"),
        ({"method": "cascade"}, "the method cascade"),
        ({"descent": {"objective": "hf1"}}, "descent.objective"),
        ({"descent": {"depth": 2}}, "descent.depth"),
        ({"descent": {"ends": ["A"]}}, "descent.ends"),
        ({"calibration": {"nowhere": 0.05}}, "calibration.nowhere"),
    ],
)
def test_what_it_cannot_stand_in_for_is_refused(settings, named):
    config = CascadeConfig.model_validate({"method": "retrieval", **settings})
    with pytest.raises(UsageError, match=rf"--first-pass .* does not go with {named}: leave out"):
        check_first_pass(TREE, config.method, config)


@pytest.mark.parametrize("method", ["cascade", "retrieval"])
def test_packs_are_refused_as_such(method):
    heads = {"leaf": {"file": "leaf.safetensors", "backbone": "words"}}
    words = {"words": {"kind": "lexical", "file": "words.safetensors"}}
    settings = {"method": method, "backbones": words, "heads": heads}
    config = CascadeConfig.model_validate(settings)
    with pytest.raises(UsageError, match=r"does not go with a pack: .* the method"):
        check_first_pass(TREE, method, config)


def test_it_tells_only_so_many_leaves_apart(monkeypatch):
    monkeypatch.setattr(deciding, "LEAVES", 4)
    with pytest.raises(UsageError, match="up to 4 leaves apart; this taxonomy has 5: leave it out"):
        check_first_pass(TREE, "retrieval", CascadeConfig())
