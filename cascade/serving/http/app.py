"""The application of `cascade serve`, with routers of others mounted on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from cascade.config.serving import ServeConfig
from cascade.errors import UsageError
from cascade.pipeline.classifier import Classifier
from cascade.serving.http.guard import Guard, Quick, local_hosts
from cascade.serving.http.metrics import CONTENT_TYPE, Metrics
from cascade.serving.http.problems import MEDIA_TYPE, Problem, ProblemValue, hang_up, problem_of
from cascade.serving.http.routes import create_router
from cascade.serving.http.service import Service, as_json
from cascade.serving.http.values import State
from cascade.version import __version__

DESCRIPTION = """\
Files items (products, jobs, foods, any short text) under a taxonomy of coded nodes.

Every error has the form of RFC 9457 (`application/problem+json`): `status`, `title` and `detail`,
which says what was found, what was expected and what to do."""
SHORTEST_TOKEN = 16


class GuardedApp(FastAPI):
    """An application with a guard before all that it does."""

    guard: Guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        await self.guard(scope, receive, send)


def create_app(
    classifier: Classifier,
    *,
    routers: Iterable[APIRouter] = (),
    settings: ServeConfig | None = None,
    token: str | None = None,
    log_requests: bool = False,
) -> FastAPI:
    """The application that `cascade serve` runs, for any ASGI server.

    Parameters
    ----------
    classifier
        What `cascade.load` or `cascade.fit` returns.
    routers
        Further routes, which the same names and the same token guard.
    settings
        Bounds and the place to listen at; by default `serve` of the classifier's config. Where
        that is this machine alone (the default) requests must call it by one of its own names,
        `localhost` for example.
    token
        What requests must bring; needed where others can reach the service.
    log_requests
        Whether the logger `cascade` gets a line for each request: method, route, status, time.

    Returns
    -------
    The application; `app.state.service` has the classifier and its queue.

    Raises
    ------
    UsageError
        Others can reach it and there is no token, or the token is short or cannot be sent.

    Examples
    --------
    >>> import cascade
    >>> from cascade.serving.http import create_app
    >>> app = create_app(cascade.load("store"))
    >>> app.title
    'cascade'
    """
    service = Service(classifier, settings)
    settings = service.settings
    check_token(settings, token)
    app = GuardedApp(
        title="cascade",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # these pages load their scripts from elsewhere
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.state.service = service
    app.include_router(create_router(service))
    for router in routers:
        app.include_router(router)
    _add_watching(app, service)
    for kind in (HTTPException, RequestValidationError, Problem):
        app.add_exception_handler(kind, _answer_problem)
    quick: Quick = {
        ("POST", "/v1/classify"): service.classify_one,
        ("POST", "/v1/classify/batch"): service.classify_many,
    }
    _guard(app, service.metrics, settings, token, quick=quick, log=log_requests)
    if token is not None:
        _tell_of_token(app)
    return app


def guarded(
    routers: Iterable[APIRouter], settings: ServeConfig, token: str | None = None
) -> FastAPI:
    """An application of these routers alone, without a classifier; guarded as `create_app` does."""
    check_token(settings, token)
    app = GuardedApp(title="cascade", version=__version__, docs_url=None, redoc_url=None)
    for router in routers:
        app.include_router(router)
    for kind in (HTTPException, RequestValidationError, Problem):
        app.add_exception_handler(kind, _answer_problem)
    _guard(app, Metrics(), settings, token)
    return app


def _guard(
    app: GuardedApp,
    metrics: Metrics,
    settings: ServeConfig,
    token: str | None,
    *,
    quick: Quick | None = None,
    log: bool = False,
) -> None:
    hosts = settings.hosts
    app.guard = Guard(
        super(GuardedApp, app).__call__,
        metrics=metrics,
        token=token,
        hosts=local_hosts(hosts) if settings.is_local else frozenset(hosts),
        most=settings.max_body,
        quick=quick,
        log_requests=log,
    )


def check_token(settings: ServeConfig, token: str | None) -> None:
    """Raise UsageError where a token is needed and missing, or is none."""
    if token is None:
        if settings.is_local:
            return
        raise UsageError(
            f"others can reach {settings.host}, so requests must bring a token: put one into a "
            "file (openssl rand -hex 32 > token) and name it with --token-file, or into the "
            "environment variable CASCADE_TOKEN"
        )
    if (
        len(token) < SHORTEST_TOKEN
        or not token.isascii()
        or not token.isprintable()
        or " " in token
    ):
        raise UsageError(
            f"the token must have {SHORTEST_TOKEN} or more visible ASCII characters and no space; "
            "make one with: openssl rand -hex 32"
        )


def _add_watching(app: FastAPI, service: Service) -> None:
    usual: dict[str, Any] = {"tags": ["watching"], "response_class": Response}
    unready = {
        "description": "No requests are taken.",
        "content": {
            MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemValue.__name__}"}}
        },
    }
    ok = {"model": State, "content": {"application/json": {"example": {"status": "ok"}}}}

    @app.get("/health", responses={200: ok}, **usual)
    async def health() -> Response:
        """Whether the process answers at all; needs no token."""
        return _json({"status": "ok"})

    @app.get("/ready", responses={200: ok, 503: unready}, **usual)
    async def ready() -> Response:
        """Whether requests are taken: models are loaded and the service does not end; no token."""
        if not service.is_ready:
            raise Problem(503, "the service ends", {"Retry-After": "5"})
        return _json({"status": "ok"})

    metrics = {"content": {"text/plain": {"example": "cascade_queue_items 0.0"}}}

    @app.get("/metrics", responses={200: metrics}, **usual)
    async def metrics_text() -> Response:
        """Figures for Prometheus: requests, items, batches, the queue."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)


def _json(values: Any) -> Response:
    return Response(as_json(values), media_type="application/json")


async def _answer_problem(request: Request, error: Exception) -> Response:
    return problem_of(error).response(hang_up(dict(request.scope["headers"])))


def _tell_of_token(app: FastAPI) -> None:
    """Let the OpenAPI document say that requests bring a token."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        made = make()
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
        return made

    app.openapi = openapi  # type: ignore[method-assign]
