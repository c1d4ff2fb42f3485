"""Pages: templates filled with answers."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape
from starlette.datastructures import Headers
from starlette.responses import Response

from farthing import __version__, api, units
from farthing.errors import UnknownName
from farthing.records.chart import Chart
from farthing.report import layout
from farthing.report.estimate import split
from farthing.report.explanation import formula_of, references, steps, value_of
from farthing.report.serving_tables import three
from farthing.report.serving_words import share
from farthing.report.vega import vega_lite
from farthing.web.answers import Job
from farthing.web.asks import in_text
from farthing.web.controls import control, suggestions
from farthing.web.problem import Problem
from farthing.web.view import Explanation, Shown, View
from farthing.web.views import VIEWS

STATIC: Final = Path(__file__).with_name("static")

CITED: Final = re.compile(r"\[([a-z0-9]+(?:-[a-z0-9]+)*-\d{4}[a-z0-9-]*)\]")
"""The key of a paper in a sentence."""


@functools.cache
def _version_of(file: str) -> str:
    """A short hash of an asset: its address changes with it, so that browsers may keep it."""
    return hashlib.sha256((STATIC / file).read_bytes()).hexdigest()[:12]


def _number(value: float | None, unit: str = "", words: str = "") -> Markup:
    """A number for people, with its value in SI units for programs."""
    if value is None:
        return Markup("<span>unknown</span>")
    shown = words or units.format_quantity(value, unit)
    return Markup('<data value="{}">{}</data>').format(repr(float(value)), shown)


def _differences(one: Any, other: Any, path: tuple[Any, ...] = ()) -> Iterator[list[Any]]:
    """Where two specifications differ, and what the other has there.

    Examples
    --------
    >>> list(_differences({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}))
    [[['a', 1, 'b'], 3]]
    """
    if one == other:
        return
    if type(one) is type(other) and isinstance(one, dict) and one.keys() == other.keys():
        for name, value in one.items():
            yield from _differences(value, other[name], (*path, name))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, value in enumerate(one):
            yield from _differences(value, other[place], (*path, place))
    else:
        yield [list(path), other]


@functools.lru_cache(maxsize=32)
def _chart_json(chart: Chart) -> Markup:
    """The specification for a light ground, and what a dark one changes in it; safe inside any element."""
    light = vega_lite(chart)
    both = {"light": light, "dark": list(_differences(light, vega_lite(chart, dark=True)))}
    text = json.dumps(both, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "&amp;").replace("'", "&#39;").replace("<", "&lt;"))


def _prose(text: str) -> Markup:
    """A sentence of the glossary: what stands in backticks is code, what in brackets names a paper."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(CITED.sub(r"<cite>[\1]</cite>", marked))


def _cited(explanation: Explanation) -> dict[str, str]:
    """Papers that an explanation names in its sentences and in its steps, by their keys."""
    found = {}
    for key in (
        *CITED.findall(" ".join([explanation.meaning, *explanation.notes])),
        *references(explanation.terms),
    ):
        # A note is free text: what looks like a key may be none.
        with contextlib.suppress(UnknownName):
            found[key] = api.citation(key)
    return found


