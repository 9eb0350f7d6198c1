"""The page and its API, as a router that any FastAPI application can take.

Texts of rows travel as JSON and are shown as text. What changes something needs a header that
pages of other origins may not send, and the page itself may load nothing from elsewhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Coroutine
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Header, HTTPException, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from cascade.errors import CascadeError, UsageError
from cascade.io.pictures import open_picture
from cascade.review import decisions as deciding
from cascade.review import queues
from cascade.review.export import Part
from cascade.review.session import Session
from cascade.review.showing import Plain
from cascade.taxonomy.facets import FacetedTaxonomy

PREFIX = "/review"
PAGE = Path(__file__).parent / "page"
KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src "
    "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
MOST = 2**53  # which every number of JSON holds
RowNumber = Annotated[int, InPath(ge=1, le=MOST)]
EXPORTS = {"csv": "text/csv", "jsonl": "application/x-ndjson"}


class Told(APIRoute):
    """Answers what a caller got wrong with its message."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of FastAPI, whose errors of ours become answers."""
        handler = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handler(request)
            except CascadeError as error:
                raise HTTPException(400, str(error)) from None

        return told


class QueueBody(BaseModel):
    """Which rows, in which order."""

    order: Literal["asked", "doubt", "value", "random", "conflicts"] = "doubt"
    below: str | None = Field(
        None, max_length=500, description="Only answers at or below this code."
    )
    words: str = Field("", max_length=200, description="Only rows with words that begin so.")
    status: str = Field("", max_length=20, description="Only answers of this status.")


class NextBody(BaseModel):
    """Who wants a row, of which queue."""

    reviewer: str = Field(max_length=200)
    queue: QueueBody = QueueBody()


class DecisionBody(NextBody):
    """What a reviewer says of a row, and which queue the next one shall come from."""

    row: int = Field(ge=1, le=MOST)
    action: Literal["accept", "choose", "nowhere", "skip"]
    code: str | None = Field(None, max_length=2_000)
    comment: str = Field("", max_length=10_000)
    seconds: float | None = Field(None, ge=0, le=1e6)
    request: str | None = Field(None, max_length=100)


class UndoBody(BaseModel):
    """Who takes his last decision back."""

    reviewer: str = Field(max_length=200)
    request: str | None = Field(None, max_length=100)


def ours(x_cascade_review: Annotated[str | None, Header()] = None) -> None:
    """Refuse what a page of another origin could make a browser send."""
    if x_cascade_review is None:
        raise HTTPException(403, "the header X-Cascade-Review is missing")


def make_router(session: Session) -> APIRouter:
    """The routes of a session below `/review`."""
    router = APIRouter(prefix=PREFIX, route_class=Told, tags=["review"])
    _add_page(router)
    _add_reading(router, session)
    _add_deciding(router, session)
    return router


def _add_page(router: APIRouter) -> None:
    files = {path.name: path for path in PAGE.iterdir() if path.suffix in KINDS}

    @router.get("", include_in_schema=False)
    def to_page() -> RedirectResponse:
        return RedirectResponse("review/", headers=SAFE)

    @router.get("/", include_in_schema=False)
    def page() -> Response:
        return _file(files["index.html"])

    @router.get("/page/{name}", include_in_schema=False)
    def part(name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "there is no such file")
        return _file(files[name])


def _file(path: Path) -> Response:
    return Response(path.read_bytes(), media_type=KINDS[path.suffix], headers=SAFE)


