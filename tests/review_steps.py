"""What reviewers do, in one step."""

from cascade.review.decisions import decide
from cascade.review.queues import Queue, next_row


def take(session, who, queue=None, action="accept"):
    """Decide the next row of a queue as it is; its number."""
    lease = next_row(session.db, who, queue or Queue())
    decide(session.db, session.taxonomy, who, lease.row, action)
    return lease.row
