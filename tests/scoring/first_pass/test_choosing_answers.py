import numpy as np
import pytest

from cascade.scoring.first_pass import choosing
from cascade.scoring.first_pass.choosing import HOPED, Choosing, n_signs
from cascade.taxonomy import Taxonomy

TREE = Taxonomy.from_paths(["A > a", "A > b", "B > c > d", "B > c > e", "C", "A > f", "B > g"])
LEAVES = TREE.leaves.tolist()


def hf1(one, other):
    own, theirs = (set(TREE.path_nodes(node).tolist()) for node in (one, other))
    return 2 * len(own & theirs) / (len(own) + len(theirs))


ALIKE = np.array([[hf1(one, other) for other in LEAVES] for one in LEAVES])


def test_the_likeliest_leaf_answers_and_signs_tell_what_it_may_lose():
    p = np.random.default_rng(0).dirichlet(np.ones(len(LEAVES)), size=200).astype(np.float32)
    before = p.copy()
    best, signs = Choosing(TREE).of(p)
    assert (p == before).all()
    likely, rows = np.argsort(-p, axis=1)[:, :4], np.arange(200)
    assert (best == likely[:, 0]).all()
    assert signs.shape == (200, n_signs(len(LEAVES)))
    assert signs[:, :4] == pytest.approx(np.take_along_axis(p, likely, axis=1))
    far = 1 - ALIKE[best[:, None], likely]
    assert signs[:, 4:8] == pytest.approx(far, abs=1e-6)
    sharper = p**1.5
    expected = sharper @ ALIKE / sharper.sum(axis=1, keepdims=True)
    assert signs[:, HOPED] == pytest.approx(expected[rows, best], abs=1e-5)
    risk = (far * signs[:, :4]).sum(axis=1) / p[rows, best]
    assert signs[:, 9] == pytest.approx(risk, rel=1e-4)


def test_rows_are_judged_alike_in_blocks_of_any_size(monkeypatch):
    p = np.random.default_rng(0).dirichlet(np.ones(len(LEAVES)), size=50).astype(np.float32)
    best, signs = Choosing(TREE).of(p)
    monkeypatch.setattr(choosing, "CELLS", 20)
    other, own = Choosing(TREE).of(p)
    assert (best == other).all()
    assert (signs == own).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_leaves_have_fewer_signs(n):
    few = Taxonomy.from_paths(["a", "b", "c"][:n])
    best, signs = Choosing(few).of(np.full((5, n), 1 / n, np.float32))
    assert (best.tolist(), signs.shape) == ([0] * 5, (5, n_signs(n)))
