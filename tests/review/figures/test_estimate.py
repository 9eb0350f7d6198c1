import numpy as np
import pytest
from review_steps import take
from scipy.stats import binomtest

from cascade.review import open_session
from cascade.review.decisions import decide
from cascade.review.figures.estimate import share
from cascade.review.queues import Queue, next_row
from cascade.taxonomy import Taxonomy


@pytest.mark.parametrize(("right", "rows"), [(0, 10), (7, 10), (10, 10), (150, 200)])
def test_the_interval_is_the_exact_one_of_the_binomial(right, rows):
    exact = binomtest(right, rows).proportion_ci(0.95, method="exact")
    found = share(right, 0, rows)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_rows_that_reviewers_disagree_on_widen_the_interval_to_both_sides():
    found = share(6, 2, 10)
    assert found.share == 0.7
    assert found.low == share(6, 0, 10).low and found.high == share(8, 0, 10).high


def test_nothing_is_known_without_a_sample(session):
    take(session, "ann")
    found = session.estimate()
    assert found.exact.share is None and (found.exact.low, found.exact.high) == (0, 1)
    assert (found.reviewed, found.rest) == (1, 39)


def test_an_upper_answer_is_right_as_far_as_it_goes(session, taxonomy):
    row = next_row(session.db, "ann", Queue("random")).row
    session.db.run(
        "UPDATE rows SET code = 'Garden', node = ? WHERE row = ?", (taxonomy.find("Garden"), row)
    )
    decide(session.db, taxonomy, "ann", row, "choose", code="Garden > Pots")
    found = session.estimate()
    assert (found.exact.right, found.above.right) == (0, 1)


def test_the_estimate_is_right_in_the_mean_also_where_the_worst_rows_were_looked_at(tmp_path):
    """A sample of all rows would be biased: those in doubt, which are worse, have left the rest."""
    taxonomy = Taxonomy.from_paths(["a", "b"])
    errors, naive = [], []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        sure = rng.random(200)
        right = rng.random(200) < sure
        rows = [
            {"text": str(n), "cascade_code": "a", "cascade_confidence": float(p)}
            for n, p in enumerate(sure)
        ]
        session = open_session(rows, taxonomy=taxonomy, folder=tmp_path / str(seed), seed=seed)
        session.db.run("PRAGMA synchronous = OFF")
        looked = set()
        for order, count in (("random", 20), ("doubt", 60), ("random", 20)):
            for _ in range(count):
                row = next_row(session.db, "ann", Queue(order)).row
                looked.add(row)
                action = "accept" if right[row - 1] else "nowhere"
                decide(session.db, taxonomy, "ann", row, action)
        rest = np.array([n not in looked for n in range(1, 201)])
        errors.append(session.estimate().exact.share - right[rest].mean())
        naive.append(right.mean() - right[rest].mean())
        session.close()
    assert abs(np.mean(errors)) < 0.03 < -np.mean(naive)
