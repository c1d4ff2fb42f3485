"""Bars as a view of Vega-Lite: lying, side by side or stacked, with their values written at them."""

from __future__ import annotations

import textwrap
from typing import Any, Final

from farthing.records.chart import Chart
from farthing.report.label_places import text_width
from farthing.report.palette import Theme, lightness
from farthing.report.ticks import Ticks, figure, tick_texts, ticks
from farthing.report.vega_legend import WIDTH, legend, tooltips

_NAME_LETTERS: Final = 26
"""Longer names of bars are broken."""

_VALUE: Final = 12
"""Size of the values at the bars [pixel]."""

_LINE: Final = 14.0
"""From one line of a name to the next [pixel]."""


def bars_view(chart: Chart, theme: Theme) -> dict[str, Any]:
    """The view of a chart of bars, at least one."""
    return _stacked(chart, theme) if chart.kind == "stacked-bar" else _grouped(chart, theme)


def broken_names(chart: Chart) -> dict[str, str]:
    """Names of the bars in their order, and each with line breaks."""
    names = dict.fromkeys(point.label for one in chart.series for point in one.points)
    return {name: "\n".join(textwrap.wrap(name, _NAME_LETTERS) or [name]) for name in names}


def _rows(chart: Chart, names: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "bar": names[point.label],
            "name": point.label,
            "series": one.name,
            "number": number,
            "value": float(point.x),
            "text": figure(point.x, full=True),
            "detail": point.detail,
        }
        for number, one in enumerate(chart.series)
        for point in one.points
    ]


def _grouped(chart: Chart, theme: Theme) -> dict[str, Any]:
    names, several = broken_names(chart), len(chart.series) > 1
    rows = _rows(chart, names)
    # The longest bar ends where its value still has room.
    axis = ticks([row["value"] for row in rows], "linear", zero=True)
    thick = 20 * len(chart.series) + 12 if several else 32
    encoding = {"y": names_axis(names, theme), "tooltip": _told(chart, rows, several)}
    if several:
        encoding["yOffset"] = {
            "field": "series",
            "type": "nominal",
            "sort": [one.name for one in chart.series],
            "scale": {"paddingInner": 0.1},
        }
    bar = {
        "mark": {"type": "bar", "cornerRadiusEnd": 2},
        "encoding": {
            "x": lengths_axis(chart, axis),
            "color": colour_of_series(chart, theme),
        },
    }
    text = {
        "mark": {"type": "text", "align": "left", "dx": 5, "color": theme.text, "fontSize": _VALUE},
        "encoding": {"x": {"field": "value", "type": "quantitative"}, "text": {"field": "text"}},
    }
    return {**bar_frame(names, thick), "data": {"values": rows}, "encoding": encoding, "layer": [bar, text]}


def _stacked(chart: Chart, theme: Theme) -> dict[str, Any]:
    names = broken_names(chart)
    rows = _rows(chart, names)
    wholes = dict.fromkeys(names.values(), 0.0)
    for row in rows:
        row["from"] = wholes[row["bar"]]
        wholes[row["bar"]] = row["to"] = row["from"] + row["value"]
    axis = ticks(wholes.values(), "linear", zero=True)
    frame = bar_frame(names, 40)
    for row in rows:
        room = (axis.share(row["to"]) - axis.share(row["from"])) * frame["width"]
        # In what is left of a whole stands the sum of the others.
        quiet = chart.series[row["number"]].style == "rest"
        if not quiet and room > text_width(row["text"], _VALUE - 1) + 8:
            row["inside"] = row["text"]
            row["middle"] = row["from"] / 2 + row["to"] / 2
    y = names_axis(names, theme)
    bar = {
        "mark": {"type": "bar", "stroke": theme.ground, "strokeWidth": 1},
        "encoding": {
            "y": y,
            "x": {**lengths_axis(chart, axis), "field": "from"},
            "x2": {"field": "to"},
            "color": colour_of_series(chart, theme),
            "tooltip": _told(chart, rows, True),
        },
    }
    layers: list[dict[str, Any]] = [bar]
    for number, colour in enumerate(series_colours(chart, theme)):
        dark = lightness(colour) < 0.179  # Above it black has the better contrast.
        layers.append(
            {
                "transform": [{"filter": f"datum.number === {number} && isValid(datum.inside)"}],
                "mark": {"type": "text", "color": "#ffffff" if dark else "#000000", "fontSize": _VALUE - 1},
                "encoding": {
                    "y": y,
                    "x": {"field": "middle", "type": "quantitative"},
                    "text": {"field": "inside"},
                },
            }
        )
    whole = {
        "data": {
            "values": [
                {"bar": names[name], "to": to, "text": figure(to, full=True)}
                for name, to in chart.sums.items()
            ]
        },
        "mark": {
            "type": "text",
            "align": "left",
            "dx": 6,
            "color": theme.text,
            "fontSize": _VALUE,
            "fontWeight": 600,
        },
        "encoding": {"y": y, "x": {"field": "to", "type": "quantitative"}, "text": {"field": "text"}},
    }
    return {**frame, "data": {"values": rows}, "layer": [*layers, whole]}


