"""The application: pages, the API, and what guards both."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from farthing import __version__
from farthing.web import pages
from farthing.web.asks import complaint
from farthing.web.guard import Guard
from farthing.web.openapi import openapi_document
from farthing.web.problem import Problem
from farthing.web.routes import api_router, page_router
from farthing.web.settings import Settings
from farthing.web.views import VIEWS
from farthing.web.workers import Workers


class _Assets(StaticFiles):
    """Files of the package: their address names their content, so browsers keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, to be kept for a year."""
        response = await super().get_response(path, scope)
        if response.status_code == 200:
            response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application that `farthing web` serves.

    Parameters
    ----------
    settings
        Limits, names and processes; by default those of a server on this host alone.

    Examples
    --------
    >>> create_app(Settings(workers=0)).title
    'farthing'
    """
    chosen = settings or Settings()
    workers = Workers(chosen)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        workers.start()
        yield
        workers.stop()

    app = FastAPI(
        title="farthing",
        version=__version__,
        summary="Where large language models run: memory, time, energy and money.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
    )
    app.state.workers = workers
    app.state.prefix = chosen.prefix
    app.include_router(api_router())
    app.include_router(page_router())
    app.mount("/static", _Assets(directory=pages.STATIC), name="static")
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=4)
    app.add_middleware(Guard, settings=chosen)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _no_such)
    app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]
    return app


async def _invalid(request: Request, error: Any) -> Response:
    """What is wrong with a question, without repeating it."""
    name = request.url.path.rpartition("/api/")[2].removesuffix(".csv")
    known = VIEWS[name].question.model_fields if name in VIEWS else ()
    return Problem("invalid-input", complaint(error.errors(), known)).response()


async def _no_such(request: Request, error: Any) -> Response:
    """There is nothing at that address, or not for that method."""
    kind = {404: "no-such-page", 405: "no-such-method", 400: "invalid-input"}.get(
        error.status_code, "internal"
    )
    words = {
        "no-such-page": "there is nothing at this address; the start page links to all there is",
        "no-such-method": "this address takes another method; see /api",
        "invalid-input": "the request cannot be read; send JSON",
    }
    problem = Problem(kind, words.get(kind, "the request cannot be answered"))
    path = request.url.path.removeprefix(request.app.state.prefix)
    asked = Headers() if path.startswith("/api/") else request.headers
    response: Response = pages.refusal(problem, asked, request.app.state.prefix)
    if error.headers:
        response.headers.update(error.headers)
    return response