@functools.cache
def environment() -> Environment:
    """Of the templates: what is put into them is text, and a name that is missing is an error."""
    found = Environment(
        loader=PackageLoader("farthing.web"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "bytes": lambda value: units.format_bytes(value, binary=True),
        "seconds": units.format_seconds,
        "usd": units.format_usd,
        "watts": units.format_watts,
        "count": units.format_count,
        "quantity": units.format_quantity,
        "percent": layout.percent,
        "change": layout.change,
        "share": share,
        "three": three,
        "plan_split": split,
        "chart_json": _chart_json,
        "prose": _prose,
    }
    found.globals |= {
        "number": _number,
        "version": __version__,
        "asset_version": _version_of,
        "views": VIEWS,
        "steps": steps,
        "formula_of": formula_of,
        "value_of": value_of,
        "cited": _cited,
        "control": control,
        "suggestions": suggestions,
        "HOUR": units.HOUR,
        "MONTH": units.MONTH,
        "GIB": units.GIB,
    }
    return found


def query_of(view: View, values: Mapping[str, Any]) -> str:
    """The address's query of a question, its fields in their order, what is empty left out.

    Examples
    --------
    >>> query_of(VIEWS["inference"], {"tp": "8", "cluster": "rtx-4090", "pp": ""})
    'cluster=rtx-4090&tp=8'
    """
    kept = [(ask.name, values[ask.name]) for ask in view.asks if values.get(ask.name) not in ("", None)]
    return urlencode([(name, in_text(value)) for name, value in kept], safe=":,/@")


def _context(view: View, job: Job) -> dict[str, Any]:
    """What every page needs."""
    values = dict(job.values) or dict(view.first)
    texts = {name: in_text(value) for name, value in values.items() if value not in ("", None)}
    query = query_of(view, texts)

    def asking(**changes: Any) -> str:
        """The address of the question with some fields changed; empty ones are left out."""
        changed = query_of(view, texts | changes)
        return f"{job.prefix}/{view.name}" + (f"?{changed}" if changed else "")

    return {
        "view": view,
        "prefix": job.prefix,
        "texts": texts,
        "query": query,
        "link": f"{job.prefix}/{view.name}" + (f"?{query}" if query else ""),
        "asking": asking,
        "asked": bool(job.values),
        "waiting": False,
    }


def view_page(view: View, job: Job, given: Mapping[str, Any], shown: Shown) -> str:
    """A view with its answer."""
    context = _context(view, job) | {
        "shown": shown,
        "problem": None,
        "command": view.command_line(given),
        "python": view.python_call(given),
        **shown.more,
    }
    return _render(view, job, context)


def opening_page(view: View, job: Job) -> str:
    """A slow view before its first question is answered, which the page then asks for."""
    context = _context(view, job) | {"shown": Shown(), "problem": None, "waiting": True}
    return _render(view, job, context)


def refusal_page(view: View, job: Job, values: Mapping[str, Any], problem: Problem) -> str:
    """A view whose question has no answer."""
    if job.form in ("explain", "explain-page"):
        return explanation_page(view, job, Explanation(title="No answer", meaning=problem.message))
    context = _context(view, job) | {"shown": Shown(), "problem": problem, "command": "", "python": ""}
    return _render(view, job, context)


def later_part(view: View, job: Job, more: Mapping[str, Any]) -> str:
    """What follows an answer."""
    return environment().get_template(f"{view.name}_later.html").render(_context(view, job) | dict(more))


def _render(view: View, job: Job, context: dict[str, Any]) -> str:
    name = "view.html" if job.form == "page" else "answer.html"
    return environment().get_template(name).render(context | {"answer_template": f"{view.name}.html"})


def explanation_page(view: View, job: Job, explanation: Explanation) -> str:
    """How a number comes about: what a dialog shows, or a page of its own."""
    whole = job.form == "explain-page"
    context = _context(view, job) | {"explanation": explanation, "heading": "h1" if whole else "h2"}
    return environment().get_template("explained.html" if whole else "explanation.html").render(context)


def plain_page(template: str, prefix: str, **context: Any) -> str:
    """A page that asks nothing."""
    return environment().get_template(template).render(prefix=prefix, view=None, **context)


def refusal(problem: Problem, asked: Headers, prefix: str) -> Response:
    """What is told of a request that no view was asked for: a page, a part of one, or JSON."""
    if asked.get("hx-request") == "true":
        text = environment().get_template("refused.html").render(problem=problem)
    elif "text/html" in asked.get("accept", ""):
        text = plain_page("problem.html", prefix, problem=problem)
    else:
        return problem.response()
    return Response(text, problem.status, problem.headers, "text/html")
