import numpy as np
import pytest
from scipy.optimize import minimize

from cascade.labelling.learner import (
    BIAS_RIDGE,
    SCALE_RIDGE,
    Branches,
    Lesson,
    learn,
    log_softmax,
)
from cascade.scoring.corrections import Corrections


def lesson(n=12, width=4, n_leaves=5, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.dirichlet(np.ones(n_leaves), n).astype(np.float32)
    vectors = rng.normal(size=(n, width)).astype(np.float32)
    return Lesson(vectors, targets, rng.normal(size=(n, n_leaves)).astype(np.float32))


def test_what_is_learnt_has_the_least_loss_written_out_in_another_way(branches):
    given = lesson()
    paths = [branches.taxonomy.path_nodes(int(leaf)) for leaf in branches.leaves]
    place = {int(node): at for at, node in enumerate(branches.nodes)}

    def loss(t):
        weights, bias, scale = t[: 7 * 4].reshape(7, 4), t[28:35], t[35]
        total = 0.0
        for x, target, known in zip(given.vectors, given.targets, given.known, strict=True):
            z = scale * known.astype(float)
            for leaf, path in enumerate(paths):
                for node in path.tolist():
                    z[leaf] += weights[place[node]] @ x + bias[place[node]]
            total -= target @ (z - np.log(np.exp(z).sum()))
        drawn = 0.1 * (weights**2).sum() + BIAS_RIDGE * (bias**2).sum()
        return total + 0.5 * (drawn + SCALE_RIDGE * (scale - 1) ** 2)

    found = learn(given, branches, ridge=0.1, steps=500)
    mine = np.concatenate([found.weights.ravel(), found.bias, [found.scale]])
    start = np.zeros(36)
    start[-1] = 1
    best = minimize(loss, start, method="L-BFGS-B", options={"maxiter": 500, "maxfun": 10**6})
    assert loss(mine) == pytest.approx(best.fun, rel=1e-4)


def test_few_rows_are_learnt_as_in_all_directions(branches):
    given = lesson(n=3, width=20)
    padded = Lesson(
        np.vstack([given.vectors, np.zeros((40, 20), np.float32)]),
        np.vstack([given.targets, np.full((40, 5), 0.2, np.float32)]),
        np.vstack([given.known, np.zeros((40, 5), np.float32)]),
    )
    few, many = (learn(one, branches, steps=300) for one in (given, padded))
    # Rows of zeros teach biases alone, so what is learnt of directions lies in the same span.
    outside = np.linalg.svd(given.vectors)[2][3:]
    assert np.abs(few.weights @ outside.T).max() < 1e-4
    assert np.abs(many.weights @ outside.T).max() < 1e-3


def test_a_label_teaches_its_siblings_more_than_strangers(branches):
    x = np.ones((1, 4), np.float32)
    known = np.zeros((1, 5), np.float32)
    given = Lesson(x, np.eye(5, dtype=np.float32)[[2]], known)  # Tea
    z = branches.logits(learn(given, branches), known, x)[0]
    assert z[2] > z[3] == pytest.approx(z[4], abs=1e-5)
    assert z[3] > z[0]


def test_corrections_on_top_of_others_are_the_same_as_both_in_one(branches):
    rng = np.random.default_rng(0)

    def some(scale):
        weights = rng.normal(size=(7, 4)).astype(np.float32)
        return Corrections(scale, branches.nodes, weights, rng.normal(size=7).astype(np.float32))

    first, second = some(1.0), some(0.7)
    known, x = (rng.normal(size=(6, k)).astype(np.float32) for k in (5, 4))
    stepwise = branches.logits(second, branches.logits(first, known, x), x)
    assert np.allclose(stepwise, branches.logits(second.after(first), known, x), atol=1e-5)


def test_some_leaves_stand_for_a_whole_taxonomy(tree):
    some = Branches(tree, tree.leaves[[0, 3]])
    assert some.place(tree.leaves).tolist() == [0, -1, -1, 1, -1]
    assert some.below(tree.index("D")) == slice(1, 2)
    assert some.shared.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_log_softmax_of_huge_logits_is_finite():
    assert np.isfinite(log_softmax(np.array([[1e30, 0.0]], np.float32))).all()
