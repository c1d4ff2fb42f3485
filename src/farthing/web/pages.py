"""Pages: templates filled with answers."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from farthing import __version__, api, units
from farthing.records.chart import Chart
from farthing.report import layout
from farthing.report.estimate import split
from farthing.report.explanation import formula_of, references, steps, value_of
from farthing.report.serving_tables import three
from farthing.report.serving_words import share
from farthing.report.vega import vega_lite
from farthing.web.answers import Job
from farthing.web.controls import control, listed
from farthing.web.problem import Problem
from farthing.web.view import Explanation, Shown, View
from farthing.web.views import VIEWS

STATIC: Final = Path(__file__).with_name("static")


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
    if type(one) is type(other) and isinstance(one, dict) and one.keys() == other.keys():
        for name, value in one.items():
            yield from _differences(value, other[name], (*path, name))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, value in enumerate(one):
            yield from _differences(value, other[place], (*path, place))
    elif one != other:
        yield [list(path), other]


def _chart_json(chart: Chart) -> Markup:
    """The specification for a light ground, and what a dark one changes in it; safe inside any element."""
    light = vega_lite(chart)
    both = {"light": light, "dark": list(_differences(light, vega_lite(chart, dark=True)))}
    text = json.dumps(both, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


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
    }
    found.globals |= {
        "number": _number,
        "version": __version__,
        "asset_version": _version_of,
        "views": VIEWS,
        "steps": steps,
        "formula_of": formula_of,
        "value_of": value_of,
        "references": references,
        "citation": api.citation,
        "control": control,
        "listed": listed,
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
    return urlencode([(name, _text(value)) for name, value in kept], safe=":,/@")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(_text, value)) if isinstance(value, (tuple, list)) else f"{value}"


def _context(view: View, job: Job) -> dict[str, Any]:
    """What every page needs."""
    values = dict(job.values) or dict(view.first)
    texts = {name: _text(value) for name, value in values.items() if value not in ("", None)}
    query = query_of(view, texts)
    return {
        "view": view,
        "prefix": job.prefix,
        "texts": texts,
        "query": query,
        "link": f"{job.prefix}/{view.name}" + (f"?{query}" if query else ""),
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
    context = _context(view, job) | {"shown": Shown(), "problem": problem, "command": "", "python": ""}
    return _render(view, job, context)


def _render(view: View, job: Job, context: dict[str, Any]) -> str:
    name = "answer.html" if job.form == "part" else "view.html"
    if job.form == "explain":
        name = "problem.html"
    return environment().get_template(name).render(context | {"answer_template": f"{view.name}.html"})


def explanation_page(view: View, explanation: Explanation) -> str:
    """How a number comes about."""
    return environment().get_template("explanation.html").render(view=view, explanation=explanation)


def plain_page(template: str, prefix: str, **context: Any) -> str:
    """A page that asks nothing."""
    return environment().get_template(template).render(prefix=prefix, view=None, **context)
