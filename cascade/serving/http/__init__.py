"""Answers over HTTP: `cascade serve`, and a router for FastAPI applications of others.

Belongs here: what a request may hold (`reading`), what answers look like (`values`), batches across
clients (`batcher`), who may ask (`guard`), the routes and the server. All but `running` needs the
extra `serve`. What is asked is data: it is bounded, and never logged.

>>> from cascade.serving.http import create_app, create_router  # doctest: +SKIP
"""

from cascade.errors import MissingExtraError

try:
    from cascade.serving.http.app import create_app
    from cascade.serving.http.routes import create_router
except ImportError as error:
    missing = (error.name or "").partition(".")[0]
    if missing not in ("fastapi", "starlette", "uvicorn", "prometheus_client"):
        raise
    raise MissingExtraError("the service over HTTP", missing, "serve") from None

__all__ = ["create_app", "create_router"]
