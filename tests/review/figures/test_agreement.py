from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from cascade.review.figures.agreement import agreement, alpha, alpha_tree, cohen
from cascade.taxonomy import Taxonomy

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", example C: four observers,
# twelve units, with gaps; nominal alpha is 0.743.
A, B, C, D = (
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
)
PUBLISHED = [[v for v in unit if v is not None] for unit in zip(A, B, C, D, strict=True)]


def by_pairs(units, distance):
    """Alpha as it is defined, over all pairs."""
    units = [unit for unit in units if len(unit) > 1]
    values = [value for unit in units for value in unit]
    n = len(values)
    within = sum(
        sum(distance(a, b) for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units
    )
    between = sum(distance(a, b) for a, b in permutations(values, 2))
    return 1 - (within / n) / (between / (n * (n - 1)))


@pytest.fixture(scope="module")
def tree():
    return Taxonomy.from_paths([f"{a} > {b} > {c}" for a in "xy" for b in "pq" for c in "mno"])


def test_alpha_is_that_of_the_published_example():
    assert alpha(PUBLISHED) == pytest.approx(0.743, abs=5e-4)


def test_both_alphas_are_those_of_all_pairs(tree):
    rng = np.random.default_rng(0)
    units = [rng.integers(-1, len(tree), rng.integers(1, 5)).tolist() for _ in range(60)]

    def edges(a, b):
        above = [set() if node < 0 else set(tree.path_nodes(node).tolist()) for node in (a, b)]
        return len(above[0] ^ above[1])

    assert alpha(units) == pytest.approx(by_pairs(units, lambda a, b: a != b))
    assert alpha_tree(units, tree) == pytest.approx(by_pairs(units, edges))


def test_in_a_taxonomy_of_one_level_both_alphas_are_one():
    flat = Taxonomy.from_paths(list("abcdef"))
    units = np.random.default_rng(1).integers(0, 6, (50, 2)).tolist()
    assert alpha_tree(units, flat) == pytest.approx(alpha(units))


def test_near_misses_cost_less_over_the_tree(tree):
    siblings = [tree.find("x > p > m"), tree.find("x > p > n")]
    others = [tree.find("x > p > m"), tree.find("y > q > o")]
    agreed = [[tree.find(f"{a} > p > m")] * 2 for a in "xyxyxy"]
    near, far = (alpha_tree([*agreed, pair], tree) for pair in (siblings, others))
    assert near > far


def test_kappa_is_that_of_scikit_learn():
    rng = np.random.default_rng(2)
    one = rng.integers(0, 4, 80)
    other = np.where(rng.random(80) < 0.7, one, rng.integers(0, 4, 80))
    pairs = list(zip(one.tolist(), other.tolist(), strict=True))
    assert cohen(pairs) == pytest.approx(cohen_kappa_score(one, other))


def test_where_chance_explains_all_there_is_no_figure(tree):
    assert cohen([(1, 1), (1, 1)]) is None and alpha([[1, 1], [1, 1]]) is None
    assert alpha([]) is None and alpha_tree([[1]], tree) is None and cohen([]) is None


def test_each_two_reviewers_are_compared_on_what_both_have_seen(tree):
    found = agreement({1: {"ann": 2, "bob": 2}, 2: {"ann": 2, "cy": 3}, 3: {"bob": 1}}, tree)
    assert found.rows == 2
    assert [(p.reviewers, p.rows, p.agreed) for p in found.pairs] == [
        (("ann", "bob"), 1, 1),
        (("ann", "cy"), 1, 0),
    ]
