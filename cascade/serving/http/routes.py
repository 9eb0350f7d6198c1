"""The routes under `/v1`, for this service and for FastAPI applications of others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from cascade.config.serving import ServeConfig
from cascade.pipeline.classifier import Classifier
from cascade.serving.http import examples
from cascade.serving.http.problems import (
    MEDIA_TYPE,
    Problem,
    ProblemValue,
    check_names,
    hang_up,
    problem_of,
)
from cascade.serving.http.reading import SHORTEST, Headers
from cascade.serving.http.service import Service, as_json
from cascade.serving.http.values import (
    About,
    Account,
    Answer,
    Answers,
    ClassifyBody,
    ClassifyManyBody,
    ExplainBody,
)
from cascade.serving.tools import LONGEST_WORDS, MOST_NODES
from cascade.serving.values import ChildrenValue, FoundValue
from cascade.values import is_visible

FAULTS = {
    400: "The request is no JSON, or a header cannot be read.",
    401: "The token is missing or wrong.",
    404: "There is no such node.",
    408: "The body did not come in time.",
    413: "The request is out of bounds; see `limits` of `/v1/about`.",
    415: "The body is not `application/json` by its own account.",
    422: "A value of the request has another form.",
    503: "Too much waits; `Retry-After` says when to ask again.",
    504: "The time of the request is over.",
}
TIMEOUT = {
    "name": "X-Timeout",
    "in": "header",
    "required": False,
    "description": "Seconds that the answer is waited for, if fewer than the service allows.",
    "schema": {"type": "number", "minimum": SHORTEST, "maximum": 3600},
    "example": 2.5,
}
Words = Annotated[
    str, Query(min_length=1, max_length=LONGEST_WORDS, description="What to look for.")
]
Limit = Annotated[int, Query(ge=1, le=MOST_NODES, description="The most nodes in the answer.")]
Offset = Annotated[int, Query(ge=0, le=10**9, description="Children to pass over.")]


class ProblemRoute(APIRoute):
    """A route whose errors have one form, in whichever application it is."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, which answers what is raised below it."""
        handler = super().get_route_handler()

        known = {parameter.alias for parameter in self.dependant.query_params}

        async def told(request: Request) -> Response:
            try:
                # The rules of another application may read parameters of their own.
                if getattr(request.app.state, "service", None) is not None:
                    check_names(request.query_params, known)
                return await handler(request)
            except Exception as error:  # whatever it is, who asked gets the form of all errors
                problem = problem_of(error)
                return problem.response(hang_up(dict(request.scope["headers"])))

        return told


def create_router(
    classifier: Classifier | Service, settings: ServeConfig | None = None
) -> APIRouter:
    """The routes of a classifier, to be included in an application.

    Its thread begins with the first request and ends with the application. Who may ask is a matter
    of that application; bounds of requests hold as in `cascade serve`.

    Parameters
    ----------
    classifier
        What `cascade.load` or `cascade.fit` returns.
    settings
        Bounds; by default `serve` of the classifier's config.

    Returns
    -------
    A router with the prefix `/v1`.

    Examples
    --------
    >>> import cascade
    >>> from fastapi import FastAPI
    >>> from cascade.serving.http import create_router
    >>> app = FastAPI()
    >>> app.include_router(create_router(cascade.load("store")), prefix="/shop")
    """
    service = classifier if isinstance(classifier, Service) else Service(classifier, settings)

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        service.open()
        yield
        await service.close()

    router = APIRouter(
        prefix="/v1", route_class=ProblemRoute, lifespan=lifespan, tags=["classification"]
    )
    _add_items(router, service)
    _add_nodes(router, service)
    return router


def _add_items(router: APIRouter, service: Service) -> None:
    settings = service.settings

    @router.post("/classify", **_told(ClassifyBody, Answer, examples.CLASSIFY, settings))
    async def classify(request: Request) -> Response:
        """File one item under the taxonomy: the node with its confidence."""
        return _json(await service.classify_one(_headers(request), request.receive))

    @router.post(
        "/classify/batch", **_told(ClassifyManyBody, Answers, examples.CLASSIFY_MANY, settings)
    )
    async def classify_many(request: Request) -> Response:
        """File several items; one that cannot be answered says why, in its place."""
        return _json(await service.classify_many(_headers(request), request.receive))

    @router.post("/explain", **_told(ExplainBody, Account, examples.EXPLAIN, settings))
    async def explain(request: Request) -> Response:
        """File one item, and tell what was considered, and what each word did for the answer."""
        return _json(await service.explain_one(_headers(request), request.receive))


