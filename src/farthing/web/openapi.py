"""The OpenAPI document: questions as pydantic tells them, answers as the records are."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from farthing.web.views import VIEWS

REF: str = "#/components/schemas/{name}"


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            routes=app.routes,
            servers=[{"url": app.state.prefix or "/"}],
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas |= _records()
        schemas["Error"] = {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {
                    "type": "object",
                    "required": ["kind", "message"],
                    "properties": {"kind": {"type": "string"}, "message": {"type": "string"}},
                }
            },
        }
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema


def _records() -> dict[str, Any]:
    """Schemas of the records that answers are made of, and of each view's answer."""
    types = [view.schema for view in VIEWS.values() if view.schema is not None]
    answers, parts = msgspec.json.schema_components(types, ref_template=REF)
    found: dict[str, Any] = dict(parts)
    told = iter(answers)
    for view in VIEWS.values():
        found[view.name] = next(told) if view.schema is not None else {}
    return {name: _without_nan(schema) for name, schema in found.items()}


def _without_nan(part: Any) -> Any:
    """A schema in which a number that may be unknown may be null, as it is in the answer.

    Examples
    --------
    >>> _without_nan({"type": "number", "default": float("nan")})
    {'type': ['number', 'null']}
    """
    if isinstance(part, list):
        return [_without_nan(one) for one in part]
    if not isinstance(part, dict):
        return part
    if part.get("type") == "number" and not math.isfinite(part.get("default", 0.0)):
        return {"type": ["number", "null"]}
    return {name: _without_nan(value) for name, value in part.items()}
