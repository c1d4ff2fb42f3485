"""A chart as a specification of Vega-Lite: what browsers, notebooks and converters draw."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any, Final

from farthing.errors import InvalidInput
from farthing.records.chart import Chart
from farthing.report.label_places import EM, text_width
from farthing.report.palette import DARK, LIGHT, Theme
from farthing.report.vega_bars import bars_view
from farthing.report.vega_plane import plane_view
from farthing.report.vega_timeline import timeline_view

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"

FONT: Final = "Liberation Sans, Helvetica, Arial, sans-serif"

_TITLE: Final = 17
_NOTE: Final = 13
_READ_WIDTH: Final = 620.0
"""Titles and notes are broken at so many pixels."""

_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def vega_lite(chart: Chart | Sequence[Chart], dark: bool = False) -> dict[str, Any]:
    """A specification of Vega-Lite with its data in it.

    Parameters
    ----------
    chart
        One, or several that are stacked.
    dark
        Light on a dark ground.

    Returns
    -------
    dict
        Ready for JSON.

    Raises
    ------
    InvalidInput
        No chart at all.

    Examples
    --------
    >>> from farthing.records.chart import Axis, Point, Series
    >>> series = Series(name="own", points=(Point(x=4.0, label="rtx-4090"),))
    >>> chart = Chart(title="Tokens for money", kind="bar", x=Axis(title="tokens", unit="1/USD"),
    ...               y=Axis(title="card"), series=(series,))
    >>> spec = vega_lite(chart)
    >>> spec["title"]["text"], spec["description"]
    (['Tokens for money'], 'Tokens for money. Bars of tokens [1/USD]: rtx-4090 4.')
    """
    charts = [chart] if isinstance(chart, Chart) else list(chart)
    if not charts:
        raise InvalidInput("there is no chart to draw; give one or more")
    theme = DARK if dark else LIGHT
    views = [_view(one.drawable, theme) for one in charts]
    head = {"$schema": SCHEMA, "background": theme.ground, "padding": 16}
    body = views[0] if len(views) == 1 else _stacked(charts, views)
    spec: dict[str, Any] = _sound({**head, **body, "config": _config(theme)})
    return spec


def _sound(value: Any) -> Any:
    """A specification without characters that no XML may hold: converters end the whole process at one."""
    if isinstance(value, str):
        return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {name: _sound(part) for name, part in value.items()}
    return [_sound(part) for part in value] if isinstance(value, list) else value


def _view(chart: Chart, theme: Theme) -> dict[str, Any]:
    """One chart, without what all of a file share."""
    title: dict[str, Any] = {"text": broken(chart.title, _TITLE)}
    if chart.note:
        title["subtitle"] = broken(chart.note, _NOTE)
    head = {"title": title, "description": description(chart)}
    if not any(one.points for one in chart.series):
        return {**head, **_nothing(theme)}
    draw = timeline_view if chart.kind == "timeline" else bars_view if chart.has_bars else plane_view
    return {**head, **draw(chart, theme)}


def _nothing(theme: Theme) -> dict[str, Any]:
    return {
        "width": 540,
        "height": 40,
        "data": {"values": [{}]},
        "mark": {"type": "text", "text": "nothing to draw", "color": theme.quiet, "fontSize": 13},
    }


def broken(text: str, size: float) -> list[str]:
    """A text in lines that a narrow page has room for."""
    # A wide character takes two places, which textwrap counts as one.
    letters = _READ_WIDTH / (size * EM)
    letters *= max(len(text), 1) * size * EM / max(text_width(text, size), 1.0)
    return textwrap.wrap(text, max(int(letters), 10)) or [text]


def description(chart: Chart) -> str:
    """What a chart shows, for those who do not see it."""
    from farthing.report.ticks import figure

    words = [f"{chart.title.rstrip('.')}."]
    points = [point for one in chart.series for point in one.points]
    names = ", ".join(one.name for one in chart.series)
    if chart.kind == "timeline":
        rows = dict.fromkeys(point.label for point in points)
        words.append(f"Rows of bars along {chart.x.text}: {', '.join(rows) or 'none'}. Bars are {names}.")
        for name in rows:
            ends = [place for p in points if p.label == name for place in (p.start, p.x)]
            words.append(f"{name} from {figure(min(ends))} to {figure(max(ends))}.")
    elif chart.has_bars:
        lengths = (
            f"{point.label}{f', {one.name}' if len(chart.series) > 1 else ''} {figure(point.x)}"
            for one in chart.series
            for point in one.points
        )
        words.append(f"{'Stacked bars' if chart.kind == 'stacked-bar' else 'Bars'} of {chart.x.text}:")
        words.append("; ".join(lengths) + "." if points else "none.")
    else:
        words.append(f"{chart.y.text} against {chart.x.text}: {names}.")
        for axis, values in ((chart.x, [p.x for p in points]), (chart.y, [p.y for p in points])):
            if values:
                words.append(f"{axis.title} from {figure(min(values))} to {figure(max(values))}.")
    if chart.note:
        words.append(chart.note)
    return " ".join(words)


def _stacked(charts: Sequence[Chart], views: list[dict[str, Any]]) -> dict[str, Any]:
    """Views under one another, each with colours, signs and a key of its own."""
    apart = {"color": "independent", "shape": "independent"}
    return {
        "description": " ".join(description(chart.drawable) for chart in charts),
        "vconcat": views,
        "spacing": 44,
        "resolve": {"scale": apart, "legend": apart},
    }


def _config(theme: Theme) -> dict[str, Any]:
    """How all charts look."""
    return {
        "font": FONT,
        "view": {"stroke": None},
        "title": {
            "anchor": "start",
            "frame": "group",
            "color": theme.text,
            "fontSize": _TITLE,
            "fontWeight": 600,
            "subtitleColor": theme.quiet,
            "subtitleFontSize": _NOTE,
            "subtitlePadding": 6,
            "offset": 14,
        },
        "axis": {
            "labelColor": theme.quiet,
            "labelFontSize": 12,
            "labelPadding": 6,
            "labelLimit": 0,
            "labelFlush": False,
            "titleColor": theme.text,
            "titleFontSize": 13,
            "titleFontWeight": "normal",
            "titlePadding": 10,
            "titleLimit": 0,
            "gridColor": theme.grid,
            "domainColor": theme.quiet,
            "tickColor": theme.quiet,
        },
        "legend": {
            "orient": "top",
            "direction": "horizontal",
            "title": None,
            "labelColor": theme.text,
            "labelFontSize": 13,
            "labelLimit": 560,
            "symbolLimit": 0,
            "symbolSize": 90,
            "symbolOpacity": 1,
            "offset": 8,
            "columnPadding": 18,
        },
    }