def _add_nodes(router: APIRouter, service: Service) -> None:
    settings, tools = service.settings, service.tools
    ways = ["meaning", "words"] if settings.search_by_meaning else ["words"]

    @router.get("/search", **_told(None, FoundValue, examples.SEARCH, settings))
    async def search(
        request: Request,
        q: Words,
        by: str = Query(
            ways[0],
            pattern=f"^({'|'.join(ways)})$",
            description="`words`: nodes with these words in their names, synonyms or codes; "
            "`meaning`: also those that mean the same.",
        ),
        limit: Limit = 10,
    ) -> Response:
        """Find nodes of any level, best first."""
        return _json(await service.search_nodes(_headers(request), q, limit, by))

    @router.get("/nodes", **_told(None, ChildrenValue, examples.TOP, settings))
    async def top(limit: Limit = 50, offset: Offset = 0) -> Response:
        """The nodes at the top of the taxonomy."""
        return _json(as_json(tools.children("", offset, limit).model_dump()))

    @router.get("/nodes/{code:path}", **_told(None, ChildrenValue, examples.NODE, settings))
    async def node(
        code: Annotated[
            str,
            Path(
                max_length=LONGEST_WORDS,
                description="A code, or a path such as `A > B`.",
                examples=["CLO-TOP"],
            ),
        ],
        limit: Limit = 50,
        offset: Offset = 0,
    ) -> Response:
        """A node with the nodes directly below it."""
        if not is_visible(code):
            raise Problem(404, "there is no node without a code; /v1/nodes has those at the top")
        return _json(as_json(tools.children(code, offset, limit).model_dump()))

    @router.get("/about", **_told(None, About, examples.ABOUT, settings))
    async def about() -> Response:
        """What answers here, and the bounds of requests."""
        return _json(as_json(service.about))


def _headers(request: Request) -> Headers:
    return dict(request.scope["headers"])


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _told(
    body: type[BaseModel] | None,
    answer: type[BaseModel],
    told: examples.Examples,
    settings: ServeConfig,
) -> dict[str, Any]:
    """What the OpenAPI document says of a route."""
    statuses = [401, 422, 503]
    extra: dict[str, Any] = {}
    if body is not None:
        statuses += [400, 408, 413, 415, 504]
        extra["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _schema(body, settings),
                    "examples": {
                        name: {"summary": name, "value": value}
                        for name, value in told.requests.items()
                    },
                }
            },
        }
        extra["parameters"] = [TIMEOUT]
    if answer in (FoundValue,):
        statuses += [400, 504]
        extra["parameters"] = [TIMEOUT]
    if answer is ChildrenValue:
        statuses.append(404)
    responses: dict[int | str, Any] = {
        status: {
            "description": FAULTS[status],
            "content": {
                MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemValue.__name__}"}}
            },
        }
        for status in sorted(statuses)
    }
    responses[422]["model"] = ProblemValue
    responses[200] = {
        "model": answer,
        "description": "The answer.",
        "content": {"application/json": {"example": told.response}},
    }
    return {"responses": responses, "openapi_extra": extra, "response_class": Response}


def _schema(body: type[BaseModel], settings: ServeConfig) -> dict[str, Any]:
    """The schema of a request's body, whole in itself, with the bounds of this service."""
    schema = body.model_json_schema()
    parts = schema.pop("$defs", {})
    properties = schema["properties"]
    if "items" in properties:
        properties["items"] |= {"minItems": 1, "maxItems": settings.max_items}
    if "top" in properties:
        properties["top"]["maximum"] = settings.max_top
    whole: dict[str, Any] = _inlined(schema, parts)
    return whole


def _inlined(value: Any, parts: dict[str, Any]) -> Any:
    """A schema with what it refers to in the place of the reference."""
    match value:
        case {"$ref": str(name)}:
            part = parts[name.rpartition("/")[2]]
            return {} if part == {} else _inlined(part, parts)
        case dict():
            return {key: _inlined(member, parts) for key, member in value.items()}
        case list():
            return [_inlined(member, parts) for member in value]
    return value