def bar_frame(names: dict[str, str], thick: int) -> dict[str, Any]:
    """Size of the view; a name of several lines makes room for them."""
    lines = max(name.count("\n") + 1 for name in names.values())
    widest = max(text_width(line, 12) for name in names.values() for line in name.split("\n"))
    return {
        "width": max(300, round(WIDTH + 60 - widest)),
        "height": {"step": max(thick, 15 * lines + 8), "for": "position"},
    }


def names_axis(names: dict[str, str], theme: Theme) -> dict[str, Any]:
    """The names of the bars, in their order."""
    return {
        "field": "bar",
        "type": "nominal",
        "sort": list(names.values()),
        "title": None,
        "scale": {"paddingInner": 0.25, "paddingOuter": 0.15},
        "axis": {
            "labelExpr": "split(datum.label, '\\n')",
            "labelOffset": _middles(names),
            "labelColor": theme.text,
            "ticks": False,
            "domain": False,
        },
    }


def _middles(names: dict[str, str]) -> dict[str, Any]:
    """How far names of several lines move up, so that their middle is at the bar [pixel]."""
    most = max(name.count("\n") for name in names.values())
    return (
        {
            "condition": [
                {"test": f"length(split(datum.value, '\\n')) == {more + 1}", "value": -_LINE / 2 * more}
                for more in range(1, most + 1)
            ],
            "value": 0,
        }
        if most
        else {"value": 0}
    )


def lengths_axis(chart: Chart, axis: Ticks) -> dict[str, Any]:
    """The axis along which the bars lie."""
    return {
        "field": "value",
        "type": "quantitative",
        "title": chart.x.text,
        "scale": {"domain": [axis.low, axis.high], "nice": False},
        "axis": number_axis(axis),
    }


def number_axis(axis: Ticks) -> dict[str, Any]:
    """The ticks, with the numbers as the terminal writes them."""
    texts = dict(zip(map(repr, range(len(axis.values))), tick_texts(axis.values), strict=True))
    steps = len(axis.values) - 1
    listed = "[" + ", ".join(f"'{text}'" for text in texts.values()) + "]"
    return {"values": list(axis.values), "labelExpr": f"{listed}[round(datum.index * {steps})]"}


def colour_of_series(chart: Chart, theme: Theme) -> dict[str, Any]:
    """Colours of the series, and the key to them where there are several."""
    names = [one.name for one in chart.series]
    return {
        "field": "series",
        "type": "nominal",
        "sort": names,
        "scale": {"domain": names, "range": series_colours(chart, theme)},
        "legend": legend(names) if len(names) > 1 else None,
    }


def series_colours(chart: Chart, theme: Theme) -> list[str]:
    """Of the series of bars; what is left of a whole is as pale as the grid."""
    return [
        theme.grid if one.style == "rest" else theme.colour(number) for number, one in enumerate(chart.series)
    ]


def _told(chart: Chart, rows: list[dict[str, Any]], several: bool) -> list[dict[str, str]]:
    titles = {"name": chart.y.title or "bar"}
    if several:
        titles["series"] = "series"
    titles["text"] = chart.x.text
    if any(row["detail"] for row in rows):
        titles["detail"] = "detail"
    return tooltips(titles)
