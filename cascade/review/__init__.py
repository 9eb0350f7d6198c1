"""The review page: people look at answers, accept them or say what is right.

Belongs here: the SQLite file of a session, which row comes next and for whom, decisions, agreement
of reviewers, what the random part tells of the rest, exports, and the page (`page/`) with its
routes. Does not: classifying, which `pipeline` does, and the server around the routes, which is
`serving.http`.
"""

from cascade.review.opening import open_folder, open_session
from cascade.review.session import Session

__all__ = ["Session", "open_folder", "open_session"]
