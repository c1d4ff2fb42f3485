"""Addresses: a page and a part of it, a table, an explanation and the API of every view."""

# Annotations are looked at where an endpoint is made: they are no texts here.
import asyncio
from collections.abc import Coroutine, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from farthing.web import pages
from farthing.web.answers import Form, Job, Reply
from farthing.web.kinds import LONGEST
from farthing.web.problem import STATUS
from farthing.web.view import View
from farthing.web.views import VIEWS

HOME = "compare"
"""The view that the start page shows."""


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _job(request: Request, view: View, form: Form, values: Mapping[str, Any], number: str = "") -> Job:
    kept = tuple((name, _hashable(value)) for name, value in values.items())
    return Job(view=view.name, form=form, values=kept, prefix=request.app.state.prefix, number=number)


def _values(request: Request) -> dict[str, Any]:
    """What an address asks, by field; a field that comes again has several values."""
    sent = request.query_params
    return {name: texts[0] if len(texts := sent.getlist(name)) == 1 else tuple(texts) for name in sent}


async def _response(request: Request, job: Job) -> Response:
    reply: Reply | None = await _unless_gone(request, request.app.state.workers.reply(job))
    if reply is None:
        return Response(status_code=499)
    return Response(reply.body, reply.status, dict(reply.headers), reply.media_type)


async def _unless_gone(request: Request, answer: Coroutine[Any, Any, Reply]) -> Reply | None:
    """An answer, as long as whoever asked is there: nobody works for a connection that was closed."""
    work, gone = asyncio.create_task(answer), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        gone.cancel()
        work.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def api_router() -> APIRouter:
    """Questions as JSON, in SI units."""
    router = APIRouter(prefix="/api", tags=["questions"])
    for view in VIEWS.values():
        _add_api(router, view)

    @router.get("/openapi.json", include_in_schema=False)
    async def document(request: Request) -> Response:
        return JSONResponse(request.app.openapi())

    return router


def _responses() -> dict[int | str, dict[str, Any]]:
    told = {
        "unknown-name": "A name that the catalogue does not hold.",
        "infeasible": "A plan or a build was demanded, and there is none.",
        "invalid-input": "The question makes no sense; the message says what to change.",
        "too-many": "Too many questions from one place.",
        "busy": "Too many questions wait.",
        "took-too-long": "The answer took too long.",
    }
    schema = {"$ref": "#/components/schemas/Error"}
    content = {"application/json": {"schema": schema}}
    return {STATUS[kind]: {"description": words, "content": content} for kind, words in told.items()}


def _add_api(router: APIRouter, view: View) -> None:
    answer: dict[str, Any] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{view.name}"}}}
    responses = {200: {"description": "The answer, in SI units.", "content": answer}} | _responses()
    common: dict[str, Any] = {"responses": responses, "response_class": Response, "summary": view.lead}

    async def by_query(request: Request, question: Annotated[view.question, Query()]) -> Response:  # type: ignore[name-defined]
        return await _response(request, _job(request, view, "json", _values(request)))

    async def by_body(request: Request, question: Annotated[view.question, Body()]) -> Response:  # type: ignore[name-defined]
        return await _response(request, _job(request, view, "json", question.given))

    async def as_table(request: Request, question: Annotated[view.question, Query()]) -> Response:  # type: ignore[name-defined]
        return await _response(request, _job(request, view, "csv", _values(request)))

    name = view.name.replace("-", "_")
    router.add_api_route(f"/{view.name}", by_query, methods=["GET"], operation_id=name, **common)
    router.add_api_route(f"/{view.name}", by_body, methods=["POST"], operation_id=f"{name}_body", **common)
    table = {200: {"description": "The answer as a table.", "content": {"text/csv": {}}}} | _responses()
    router.add_api_route(
        f"/{view.name}.csv",
        as_table,
        methods=["GET"],
        operation_id=f"{name}_table",
        **common | {"responses": table},
    )


def page_router() -> APIRouter:
    """What a browser shows."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    for view in VIEWS.values():
        _add_pages(router, view)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def home(request: Request) -> Response:
        return await _response(request, _job(request, VIEWS[HOME], "page", {}))

    @router.api_route("/api", methods=["GET", "HEAD"])
    async def about_api(request: Request) -> Response:
        document, base = request.app.openapi(), str(request.base_url).rstrip("/")
        page = pages.plain_page("api.html", request.app.state.prefix, document=document, base=base)
        return HTMLResponse(page)

    @router.get("/favicon.ico")
    async def icon(request: Request) -> Response:
        return RedirectResponse(f"{request.app.state.prefix}/static/coin.svg", 308)

    return router


def _add_pages(router: APIRouter, view: View) -> None:
    async def page(request: Request) -> Response:
        # A browser that goes back asks for the whole page, whatever was in the answer before.
        part = (
            request.headers.get("hx-request") == "true"
            and "hx-history-restore-request" not in request.headers
        )
        job = _job(request, view, "part" if part else "page", _values(request))
        response = await _response(request, job)
        response.headers["vary"] = "HX-Request"
        if part:
            query = pages.query_of(view, _values(request))
            address = f"{request.app.state.prefix}/{view.name}" + (f"?{query}" if query else "")
            # What the browser shows already is no new step of its history.
            if not request.headers.get("hx-current-url", "").endswith(address):
                response.headers["hx-push-url"] = address
        return response

    async def explain(request: Request) -> Response:
        values = _values(request)
        number = values.pop("number", "")[:LONGEST]
        # A browser without scripts, or one that opens it in a tab, gets a whole page.
        form: Form = "explain" if request.headers.get("hx-request") == "true" else "explain-page"
        response = await _response(request, _job(request, view, form, values, number))
        response.headers["vary"] = "HX-Request"
        return response

    async def later(request: Request) -> Response:
        return await _response(request, _job(request, view, "later", _values(request)))

    router.add_api_route(f"/{view.name}", page, methods=["GET", "HEAD"])
    router.add_api_route(f"/{view.name}/later", later, methods=["GET", "HEAD"])
    router.add_api_route(f"/{view.name}/explain", explain, methods=["GET", "HEAD"])