def _add_reading(router: APIRouter, session: Session) -> None:
    showing = session.showing

    @router.get("/api/session")
    def about() -> Plain:
        """What is reviewed."""
        taxonomy = session.taxonomy
        return {
            "name": session.name,
            "taxonomy": taxonomy.title,
            "nodes": len(taxonomy),
            "faceted": isinstance(taxonomy, FacetedTaxonomy),
            "meaning": session.classifier is not None or session.is_loading,
            "orders": list(queues.ORDERS),
            **session.figures(),
        }

    @router.get("/api/figures")
    def figures() -> Plain:
        """Progress, agreement, and what the random part tells of the rest."""
        return session.figures()

    @router.get("/api/rows/{row}/why")
    def why(row: RowNumber, reviewer: str = "") -> Plain:
        """Why the answer is what it is, candidates, and rows like it that were decided."""
        _there(session, row)
        found = session.why(row)
        if reviewer:
            seen = [[c["code"], c["confidence"], c["like"]] for c in found["candidates"]]
            queues.show(session.db, deciding.reviewer_name(reviewer), row, {"candidates": seen})
        return found

    @router.get("/api/rows/{row}/picture")
    def picture(row: RowNumber) -> Response:
        """The picture of a row, as a JPEG of bounded size."""
        _there(session, row)
        found = session.picture(row)
        if found is None:
            raise UsageError("the row has no picture")
        out = BytesIO()
        open_picture(found).save(out, "JPEG", quality=85)
        return Response(out.getvalue(), media_type="image/jpeg", headers=SAFE)

    @router.get("/api/tree")
    def tree(
        code: str | None = None,
        offset: Annotated[int, Query(ge=0, le=MOST)] = 0,
        holding: str | None = None,
    ) -> Plain:
        """The nodes below one, or those at the top."""
        return showing.children(code, offset, holding)

    @router.get("/api/node")
    def node(code: str) -> Plain:
        """A node by its code or path, with its description."""
        found = showing.details(code)
        if found is None:
            raise UsageError(f"{code[:80]!r} is no node of the taxonomy")
        return found

    @router.get("/api/search")
    def search(
        words: Annotated[str, Query(min_length=1, max_length=500)],
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        meaning: bool = False,
    ) -> Plain:
        """Nodes for some words, by name, and by meaning where that is wanted."""
        if not words.strip():
            return {"nodes": []}
        return {"nodes": session.search(words, limit, meaning=meaning)}

    @router.get("/api/facets")
    def facets(code: Annotated[str, Query(min_length=1, max_length=2_000)]) -> Plain:
        """The parts of a code with facets, and the rules that it breaks."""
        return session.facets.parts(code)

    @router.get("/api/descriptors")
    def descriptors(
        words: Annotated[str, Query(min_length=1, max_length=500)],
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> Plain:
        """Descriptors of all facet categories for some words."""
        return {"facets": session.facets.search(words, limit)}

    @router.get("/api/export.{kind}")
    def export(kind: Literal["csv", "jsonl"], part: Part = "all") -> Response:
        """The decided rows."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"rows.{kind}"
            session.export(path, part)
            data = path.read_bytes()
        name = f"reviewed-{part}.{kind}"
        told = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(data, media_type=EXPORTS[kind], headers={**SAFE, **told})


def _add_deciding(router: APIRouter, session: Session) -> None:
    db, changing = session.db, [Depends(ours)]

    @router.post("/api/next", dependencies=changing)
    def following(body: Annotated[NextBody, Body()]) -> Plain:
        """The next row for a reviewer, who has it to himself from now on."""
        return _next(session, deciding.reviewer_name(body.reviewer), body.queue)

    @router.post("/api/decisions", dependencies=changing)
    def decide(body: Annotated[DecisionBody, Body()]) -> Plain:
        """Write a decision down; when this answers, it is on the disk. Gives the next row."""
        reviewer = deciding.reviewer_name(body.reviewer)
        made = deciding.decide(
            *(db, session.taxonomy, reviewer, body.row, body.action),
            code=body.code,
            comment=body.comment,
            seconds=body.seconds,
            request=body.request,
        )
        return {"decision": made, **_next(session, reviewer, body.queue)}

    @router.post("/api/undo", dependencies=changing)
    def undo(body: Annotated[UndoBody, Body()]) -> Plain:
        """Take a reviewer's last decision back; gives its row."""
        reviewer = deciding.reviewer_name(body.reviewer)
        row = deciding.undo(db, reviewer, request=body.request)
        return {"undone": row, "row": None if row is None else _shown(session, reviewer, row)}

    @router.post("/api/rows/{row}/open", dependencies=changing)
    def open_row(row: RowNumber, body: Annotated[NextBody, Body()]) -> Plain:
        """A row by its number, whoever has it."""
        reviewer = deciding.reviewer_name(body.reviewer)
        if queues.open_row(db, reviewer, row) is None:
            raise UsageError(f"there is no row {row}")
        return {"row": _shown(session, reviewer, row)}


def _next(session: Session, reviewer: str, wanted: QueueBody) -> Plain:
    queue = _queue(session, wanted)
    lease = queues.next_row(session.db, reviewer, queue)
    if lease is None:
        return {"row": None}
    return {"row": {**_shown(session, reviewer, lease.row), "skipped": lease.skipped}}


def _queue(session: Session, wanted: QueueBody) -> queues.Queue:
    taxonomy, first, end = session.taxonomy, None, None
    if wanted.below:
        node = taxonomy.find(wanted.below)
        if node is None:
            raise UsageError(f"{wanted.below[:80]!r} is no node of the taxonomy")
        first, end = node, int(taxonomy.end[node])
    return queues.Queue(wanted.order, first, end, wanted.words.strip(), wanted.status)


def _shown(session: Session, reviewer: str, row: int) -> Plain:
    """A row as the page shows it; what that is, is kept for its decision."""
    found = session.showing.row(row)
    said = deciding.verdicts(session.db, row)
    lease = session.db.value(
        "SELECT queue FROM leases WHERE row = ? AND reviewer = ?", (row, reviewer)
    )
    contested = '"conflicts"' in (lease or "")
    found["verdicts"] = [
        {
            "reviewer": d.reviewer,
            "code": d.code,
            "node": None if d.code is None else session.showing.node(d.code),
            "comment": d.comment,
            "at": d.at,
        }
        for d in said
        if contested or d.reviewer == reviewer  # a second look is a look of one's own
    ]
    seen = {
        "answer": found["answer"]["code"],
        "confidence": found["answer"]["confidence"],
        "candidates": [[c["code"], c["confidence"], c["like"]] for c in found["candidates"]],
    }
    queues.show(session.db, reviewer, row, seen)
    return found


def _there(session: Session, row: int) -> None:
    if session.db.value("SELECT row FROM rows WHERE row = ?", (row,)) is None:
        raise UsageError(f"there is no row {row}")
