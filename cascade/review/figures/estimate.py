"""How right the answers are that nobody looked at, told from the random part."""

from __future__ import annotations

from dataclasses import dataclass

from cascade.review.database import Database
from cascade.review.decisions import node_of
from cascade.taxonomy import Taxonomy

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Share:
    """A share of rows with the interval that holds the true one.

    Parameters
    ----------
    right
        Rows of the sample that are right; those that reviewers disagree on count half.
    """

    rows: int
    right: float
    share: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """The accuracy of the rest: rows that no queue chose for what is known of them.

    Parameters
    ----------
    exact
        Answers that are the right node.
    above
        Answers that are the right node or one above it: right as far as they go.
    reviewed
        Rows that are decided, in any queue.
    rest
        Rows that nobody looked at.
    open
        Rows of the sample that reviewers disagree on: wrong in `low`, right in `high`.
    """

    exact: Share
    above: Share
    reviewed: int
    rest: int
    open: int


def estimate(db: Database, taxonomy: Taxonomy) -> Estimate:
    """The estimate from what is decided now.

    The sample is a uniform one of the rest, see `queues`, so the number of right answers in it is
    binomial at most, and the interval that of Clopper and Pearson (1934), 95%.
    """
    sample = db.all(
        "SELECT code, node, final_code, decided FROM rows WHERE rest = 1 AND (decided = 1 OR "
        "conflict = 1)"
    )
    exact = above = undecided = 0
    for row in sample:
        if not row["decided"]:
            undecided += 1
            continue
        right = row["final_code"]
        same = row["code"] == right
        exact += same
        above += same or (right is not None and _above(taxonomy, row["node"], right))
    counts = db.one(
        "SELECT count(*) FILTER (WHERE decided OR conflict), "
        "count(*) FILTER (WHERE NOT decided AND NOT conflict AND rest) FROM rows INDEXED BY counted"
    )
    assert counts is not None
    return Estimate(
        share(exact, undecided, len(sample)),
        share(above, undecided, len(sample)),
        *(counts[0], counts[1], undecided),
    )


def share(right: int, undecided: int, rows: int) -> Share:
    """A share of `rows` with its exact interval; what is undecided may be either."""
    from scipy.stats import beta

    if not rows:
        return Share(0, 0, None, 0.0, 1.0)
    tail = (1 - CONFIDENCE) / 2
    most = right + undecided
    low = float(beta.ppf(tail, right, rows - right + 1)) if right else 0.0
    high = float(beta.ppf(1 - tail, most + 1, rows - most)) if most < rows else 1.0
    half = right + undecided / 2
    return Share(rows, half, half / rows, low, high)


def _above(taxonomy: Taxonomy, node: int | None, right: str) -> bool:
    found = node_of(taxonomy, right)
    return node is not None and found is not None and found in taxonomy.subtree(node)
