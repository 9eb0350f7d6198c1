import numpy as np
import pytest

from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import Facet
from cascade.training.foodex2.own.choosing import beside, compared, compared_facets, kept_lines

SALT, BAKED, FRIED = Facet("F04", "SALT0"), Facet("F28", "BAKED"), Facet("F28", "FRIED")


def answers(n_right, n=20):
    return ["right"] * n_right + ["wrong"] * (n - n_right)


@pytest.mark.parametrize(
    ("alone", "learnt", "kept"),
    [(10, 15, "learnt"), (10, 11, "catalogue"), (10, 10, "catalogue"), (15, 10, "catalogue")],
)
def test_what_is_learnt_is_kept_where_it_gains_more_than_chance_gives(alone, learnt, kept):
    found = compared(answers(20), answers(alone), {"learnt": answers(learnt)})
    assert found.kept == kept
    assert found.shares == {"catalogue": alone / 20, "learnt": learnt / 20}
    assert found.answers == answers(learnt if kept == "learnt" else alone)


def test_what_is_said_goes_before_what_is_learnt_of_the_same_category():
    said = [frozenset([BAKED]), frozenset()]
    learnt = [frozenset([FRIED, SALT]), frozenset([FRIED])]
    assert beside(said, learnt) == [frozenset([BAKED, SALT]), frozenset([FRIED])]


def test_of_facets_the_catalogue_the_learnt_and_both_together_are_compared():
    trees = [
        Taxonomy.from_records([("SALT0", "salt", None)]),
        Taxonomy.from_records([("BAKED", "baked", None)]),
    ]
    n = 20
    right, said = [frozenset([SALT, BAKED])] * n, [frozenset([SALT])] * n
    likely = np.array([[0.1, 0.9]] * n)
    best = np.zeros((n, 2), np.int32)
    found, threshold = compared_facets(right, said, likely, best, trees, ["F04", "F28"])
    assert found.kept == "both"
    assert found.shares == {"catalogue": 0, "learnt": 0, "both": 1}
    assert 0.1 < threshold <= 0.9
    found, _ = compared_facets(said, said, likely, best, trees, ["F04", "F28"])
    assert found.kept == "catalogue"


def test_what_was_kept_is_told_with_all_figures():
    lines = kept_lines(
        {
            "kept": {"base": "learnt", "facets": "catalogue"},
            "out_of_fold": {
                "base terms": {"catalogue": 0.5, "learnt": 0.75},
                "facets": {"catalogue": 0.9, "learnt": 0.6, "both": 0.85},
            },
        }
    )
    assert "catalogue alone 0.500, learnt 0.750" in lines[0]
    assert "kept: what was learnt" in lines[0]
    assert "learnt 0.600, both together 0.850" in lines[1]
    assert "kept: the catalogue's own way" in lines[1]
