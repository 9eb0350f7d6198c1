import numpy as np
import pytest

from cascade.scoring.first_pass.choosing import Choosing, n_signs
from cascade.taxonomy import Taxonomy

TREE = Taxonomy.from_paths(["A > a", "A > b", "B > c > d", "B > c > e", "C", "A > f", "B > g"])
LEAVES = TREE.leaves.tolist()


def hf1(one, other):
    own, theirs = (set(TREE.path_nodes(node).tolist()) for node in (one, other))
    return 2 * len(own & theirs) / (len(own) + len(theirs))


ALIKE = np.array([[hf1(one, other) for other in LEAVES] for one in LEAVES])


def test_the_answer_is_the_likely_leaf_of_the_greatest_expected_f1():
    p = np.random.default_rng(0).dirichlet(np.ones(len(LEAVES)), size=200).astype(np.float32)
    before = p.copy()
    best, signs = Choosing(TREE).of(p)
    assert (p == before).all()
    sharper = p**1.5
    expected = sharper @ ALIKE / sharper.sum(axis=1, keepdims=True)
    likely = np.argsort(-p, axis=1)[:, :4]
    rows = np.arange(200)
    chosen = np.take_along_axis(expected, likely, axis=1).argmax(axis=1)
    assert (best == likely[rows, chosen]).all()
    assert (best != likely[:, 0]).any()
    assert signs.shape == (200, n_signs(len(LEAVES)))
    assert signs[:, :4] == pytest.approx(np.take_along_axis(p, likely, axis=1))
    far = 1 - ALIKE[best[:, None], likely]
    assert signs[:, 4:8] == pytest.approx(far, abs=1e-6)
    assert signs[:, 8] == pytest.approx(expected[rows, best], abs=1e-5)
    risk = (far * signs[:, :4]).sum(axis=1) / p[rows, best]
    assert signs[:, 9] == pytest.approx(risk, rel=1e-4)


def test_one_among_leaves_that_are_near_to_it_loses_less_than_one_that_stands_alone():
    p = dict.fromkeys(LEAVES, 0.02) | {TREE.index("C"): 0.34}
    p |= {TREE.index("A > a"): 0.32, TREE.index("A > b"): 0.26}
    best, _ = Choosing(TREE).of(np.array([list(p.values())], np.float32))
    assert TREE.path(LEAVES[int(best[0])]) == "A > a"


def test_a_sure_answer_is_the_likeliest():
    p = np.full((1, len(LEAVES)), 0.01, np.float32)
    p[0, 4] = 0.94
    assert Choosing(TREE).of(p)[0].tolist() == [4]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_leaves_have_fewer_signs(n):
    few = Taxonomy.from_paths(["a", "b", "c"][:n])
    best, signs = Choosing(few).of(np.full((5, n), 1 / n, np.float32))
    assert (best.tolist(), signs.shape) == ([0] * 5, (5, n_signs(n)))
